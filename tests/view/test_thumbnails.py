"""The images of a page."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from relabel.labelfile import StoredCollection
from relabel.view.image_files import ImageFiles
from relabel.view.standalone import write_report
from relabel.view.thumbnails import urgency
from tests.view.labels import labels_of, row_of_cameras
from tests.view.test_scene import stored

COLOURS = [(200, 20 * i, 10) for i in range(6)]


@pytest.fixture
def town(tmp_path: Path) -> tuple[StoredCollection, Path]:
    """Two queries and four database cameras: all but d3 have images of 640 × 480, that of d2 is damaged."""
    psi = [[0.5, 0.9, 0.0, 0.2], [0.0, 0.1, 0.7, 0.0]]
    [one] = stored(tmp_path / "labels.h5", town=labels_of(row_of_cameras(2, "q"), row_of_cameras(4, "d"), psi))
    folder = tmp_path / "images"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    for name, colour in zip(("q0", "q1", "d0", "d1"), COLOURS, strict=False):
        Image.new("RGB", (640, 480), colour).save(folder / f"{name}.jpg", exif=exif, comment=b"taken at home")
    (folder / "d2.jpg").write_bytes((folder / "d0.jpg").read_bytes()[:300])
    return one, folder


def embedded_images(page: str, number: int) -> dict[str, dict[int, bytes]]:
    """The JPEGs of a page by side and row."""
    text = re.search(r'id="images">([^<]*)<', page)
    assert text is not None
    data = base64.b64decode(text[1])
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])

    def array(name: str, dtype: str) -> Any:
        return np.frombuffer(data[8 + length :][slice(*header[name]["data_offsets"])], dtype)

    jpeg, starts = array("jpeg", "u1").tobytes(), array("starts", "<i4")
    return {
        side: {
            int(row): jpeg[starts[image] : starts[image + 1]]
            for row, image in zip(
                *(array(f"{number}.{side}.{name}", "<i4") for name in ("rows", "images")), strict=True
            )
        }
        for side in ("queries", "database")
        if f"{number}.{side}.rows" in header
    }


def test_every_image_is_that_of_its_camera(town: tuple[StoredCollection, Path], tmp_path: Path, caplog: Any) -> None:
    """Scaled down in proportion, and with nothing that the file says of itself; what is missing is counted."""
    one, folder = town
    page = write_report([one], tmp_path / "page.html", images=ImageFiles([one], folder)).read_text(encoding="utf-8")
    found = embedded_images(page, 0)
    assert {side: sorted(rows) for side, rows in found.items()} == {"queries": [0, 1], "database": [0, 1]}
    for (side, row), colour in zip(((s, r) for s in found for r in sorted(found[s])), COLOURS, strict=False):
        jpeg = found[side][row]
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.format == "JPEG"
            assert image.size == (256, 192)
            np.testing.assert_allclose(np.asarray(image).mean(axis=(0, 1)), colour, atol=3)
        assert b"home" not in jpeg
    said = (
        "Images of 4 of 6 cameras, at most 256 pixels wide or high; not included: 1 missing, 1 unreadable. The images "
        "are not covered by the licence of the labels: ask their owners before sharing this page."
    )
    assert said in page
    assert said in caplog.text
    assert "d2.jpg: cannot be read as an image" in caplog.text
    assert str(tmp_path) not in page


def test_a_full_page_has_the_images_of_whole_queries(town: tuple[StoredCollection, Path], tmp_path: Path) -> None:
    """What does not fit is left out and counted: not the first query and its matches."""
    one, folder = town
    images = ImageFiles([one], folder)
    whole = embedded_images(write_report([one], tmp_path / "a.html", images=images).read_text(encoding="utf-8"), 0)
    room = sum(len(whole[side][row]) for side, row in (("queries", 0), ("database", 0), ("database", 1)))
    path = write_report([one], tmp_path / "b.html", images=images, most_image_bytes=room)
    page = path.read_text(encoding="utf-8")
    assert {side: sorted(rows) for side, rows in embedded_images(page, 0).items()} == {
        "queries": [0],
        "database": [0, 1],
    }
    assert "not included: 1 missing, 2 left out to keep the page small" in page


def test_an_image_is_held_once(town: tuple[StoredCollection, Path], tmp_path: Path) -> None:
    """Also where two collections and both sides have it; it counts once towards what images may take."""
    one, folder = town
    labels = labels_of(row_of_cameras(2, "q"), row_of_cameras(2, key=["d1", "q0"]), [[0.5, 0.9], [0.1, 0.0]])
    both = stored(tmp_path / "two.h5", other=labels, town=labels_of(one.query, one.database, one.to_scipy().toarray()))
    images, page = ImageFiles(both, folder), tmp_path / "page.html"
    text = write_report(both, page, images=images).read_text(encoding="utf-8")
    other, town_again = (embedded_images(text, number) for number in (0, 1))
    assert other["database"][1] == other["queries"][0] == town_again["queries"][0]
    assert [sorted(rows) for rows in (*other.values(), *town_again.values())] == [[0, 1]] * 4
    held = {jpeg for found in (other, town_again) for side in found.values() for jpeg in side.values()}
    assert len(held) == 4  # q0, q1, d0 and d1
    data = base64.b64decode(re.search(r'id="images">([^<]*)<', text)[1])  # type: ignore[index]
    assert [data.count(jpeg) for jpeg in held] == [1] * 4
    write_report(both, page, images=images, most_image_bytes=sum(map(len, held)), overwrite=True)
    assert page.read_text(encoding="utf-8") == text


def test_the_same_images_give_the_same_page(town: tuple[StoredCollection, Path], tmp_path: Path) -> None:
    """Nothing of the time is in a JPEG."""
    one, folder = town
    pages = [write_report([one], tmp_path / f"{i}.html", images=ImageFiles([one], folder)).read_bytes() for i in (0, 1)]
    assert pages[0] == pages[1]


def test_which_images_are_wanted_first() -> None:
    """Worked out by hand: rows 0, 2, 1 have their turns in this order, each with its five best matches."""
    # Row 0 has the columns 0 to 6 of falling ψ, row 1 column 6, row 2 columns 5 and 7.
    indptr = np.array([0, 7, 8, 10], np.int32)
    indices = np.array([0, 1, 2, 3, 4, 5, 6, 6, 5, 7], np.int32)
    values = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1], np.float32)
    ranks = urgency(indptr, indices, values, 9, self_pairs=False)
    assert ranks["queries"].tolist() == [0, 2, 1]
    assert ranks["database"].tolist() == [0, 0, 0, 0, 0, 1, 2, 1, 3]
