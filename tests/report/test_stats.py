"""Statistics against a count over all pairs, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.report import stats
from relabel.similarity import RowBlock, Similarity
from tests.similarities import similarity


def slowly(psi: Similarity, near_m: float, facing_deg: float) -> dict[str, Any]:
    """Every figure from a dense matrix, pair by pair."""
    c = psi.collection
    dense = psi.matrix.toarray()
    bins, per_query = [0] * 10, []
    near = near_absent = facing = facing_positive = known = 0
    for i in range(dense.shape[0]):
        if c.query.status[i] != 0:
            continue
        positive = partial = zero = 0
        for j in range(dense.shape[1]):
            if c.database.status[j] != 0 or (c.self_pairs and i == j):
                continue
            known += 1
            value = dense[i, j]
            if value >= np.float32(0.5):
                positive += 1
            elif value > 0:
                partial += 1
            else:
                zero += 1
            if value > 0:
                bins[max(b for b in range(10) if b == 0 or value >= np.float32(b / 10))] += 1
                turn = abs(c.query.heading_deg[i] - c.database.heading_deg[j]) % 360.0
                if min(turn, 360.0 - turn) >= facing_deg:
                    facing += 1
                    facing_positive += bool(value >= np.float32(0.5))
            dx, dy = c.query.position[i] - c.database.position[j]
            if dx * dx + dy * dy <= near_m * near_m:
                near += 1
                near_absent += bool(value == 0)
        per_query.append((positive, partial, zero))
    columns = list(zip(*per_query, strict=True)) or [(), (), ()]
    return {
        "known_pairs": known,
        "queries_ok": len(per_query),
        "stored_pairs": int(np.count_nonzero(dense)),
        "histogram": bins,
        "near": (near, near_absent),
        "facing": (facing, facing_positive),
        "bands": [
            (
                sum(counts),
                sum(counts) / len(counts) if counts else None,
                float(np.median(counts)) if counts else None,
                sum(n == 0 for n in counts),
            )
            for counts in columns
        ],
    }


def figures(s: stats.Statistics) -> dict[str, Any]:
    """The same figures from the result under test."""
    return {
        "known_pairs": s.known_pairs,
        "queries_ok": s.queries_ok,
        "stored_pairs": s.stored_pairs,
        "histogram": list(s.histogram),
        "near": (s.near.pairs, s.near.absent),
        "facing": (s.facing.pairs, s.facing.positive),
        "bands": [(b.pairs, b.mean, b.median, b.empty) for b in (s.positive, s.partial, s.zero)],
    }


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name in left.keys() - {"bands"}:
        assert left[name] == right[name], name
    for a, b in zip(left["bands"], right["bands"], strict=True):
        assert a == pytest.approx(b)


@dataclass(frozen=True)
class RowByRow:
    """The same similarity, yielded in blocks of a few rows."""

    psi: Similarity
    rows: int

    @property
    def collection(self) -> Any:
        return self.psi.collection

    def blocks(self) -> Iterator[RowBlock]:
        m = self.psi.matrix
        for first in range(0, m.shape[0], self.rows):
            start, stop = m.indptr[first], m.indptr[min(first + self.rows, m.shape[0])]
            counts = np.diff(m.indptr[first : first + self.rows + 1]).astype(np.int64)
            yield RowBlock(first, counts, m.indices[start:stop].astype(np.int32), m.data[start:stop])


class TestCases:
    """relabel.report.stats.Cases"""

    @pytest.mark.parametrize("rows", [1, 7, 1000])
    @pytest.mark.parametrize("most", [1, 5, 1000])
    def test_are_those_of_a_loop(self, rows: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """The facing pairs of largest ψ, equal ones in the order of the rows, however these are cut into blocks."""
        monkeypatch.setattr(stats, "MOST_FACING", most)
        psi = similarity(20, 25, seed=4, density=0.8)
        psi.matrix.data[:] = np.round(psi.matrix.data, 1).clip(0.1)  # so that some are equal
        query, database = psi.collection.query, psi.collection.database
        dense = psi.matrix.toarray()
        facing = []
        for i, j in np.argwhere(dense > 0):
            turn = abs(query.heading_deg[i] - database.heading_deg[j]) % 360.0
            if min(turn, 360.0 - turn) >= 120.0:
                facing.append((-dense[i, j], i, j))
        cases = stats.statistics(RowByRow(psi, rows)).cases
        assert cases is not None
        assert cases.facing.tolist() == [[i, j] for _, i, j in sorted(facing)[:most]]
        alone = [i for i in range(20) if query.status[i] == 0 and not (dense[i] >= 0.5).any()]
        assert cases.without_positive.tolist() == alone


class TestStatistics:
    """relabel.report.stats.statistics"""

    @settings(max_examples=60)
    @given(
        st.tuples(st.integers(0, 14), st.integers(0, 14)),
        st.integers(0, 2**32),
        st.booleans(),
        st.sampled_from([0.0, 0.2, 0.7]),
        st.tuples(st.sampled_from([5.0, 25.0, 50.0]), st.sampled_from([0.0, 60.0, 120.0, 150.0, 180.0])),
    )
    def test_equals_a_count_pair_by_pair(
        self, size: tuple[int, int], seed: int, self_pairs: bool, density: float, limits: tuple[float, float]
    ) -> None:
        """Every figure equals that of a loop over all pairs, distances and turns on the limits included."""
        psi = similarity(*size, seed=seed, self_pairs=self_pairs, density=density)
        near_m, facing_deg = limits
        found = stats.statistics(psi, near_m=near_m, facing_deg=facing_deg)
        assert_same(figures(found), slowly(psi, near_m, facing_deg))

    @pytest.mark.parametrize("rows", [1, 4, 1000])
    def test_blocks_make_no_difference(self, rows: int) -> None:
        """However the rows are cut into blocks, the figures are the same."""
        psi = similarity(40, 50, seed=3)
        seen: list[int] = []
        assert stats.statistics(RowByRow(psi, rows), progress=seen.append) == stats.statistics(psi)
        assert sum(seen) == 40

    def test_a_grid_with_every_pair_on_the_circle(self) -> None:
        """Cameras exactly 25 m apart are near, at coordinates of a real city as well as far from any."""
        psi = similarity(30, 30, seed=5, faults=False, density=0.5)
        steps = np.stack(np.meshgrid(np.arange(6), np.arange(5)), -1).reshape(-1, 2) * 25.0
        for offset in (0.0, 1e7):
            c = psi.collection
            query, database = (replace(side, position=steps + offset) for side in (c.query, c.database))
            moved = Similarity(replace(c, query=query, database=database), psi.matrix)
            assert_same(figures(stats.statistics(moved)), slowly(moved, 25.0, 120.0))
            assert stats.statistics(moved).near.pairs == 30 + 2 * (5 * 5 + 6 * 4)

    def test_cameras_at_one_spot(self) -> None:
        """Many cameras at one position are all near each other."""
        psi = similarity(9, 9, seed=6, faults=False)
        c = psi.collection
        query, database = (replace(side, position=np.zeros((9, 2))) for side in (c.query, c.database))
        here = Similarity(replace(c, query=query, database=database), psi.matrix)
        assert stats.statistics(here).near.pairs == 81

    def test_cameras_that_are_not_ok_count_nowhere(self) -> None:
        """A query that is not ok is no query without a positive, and its pairs are no zeros."""
        psi = similarity(20, 20, seed=8, density=0.0)
        found = stats.statistics(psi)
        ok = int(psi.collection.query.ok.sum())
        assert 0 < ok < 20
        assert found.queries_without_positive == ok
        assert found.zero.pairs == ok * int(psi.collection.database.ok.sum())
        assert found.status["queries"]["ok"] == ok

    def test_no_cameras(self) -> None:
        """An empty collection has figures too: nothing, and no means."""
        found = stats.statistics(similarity(0, 0))
        assert (found.known_pairs, found.positive.mean, found.near.absent_share) == (0, None, None)

    def test_heights_do_not_matter(self) -> None:
        """Near is measured on the ground."""
        psi = similarity(12, 12, seed=9)
        c = psi.collection

        def raised(side: Any, up: float) -> Any:
            return replace(side, position=np.column_stack([side.position, np.full(len(side), up)]))

        high = Similarity(replace(c, query=raised(c.query, 0.0), database=raised(c.database, 900.0)), psi.matrix)
        assert stats.statistics(high).near == stats.statistics(psi).near

    @pytest.mark.parametrize("options", [{"near_m": 0.0}, {"near_m": math.nan}, {"facing_deg": 181.0}])
    def test_options_out_of_range(self, options: dict[str, float]) -> None:
        """A radius that is not positive or an angle beyond 180° is refused by name."""
        with pytest.raises(OptionError, match=next(iter(options))):
            stats.statistics(similarity(), **options)


class TestToJson:
    """relabel.report.stats.Statistics.to_json"""

    def test_holds_every_figure(self) -> None:
        """Figures by name, with the derived ones, and nothing that JSON cannot hold."""
        import json

        found = stats.statistics(similarity(seed=1))
        data = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert data["histogram"] == {"edges": [i / 10 for i in range(11)], "pairs": list(found.histogram)}
        assert data["queries_without_positive"] == found.positive.empty
        assert data["near"]["absent_share"] == found.near.absent / found.near.pairs
        assert data["positive"]["pairs"] + data["partial"]["pairs"] == data["stored_pairs"]


class TestStatsText:
    """relabel.report.stats.stats_text"""

    @pytest.mark.parametrize("size", [0, 1, 30])
    def test_holds_the_figures(self, size: int) -> None:
        """Every bin, band and count of the statistics stands in the text."""
        found = stats.statistics(similarity(size, size, seed=4))
        lines = stats.stats_text("here", found)
        shown = "\n".join(lines)
        assert f"{found.queries_without_positive:,} of {found.queries_ok:,}" in shown
        assert f"pairs within 25 m: {found.near.pairs:,}, of which {found.near.absent:,}" in shown
        assert f"{found.facing.pairs:,}, of which {found.facing.positive:,}" in shown
        for i, count in enumerate(found.histogram):
            (line,) = [line for line in lines if line.strip().startswith(f"{i / 10:.1f} –")]
            assert line.split()[3] == f"{count:,}"

    def test_a_room_without_headings(self) -> None:
        """Where every pair is near and no camera has a heading, nothing is said of streets."""
        found = stats.statistics(similarity(5, 5, seed=4))
        room = replace(
            found, near=replace(found.near, pairs=found.known_pairs), facing=replace(found.facing, pairs=0, headings=0)
        )
        shown = "\n".join(stats.stats_text("here", room))
        assert "facing" not in shown
        assert "within" not in shown
        assert found.facing.headings == 10 - sum(
            n for side in found.status.values() for status, n in side.items() if status != "ok"
        )

    def test_absent_is_named_by_the_threshold(self) -> None:
        """Where small values were left out on purpose, absent is not called zero."""
        assert "ψ ≤ 0.001" in "\n".join(stats.stats_text("here", stats.statistics(similarity(min_value=1e-3))))


@pytest.mark.parametrize("self_pairs", [False, True])
def test_excluded_pairs(self_pairs: bool) -> None:
    """They are counted by themselves, and everything else as if there were no rule."""
    plain = similarity(20, 22, seed=6, density=0.5, self_pairs=self_pairs)

    def with_columns(cameras: Any) -> Any:
        return replace(cameras, extra={"sequence": np.arange(len(cameras)) // 5})

    c = plain.collection
    query = with_columns(c.query)
    database = query if self_pairs else with_columns(c.database)
    collection = replace(c, query=query, database=database, params={**c.params, "other_sequence": True})
    figures = stats.statistics(Similarity(collection, plain.matrix))
    assert replace(figures, excluded=None) == stats.statistics(plain)
    out = np.equal.outer(np.arange(plain.shape[0]) // 5, np.arange(plain.shape[1]) // 5)
    out &= np.logical_and.outer(query.ok, database.ok) & ~(np.eye(*plain.shape, dtype=bool) & self_pairs)
    dense = plain.matrix.toarray()
    without = int((query.ok & ~((dense >= 0.5) & ~out).any(axis=1)).sum())
    counts = (int(out.sum()), int((out & (dense > 0)).sum()), int((out & (dense >= 0.5)).sum()), without)
    assert figures.excluded == stats.ExcludedCounts("pairs of one sequence", *counts)
    text = "\n".join(stats.stats_text("a", figures))
    assert f"{counts[0]} pairs, of which {counts[1]} are stored and {counts[2]} have ψ ≥ 0.5" in text
    assert figures.to_json()["excluded"]["positive"] == counts[2]
    assert "excluded" not in stats.statistics(plain).to_json()
