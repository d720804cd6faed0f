"""Similarity and the conversion of measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import relabel
from relabel import fov
from relabel.errors import InputError, OptionError
from relabel.similarity import MEASURES, Collection, Similarity, convert, gather


def city(n: int = 40) -> tuple[relabel.Cameras, relabel.Cameras]:
    """Two sets of cameras with fields of view of many sizes."""
    rng = np.random.default_rng(0)
    return tuple(
        relabel.Cameras(
            key=[f"{side}{k}" for k in range(n)],
            position=rng.uniform(0, 120, (n, 2)),
            heading_deg=rng.uniform(0, 360, n),
            fov_deg=rng.uniform(30, 120, n),
            radius_m=rng.uniform(20, 60, n),
        )
        for side in "qd"
    )


class TestConvert:
    @given(st.floats(1e-6, 1e4), st.floats(1e-6, 1e4), st.floats(0, 1), st.sampled_from(MEASURES))
    def test_is_what_the_definitions_say(self, a, b, share, measure):
        """From areas and their intersection, written down anew."""
        common = share * min(a, b)
        by_definition = {"iou": common / (a + b - common), "overlap": common / a, "dice": 2 * common / (a + b)}
        for source in MEASURES:
            value = np.array([by_definition[source]])
            got = convert(value, np.array([a]), np.array([b]), source, measure)
            assert got[0] == pytest.approx(by_definition[measure], rel=1e-9)

    def test_an_extent_that_is_missing(self):
        with pytest.raises(InputError, match="extent"):
            convert(np.ones(1), np.array([np.nan]), np.ones(1), "iou", "dice")

    def test_an_unknown_measure(self):
        with pytest.raises(OptionError, match="jaccard"):
            convert(np.ones(1), np.ones(1), np.ones(1), "iou", "jaccard")


class TestToMeasure:
    @pytest.mark.parametrize("source", MEASURES)
    @pytest.mark.parametrize("target", MEASURES)
    def test_equals_computing_it_that_way(self, source, target):
        """Nothing is lost by storing one measure and converting later, but float32 rounding."""
        query, database = city()
        converted = fov.overlap(query, database, measure=source).to_measure(target)
        direct = fov.overlap(query, database, measure=target)
        assert converted.collection.measure == target
        assert abs(converted.matrix - direct.matrix).max() <= 2e-6


class TestChecks:
    def test_a_matrix_of_another_shape(self):
        query, database = city(4)
        psi = fov.overlap(query, database)
        with pytest.raises(InputError, match=r"\(3, 4\)"):
            Similarity(psi.collection, sparse.csr_array((3, 4)))

    def test_extents_measure_and_min_value(self):
        query, database = city(2)
        good = {"query_extent": np.ones(2), "database_extent": np.ones(2), "method": "imported", "measure": "iou"}
        for bad, error in (
            ({"query_extent": np.ones(3)}, InputError),
            ({"measure": "jaccard"}, OptionError),
            ({"min_value": 1.0}, OptionError),
            ({"min_value": -0.1}, OptionError),
        ):
            with pytest.raises(error):
                Collection(query, database, **(good | bad))

    def test_only_iou_and_dice_are_symmetric(self):
        query, _ = city(2)
        for measure in MEASURES:
            collection = Collection(query, query, np.ones(2), np.ones(2), "imported", measure, self_pairs=True)
            assert collection.symmetric == (measure != "overlap")


class TestGather:
    def test_is_the_inverse_of_blocks(self):
        query, database = city()
        source = fov.source(query, database, block=100)
        rows: list[int] = []
        whole = gather(source, rows.append)
        assert sum(rows) == len(query)
        assert len(rows) > 1
        again = gather(whole)
        assert (again.matrix != whole.matrix).nnz == 0
