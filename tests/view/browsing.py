"""A page in a browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARTEFACTS = os.environ.get("RELABEL_SCREENSHOTS")
"""Folder for screenshots of every view; none are made where it is not set, or empty."""
SCHEMES = ["light", "dark"] if ARTEFACTS else ["light"]
"""Colours to try where the scheme shows only in screenshots; contrast is tested in both."""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@contextmanager
def started_browser() -> Iterator[Any]:
    """A browser that draws in software, until the block ends."""
    from playwright import sync_api  # which may not be installed

    with sync_api.sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--disable-gpu-rasterization",
        ]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


class Opened:
    """A page, and all that it complained of."""

    def __init__(self, browser: Any, url: str, scheme: str = "light") -> None:
        self.faults: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
        self.page.on(
            "console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]")

    def begin(self, collection: str, scheme: str = "light") -> None:
        """As if the page had just been opened with this collection, at a fraction of the cost of a new page."""
        self.faults.clear()
        self.asked.clear()
        self.page.emulate_media(color_scheme=scheme)
        self.page.evaluate(
            """async (collection) => {
                for (const name of ["query", "pointed", "room", "surface"]) delete document.body.dataset[name];
                const { $ } = viewer;
                $("collection").value = collection;
                $("search").value = "";
                viewer.showView(document.querySelector("#tabs button").getAttribute("aria-controls"));
                await viewer.openCollection(collection);
            }""",
            collection,
        )

    def choose(self, collection: str) -> None:
        self.page.select_option("#collection", collection)
        self.page.wait_for_selector(f"body[data-ready='{collection}']")

    def query(self, key: str) -> None:
        """Wait until this query is the one that is shown."""
        self.page.wait_for_selector(f"body[data-query={json.dumps(key, ensure_ascii=False)}]")

    def listed(self) -> tuple[list[str], list[str]]:
        """Keys and values of the list of matches."""
        return (
            self.page.locator("#rows .key").evaluate_all("(cells) => cells.map((cell) => cell.title)"),
            self.page.locator("#rows td:first-child").all_inner_texts(),
        )

    def picture(self, name: str) -> None:
        if ARTEFACTS:
            self.page.wait_for_timeout(500)
            self.page.screenshot(path=str(Path(ARTEFACTS) / f"{name}.png"))

    def close(self) -> None:
        """End, without a word in the console."""
        self.page.close()
        assert self.faults == []


def serious_violations(page: Any, *rules: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds serious in a page that does not keep its content security policy, with the elements.

    By all its rules, or by these alone.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.Axe().axe_script)
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    # Of the rules that a page keeps there would be megabytes.
    found = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def assert_accessible(page: Any, drawn: str) -> None:
    """A page that has drawn an element keeps all serious rules, and in the dark the one that colours matter to."""
    for scheme, rules in (("light", ()), ("dark", ("color-contrast",))):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(drawn)
        assert serious_violations(page, *rules) == []
