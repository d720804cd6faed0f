"""relabel.evaluation.nearest: exact nearest neighbours, against all distances in float64."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relabel.errors import InputError, MissingPackageError, OptionError
from relabel.evaluation import nearest as neighbours
from relabel.evaluation import nearest as proposals
from relabel.evaluation.nearest import nearest

pytestmark = pytest.mark.gpu


def brute(database: Any, queries: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """By one query at a time, in float64, ordered by distance and then by row."""
    database, queries = np.asarray(database, np.float64), np.asarray(queries, np.float64)
    indices, distances = [], []
    for query in queries:
        squared = np.square(database - query).sum(axis=1)
        best = sorted(range(len(database)), key=lambda i: (squared[i], i))[:k]
        indices.append(best)
        distances.append(np.sqrt(squared[best]))
    shape = (len(queries), min(k, len(database)))
    return np.array(indices, np.int64).reshape(shape), np.array(distances).reshape(shape).astype(np.float32)


def check(database: Any, queries: Any, k: int, device: str = "cpu") -> None:
    neighbours, (indices, distances) = nearest(database, queries, k, device), brute(database, queries, k)
    np.testing.assert_array_equal(neighbours.indices, indices)
    np.testing.assert_array_equal(neighbours.distances, distances)


@pytest.fixture(params=["numpy", "torch", "faiss"])
def propose(request: pytest.FixtureRequest) -> proposals.Propose:
    """Each way to propose; that of torch on the CPU."""
    if request.param == "numpy":
        return proposals.proposer("cpu")
    package = pytest.importorskip(request.param)
    return proposals.by_torch(package, "cpu") if request.param == "torch" else proposals.proposer("faiss")


@pytest.fixture
def engine(propose: proposals.Propose, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nearest` proposes in each way."""
    monkeypatch.setattr(neighbours, "proposer", lambda *_, **__: propose)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows on both sides."""
    monkeypatch.setattr(proposals, "_CELLS", 150)
    monkeypatch.setattr(proposals, "_GPU_CELLS", 150)
    monkeypatch.setattr(proposals, "_DATABASE_ROWS", 37)
    monkeypatch.setattr(proposals, "_FAISS_ROWS", 7)
    monkeypatch.setattr(neighbours, "_BLOCK_CELLS", 64)
    monkeypatch.setattr(neighbours, "_SPARE", 4)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def plain(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return unit(rng.normal(size=(300, 16))).astype(np.float32), unit(rng.normal(size=(20, 16))).astype(np.float32)


def duplicates(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rows = unit(rng.normal(size=(12, 16))).astype(np.float32)
    return rows[rng.integers(0, 12, 300)], rows[rng.integers(0, 12, 20)]


def grid(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(-2, 3, (300, 3)).astype(np.float32), rng.integers(-2, 3, (20, 3)).astype(np.float32)


def alike(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Differences below what float32 products can tell."""
    base = 1000.0 + rng.normal(size=(300, 8)) * 1e-3
    return base, base[:20] + rng.normal(size=(20, 8)) * 1e-4


def constant(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return np.full((300, 4), 0.5, np.float32), np.full((20, 4), 0.25, np.float32)


def zero(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((300, 4)), np.zeros((20, 4))


def huge(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(300, 5)) * 1e28, rng.normal(size=(20, 5)) * 1e28


def tiny(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(300, 5)) * 1e-120, rng.normal(size=(20, 5)) * 1e-120


def mixed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lengths over many orders of magnitude."""
    return rng.normal(size=(300, 5)) * 10.0 ** rng.integers(-8, 8, (300, 1)), rng.normal(size=(20, 5))


def below_zero(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Only negative numbers, too large for float32 products."""
    return -rng.uniform(1e25, 1e28, (300, 5)), -rng.uniform(1e25, 1e28, (20, 5))


CASES = [plain, duplicates, grid, alike, constant, zero, huge, tiny, mixed, below_zero]


class TestNearest:
    """nearest"""

    @pytest.mark.parametrize("make", CASES)
    @pytest.mark.usefixtures("engine")
    def test_equals_all_distances(self, make: Callable[..., Any]) -> None:
        """Indices and distances to the bit, equal distances in the order of the database, whatever proposes."""
        check(*make(np.random.default_rng(0)), 25)

    @pytest.mark.parametrize("make", CASES)
    @pytest.mark.parametrize("k", [1, 7, 150, 299, 300, 301])
    @pytest.mark.usefixtures("engine", "small_blocks")
    def test_blocks_do_not_show(self, make: Callable[..., Any], k: int) -> None:
        """Blocks that do not divide anything evenly give the same."""
        check(*make(np.random.default_rng(1)), k)

    @given(st.data())
    def test_any_small_tables(self, data: st.DataObject) -> None:
        """Arbitrary finite float32 numbers, in few dimensions, with few rows."""
        d, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
        number = st.floats(-1e6, 1e6, width=32)
        tables = [data.draw(hnp.arrays(np.float32, (data.draw(st.integers(0, 6)), d), elements=number)) for _ in "ab"]
        check(*tables, k)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
    def test_types(self, dtype: Any) -> None:
        """What fits into float64 keeps its value."""
        rng = np.random.default_rng(2)
        check(rng.integers(-9, 9, (80, 4)).astype(dtype), rng.integers(-9, 9, (5, 4)).astype(dtype), 3)

    def test_most_queries_are_settled_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On ordinary descriptors the float32 products decide; float64 is not asked."""
        seen = []

        def propose(*arguments: Any) -> Iterator[proposals.Proposals]:
            seen.append((len(arguments[1]), arguments[3]))
            yield from proposals.by_numpy(*arguments)

        monkeypatch.setattr(neighbours, "proposer", lambda *_, **__: propose)
        rng = np.random.default_rng(3)
        check(
            unit(rng.normal(size=(2000, 64))).astype(np.float32), unit(rng.normal(size=(50, 64))).astype(np.float32), 5
        )
        assert seen == [(50, np.float32)]

    @pytest.mark.usefixtures("engine")
    def test_each_is_told_every_query(self) -> None:
        """Progress counts every query once."""
        for make in (plain, constant):
            done: list[int] = []
            nearest(*make(np.random.default_rng(4)), 3, on_progress=done.append)
            assert sum(done) == 20

    def test_empty(self) -> None:
        """No queries, or no database."""
        assert nearest(np.zeros((3, 2)), np.zeros((0, 2)), 2).indices.shape == (0, 2)
        assert nearest(np.zeros((0, 2)), np.zeros((3, 2)), 2).distances.shape == (3, 0)

    def test_faiss(self) -> None:
        """By its name; of more equal descriptors than are asked for, the first rows."""
        pytest.importorskip("faiss")
        database, queries = duplicates(np.random.default_rng(6))
        neighbours = nearest(database, queries, 10, "faiss")
        for query, rows in zip(queries, neighbours.indices, strict=True):
            assert rows.tolist() == np.flatnonzero((database == query).all(axis=1))[:10].tolist()
        assert not neighbours.distances.any()

    def test_the_input_stays(self) -> None:
        """Tables are not changed by being scaled."""
        database, queries = plain(np.random.default_rng(7))
        before = database.copy(), queries.copy()
        nearest(database, queries, 3)
        np.testing.assert_array_equal(database, before[0])
        np.testing.assert_array_equal(queries, before[1])

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("side", ["database", "queries"])
    def test_not_finite(self, value: float, side: str) -> None:
        """A descriptor that is not finite is named by its row."""
        tables = {"database": np.zeros((5, 2), np.float32), "queries": np.zeros((5, 2), np.float32)}
        tables[side][3, 1] = value
        with pytest.raises(InputError, match=rf"{side}: descriptor 3 .* holds {value}, and 1 of 5"):
            nearest(**tables, k=1)

    @pytest.mark.usefixtures("small_blocks")
    def test_not_finite_in_any_block(self) -> None:
        """All rows are looked at, the first that is wrong is named, and they are counted."""
        table = np.zeros((100, 3))
        table[[70, 99], [2, 0]] = np.nan
        with pytest.raises(InputError, match=r"database: descriptor 70 .* and 2 of 100"):
            nearest(table, np.zeros((1, 3)), 1)

    def test_too_long(self) -> None:
        """A number whose square is infinite is refused."""
        with pytest.raises(InputError, match=r"holds 1e\+200"):
            nearest([[1e200]], [[0.0]], 1)

    @pytest.mark.parametrize("wrong", [[1.0, 2.0], [["a"]], [[[1.0]]], np.empty((3, 0)), [[1.0], [1.0, 2.0]]])
    def test_no_table(self, wrong: Any) -> None:
        """Descriptors are one table of numbers."""
        with pytest.raises(InputError, match="database: descriptors"):
            nearest(wrong, [[1.0]], 1)

    def test_other_dimensions(self) -> None:
        """Both sides come from one model."""
        with pytest.raises(InputError, match="have 2 numbers and those of queries 3"):
            nearest(np.zeros((1, 2)), np.zeros((1, 3)), 1)

    def test_k(self) -> None:
        """At least one neighbour."""
        with pytest.raises(OptionError, match="k is 0"):
            nearest([[1.0]], [[1.0]], 0)


class TestProposer:
    """relabel.evaluation.nearest.proposer"""

    def test_without_faiss(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing package is named with how to get it."""
        monkeypatch.setitem(sys.modules, "faiss", None)
        with pytest.raises(MissingPackageError, match="pip install faiss-cpu"):
            nearest([[1.0]], [[1.0]], 1, "faiss")

    def test_without_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """auto does with NumPy; a device of torch does not."""
        monkeypatch.setitem(sys.modules, "torch", None)
        assert proposals.proposer("auto") is proposals.by_numpy
        with pytest.raises(MissingPackageError, match=r"relabel-vpr\[torch\]"):
            proposals.proposer("cuda")

    def test_unknown_device(self) -> None:
        """A device that torch does not have."""
        pytest.importorskip("torch")
        with pytest.raises(OptionError, match="device 'nonsense' cannot be used"):
            proposals.proposer("nonsense")

    def test_little_work_loads_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """auto looks for a GPU only where it could pay."""
        monkeypatch.setitem(sys.modules, "torch", None)
        assert proposals.proposer("auto", work=10) is proposals.by_numpy


class TestErrorBound:
    """relabel.evaluation.nearest.error_bound"""

    @pytest.mark.parametrize("make", [plain, duplicates, alike, mixed, huge, tiny])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.usefixtures("small_blocks")
    def test_nothing_is_left_below_the_rest(
        self, make: Callable[..., Any], dtype: Any, propose: proposals.Propose
    ) -> None:
        """No pair outside the proposals is nearer than their `rest` says, and each query is answered once."""
        base, asked = (np.asarray(side, np.float64) for side in make(np.random.default_rng(5)))
        blocks = list(propose(base, asked, 20, dtype))
        assert np.concatenate([block.rows for block in blocks]).tolist() == list(range(len(asked)))
        for block in blocks:
            for row, proposed, rest in zip(*block, strict=True):
                assert len(set(proposed.tolist())) == 20
                others = np.delete(np.square(base - asked[row]).sum(axis=1), proposed)
                assert len(others) == len(base) - 20
                assert rest <= others.min()
