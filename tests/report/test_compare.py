"""Comparing two label files, against dictionaries of keys and one pair after the other."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, LabelFileError, NotFoundError, OptionError
from relabel.labelfile import write
from relabel.report.compare import compare
from relabel.report.differences import EQUAL_WITHIN
from relabel.similarity import Similarity
from tests.similarities import similarity


def unlike(source: Similarity, seed: int) -> Similarity:
    """The same labels with other cameras, order, statuses and, by little and by much, other values."""
    rng = np.random.default_rng(seed)
    c = source.collection

    def some(cameras: Cameras) -> tuple[np.ndarray, Cameras]:
        rows = rng.permutation(len(cameras))[: rng.integers(len(cameras) // 2, len(cameras) + 1)]
        if rng.random() < 0.5:
            rows = np.sort(rows)
        taken = cameras.take(rows)
        status = np.where(rng.random(len(rows)) < 0.15, Status.MASKED, taken.status)
        return rows, replace(taken, status=status, key=np.where(rng.random(len(rows)) < 0.1, "x", "") + taken.key)

    rows, query = some(c.query)
    columns, database = (rows, query) if c.self_pairs else some(c.database)
    dense = source.matrix.toarray()[rows][:, columns]
    noise = rng.choice([0.0, 0.0, 1e-7, 0.3], dense.shape) * rng.uniform(-1, 1, dense.shape)
    dense = np.where(dense > 0, np.clip(dense + noise, 1e-3, 1.0), 0.0).astype(np.float32)
    dense[rng.random(dense.shape) < 0.1] = 0.0
    dense[~query.ok] = 0.0
    dense[:, ~database.ok] = 0.0
    if c.self_pairs:
        dense = np.triu(dense, 1) + np.triu(dense, 1).T
    collection = replace(
        c,
        query=query,
        database=database,
        query_extent=c.query_extent[rows],
        database_extent=c.database_extent[columns],
    )
    return Similarity(collection, sparse.csr_array(dense))


def with_extents(source: Similarity, seed: int = 0) -> Similarity:
    """The same with extents of every camera's own."""
    rng = np.random.default_rng(seed)
    c = source.collection
    query, database = (rng.uniform(900.0, 1100.0, n) for n in c.shape)
    return replace(
        source,
        collection=replace(c, query_extent=query, database_extent=query if c.self_pairs else database),
        matrix=source.matrix * np.float32(0.8),  # extents that differ cannot be wholly in common
    )


def in_measure(value: float, a: float, b: float, source: str, target: str) -> np.float32:
    """Spelled out again: through what the two cameras have in common."""
    if source == target:
        return np.float32(value)
    value = float(value)
    common = {"iou": value * (a + b) / (1 + value), "overlap": value * a, "dice": value * (a + b) / 2}[source]
    results = {"iou": common / (a + b - common), "overlap": common / a, "dice": 2 * common / (a + b)}
    return np.float32(min(1.0, results[target]))


def pairs(source: Similarity, measure: str) -> dict[tuple[str, str], np.float32]:
    c, coo = source.collection, source.matrix.tocoo()
    return {
        (str(c.query.key[i]), str(c.database.key[j])): in_measure(
            v, c.query_extent[i], c.database_extent[j], c.measure, measure
        )
        for i, j, v in zip(*coo.coords, coo.data, strict=True)
    }


def expected(a: Similarity, b: Similarity, measure: str) -> dict[str, Any]:
    """All that `compare` counts, one pair after the other."""
    (x, y) = (pairs(source, measure) for source in (a, b))
    statuses = [
        [{str(k): int(s) for k, s in zip(side.key, side.status, strict=True)} for side in (c.query, c.database)]
        for c in (a.collection, b.collection)
    ]

    def known(pair: tuple[str, str], side: int) -> bool:
        return all(statuses[side][k].get(pair[k]) == 0 for k in (0, 1))

    def is_itself(pair: tuple[str, str], source: Similarity) -> bool:
        return source.collection.self_pairs and pair[0] == pair[1]

    common = x.keys() & y.keys()
    diffs = {pair: abs(float(x[pair]) - float(y[pair])) for pair in common}
    absent = {p: float(x[p]) for p in x.keys() - y.keys() if known(p, 1) and not is_itself(p, b)}
    absent |= {p: float(y[p]) for p in y.keys() - x.keys() if known(p, 0) and not is_itself(p, a)}
    both = diffs | absent
    found: dict[str, Any] = {
        "common_pairs": len(common),
        "max_abs_diff": max(diffs.values(), default=0.0),
        "mean_abs_diff": sum(diffs.values()) / len(diffs) if diffs else 0.0,
        "unequal": sum(d > EQUAL_WITHIN for d in diffs.values()),
        "max_abs_diff_absent_as_0": max(both.values(), default=0.0),
        "mean_abs_diff_absent_as_0": sum(both.values()) / len(both) if both else 0.0,
        "flips_at_0.5": sum((x.get(p, 0) >= 0.5) != (y.get(p, 0) >= 0.5) for p in both),
        "only_in_a": len(x.keys() - y.keys()),
        "only_in_b": len(y.keys() - x.keys()),
        "unknown_in_a": sum(not known(p, 0) for p in y.keys() - x.keys()),
        "unknown_in_b": sum(not known(p, 1) for p in x.keys() - y.keys()),
        "largest": sorted(both.values(), reverse=True)[:5],
    }
    for k, side in enumerate(("queries", "database")):
        p, q = statuses[0][k], statuses[1][k]
        found[side] = {
            "common": len(p.keys() & q.keys()),
            "only_in_a": len(p.keys() - q.keys()),
            "only_in_b": len(q.keys() - p.keys()),
            "status_differs": sum(p[key] != q[key] for key in p.keys() & q.keys()),
        }
    return found


def compared(a: Similarity, b: Similarity, **options: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        one, other = (write(Path(folder) / name, {"x": s}) for name, s in (("a.h5", a), ("b.h5", b)))
        (found,) = compare(str(one), str(other), **options).to_json()["collections"]
    return json.loads(json.dumps(found, allow_nan=False))


def check(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    zero = {None: 0.0}
    largest = [abs(zero.get(p["a"], p["a"]) - zero.get(p["b"], p["b"])) for p in found["largest"]]
    np.testing.assert_allclose(largest, [d for d in wanted.pop("largest") if d > 0], atol=1e-7)
    for name, value in wanted.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-15), name
        else:
            assert found[name] == value, name


class TestCompare:
    """relabel.report.compare.compare"""

    @given(
        st.integers(0, 10_000),
        st.booleans(),
        st.sampled_from([1, 30, 1 << 22]),
        st.sampled_from(["iou", "overlap", "dice"]),
    )
    @settings(max_examples=20)
    def test_equals_one_pair_after_the_other(
        self, seed: int, self_pairs: bool, pairs_at_once: int, measure: str
    ) -> None:
        """Whatever the cameras, their order and status, the values, the measure and the size of a segment."""
        a = with_extents(similarity(14, 17, seed=seed, density=0.5, self_pairs=self_pairs))
        b = unlike(a, seed + 1)
        found = compared(a, b, measure=measure, pairs_at_once=pairs_at_once)
        check(found, expected(a, b, measure))
        assert found["verdict"] == "different" or not (found["only_in_a"] or found["only_in_b"])

    def test_measures(self) -> None:
        """Files in two measures are compared in the measure of the first, and found to be equal."""
        a = with_extents(similarity(20, 30, seed=1, density=0.6))
        b = a.to_measure("overlap")
        found = compared(a, b)
        assert (found["measure"], found["measures"], found["verdict"]) == ("iou", ["iou", "overlap"], "equal")
        check(found, expected(a, b, "iou"))
        assert compared(b, a)["measure"] == "overlap"

    def test_measure_not_known(self) -> None:
        """Values whose measure nobody knows are compared as they stand, with those of the other file."""
        a = similarity(10, 12, seed=1)
        b = replace(a, collection=replace(a.collection, method="imported", measure="unknown"))
        found = compared(a, b)
        assert (found["measure"], found["max_abs_diff"], found["verdict"]) == ("iou", 0.0, "equal")
        assert compared(b, a)["measure"] == "iou"
        assert compared(b, a, measure="dice")["max_abs_diff"] > 0.01
        other = replace(b, collection=replace(b.collection, params={"name": "other"}))
        assert compared(b, other)["measure"] == "unknown"
        with pytest.raises(OptionError, match="not known"):
            compared(a, b, measure="f1")

    def test_extent_missing(self) -> None:
        """A conversion without the extents it needs names the collection."""
        a = similarity(10, 12, seed=1)
        b = replace(a.to_measure("overlap"), collection=replace(a.collection, query_extent=np.full(10, np.nan)))
        with pytest.raises(InputError, match=r"b\.h5::x: converting iou to overlap needs the extents"):
            compared(a, b, measure="overlap")

    def test_identical(self) -> None:
        """The same content gives the full numbers, and says so."""
        a = similarity(10, 12, seed=1)
        found = compared(a, a)
        assert found["verdict"] == "identical"
        check(found, expected(a, a, "iou"))

    def test_order_does_not_matter(self) -> None:
        """The same cameras and pairs in another order are equal, though not the same bytes."""
        a = similarity(20, 30, seed=1)
        c = a.collection
        rows, columns = np.random.default_rng(2).permutation(20), np.arange(30)[::-1]
        turned = replace(c, query=c.query.take(rows), database=c.database.take(columns))
        matrix = sparse.csr_array(a.matrix.toarray()[rows][:, columns])
        found = compared(a, Similarity(turned, matrix), pairs_at_once=20)
        assert (found["verdict"], found["max_abs_diff"], found["common_pairs"]) == ("equal", 0.0, a.matrix.nnz)

    def test_a_camera_and_itself(self) -> None:
        """What a self-paired collection leaves out is no zero: labels that store it do not differ by 1."""
        a = similarity(12, seed=2, self_pairs=True, faults=False)
        dense = a.matrix.toarray()
        np.fill_diagonal(dense, 1.0)
        b = Similarity(replace(a.collection, self_pairs=False), sparse.csr_array(dense))
        for found in (compared(a, b), compared(b, a)):
            assert (found["flips_at_0.5"], found["max_abs_diff_absent_as_0"]) == (0, 0.0)
            assert found["only_in_a"] + found["only_in_b"] == 12

    @pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
    def test_empty(self, shape: tuple[int, int]) -> None:
        """Collections without cameras on a side are compared like others."""
        a, b = similarity(*shape), similarity(5, 5, seed=3)
        check(compared(a, b), expected(a, b, "iou"))
        check(compared(b, a), expected(b, a, "iou"))

    def test_collections(self, tmp_path: Path) -> None:
        """Joined by name; one against one whatever the names; an address asks for no other collection."""
        one, two, three = (similarity(8, 9, seed=seed) for seed in (1, 2, 3))
        a = write(tmp_path / "a.h5", {"x": one, "y": two})
        b = write(tmp_path / "b.h5", {"x": one, "z": three})
        c = write(tmp_path / "c.h5", {"other": one})
        found = compare(str(a), str(b))
        assert [each.name for each in found.collections] == ["x"]
        assert (found.only_in_a, found.only_in_b, found.verdict) == (("y",), ("z",), "different")
        assert compare(f"{a}::x", str(c)).verdict == "identical"
        assert compare(f"{a}::x", str(c)).collections[0].name_in_b == "other"
        assert compare(f"{a}::x", str(b)) == compare(str(a), f"{b}::x")
        assert compare(f"{a}::x", str(b)).verdict == "identical"
        with pytest.raises(NotFoundError, match=r"no collection in common: x, y and other; name one"):
            compare(str(a), str(c))
        with pytest.raises(NotFoundError, match=r"no collection in common: y and x, z"):
            compare(f"{a}::y", str(b))

    def test_progress(self, tmp_path: Path) -> None:
        """Every query of the first file is counted once."""
        seen: list[Any] = []

        @contextmanager
        def bar(name: str, queries: int) -> Any:
            seen.append((name, queries))
            yield seen.append

        a, b = (write(tmp_path / f"{seed}.h5", {"x": similarity(20, 9, seed=seed)}) for seed in (1, 2))
        compare(str(a), str(b), pairs_at_once=10, bar=bar)
        compare(str(a), str(a), bar=bar)
        assert seen[0] == ("x", 20)
        assert sum(seen[1:-2]) == 20
        assert seen[-2:] == [("x", 20), 20]

    def test_disorder_is_not_counted(self, tmp_path: Path) -> None:
        """A file whose columns do not rise is refused, because its pairs would be missed without a word."""
        source = similarity(4, 9, seed=1, density=1.0, faults=False)
        a = write(tmp_path / "a.h5", {"x": source})
        b = write(tmp_path / "b.h5", {"x": similarity(4, 9, seed=2, density=1.0, faults=False)})
        with h5py.File(b, "r+") as file:
            file["x/similarity/indices"][:2] = [1, 0]
        for one, other in ((a, b), (b, a)):
            with pytest.raises(LabelFileError, match=r"b\.h5: /x/similarity/indices: columns are out of order"):
                compare(str(one), str(other))
