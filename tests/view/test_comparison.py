"""What the page says of a second label file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from formats.read_label_file import Labels
from relabel.errors import NotFoundError
from relabel.labelfile import open_collections, write
from relabel.report.compare import compare
from relabel.view.comparison import comparison
from relabel.view.contents import compared_with
from tests.similarities import similarity
from tests.view.labels import labels_of, other_city, row_of_cameras, small_city


def pairs(figures: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [tuple(pair[name] for name in ("query", "database", "a", "b")) for pair in figures]


def test_flips_and_worst_pairs(tmp_path: Path) -> None:
    """By hand: an absent pair of known cameras is 0, and one with a missing or unknown camera is left out."""
    [town] = [one for one in small_city(tmp_path / "a.h5") if one.name == "town"]
    figures = comparison(town, other_city(tmp_path / "b.h5"))
    flips = [("q1", "d2", 0.7, None), ("q1", "d0", None, 0.55), ("q0", "d5", 0.25, 0.6), ("q0", "d3", 0.5, 0.45)]
    assert [pair[:2] for pair in pairs(figures["flips"])] == [pair[:2] for pair in flips]
    for found, expected in zip(pairs(figures["flips"]), flips, strict=True):
        assert found[2:] == pytest.approx(expected[2:])
    assert pairs(figures["worst"]) == pairs(figures["flips"])  # nothing else differs
    assert [(pair["row"], pair["column"]) for pair in figures["flips"]] == [(1, 2), (1, 0), (0, 5), (0, 3)]
    assert figures["flips_at_0.5"] == 4
    assert (figures["database"]["only_in_a"], figures["database"]["only_in_b"]) == (1, 1)
    assert any("1 only in A, 1 only in B" in note for note in figures["notes"])


def test_histogram_and_plane_are_those_of_an_independent_reader(tmp_path: Path) -> None:
    """Every pair that is stored in one file and known in both is counted once, in the bins of its two values."""
    for name, seed in (("a", 1), ("b", 2)):
        write(tmp_path / f"{name}.h5", {"x": similarity(30, 40, seed=seed, density=0.5)})
    a, b = (Labels(tmp_path / f"{name}.h5", "x") for name in "ab")
    figures = comparison(open_collections(tmp_path / "a.h5")[0], open_collections(tmp_path / "b.h5")[0])
    histogram, plane = np.zeros(40, int), np.zeros((20, 20), int)
    flips = 0
    columns = [b.database["key"].tolist().index(key) for key in a.database["key"].tolist()]
    for row, key in enumerate(a.query["key"].tolist()):
        first, second = a.row(row), b.row(b.query["key"].tolist().index(key))[columns]
        known = ~np.isnan(first) & ~np.isnan(second) & ((first > 0) | (second > 0))
        for x, y in zip(first[known], second[known], strict=True):
            histogram[min(int((float(y) - float(x) + 1) * 20), 39)] += 1
            plane[min(int(float(x) * 20), 19), min(int(float(y) * 20), 19)] += 1
            flips += (x >= 0.5) != (y >= 0.5)
    assert figures["histogram"] == histogram.tolist()
    assert figures["plane"] == plane.tolist()
    assert figures["flips_at_0.5"] == flips
    assert flips > len(figures["flips"]) or flips == len(figures["flips"])


def test_many_equal_differences(tmp_path: Path) -> None:
    """Of more pairs than are listed that differ by the same, those of the first rows and columns are listed."""
    n = 40
    cameras = row_of_cameras(n)
    write(tmp_path / "a.h5", {"x": labels_of(cameras, row_of_cameras(n, "d"), np.full((n, n), 0.75))})
    write(tmp_path / "b.h5", {"x": labels_of(cameras, row_of_cameras(n, "d"), np.full((n, n), 0.25))})
    figures = comparison(*(open_collections(tmp_path / f"{name}.h5")[0] for name in "ab"))
    assert figures["flips_at_0.5"] == n * n
    assert [(pair["row"], pair["column"]) for pair in figures["flips"]] == [divmod(i, n) for i in range(100)]


def test_agrees_with_relabel_compare(tmp_path: Path) -> None:
    """All counts are those of `relabel compare`."""
    small_city(tmp_path / "a.h5")
    other_city(tmp_path / "b.h5")
    a, b = f"{tmp_path / 'a.h5'}::town", str(tmp_path / "b.h5")
    [expected] = compare(a, b).to_json()["collections"]
    figures = comparison(open_collections(a)[0], open_collections(b)[0])
    assert {name: figures[name] for name in expected} == expected


def test_which_collections_are_compared(tmp_path: Path) -> None:
    """By name; those of one file only are named, and a file without any in common is refused."""
    small_city(tmp_path / "a.h5")
    other_city(tmp_path / "b.h5")
    found = compared_with(str(tmp_path / "a.h5"), str(tmp_path / "b.h5"))
    assert (found.file, list(found.collections)) == ("b.h5", ["town"])
    assert found.notes == ("Only in a.h5: empty, long, no-pairs, nowhere, one, unknown; not compared.",)
    write(tmp_path / "c.h5", {"x": similarity(3, 4), "y": similarity(3, 4)})
    with pytest.raises(NotFoundError, match="no collection in common"):
        compared_with(str(tmp_path / "a.h5"), str(tmp_path / "c.h5"))
