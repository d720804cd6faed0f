"""The views of labels from depth maps, in a browser: the room, the shared surface, and ψ as a matrix."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")

from PIL import Image

from relabel.labelfile import StoredCollection
from relabel.view import contents, matrix
from relabel.view import standalone as page_in_one_file
from relabel.view.depth_frames import DepthFrames
from relabel.view.standalone import write_report
from tests.trees import depth_png
from tests.view.browsing import SCHEMES, Opened, assert_accessible, needs_chromium
from tests.view.labels import best_first, copy_of, small_city
from tests.view.rooms import FRAMES, LOST, SIZE, depth_frames, reader, seen_by_sets, small_room, sparse_rooms
from tests.view.serving import Served, server, serving
from tests.view.test_matrix import read_directly

pytestmark = needs_chromium
SHARED = (18, 183, 106)
"""the colour of what both frames see"""


def key(k: int) -> str:
    """The key of a frame of the small room."""
    return f"seq-01-frame-{k:06d}"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> list[StoredCollection]:
    """Labels of the small room, beside its folder."""
    return small_room(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def served(room: list[StoredCollection]) -> Iterator[Served]:
    """The small room with its depth maps."""
    with serving(server.Labels(room, depth_frames=depth_frames(room))) as found:
        yield found


@pytest.fixture(scope="module")
def page_of_all(browser: Any, served: Served) -> Iterator[Opened]:
    """One page from the server for all tests that need no page of their own."""
    found = Opened(browser, served.url)
    yield found
    found.close()


@pytest.fixture
def opened(page_of_all: Opened) -> Iterator[Opened]:
    """The small room from the server."""
    page_of_all.begin("room")
    yield page_of_all
    assert page_of_all.faults == []


@pytest.fixture(scope="module")
def opened_sparse(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Rooms with next to nothing in them, from a server."""
    with serving(server.Labels(sparse_rooms(tmp_path_factory.mktemp("sparse") / "labels.h5"))) as found:
        opened = Opened(browser, found.url)
        yield opened
        opened.close()


def to_room(opened: Opened) -> None:
    """Turn to the room, and wait until it is drawn."""
    opened.page.click("#tab-room")
    opened.page.wait_for_selector("body[data-room]")


def tabs(opened: Opened) -> list[str]:
    """The views that are offered."""
    return opened.page.locator("#tabs button:visible").all_inner_texts()


class TestRoom:
    """Cameras in space."""

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_a_click_shows_the_matches(self, opened: Opened, room: list[StoredCollection], scheme: str) -> None:
        """In the order of the independent reader, whichever way the room is turned."""
        opened.begin("room", scheme)
        to_room(opened)
        opened.picture(f"room-{scheme}")
        for k, turned in ((1, ""), (5, "dddw+")):
            for press in turned:
                opened.page.keyboard.press(press)
            box = opened.page.locator("#space").bounding_box()
            left, top = opened.page.evaluate(f"viewer.onScreen({k})")
            opened.page.mouse.click(box["x"] + left, box["y"] + top)
            opened.query(key(k))
            keys, values = best_first(room[0].path, "room", key(k))
            assert opened.listed() == (keys, [f"{value:.4f}" for value in values])
            opened.picture(f"room-{k}-{scheme}")
        assert "1 without a pose" in opened.page.inner_text("#room-sight")

    def test_above_is_above(self, opened: Opened, room: list[StoredCollection]) -> None:
        """Poses of the small room have y down, so that what has less of it is higher on the screen."""
        to_room(opened)
        assert opened.page.evaluate("[viewer.state.scene.axes[2], viewer.state.scene.upright]") == [1, -1]

    def test_the_keyboard_does_all(self, opened: Opened, room: list[StoredCollection]) -> None:
        """The same keys as on the map; a search stays in the view, and turning asks nobody."""
        to_room(opened)
        press = opened.page.keyboard.press
        press("ArrowRight")
        opened.query(key(0))
        before = opened.page.evaluate("viewer.onScreen(5)")
        for turned in "adws+-":
            press(turned)
        press("d")
        assert opened.page.evaluate("viewer.onScreen(5)") != before
        press("0")
        assert opened.page.evaluate("viewer.onScreen(5)") == pytest.approx(before)
        press("ArrowDown")
        assert opened.page.locator("#rows [aria-current=true]").get_attribute("data-column") == "2"
        press("/")
        opened.page.keyboard.type(key(3))
        press("Enter")
        opened.query(key(3))
        assert opened.page.locator("#room").is_visible()
        assert opened.listed()[0] == best_first(room[0].path, "room", key(3))[0]

    @pytest.mark.parametrize("collection", ["one", "no-pairs", "unknown", "nowhere", "empty"])
    def test_extremes(self, opened_sparse: Opened, collection: str) -> None:
        """One frame, no pairs, nothing known, no place at all, no query: nothing breaks, and it is said."""
        opened = opened_sparse
        opened.begin(collection)
        spatial = collection not in ("nowhere", "empty")
        assert ("Room" in tabs(opened)) == spatial
        for view in ("room", "surface", "matrix")[not spatial :]:
            opened.page.click(f"#tab-{view}")
            opened.page.keyboard.press("ArrowRight")
            if collection != "empty":
                opened.page.wait_for_selector("#chosen:not([hidden])")
            opened.picture(f"{collection}-{view}")
        assert not opened.page.locator("#error").is_visible()
        if collection == "unknown":
            opened.page.click("#tab-room")
            assert "unknown" in opened.page.inner_text("#room .legend")
        if collection == "empty":
            assert "there is no matrix" in opened.page.inner_text("#matrix")
        assert opened.faults == []

    def test_streets_have_no_room(self, browser: Any, tmp_path: Path) -> None:
        """Nor a shared surface; but a matrix."""
        with serving(server.Labels(small_city(tmp_path / "labels.h5"))) as found:
            opened = Opened(browser, f"{found.url}#collection=town")
            assert tabs(opened)[:3] == ["Map", "Matrix", "Distributions"]
            opened.close()


class TestSurface:
    """Images and depth maps with what both frames see."""

    def shown(self, opened: Opened, row: int, column: int) -> None:
        """Choose a pair and wait until its depth maps are there."""
        opened.page.evaluate(f"viewer.choose({row}, {{ column: {column} }})")
        opened.page.wait_for_selector(f"body[data-surface='{key(row)} {key(column)}']")

    def pixels(self, opened: Opened, figure: str) -> np.ndarray:
        """(h, w, 4) what a canvas holds."""
        address = opened.page.locator(f"{figure} canvas").evaluate("(canvas) => canvas.toDataURL()")
        with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
            return np.array(image.convert("RGBA"))

    def overlay(self, opened: Opened, percent: int) -> None:
        """Set how strong the overlay is."""
        change = "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }"
        opened.page.locator("#strength").evaluate(change, percent)

    def test_the_overlay_is_what_both_see(self, opened: Opened, room: list[StoredCollection]) -> None:
        """Pixel for pixel what sets of voxels say; over the image as over the depth map, and translucent."""
        opened.page.click("#tab-surface")
        self.shown(opened, 0, 3)
        images, psi = seen_by_sets(room[0].path.parent / "room", 0, 3)
        assert f"ψ {psi:.4f} (iou)" in opened.page.inner_text("#surface-summary")
        translucent = self.pixels(opened, "#surface-query-image")
        opened.picture("surface")
        self.overlay(opened, 0)
        plain = self.pixels(opened, "#surface-query-image")
        self.overlay(opened, 100)
        for name, seen in zip(("query", "match"), images, strict=True):
            depth = self.pixels(opened, f"#surface-{name}-depth")
            np.testing.assert_array_equal((depth[..., :3] == SHARED).all(axis=2), seen == 2)
            np.testing.assert_array_equal(depth[..., 3] == 0, seen == 0)
            image = self.pixels(opened, f"#surface-{name}-image")
            at = [((np.arange(n) + 0.5) * image.shape[k] / n).astype(int) for k, n in enumerate(seen.shape)]
            np.testing.assert_array_equal((image[np.ix_(*at)][..., :3] == SHARED).all(axis=2), seen == 2)
            share = 100 * np.count_nonzero(seen == 2) / np.count_nonzero(seen)
            assert f"shared: {share:.1f}% of its pixels" in opened.page.inner_text(f"#surface-{name}-depth figcaption")
        rows, columns = (((np.arange(n) + 0.5) * 2.5).astype(int) for n in images[0].shape)  # of 80 × 60
        below, above = (pixels[np.ix_(rows, columns)][..., :3] for pixels in (plain, translucent))
        expected = np.where((images[0] == 2)[..., np.newaxis], 0.6 * below + 0.4 * np.array(SHARED), below)
        assert np.abs(above - expected).max() <= 2

    def test_the_keyboard_walks(self, opened: Opened, room: list[StoredCollection]) -> None:
        """Queries and matches as on the map; a frame without a pose is said to be one."""
        opened.page.click("#tab-surface")
        assert "no query chosen" in opened.page.inner_text("#surface-query-image")
        opened.page.keyboard.press("ArrowRight")
        opened.page.wait_for_selector(f"body[data-surface='{key(0)} {key(1)}']")
        opened.page.keyboard.press("ArrowDown")
        opened.page.wait_for_selector(f"body[data-surface='{key(0)} {key(2)}']")
        opened.page.evaluate(f"viewer.choose({LOST})")
        opened.page.wait_for_selector("body[data-surface=missing]")
        assert "no_pose" in opened.page.inner_text("#surface-query-depth")
        opened.picture("surface-missing")
        opened.page.evaluate(f"viewer.choose({FRAMES - 1})")
        opened.page.wait_for_selector(f"body[data-surface='{key(FRAMES - 1)}']")
        assert "no match" in opened.page.inner_text("#surface-match-image")
        opened.picture("surface-alone")

    def test_without_a_root(self, browser: Any, room: list[StoredCollection]) -> None:
        """How to see depth maps is said in their place."""
        with serving(server.Labels(room)) as found:
            opened = Opened(browser, f"{found.url}#query={key(0)}")
            opened.page.click("#tab-surface")
            assert "root DIR" in opened.page.inner_text("#surface-query-depth")
            for box in ("#query-image", "#match-image"):
                assert opened.page.inner_text(f"{box} .placeholder") == "no images: start with \u2011\u2011root DIR"
            opened.picture("surface-no-root")
            opened.close()

    def test_other_depth_maps_are_told(self, browser: Any, room: list[StoredCollection], tmp_path: Path) -> None:
        """Where they are not those that were labelled."""
        shutil.copytree(room[0].path.parent / "room", tmp_path / "room")
        depth_png(tmp_path / "room" / "depth" / f"{key(1)}.png", 900, size=SIZE)
        frames = DepthFrames(reader(room[0].path, tmp_path / "room"), tmp_path / "room")
        with serving(server.Labels(room, depth_frames=frames)) as found:
            opened = Opened(browser, f"{found.url}#query={key(0)}")
            opened.page.click("#tab-surface")
            opened.page.wait_for_selector("#surface-summary.warning")
            assert "not the depth maps that were labelled" in opened.page.inner_text("#surface-summary")
            opened.close()


def test_distributions(opened: Opened, room: list[StoredCollection]) -> None:
    """ψ by straight distances and the angles between optical axes, from the poses of the file; without the 25 m box."""
    with h5py.File(copy_of(room[0].path)) as file:
        pose = file["room/queries/pose"][()].reshape(FRAMES, -1, 4)
    psi = read_directly(room[0])
    cells: dict[tuple[float, int], list[float]] = {}
    for i, j in np.argwhere(np.nan_to_num(psi) > 0):
        apart = np.linalg.norm(pose[i, :3, 3] - pose[j, :3, 3])
        angle = np.degrees(np.arccos(np.clip(pose[i, :3, 2] @ pose[j, :3, 2], -1, 1)))
        cells.setdefault((int(apart / 0.01), int(angle / 10)), []).append(psi[i, j])
    expected = {
        f"{at / 100:g} to {(at + 1) / 100:g} m, {10 * turn} to {10 * turn + 10}°: "
        f"mean ψ {np.mean(values):.3f} of {len(values)} pairs"
        for (at, turn), values in cells.items()
    }
    opened.page.click("#tab-charts")
    section = opened.page.locator("#charts section", has_text="Distance and heading")
    section.wait_for()
    titles = section.locator("rect > title").evaluate_all("(all) => all.map((title) => title.textContent)")
    assert set(titles) == expected
    assert len(titles) == len(expected) > 3
    assert "angle between optical axes" in section.inner_text()
    assert "25 m" not in section.inner_text()
    opened.picture("room-distributions")


class TestMatrix:
    """ψ of all pairs."""

    def opened_matrix(self, opened: Opened, collection: str = "room") -> None:
        opened.page.click("#tab-matrix")
        opened.page.wait_for_selector(f"body[data-matrix='{collection}']")

    def place(self, opened: Opened, row: float, column: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Where a pair is drawn: within the margins of the chart, see MARGINS of matrix.js."""
        box = opened.page.locator("#matrix-box > svg, #matrix-box > figure").bounding_box()
        width, height = box["width"] - 64 - 20, box["height"] - 34 - 16
        return box["x"] + 64 + (column + 0.5) * width / shape[1], box["y"] + 34 + (row + 0.5) * height / shape[0]

    def test_values_are_those_of_the_file(self, opened: Opened, room: list[StoredCollection]) -> None:
        """Of every pair, as h5py reads them; unknown ones and cameras with themselves are called so."""
        self.opened_matrix(opened)
        psi = read_directly(room[0])
        for row, column in [(0, 1), (5, 2), (3, 0), (0, 6), (LOST, 1), (2, LOST), (2, 2)]:
            opened.page.mouse.move(*self.place(opened, row, column, psi.shape))
            value = psi[row, column]
            text = "the camera itself" if row == column else "unknown" if np.isnan(value) else f"ψ {value:.4f}"
            expected = f"row {row}, column {column}: {text if value != 0 else 'ψ ≤ 1e-06'}"
            assert opened.page.inner_text("#matrix-readout") == expected
        assert opened.page.inner_text("#matrix-cells") == "each cell is one pair"
        opened.picture("matrix")

    def test_a_click_goes_to_the_pair(self, opened: Opened, room: list[StoredCollection]) -> None:
        """To a match, which is then the current one of the list, and to a pair that shares nothing."""
        self.opened_matrix(opened)
        opened.page.mouse.click(*self.place(opened, 5, 2, (FRAMES, FRAMES)))
        opened.query(key(5))
        assert opened.page.locator("#rows [aria-current=true]").get_attribute("data-column") == "2"
        opened.page.mouse.click(*self.place(opened, 0, 6, (FRAMES, FRAMES)))
        opened.query(key(0))
        assert opened.page.locator("#rows [aria-current=true]").count() == 0
        assert f"{key(6)}: no ψ stored, so at most 1e-06" in opened.page.inner_text("#pointed")
        opened.page.click("#tab-surface")
        opened.page.wait_for_selector(f"body[data-surface='{key(0)} {key(6)}']")
        assert "shared: 0.0%" in opened.page.inner_text("#surface-match-depth")
        opened.page.keyboard.press("ArrowDown")
        opened.page.wait_for_selector(f"body[data-surface='{key(0)} {key(1)}']")

    @pytest.mark.parametrize("standalone", [False, True])
    def test_large_ones_are_drawn_in_blocks(
        self,
        browser: Any,
        room: list[StoredCollection],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        standalone: bool,
    ) -> None:
        """Of the largest or the mean ψ; a click goes to the largest pair of a block, zooming in shows single pairs."""
        for module in (matrix, page_in_one_file):
            monkeypatch.setattr(module, "CELLS", 4)
        psi = read_directly(room[0])
        with serving(server.Labels(room)) as found:
            url = f"file://{write_report(room, tmp_path / 'page.html')}" if standalone else found.url
            opened = Opened(browser, url)
            self.opened_matrix(opened)
            for kind, function in (("max", np.nanmax), ("mean", np.nanmean)):
                opened.page.select_option("#matrix-kind", kind)
                for row, column in ((1, 2), (3, 5), (6, 0)):
                    opened.page.mouse.move(*self.place(opened, row, column, psi.shape))
                    value = function(psi[row // 2 * 2 : row // 2 * 2 + 2, column // 2 * 2 : column // 2 * 2 + 2])
                    text = "largest" if kind == "max" else "mean"
                    expected = f"row {row}, column {column}: {text} of 2 × 2 pairs: "
                    expected += "ψ ≤ 1e-06" if value == 0 else f"ψ {value:.4f}"
                    assert opened.page.inner_text("#matrix-readout") == expected
            opened.page.mouse.click(*self.place(opened, 1, 2, psi.shape))
            opened.query(key(1))  # (1, 2) is the largest of rows 0 and 1, columns 2 and 3
            assert opened.page.locator("#rows [aria-current=true]").get_attribute("data-column") == "2"
            assert psi[1, 2] == np.nanmax(psi[:2, 2:4])
            for _ in range(4):
                opened.page.keyboard.press("+")
            if not standalone:
                opened.page.wait_for_selector("body[data-matrix-step='1']")
                assert opened.page.inner_text("#matrix-cells") == "each cell is one pair"
            opened.page.keyboard.press("0")
            opened.close()

    def test_large_ones_are_asked_for(
        self, browser: Any, room: list[StoredCollection], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is read before."""
        monkeypatch.setattr(contents, "COMPUTE_AT_ONCE", 5)
        with serving(server.Labels(room)) as found:
            opened = Opened(browser, found.url)
            opened.page.click("#tab-matrix")
            opened.page.get_by_role("button", name="Read all 20 pairs").click()
            opened.page.wait_for_selector("body[data-matrix=room]")
            opened.close()


def test_a_page_from_the_disk(browser: Any, room: list[StoredCollection], tmp_path: Path) -> None:
    """It has the room and the matrix, but no shared surface, and asks nobody."""
    opened = Opened(browser, f"file://{write_report(room, tmp_path / 'page.html')}#query={key(2)}")
    assert tabs(opened)[:4] == ["Map", "Room", "Matrix", "Distributions"]
    opened.page.click("#tab-room")
    assert opened.listed()[0] == best_first(room[0].path, "room", key(2))[0]
    opened.picture("report-room")
    opened.page.click("#tab-matrix")
    opened.page.wait_for_selector("body[data-matrix=room]")
    asked = "viewer.source.matrix('room', [0, 7], [0, 7]).then(({ arrays }) => Array.from(arrays.max))"
    shown = opened.page.evaluate(asked)
    np.testing.assert_array_equal(np.array(shown, float), read_directly(room[0]).ravel())
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    opened.close()


def test_accessible(browser: Any, served: Served) -> None:
    """axe-core finds nothing serious in these views, light or dark."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{served.url}#query={key(0)}")
    page.wait_for_selector("body[data-query]")
    for view, ready in (("room", "#room-sight:not(:empty)"), ("surface", "#surface canvas"), ("matrix", "#matrix svg")):
        page.click(f"#tab-{view}")
        assert_accessible(page, ready)
    context.close()
