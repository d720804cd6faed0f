"""Make the images of the viewer in the README from synthetic data: a city on the map, and what two frames share.

    python docs/viewer_images.py

They are screenshots of `relabel view`, taken by Chromium (Debian: `apt-get install chromium`) through Playwright
(`pip install playwright`). The room needs the extra `open3d`.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from relabel.geometry.earth import points
from relabel.labelfile import StoredCollection, open_collections

SIZE = {"width": 1280, "height": 720}
RELABEL = (sys.executable, "-m", "relabel")
HERE = Path(__file__).parent


def main() -> None:
    """Write the images beside this script."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        run("sample", "msls", folder / "msls", "--cameras", 1500)
        run("msls", "--root", folder / "msls", "-o", folder / "city.h5")
        [city] = open_collections(folder / "city.h5")
        with viewer(folder / "city.h5") as url:
            shown = opened(browser, url, query(city))
            save(shown, HERE / "viewer-map.png")
        run("sample", "7scenes", folder / "rooms", "--frames", 12)
        run("7scenes", "--root", folder / "rooms", "-o", folder / "room.h5")
        with viewer(f"{folder / 'room.h5'}::room/test-train", "--root", folder / "rooms") as url:
            shown = opened(browser, url, str(open_collections(folder / "room.h5")[0].query.key[0]))
            shown.click("#tab-surface")
            shown.wait_for_selector("#surface canvas")
            save(shown, HERE / "viewer-surface.png")
        browser.close()


def run(*arguments: object) -> None:
    """A command of relabel."""
    subprocess.run([*RELABEL, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603


@contextmanager
def viewer(*arguments: object) -> Iterator[str]:
    """`relabel view` with these arguments, and its address."""
    command = [*RELABEL, "view", *map(str, arguments), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def opened(browser: Any, url: str, key: str) -> Any:
    """The page with this query."""
    shown = browser.new_page(viewport=SIZE, color_scheme="light")
    shown.goto(f"{url}#{urlencode({'query': key})}")
    shown.wait_for_selector("body[data-query]")
    return shown


def query(city: StoredCollection) -> str:
    """The key of a query with something of everything: matches, strangers within 25 m, unknown cameras within 100 m."""
    at, others = (points(side, city.params) for side in (city.query, city.database))
    known = city.database.ok
    best, most = 0, -1
    for row in np.flatnonzero(city.query.ok).tolist():
        away = np.linalg.norm(others - at[row], axis=1)
        matches = city.row_block(row).indices
        strangers = np.setdiff1d(np.flatnonzero((away < 25.0) & known), matches)
        fewest = min(len(matches), len(strangers), np.count_nonzero((away < 100.0) & ~known))
        if fewest > most:
            best, most = row, fewest
    return str(city.query.key[best])


def save(shown: Any, path: Path) -> None:
    """A screenshot, as small as PNG makes it."""
    shown.wait_for_timeout(2000)  # for the map to come to rest
    with Image.open(io.BytesIO(shown.screenshot())) as image:
        image.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main()
