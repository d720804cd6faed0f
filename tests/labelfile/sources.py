"""Hypothesis strategies for everything that a label file can hold, and comparisons that miss nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.labelfile.schema import IMPORTED, METHODS
from relabel.measures import MEASURES, UNKNOWN
from relabel.similarity import Collection, RowBlock, Similarity

# Any text that UTF-8 can hold, one to four bytes a letter, but no NUL.
text = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=8)
names = st.lists(
    st.text("abcé-_. 1", min_size=1, max_size=5).filter(lambda part: part not in (".", "..")), min_size=1, max_size=3
).map("/".join)
numbers = st.floats(allow_nan=True, allow_infinity=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
).filter(lambda value: "\ud800" not in str(value))


# Now and then as long as a deep path, in letters of four bytes.
keys = text | st.integers(1, 300).map(lambda length: "🚗" * length)


@st.composite
def extra_columns(draw: st.DrawFn, n: int) -> dict[str, np.ndarray]:
    """Columns of every type that the format holds."""
    words = st.lists(st.just("") | text, min_size=n, max_size=n)
    found = {
        "path": np.array(draw(words), dtype=np.str_),
        "words": np.array(draw(words), dtype=object),
        "names": np.array([["a", "bé"]] * n, dtype=np.str_).reshape(n, 2),
        "night": np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool),
        "nöte": np.array(draw(st.lists(numbers, min_size=n, max_size=n)), dtype=np.float64),
        "velocity": np.arange(6.0 * n).reshape(n, 2, 3),
    }
    for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i8", ">f4", "f2", "f4"):
        found[f"{kind.strip('>')} {kind}"] = np.arange(n).astype(kind)
    chosen = draw(st.sets(st.sampled_from(sorted(found)), max_size=4))
    return {name: found[name] for name in chosen}


@st.composite
def cameras(draw: st.DrawFn, *, max_size: int = 6, posed: bool = True) -> Cameras:
    key = draw(st.lists(keys, unique=True, max_size=max_size))
    n = len(key)
    column = st.lists(numbers, min_size=n, max_size=n)
    axes = draw(st.sampled_from([2, 3]))
    position = np.array(draw(st.lists(column, min_size=axes, max_size=axes))).T.reshape(n, axes)
    if axes == 3 and n:
        position[0, 2] = draw(st.floats(-10, 10))  # else it would be 2D data
    pose = None
    if draw(st.booleans()):
        pose = np.tile(np.eye(4), (n, 1, 1))
        pose[draw(st.lists(st.booleans(), min_size=n, max_size=n)), 1, 3] = draw(numbers)
    return Cameras(
        key=np.array(key, dtype=np.str_),
        position=position,
        heading_deg=draw(column),
        fov_deg=draw(st.none() | column),
        radius_m=draw(st.none() | column),
        pose=pose,
        status=draw(st.lists(st.sampled_from(Status), min_size=n, max_size=n)),
        crs=draw(st.sampled_from(["local", "EPSG:32636"])),
        posed=posed,
        extra=draw(st.just({}) | extra_columns(n)),
    )


def extents(n: int) -> st.SearchStrategy[np.ndarray]:
    value = st.floats(0, 1e9) | st.just(math.nan)
    return st.lists(value, min_size=n, max_size=n).map(lambda values: np.array(values, dtype=np.float64))


@st.composite
def similarities(draw: st.DrawFn, *, max_size: int = 6) -> Similarity:
    method = draw(st.sampled_from(METHODS))
    posed = method != IMPORTED
    query = draw(cameras(max_size=max_size, posed=posed))
    self_pairs = draw(st.booleans())
    database = query if self_pairs else draw(cameras(max_size=max_size, posed=posed))
    object.__setattr__(database, "crs", query.crs)
    query_extent = draw(extents(len(query)))
    measure = draw(st.sampled_from(MEASURES if posed else (*MEASURES, UNKNOWN)))
    min_value = draw(st.sampled_from([0.0, 1e-6, 0.1]))
    low = float(np.nextafter(np.float32(min_value), np.float32(2)))
    value = st.just(0.0) | st.just(low) | st.floats(low, 1.0, width=32) | st.just(1.0)
    shape = (len(query), len(database))
    size = shape[0] * shape[1]
    dense = np.array(draw(st.lists(value, min_size=size, max_size=size)), np.float32).reshape(shape)
    dense[~query.ok] = 0
    dense[:, ~database.ok] = 0
    if self_pairs:
        np.fill_diagonal(dense, 0)
        if measure in ("iou", "dice"):
            dense = np.triu(dense) + np.triu(dense).T
    collection = Collection(
        query=query,
        database=database,
        query_extent=query_extent,
        database_extent=query_extent if self_pairs else draw(extents(len(database))),
        method=method,
        measure=measure,
        params=draw(st.dictionaries(text, json_values, max_size=3)),
        min_value=min_value,
        self_pairs=self_pairs,
    )
    return Similarity(collection, sparse.csr_array(dense))


@dataclass
class Cut:
    """A similarity whose rows come in blocks of given sizes, in buffers that are used again for every block."""

    similarity: Similarity
    sizes: list[int]

    @property
    def collection(self) -> Collection:
        return self.similarity.collection

    def blocks(self) -> Iterator[RowBlock]:
        (whole,) = self.similarity.blocks()
        ends = np.concatenate(([0], np.cumsum(whole.counts)))
        indices, data = np.empty_like(whole.indices), np.empty_like(whole.data)
        first, turn = 0, 0
        while first < len(whole.counts):
            last = min(len(whole.counts), first + self.sizes[turn % len(self.sizes)])
            part = slice(int(ends[first]), int(ends[last]))
            n = part.stop - part.start
            indices[:n], data[:n] = whole.indices[part], whole.data[part]
            yield RowBlock(first, whole.counts[first:last], indices[:n], data[:n])
            indices[:], data[:] = -7, np.nan
            first, turn = last, turn + 1


@dataclass
class Blocks:
    """A source with the given blocks, right or wrong."""

    collection: Collection
    given: list[RowBlock]
    error: BaseException | None = None

    def blocks(self) -> Iterator[RowBlock]:
        yield from self.given
        if self.error is not None:
            raise self.error


def assert_same_cameras(a: Cameras, b: Cameras) -> None:
    assert a.crs == b.crs
    assert a.key.tolist() == b.key.tolist()
    if len(a):
        assert a.position.shape == b.position.shape
    for name in ("position", "heading_deg", "fov_deg", "radius_m", "pose", "status"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None and len(a):
            np.testing.assert_array_equal(x, y, err_msg=name)
    assert a.extra.keys() == b.extra.keys()
    for name in a.extra:
        x, y = (c.astype(np.str_) if c.dtype.kind == "O" else c for c in (a.extra[name], b.extra[name]))
        assert x.dtype.kind == y.dtype.kind
        assert x.dtype.itemsize == y.dtype.itemsize or x.dtype.kind == "U"
        np.testing.assert_array_equal(x, y, err_msg=name)


def assert_same_pairs(a: sparse.csr_array, b: sparse.csr_array) -> None:
    assert a.shape == b.shape
    assert a.indptr.tolist() == b.indptr.tolist()
    assert a.indices.tolist() == b.indices.tolist()
    np.testing.assert_array_equal(a.data, b.data)


def assert_same(a: Similarity, b: Similarity) -> None:
    x, y = a.collection, b.collection
    for name in ("method", "measure", "params", "min_value", "self_pairs", "symmetric", "shape", "crs"):
        assert getattr(x, name) == getattr(y, name), name
    assert_same_cameras(x.query, y.query)
    assert_same_cameras(x.database, y.database)
    np.testing.assert_array_equal(x.query_extent, y.query_extent)
    np.testing.assert_array_equal(x.database_extent, y.database_extent)
    assert_same_pairs(a.matrix, b.matrix)


def errors(report: Any) -> list[str]:
    """The errors of a report, path and message."""
    return [f"{f.path}: {f.message}" for f in report.findings if f.severity == "error"]
