"""Figures of sequences against a count over all pairs of frames, one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras
from relabel.report.sequences import BROKEN, Sequences, tally_of
from relabel.report.stats import statistics, stats_text
from relabel.similarity import Collection, Similarity


def frames(sequence: list[str], frame: list[int], ok: list[bool] | None = None) -> Cameras:
    """Cameras of these sequences and ranks, named by both."""
    n = len(sequence)
    return Cameras(
        key=np.array([f"{name}/{k}-{row}" for row, (name, k) in enumerate(zip(sequence, frame, strict=True))]),
        position=np.zeros((n, 2)),
        heading_deg=np.zeros(n),
        status=np.zeros(n, np.uint8) if ok is None else np.where(ok, 0, 5),
        extra={"sequence": np.array(sequence, dtype=np.str_), "frame": np.array(frame, dtype=np.int64)},
    )


def paired(cameras: Cameras, dense: Any, measure: Any = "iou", database: Cameras | None = None) -> Similarity:
    """A similarity of these values between ok cameras; with itself unless there is a database."""
    other = cameras if database is None else database
    matrix = np.array(dense, dtype=np.float32) * cameras.ok[:, None] * other.ok[None, :]
    if database is None:
        np.fill_diagonal(matrix, 0.0)
    ones = (np.ones(len(cameras)), np.ones(len(other)))
    collection = Collection(cameras, other, *ones, "surface", measure, self_pairs=database is None)
    return Similarity(collection, sparse.csr_array(matrix))


def result(psi: Similarity) -> Sequences:
    """The facts of a similarity."""
    found = statistics(psi).sequences
    assert found is not None
    return found


def slowly(psi: Similarity) -> dict[str, Any]:
    """Breaks, suspects and gaps from a dense matrix, frame by frame."""
    c, dense = psi.collection.query, psi.matrix.toarray()
    breaks, suspects, adjacent = [], [], 0
    gaps: dict[int, list[float]] = {}
    for name in sorted(set(c.extra["sequence"].tolist())):
        rows = [i for i in range(len(c)) if c.ok[i] and c.extra["sequence"][i] == name]
        rows.sort(key=lambda i: int(c.extra["frame"][i]))
        steps = [int(c.extra["frame"][b] - c.extra["frame"][a]) for a, b in pairwise(rows)]
        broken = []
        for a, b, step in zip(rows, rows[1:], steps, strict=False):
            usual = step <= np.median(steps)
            adjacent += bool(usual)
            broken.append(bool(usual and max(dense[a, b], dense[b, a]) < np.float32(BROKEN)))
            if broken[-1]:
                breaks.append((str(c.key[a]), str(c.key[b])))
            if broken[-2:] == [True, True]:
                suspects.append(str(c.key[a]))
        for i in rows:
            for j in rows:
                apart = abs(int(c.extra["frame"][i] - c.extra["frame"][j]))
                if apart:
                    gaps.setdefault((apart - 1).bit_length(), []).append(float(dense[i, j]))
    return {
        "alone": [str(k) for i, k in enumerate(c.key) if c.ok[i] and not dense[i].any()],
        "adjacent": adjacent,
        "breaks": breaks,
        "suspects": suspects,
        "gaps": [
            (
                1 if k == 0 else 2 ** (k - 1) + 1,
                2**k,
                len(v),
                pytest.approx(np.mean(v)),
                sum(x >= np.float32(0.5) for x in v),
                sum(x == 0 for x in v),
            )
            for k, v in sorted(gaps.items())
        ],
    }


@st.composite
def similarities(draw: st.DrawFn) -> Similarity:
    """Frames of up to three sequences in any order, with gaps, repeated ranks and frames that are not ok."""
    n = draw(st.integers(0, 14))
    names = draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    ranks = draw(st.lists(st.integers(0, 40), min_size=n, max_size=n, unique=draw(st.booleans())))
    ok = draw(st.lists(st.sampled_from([True, True, True, False]), min_size=n, max_size=n))
    value = st.sampled_from([0.0, 0.0, 0.01, BROKEN, 0.3, 0.5, 1.0])
    dense = np.array(draw(st.lists(value, min_size=n * n, max_size=n * n))).reshape(n, n)
    return paired(frames(names, ranks, ok), dense, measure="overlap")


class TestSequences:
    """relabel.report.sequences.tally_of, through relabel.report.stats.statistics"""

    @given(similarities())
    @settings(max_examples=150)
    def test_as_counted_one_by_one(self, psi: Similarity) -> None:
        """All figures are those of the slow count, whatever the order of rows."""
        ranks = psi.collection.query.extra["frame"]
        if len(np.unique(ranks)) < len(ranks):
            return  # which of two frames with one rank follows is not defined
        found, expected = result(psi), slowly(psi)
        chains = found.chains
        assert chains is not None
        assert list(found.alone) == expected["alone"]
        assert chains.adjacent == expected["adjacent"]
        assert [(b.before, b.after) for b in chains.breaks] == expected["breaks"]
        assert list(chains.suspects) == expected["suspects"]
        assert [(g.least, g.most, g.pairs, g.mean, g.positive, g.absent) for g in chains.gaps] == expected["gaps"]

    @given(similarities())
    @settings(max_examples=50)
    def test_blocks_do_not_matter(self, psi: Similarity) -> None:
        """Nor do repeated ranks crash anything."""
        tally = tally_of(psi.collection)
        assert tally is not None
        whole = psi.matrix
        for i in range(whole.shape[0]):
            part = slice(whole.indptr[i], whole.indptr[i + 1])
            tally.add(np.repeat(i, part.stop - part.start), whole.indices[part].astype(np.int32), whole.data[part])
        assert tally.result() == result(psi)

    def test_a_bad_pose(self) -> None:
        """A frame that shares nothing is named by both of its pairs, and as the suspect."""
        dense = np.full((5, 5), 0.8)
        dense[2] = dense[:, 2] = 0.0
        found = result(paired(frames(["s"] * 5, list(range(5))), dense))
        assert found.chains is not None
        assert [(b.sequence, b.before, b.after, b.value) for b in found.chains.breaks] == [
            ("s", "s/1-1", "s/2-2", 0.0),
            ("s", "s/2-2", "s/3-3", 0.0),
        ]
        assert found.alone == found.chains.suspects == ("s/2-2",)

    def test_over_a_bad_frame(self) -> None:
        """Frames on both sides of one that is not ok do not follow each other."""
        cameras = frames(["s"] * 4, [0, 1, 2, 3], [True, True, False, True])
        found = result(paired(cameras, np.zeros((4, 4))))
        assert found.chains is not None
        assert (found.chains.adjacent, len(found.chains.breaks)) == (1, 1)

    def test_two_sides(self) -> None:
        """Queries against a database have no chains, but may be alone."""
        query, database = frames(["a", "a"], [0, 1]), frames(["b"], [0])
        found = result(paired(query, [[0.0], [0.5]], database=database))
        assert (found.alone, found.chains) == (("a/0-0",), None)
        assert found.to_json() == {"alone": ["a/0-0"], "chains": None}

    @pytest.mark.parametrize(
        "extra",
        [
            {},
            {"sequence": np.array(["s", "s"])},
            {"frame": np.arange(2)},
            {"sequence": np.array(["s", "s"]), "frame": np.array([0.0, 1.0])},
            {"sequence": np.array([["s"], ["s"]]), "frame": np.arange(2)},
        ],
        ids=["no column", "no frame", "no sequence", "no ranks", "two dimensions"],
    )
    def test_not_told(self, extra: dict[str, Any]) -> None:
        """Without both columns, one value a row and ranks as whole numbers, there is nothing to say."""
        cameras = replace(frames(["s"] * 2, [0, 1]), extra=extra)
        found = statistics(paired(cameras, np.ones((2, 2))))
        assert found.sequences is None
        assert "sequences" not in found.to_json()

    def test_many_frames(self) -> None:
        """The number of pairs of a long sequence is counted without forming them."""
        n = 200_000
        cameras = frames(["s"] * n, list(range(n)))
        none = Similarity(
            Collection(cameras, cameras, np.ones(n), np.ones(n), "surface", "iou", self_pairs=True),
            sparse.csr_array(sparse.coo_array((n, n), dtype=np.float32)),
        )
        tally = tally_of(none.collection)
        assert tally is not None
        chains = tally.result().chains
        assert chains is not None
        assert sum(gap.pairs for gap in chains.gaps) == n * (n - 1)
        assert [gap.pairs for gap in chains.gaps[:2]] == [2 * (n - 1), 2 * (n - 2)]


class TestText:
    """relabel.report.stats.stats_text of sequences"""

    def test_a_few_of_each(self) -> None:
        """Breaks are named, the first few of them, and the table has a line for each bin."""
        n = 9
        lines = stats_text("room/train", statistics(paired(frames(["s"] * n, list(range(n))), np.zeros((n, n)))))
        shown = "\n".join(lines)
        assert "queries without any overlap: 9 of 9: s/0-0, s/1-1, s/2-2, s/3-3, s/4-4, …" in shown
        assert "8 pairs, of which 8 break the chain (ψ < 0.05)" in shown
        assert "    s/0-0 → s/1-1: ψ 0.0000" in lines
        assert "    and 3 more; --json lists all" in lines
        assert "frames that break with both neighbours: 7: s/1-1" in shown
        assert [line.split()[0] for line in lines[-4:]] == ["1", "2", "3", "5"]

    def test_good_chain(self) -> None:
        """Where nothing is wrong, nothing is named."""
        lines = stats_text("x", statistics(paired(frames(["s"] * 3, [0, 1, 2]), np.full((3, 3), 0.75))))
        assert "  queries without any overlap: 0 of 3" in lines
        assert lines[-1].split() == ["2", "2", "0.7500", "100.0", "%", "0.0", "%"]
