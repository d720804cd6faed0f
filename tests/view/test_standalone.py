"""The page in one file."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from relabel.view.standalone import best_kept, write_report
from tests.similarities import similarity
from tests.view.labels import best_first, small_city
from tests.view.test_scene import stored


def embedded(page: str, number: int) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Value and arrays of the collection of that number, read as the page would."""
    text = re.search(rf'id="collection-{number}">([^<]*)<', page)
    assert text is not None
    data = gzip.decompress(base64.b64decode(text[1]))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    value = json.loads(header.pop("__metadata__")["json"])
    dtypes = {"F64": "<f8", "F32": "<f4", "I32": "<i4", "U8": "u1"}
    return value, {
        name: np.frombuffer(data[8 + length :][slice(*entry["data_offsets"])], dtypes[entry["dtype"]])
        for name, entry in header.items()
    }


def test_rows_are_those_of_the_file(tmp_path: Path) -> None:
    """Every row of the page has the pairs that the independent reader finds."""
    collections = small_city(tmp_path / "labels.h5")
    page = write_report(collections, tmp_path / "page.html").read_text(encoding="utf-8")
    for number, one in enumerate(collections):
        value, arrays = embedded(page, number)
        keys = value["keys"]
        assert keys["queries"] == one.query.key.tolist()
        for row, key in enumerate(keys["queries"]):
            part = slice(arrays["indptr"][row], arrays["indptr"][row + 1])
            names, values = best_first(tmp_path / "labels.h5", one.name, key)
            assert [keys["database"][column] for column in arrays["indices"][part]] == names
            assert arrays["data"][part].tolist() == pytest.approx(values)
            assert arrays["stored"][row] == len(names)


def test_the_best_pairs_are_kept_and_the_rest_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A page that cannot hold all pairs keeps the same number of best ones of every query, and says so."""
    [one] = stored(tmp_path / "labels.h5", a=similarity(12, 15, density=0.9))
    counts = one.row_counts()
    most = int(np.minimum(counts, 3).sum())
    page = write_report([one], tmp_path / "page.html", most_pairs=most).read_text(encoding="utf-8")
    said = f"holds {most:,} of {counts.sum():,} pairs, the 3 best"
    assert said in page
    assert said in caplog.text
    value, arrays = embedded(page, 0)
    for row, key in enumerate(value["keys"]["queries"]):
        part = slice(arrays["indptr"][row], arrays["indptr"][row + 1])
        names, _ = best_first(tmp_path / "labels.h5", "a", key)
        assert [value["keys"]["database"][column] for column in arrays["indices"][part]] == names[:3]


@pytest.mark.parametrize(("most", "kept"), [(0, 1), (3, 1), (5, 2), (6, 2), (7, 3), (8, 4), (9, 5), (100, 5)])
def test_how_many_are_kept(most: int, kept: int) -> None:
    """The largest number with which rows of 1, 5, 0 and 3 pairs stay within the limit; at least one."""
    assert best_kept(np.array([1, 5, 0, 3]), most) == kept


def test_the_page_asks_nobody(tmp_path: Path) -> None:
    """Its policy allows no network, and nothing in it names the place of the file or ends a script early."""
    collections = small_city(tmp_path / "labels.h5")
    page = write_report(collections, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="(?!data:)', page)
    assert str(tmp_path) not in page
    assert "boom()" not in page
    assert page.count("<script") == page.count("</script>")


def test_the_same_labels_give_the_same_page(tmp_path: Path) -> None:
    """Nothing of the time or of the order of a set is in the page."""
    collections = small_city(tmp_path / "labels.h5")
    pages = [write_report(collections, tmp_path / f"{i}.html").read_bytes() for i in range(2)]
    assert pages[0] == pages[1]
