"""Whatever can be written is read back, bit for bit."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.labelfile import LabelFile, pack, provenance, validate, write
from relabel.labelfile.schema import nesting_fault
from relabel.similarity import Collection, Similarity
from tests.labelfile import oracle
from tests.labelfile.sources import Cut, errors, json_values, names, similarities, text

collections = st.dictionaries(names, similarities(), min_size=1, max_size=3).filter(lambda c: nesting_fault(c) is None)
histories = st.lists(
    st.builds(
        provenance.step,
        text,
        st.dictionaries(text, json_values, max_size=3),
    ),
    max_size=3,
)


def bits(array: np.ndarray | None) -> Any:
    """All of an array that is kept: kind, shape and bytes; texts as such, since their width is not kept."""
    if array is None:
        return None
    if array.dtype.kind in "UO":
        return "text", array.shape, array.tolist()
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return little.dtype.name, array.shape, little.tobytes()


def camera_bits(cameras: Cameras) -> dict[str, Any]:
    found = {f.name: getattr(cameras, f.name) for f in fields(cameras) if f.name not in ("crs", "posed", "extra")}
    # Two dimensions are three without an up.
    found["position"] = np.full((len(cameras), 3), np.nan)
    found["position"][:, : cameras.position.shape[1]] = cameras.position
    columns = {name: bits(array) for name, array in (found | cameras.extra).items()}
    return columns | {"crs": cameras.crs, "posed": cameras.posed}


def collection_bits(c: Collection) -> dict[str, Any]:
    return {
        "query": camera_bits(c.query),
        "database": camera_bits(c.database),
        "extents": (bits(c.query_extent), bits(c.database_extent)),
        "what": (c.method, c.measure, c.crs, c.self_pairs, c.symmetric, c.shape),
        "params": json.dumps(dict(c.params), sort_keys=True),
        "min_value": c.min_value.hex(),
    }


def matrix_bits(matrix: sparse.csr_array) -> tuple[Any, ...]:
    kept = sparse.csr_array(matrix)
    kept.sort_indices()
    return (
        kept.shape,
        kept.indptr.astype(np.int64).tobytes(),
        kept.indices.astype(np.int32).tobytes(),
        bits(kept.data),
    )


class TestRoundTrip:
    @settings(max_examples=40)
    @given(given_=collections, records=histories)
    def test_bit_for_bit(
        self, given_: dict[str, Similarity], records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Cameras, extents, parameters, pairs and history come back as they were; the file is valid by all rules."""
        path = write(tmp_path_factory.mktemp("bits") / "labels.h5", given_, provenance=records)
        labels = LabelFile(path)
        assert list(labels) == sorted(given_)
        assert labels.provenance() == records
        for name, source in given_.items():
            stored = labels[name]
            assert collection_bits(stored.collection) == collection_bits(source.collection)
            assert matrix_bits(stored.to_scipy()) == matrix_bits(source.matrix)
            assert (stored.shape, stored.nnz) == (source.shape, source.matrix.nnz)
        report = validate(path)
        assert errors(report) == []
        assert [f.path for f in report.findings] == ([] if records else ["/provenance"])
        oracle.check_digests(path)

    @settings(max_examples=20)
    @given(
        source=similarities(max_size=9),
        sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any),
        rows=st.integers(1, 5),
        threads=st.integers(1, 3),
    )
    def test_one_file_however_it_is_made(
        self,
        source: Similarity,
        sizes: list[int],
        rows: int,
        threads: int,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        """In one block or many, by one thread or several, from memory, from a file or packed: the same bytes."""
        folder = tmp_path_factory.mktemp("same")
        first = write(folder / "first.h5", {"a/b": source}, threads=1)
        cut = write(folder / "cut.h5", {"a/b": Cut(source, sizes)}, threads=threads)
        assert cut.read_bytes() == first.read_bytes()
        stored = LabelFile(first)["a/b"]
        again = write(folder / "again.h5", {"a/b": stored}, threads=threads)
        assert again.read_bytes() == first.read_bytes()
        # Copied objects may lie in another order in the file, so here the digest has to be the same.
        packed = pack(folder / "packed.h5", {"c": first})
        assert LabelFile(packed)["c"].content_sha256 == stored.content_sha256
        assert errors(validate(packed)) == []
        blocks = list(stored.blocks(rows))
        assert [b.first_row for b in blocks] == list(range(0, source.shape[0], rows))
        assert np.concatenate([np.empty(0), *(b.data for b in blocks)]).tolist() == stored.to_scipy().data.tolist()

    @pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 1), (5, 1)])
    @pytest.mark.parametrize("filled", [False, True])
    def test_small_shapes(self, shape: tuple[int, int], filled: bool, tmp_path: Path) -> None:
        """No rows, no columns, no pairs and all pairs are matrices like others."""
        query, database = (
            Cameras(key=[f"{i}" for i in range(n)], position=np.zeros((n, 2)), heading_deg=np.zeros(n)) for n in shape
        )
        extents = [np.ones(n) for n in shape]
        matrix = sparse.csr_array(np.full(shape, 1.0 if filled else 0.0, np.float32))
        source = Similarity(Collection(query, database, *extents, "surface", "overlap"), matrix)
        path = write(tmp_path / "a.h5", {"a": source})
        assert matrix_bits(LabelFile(path)["a"].to_scipy()) == matrix_bits(matrix)
        assert errors(validate(path)) == []
        oracle.check_digests(path)

    def test_values_at_the_edges(self, tmp_path: Path) -> None:
        """The smallest float32 above `min_value`, the smallest there is, and 1 are stored exactly."""
        for min_value in (0.0, 1e-6, 0.5, float(np.nextafter(np.float32(1), np.float32(0)))):
            least = np.nextafter(np.float32(min_value), np.float32(1))
            values = np.unique(np.array([least, (least + np.float32(1)) / 2, 1], np.float32))
            cameras = [
                Cameras(key=[f"{side}{i}" for i in range(n)], position=np.zeros((n, 2)), heading_deg=np.zeros(n))
                for side, n in (("q", 1), ("d", len(values)))
            ]
            extents = [np.ones(len(side)) for side in cameras]
            collection = Collection(*cameras, *extents, "fov-sector", "dice", min_value=min_value)
            path = write(
                tmp_path / "a.h5", {"a": Similarity(collection, sparse.csr_array(values[None]))}, overwrite=True
            )
            assert errors(validate(path)) == []
            assert LabelFile(path)["a"].to_scipy().data.tobytes() == values.tobytes()

    def test_every_status_and_missing_place(self, tmp_path: Path) -> None:
        """Cameras that are not ok keep their row, with whatever is known of them."""
        statuses = list(Status)
        n = len(statuses)
        position = np.full((n, 3), np.nan)
        position[statuses.index(Status.OK)] = 1.0, 2.0, 3.0
        position[statuses.index(Status.MASKED), :2] = np.inf, -0.0
        cameras = Cameras(
            key=[s.label for s in statuses],
            position=position,
            heading_deg=[10.0 if s == Status.OK else np.nan for s in statuses],
            status=statuses,
        )
        source = Similarity(
            Collection(cameras, cameras, np.full(n, np.nan), np.full(n, np.nan), "surface", "iou", self_pairs=True),
            sparse.csr_array((n, n), dtype=np.float32),
        )
        path = write(tmp_path / "a.h5", {"a": source})
        assert errors(validate(path)) == []
        assert collection_bits(LabelFile(path)["a"].collection) == collection_bits(source.collection)
