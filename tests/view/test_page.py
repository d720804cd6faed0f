"""The page in a browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")

import numpy as np
import pyproj
from PIL import Image, ImageDraw

from relabel.labelfile import StoredCollection, open_collections, write
from relabel.view.base_map import Tiles
from relabel.view.contents import compared_with
from relabel.view.image_files import ImageFiles
from relabel.view.standalone import write_report
from tests.view.browsing import SCHEMES, Opened, assert_accessible, needs_chromium
from tests.view.labels import HOSTILE, best_first, labels_of, other_city, row_of_cameras, small_city
from tests.view.serving import Served, server, serving
from tests.view.test_base_map import world

EXTREMES = ("long", "one", "no-pairs", "unknown", "nowhere", "empty")

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> list[StoredCollection]:
    """The small city, whose first query alone has an image."""
    folder = tmp_path_factory.mktemp("city")
    (folder / "images").mkdir()
    Image.new("RGB", (40, 30), "teal").save(folder / "images" / "q0.jpg")
    Image.new("RGB", (40, 30), "olive").save(folder / "images" / "d1.jpg")
    return small_city(folder / "labels.h5")


@pytest.fixture(scope="module")
def served(city: list[StoredCollection]) -> Iterator[Served]:
    """The small city without images, compared with another file."""
    other_city(city[0].path.parent / "other.h5")
    compared = compared_with(str(city[0].path), str(city[0].path.parent / "other.h5"))
    with serving(server.Labels(city, compared=compared)) as found:
        yield found


@pytest.fixture(scope="module")
def page_of_all(browser: Any, served: Served) -> Iterator[Opened]:
    """One page from the server for all tests that need no page of their own."""
    found = Opened(browser, f"{served.url}#collection=town")
    yield found
    found.close()


@pytest.fixture
def opened(page_of_all: Opened) -> Iterator[Opened]:
    """The town from the server."""
    page_of_all.begin("town")
    yield page_of_all
    assert page_of_all.faults == []


def camera_on_screen(opened: Opened, east_m: float) -> tuple[float, float]:
    """Where a camera of the town is drawn that stands so far east of the first: all stand on one line, 50 m long."""
    box = opened.page.locator("#map").bounding_box()
    # The whole town fills the map but for a margin: see `show` in map.js.
    pixels = min(box["width"] / (100 * 1.15), box["height"] / (100 * 1.15))
    return box["x"] + box["width"] / 2 + (east_m - 25.0) * pixels, box["y"] + box["height"] / 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_click_shows_the_matches(opened: Opened, city: list[StoredCollection], scheme: str) -> None:
    """In the order of the independent reader, with ties in the order of the database."""
    opened.begin("town", scheme)
    opened.picture(f"town-{scheme}")
    for number, key in enumerate(("q0", "q1")):
        opened.page.keyboard.press("0")
        opened.page.mouse.click(*camera_on_screen(opened, 10.0 * number))
        opened.query(key)
        keys, values = best_first(city[0].path, "town", key)
        assert opened.listed() == (keys, [f"{value:.4f}" for value in values])
        opened.picture(f"town-{key}-{scheme}")


def test_the_keyboard_does_all(opened: Opened, city: list[StoredCollection]) -> None:
    """Arrows walk through queries, all the way round, and through matches; a slash searches."""
    press = opened.page.keyboard.press
    press("ArrowRight")
    opened.query("q0")
    assert opened.page.locator("#rows [aria-current=true]").get_attribute("data-column") == "1"
    press("ArrowDown")
    assert opened.page.locator("#rows [aria-current=true]").get_attribute("data-column") == "0"
    press("ArrowUp")
    press("ArrowUp")
    assert opened.page.locator("#rows [aria-current=true]").get_attribute("data-column") == "1"
    press("ArrowLeft")
    opened.query("q2")
    assert opened.listed() == ([], [])
    assert "No camera shares a view" in opened.page.inner_text("#none")
    press("/")
    opened.page.keyboard.type("q1")
    press("Enter")
    opened.query("q1")
    assert opened.listed()[0] == best_first(city[0].path, "town", "q1")[0]


def test_what_is_said_of_a_query(opened: Opened) -> None:
    """Distances, headings and counts, worked out by hand: cameras stand 10 m apart in a row and look east."""
    opened.page.keyboard.press("ArrowRight")
    opened.query("q0")
    first = opened.page.locator("#rows tr").first.locator("td").all_inner_texts()
    assert first == ["0.9000", "10.0 m", "0°", "d1"]
    tally = opened.page.locator("#tally li").all_inner_texts()
    # d0, d1 and d2 are within 25 m; d4 is unknown; d2 alone is near and shares nothing; so is d2 the one negative.
    assert tally == [
        "4 matches with ψ > 1e-06",
        "3 within 25 m: 2 overlap, 1 do not",
        "1 unknown, 1 within 100 m hatched",
        "1 true negative",
    ]
    assert opened.page.inner_text("#query-image .placeholder") == "no images: start with \u2011\u2011images DIR"


def test_counts_within_25_m_add_up(browser: Any, tmp_path: Path) -> None:
    """Of six cameras within 25 m two overlap, one does not and three are unknown; also if a page has the best only."""
    status = np.array([0, 0, 0, 1, 1, 1, 0], np.uint8)
    at = row_of_cameras(1).position[0] + [[east, 0.0] for east in (0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 300.0)]
    database = row_of_cameras(7, "d", position=at, status=status)
    write(tmp_path / "labels.h5", {"a": labels_of(row_of_cameras(1, "q"), database, [[0.5, 0.9, 0, 0, 0, 0, 0]])})
    labels = open_collections(tmp_path / "labels.h5")
    for matches, others in ((10, "1 do not"), (1, "2 overlap less or not at all")):
        page = write_report(labels, tmp_path / f"{matches}.html", most_pairs=matches)
        opened = Opened(browser, f"file://{page}#query=q0")
        opened.query("q0")
        tally = opened.page.locator("#tally li").all_inner_texts()
        assert f"6 within 25 m: {min(matches, 2)} overlap, {others}, 3 unknown" in tally
        opened.close()


def test_headings_are_those_of_the_labels(browser: Any, tmp_path: Path) -> None:
    """In words they count from true north, though the north of the map is turned there, by 2.6°, and are drawn so."""
    extra = {"lon_deg": np.full(2, 5.95), "lat_deg": np.array([60.0, 60.0001])}
    at = np.column_stack(pyproj.Transformer.from_crs(4326, 32631, always_xy=True).transform(*extra.values()))
    cameras = row_of_cameras(2, position=at, heading_deg=[10.0, 50.0], extra=extra, crs="EPSG:32631")
    params = {"fov_deg": 60.0, "radius_m": 50.0, "frame": "geodesic"}
    write(tmp_path / "labels.h5", {"a": labels_of(cameras, None, [[0, 0.5], [0.5, 0]], params=params)})
    page = write_report(open_collections(tmp_path / "labels.h5"), tmp_path / "page.html")
    opened = Opened(browser, f"file://{page}#query=k0")
    opened.query("k0")
    assert "heading 10°" in opened.page.inner_text("#facts")
    assert opened.page.locator("#rows tr td").nth(2).inner_text() == "40°"
    drawn = opened.page.evaluate("Array.from(viewer.state.scene.queries.heading)")
    assert drawn == pytest.approx([7.45, 47.45], abs=0.05)  # the convergence is about Δλ sin φ: 2.95° · sin 60°
    opened.close()


def test_a_pair_that_is_not_known_is_no_negative(opened: Opened) -> None:
    """Cameras near a query of which nothing is known are counted as that; nothing is said of what is stored."""
    opened.choose("unknown")
    opened.page.keyboard.press("ArrowRight")
    opened.query(HOSTILE[0])
    tally = opened.page.locator("#tally li").all_inner_texts()
    assert tally[1] == "2 within 25 m: 0 overlap, 2 unknown"
    opened.page.click("#tab-charts")
    opened.page.wait_for_selector("#charts h2")
    assert opened.page.locator("#charts h2").all_inner_texts() == ["No known pairs"]


def test_excluded_pairs_are_no_negatives(browser: Any, tmp_path: Path) -> None:
    """Labels that exclude neighbours in a sequence do not call those that share no view negatives."""
    columns = {"sequence": np.array(["a"] * 4), "frame": np.arange(4)}
    psi = np.zeros((4, 4))
    psi[0, 1] = psi[1, 0] = 0.5
    params = {"fov_deg": 90.0, "radius_m": 50.0, "min_frame_gap": 3}
    labels = labels_of(row_of_cameras(4, extra=columns), None, psi, params=params)
    page = write_report(open_collections(write(tmp_path / "rule.h5", {"c": labels})), tmp_path / "page.html")
    opened = Opened(browser, f"file://{page}#query=k0")
    opened.query("k0")
    tally = opened.page.locator("#tally li").all_inner_texts()
    rule = "pairs of one sequence that are fewer than 3 frames apart"
    assert tally[-1] == f"2 true negatives, or excluded from training: {rule}"
    opened.close()


ODD_NAMES = ("</script><script>boom()</script>", "c" * 250, "\u202eעיר\u2066")
ODD_KEYS = ("\u202elive", "a" * 300, "שלום/1", *HOSTILE)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> list[StoredCollection]:
    """Collections of names that nobody would choose, with keys that are no better; neighbours face each other."""
    n = len(ODD_KEYS)
    cameras = row_of_cameras(n, key=ODD_KEYS, heading_deg=np.where(np.arange(n) % 2, 90.0, 270.0))
    labels = labels_of(cameras, None, 0.25 * (np.arange(n)[:, None] % 2 != np.arange(n) % 2))
    return open_collections(write(tmp_path_factory.mktemp("odd") / "odd.h5", dict.fromkeys(ODD_NAMES, labels)))


def test_odd_names(browser: Any, odd: list[StoredCollection], tmp_path: Path) -> None:
    """Names and keys of any length and direction run nothing, spoil no layout, and turn round nothing beside them."""
    opened = Opened(browser, f"file://{write_report(odd, tmp_path / 'page.html')}")
    for width in (1280, 400):
        opened.page.set_viewport_size({"width": width, "height": 800})
        for name in ODD_NAMES:
            opened.page.select_option("#collection", name)
            opened.page.wait_for_function("(name) => document.body.dataset.ready === name", arg=name)
            for key in ODD_KEYS:
                opened.page.keyboard.press("ArrowRight")
                opened.query(key)
                assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        opened.picture(f"odd-names-{width}")
        opened.page.click("#tab-faults")
        opened.page.wait_for_selector(".cases button:has-text('→')")
        assert (
            f"\u2068{ODD_KEYS[0]}\u2069 → \u2068{ODD_KEYS[1]}\u2069"
            in opened.page.locator(".cases button").all_text_contents()
        )
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        opened.page.click("#tab-place")
    opened.close()


def test_a_narrow_window(browser: Any, served: Served) -> None:
    """The list of matches stands below the map, nothing lies on anything else, and no view is wider than the window."""
    opened = Opened(browser, f"{served.url}#collection=town&query=q0")
    opened.page.set_viewport_size({"width": 400, "height": 700})
    opened.query("q0")
    foot, beside = (opened.page.locator(name).bounding_box() for name in ("#place .foot", "aside"))
    assert foot["y"] + foot["height"] <= beside["y"] + 1
    assert opened.page.locator("#map").bounding_box()["height"] >= 300
    opened.picture("narrow-map")
    for view, drawn in (
        ("charts", "svg"),
        ("compare", ".pairs"),
        ("faults", ".cases button"),
        ("matrix", "svg"),
        ("place", "canvas"),
    ):
        opened.page.click(f"#tab-{view}")
        opened.page.wait_for_selector(f"#{view} {drawn}")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 400
        opened.picture(f"narrow-{view}")
    opened.close()


def test_what_cannot_be_read_is_said_until_it_can(browser: Any, tmp_path: Path) -> None:
    """A file that is gone for a while, in every view; and a server that is gone for good."""
    path = tmp_path / "labels.h5"
    collections = small_city(path)
    with serving(server.Labels(collections)) as found:
        opened = Opened(browser, f"{found.url}#collection=town&query=q0")
        page = opened.page
        opened.query("q0")
        path.rename(tmp_path / "away.h5")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#error:has-text('labels.h5: there is no such file')")
        assert str(tmp_path) not in page.inner_text("#error")
        for view in ("matrix", "charts", "faults"):
            page.click(f"#tab-{view}")
            page.wait_for_selector(f"#{view} .empty:has-text('labels.h5: there is no such file')")
        page.select_option("#collection", "long")
        page.wait_for_selector("main", state="hidden")
        (tmp_path / "away.h5").rename(path)
        for collection in ("long", "town"):
            page.select_option("#collection", collection)
            page.wait_for_selector(f"body[data-ready={collection}]")
            assert not page.is_visible("#error")
            page.wait_for_selector("#faults .summary")
        page.click("#tab-matrix")
        page.wait_for_selector("#matrix svg")
        page.click("#tab-charts")
        page.wait_for_selector("#charts svg")
    page.click("#tab-place")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#error:has-text('The server does not answer')")
    opened.faults = [fault for fault in opened.faults if "Failed to load resource" not in fault]
    opened.close()


def test_distributions(opened: Opened) -> None:
    """The charts are drawn, with a title each."""
    opened.page.click("#tab-charts")
    opened.page.wait_for_selector("#charts section")
    assert opened.page.locator("#charts h2").all_inner_texts() == [
        "ψ of the stored pairs",
        "Distance and heading",
        "Time between two images",
        "Bands",
    ]
    assert opened.page.locator("#charts svg").count() == 4  # with the legend
    opened.picture("town-distributions")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_compare(opened: Opened, scheme: str) -> None:
    """Flips, worst first, each with a link to the pair on the map, also where one of the two files has no ψ for it."""
    opened.begin("town", scheme)
    page = opened.page
    page.click("#tab-compare")
    page.wait_for_selector("#compare .pairs")
    opened.picture(f"town-compare-{scheme}")
    flips = page.locator("#compare section", has_text="Flips across 0.5").last.locator("tbody tr")
    texts = [row.split("\t") for row in flips.all_inner_texts()]
    assert texts == [
        ["q1", "d2", "0.7000", "absent", "−0.7000"],
        ["q1", "d0", "absent", "0.5500", "+0.5500"],
        ["q0", "d5", "0.2500", "0.6000", "+0.3500"],
        ["q0", "d3", "0.5000", "0.4500", "−0.0500"],
    ]
    assert "1 only in this file, 1 only in other.h5" in page.inner_text("#compare")
    flips.nth(0).locator("button").click()
    opened.query("q1")
    assert page.locator("#rows [aria-current=true]").get_attribute("data-column") == "2"
    assert not page.locator("#pointed").is_visible()
    page.click("#tab-compare")
    flips.nth(1).locator("button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#pointed:not([hidden])")
    assert page.inner_text("#pointed") == "d0: no ψ stored, so at most 1e-06, 10.0 m away, turned by 0°"
    assert page.locator("#rows [aria-current=true]").count() == 0
    opened.picture(f"town-compare-pair-{scheme}")
    page.keyboard.press("ArrowDown")
    assert not page.locator("#pointed").is_visible()
    opened.choose("one")
    assert not page.locator("#tab-compare").is_visible()


def test_compare_with_other_cameras(browser: Any, city: list[StoredCollection], tmp_path: Path) -> None:
    """Two files without a camera in common do not look as though they agreed."""
    path = write(tmp_path / "other.h5", {"town": labels_of(row_of_cameras(2, "x"), row_of_cameras(2, "y"))})
    with serving(server.Labels(city, compared=compared_with(str(city[0].path), str(path)))) as found:
        opened = Opened(browser, f"{found.url}#collection=town")
        opened.page.click("#tab-compare")
        opened.page.wait_for_selector("#compare section")
        text = opened.page.inner_text("#compare")
        assert "nothing can be compared" in text
        assert "0 queries in both, 3 only in this file, 2 only in other.h5" in text
        assert "0.0000" not in text
        opened.close()


def test_the_map_of_a_collection_that_was_opened_below_another_view(opened: Opened) -> None:
    """It fills the map once that has a size, so that a camera is where it should be."""
    opened.choose("one")
    opened.page.click("#tab-charts")
    opened.choose("town")
    opened.page.click("#tab-place")
    opened.page.mouse.click(*camera_on_screen(opened, 10.0))
    opened.query("q1")


@pytest.mark.parametrize("collection", EXTREMES)
def test_extremes(opened: Opened, collection: str) -> None:
    """Nothing breaks where there is one camera, no pair, nothing known, no place, no camera or a long key."""
    opened.choose(collection)
    opened.picture(f"{collection}-start")
    opened.page.keyboard.press("ArrowRight")
    if collection != "empty":
        opened.page.wait_for_selector("#chosen:not([hidden])")
    opened.picture(f"{collection}-query")
    opened.page.click("#tab-charts")
    opened.page.wait_for_selector("#charts h2")
    opened.page.click("#tab-faults")
    opened.page.wait_for_selector("#faults .summary")
    opened.picture(f"{collection}-faults")
    assert not opened.page.locator("#error").is_visible()


def test_faults(opened: Opened) -> None:
    """Each with its count and its cases, by hand: d4 is a panorama, q2 has no match, all cameras look one way."""
    opened.page.click("#tab-faults")
    opened.page.wait_for_selector(".fault:nth-of-type(2) .cases button")
    assert opened.page.locator(".fault h2").all_inner_texts() == [
        "note status-panorama 1 camera",
        "note no-positive 1 camera",
    ]
    assert opened.page.locator(".cases button").all_inner_texts() == ["d4", "q2"]
    opened.picture("town-faults")


def test_a_fault_leads_to_the_map(opened: Opened) -> None:
    """A case shows its camera, of either side, in the middle of the map; another query ends it."""
    opened.page.click("#tab-faults")
    opened.page.click(".cases button:has-text('q2')")
    opened.query("q2")
    assert opened.page.is_visible("#map")
    opened.page.wait_for_selector("#case-text:has-text('no-positive 1 of 1: q2')")
    assert "no-positive" in opened.page.inner_text("#legend")
    opened.picture("town-fault-query")
    opened.page.keyboard.press("ArrowRight")
    opened.query("q0")
    opened.page.wait_for_selector("#case", state="hidden")
    opened.page.click("#tab-faults")
    opened.page.locator(".cases button:has-text('d4')").focus()
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("body[data-pointed=d4]")
    opened.page.wait_for_selector("#case-text:has-text('status-panorama 1 of 1: d4')")
    assert opened.page.inner_text("#nothing h2") == "d4"
    assert "status panorama" in opened.page.inner_text("#nothing")
    opened.picture("town-fault-database")
    # d4 is in the middle, 20 m from q2, the next query, of 100 m that are drawn.
    box = opened.page.locator("#map").bounding_box()
    pixels = min(box["width"], box["height"]) / (100 * 1.15)
    opened.page.mouse.click(box["x"] + box["width"] / 2 - 20 * pixels, box["y"] + box["height"] / 2)
    opened.query("q2")
    opened.page.click("#tab-faults")
    opened.page.click(".cases button:has-text('q2')")
    opened.page.click("#case-back")
    assert opened.page.is_visible("#faults")


def test_a_walk_through_the_cases(opened: Opened) -> None:
    """With n and p, all the way round, to cases that are text, whatever stands in it."""
    opened.choose("unknown")
    opened.page.click("#tab-faults")
    opened.page.click(".cases button >> nth=0")
    for pressed, at in (("", 0), ("n", 1), ("n", 2), ("n", 0), ("p", 2)):
        if pressed:
            opened.page.keyboard.press(pressed)
        opened.query(HOSTILE[at])
        opened.page.wait_for_selector(f"#case-text:has-text('status-no_heading {at + 1} of 3')")
        assert opened.page.inner_text("#case-text .key") == HOSTILE[at]
    opened.picture("unknown-fault")
    opened.page.click("#case-end")
    assert not opened.page.is_visible("#case")
    assert "status-no_heading" not in opened.page.inner_text("#legend")


def test_images(browser: Any, city: list[StoredCollection]) -> None:
    """Side by side where they are, and a word where they are not."""
    images = ImageFiles(
        city[:0] or [one for one in city if one.name == "town"], city[0].path.parent / "images", "{key}.jpg"
    )
    with serving(server.Labels(city, images)) as found:
        opened = Opened(browser, f"{found.url}#collection=town&query=q0")
        opened.query("q0")
        opened.page.wait_for_selector("#query-image img")
        for box in ("#query-image", "#match-image"):
            opened.page.wait_for_selector(f"{box} img")
            assert (
                opened.page.locator(f"{box} img").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
                == 40
            )
        opened.page.keyboard.press("ArrowDown")
        opened.page.wait_for_selector("#match-image .placeholder")
        assert opened.page.inner_text("#match-image .placeholder") == "no image"
        opened.picture("images")
        opened.faults = [fault for fault in opened.faults if "404" not in fault]  # the image that is missing
        opened.close()


def test_a_page_from_the_disk(browser: Any, city: list[StoredCollection], tmp_path: Path) -> None:
    """The same matches, and not one request beside the file itself."""
    other_city(tmp_path / "other.h5")
    compared = compared_with(str(city[0].path), str(tmp_path / "other.h5"))
    page = write_report(city, tmp_path / "page.html", compared=compared)
    opened = Opened(browser, f"file://{page}#collection=town&query=q1")
    opened.query("q1")
    assert opened.listed()[0] == best_first(city[0].path, "town", "q1")[0]
    opened.choose("long")
    opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_selector("#chosen:not([hidden])")
    assert opened.listed()[0] == best_first(city[0].path, "long", str(city[1].query.key[0]))[0]
    opened.page.click("#tab-charts")
    opened.page.wait_for_selector("#charts svg")
    opened.choose("unknown")
    opened.page.click("#tab-faults")
    opened.page.click(".cases button >> nth=1")
    opened.query(HOSTILE[1])
    opened.choose("town")
    opened.page.click("#tab-compare")
    opened.page.locator("#compare .pairs button").first.click()
    opened.query("q1")
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    opened.close()


def test_a_page_with_images(browser: Any, city: list[StoredCollection], tmp_path: Path) -> None:
    """The images of the query and of its match, and a word where the page has none; no request for any."""
    [town] = [one for one in city if one.name == "town"]
    write(tmp_path / "two.h5", {"again": town, "town": town})
    both = open_collections(tmp_path / "two.h5")
    page = write_report(both, tmp_path / "page.html", images=ImageFiles(both, town.path.parent / "images", "{key}.jpg"))
    opened = Opened(browser, f"file://{page}#collection=town&query=q0")
    opened.query("q0")
    for box, colour in (("#query-image", [0, 128, 128]), ("#match-image", [128, 128, 0])):
        opened.page.wait_for_selector(f"{box} img")
        seen = opened.page.locator(f"{box} img").evaluate(
            """async (image) => {
                await image.decode();
                const pen = new OffscreenCanvas(1, 1).getContext("2d");
                pen.drawImage(image, 0, 0);
                return [image.naturalWidth, ...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
            }"""
        )
        assert seen == pytest.approx([40, *colour], abs=8)  # JPEG twice
    opened.page.keyboard.press("ArrowDown")
    opened.page.wait_for_selector("#match-image .placeholder")
    assert opened.page.inner_text("#match-image .placeholder") == "no image in this page"
    assert "The images are not covered by the licence of the labels" in opened.page.inner_text("#notes")
    opened.picture("page-with-images")
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    opened.close()


class _TileServer(http.server.BaseHTTPRequestHandler):
    """Tiles of one colour each, with their numbers; the tile of camera 0 has a red dot where it stands."""

    def do_GET(self) -> None:
        """Draw one."""
        zoom, column, row = map(int, self.path.removesuffix(".png").split("/")[1:])
        tile = Image.new("RGB", (256, 256), "#cfe8cf" if (column + row) % 2 else "#f5f0dc")
        pen = ImageDraw.Draw(tile)
        pen.text((8, 8), f"{zoom}/{column}/{row}", fill="black")
        x, y = (place * 2**zoom - number for place, number in zip(PLACE, (column, row), strict=True))
        pen.ellipse([256 * x - 12, 256 * y - 12, 256 * x + 12, 256 * y + 12], fill="red")
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        tile.save(self.wfile, "PNG")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


PLACE = world(*pyproj.Transformer.from_crs("EPSG:32636", "EPSG:4326", always_xy=True).transform(500_000.0, 4_000_000.0))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_base_map(browser: Any, tmp_path: Path, scheme: str) -> None:
    """Tiles are asked of the host that was named, among them that of each camera, and of nobody else."""
    cameras = row_of_cameras(4, position=[[5e5, 4e6], [500_300.0, 4e6], [5e5, 4_000_200.0], [500_300.0, 4_000_200.0]])
    cameras = replace(cameras, crs="EPSG:32636")
    path = write(tmp_path / "labels.h5", {"on earth": labels_of(cameras), "local": labels_of(row_of_cameras(2))})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _TileServer) as tile_server:
        threading.Thread(target=tile_server.serve_forever).start()
        address = f"http://127.0.0.1:{tile_server.server_port}"
        tiles = Tiles(f"{address}/{{z}}/{{x}}/{{y}}.png", "© somebody")
        with serving(server.Labels(open_collections(path), tiles=tiles)) as found:
            opened = Opened(browser, f"{found.url}#collection=on+earth", scheme)
            opened.page.wait_for_selector("#attribution[data-waiting='0']")
            asked = {
                tuple(map(int, url.removesuffix(".png").split("/")[-3:])) for url in opened.asked if address in url
            }
            assert asked
            for zoom in {number[0] for number in asked}:
                assert (zoom, *(int(place * 2**zoom) for place in PLACE)) in asked
            assert {url.split("/")[2] for url in opened.asked} == {address[7:], found.url.split("/")[2]}
            assert opened.page.inner_text("#attribution") == "© somebody"
            opened.picture(f"base-map-{scheme}")
            opened.choose("local")
            assert "no base map: frame local" in opened.page.inner_text("#sight")
            assert not opened.page.locator("#attribution").is_visible()
            opened.close()
        tile_server.shutdown()


def test_accessible(browser: Any, served: Served) -> None:
    """axe-core finds nothing serious in any view, light or dark."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{served.url}#collection=town&query=q0")
    page.wait_for_selector("body[data-query]")
    for button, drawn in (
        ("#tab-place", "aside:not([hidden]) #rows tr"),
        ("#tab-charts", "#charts h2"),
        ("#tab-compare", "#compare h2"),
        ("#tab-faults", ".cases button"),
        (".cases button", "#case:not([hidden])"),
    ):
        page.click(button)
        assert_accessible(page, drawn)
    context.close()
