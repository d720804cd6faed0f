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
from relabel.measures import MEASURES, convert, converted_bound
from relabel.similarity import Collection, Converted, RowBlock, Similarity, gather


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

    @pytest.mark.parametrize(("source", "target"), [("iou", "overlap"), ("overlap", "iou"), ("dice", "overlap")])
    def test_an_extent_that_is_missing(self, source, target):
        with pytest.raises(InputError, match="extent"):
            convert(np.ones(1), np.array([np.nan]), np.ones(1), source, target)

    @given(st.floats(0, 1), st.sampled_from(["iou", "dice"]))
    def test_iou_and_dice_need_no_extent(self, value, source):
        """Both count what is common twice or once over the same sum, so that the extents cancel out."""
        target = {"iou": "dice", "dice": "iou"}[source]
        value = np.array([value])
        with_extents = convert(value, np.array([3.0]), np.array([5.0]), source, target)
        assert convert(value, np.array([np.nan]), np.ones(1), source, target) == pytest.approx(with_extents, rel=1e-12)

    def test_a_measure_that_nobody_told(self):
        """Values of an unknown measure stay what they are, and are not converted."""
        one = np.ones(1)
        assert convert(one, one, one, "unknown", "unknown") is one
        for source, target in (("unknown", "iou"), ("iou", "unknown")):
            with pytest.raises(OptionError, match="relabel fit"):
                convert(one, one, one, source, target)

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
        direct = fov.overlap(query, database, measure=target, min_value=0.0)
        assert converted.collection.measure == target
        a, b = converted.matrix.toarray(), direct.matrix.toarray()
        # A relative error at most doubles (overlap to iou, dice to iou), on top of rounding twice.
        np.testing.assert_allclose(a[a > 0], b[a > 0], rtol=4 * np.finfo(np.float32).eps / 2)
        # What the new file says of an absent pair holds, though the old one said it of another measure.
        assert (b[a == 0] <= np.float32(converted.collection.min_value)).all()
        assert (a[a > 0] > np.float32(converted.collection.min_value)).all()

    @pytest.mark.parametrize("target", ["iou", "dice"])
    def test_self_pairs_become_symmetric_to_the_bit(self, target):
        """The two directions of an overlap are rounded each by itself, yet give one value."""
        query, _ = city(60)
        converted = fov.overlap(query, query, measure="overlap").to_measure(target)
        assert converted.collection.symmetric
        dense = converted.matrix.toarray()
        np.testing.assert_array_equal(dense, dense.T)
        direct = fov.overlap(query, query, measure=target, min_value=0.0).matrix.toarray()
        np.testing.assert_allclose(dense[dense > 0], direct[dense > 0], rtol=4 * np.finfo(np.float32).eps / 2)

    def test_blocks_of_any_size_are_converted_alike(self):
        query, database = city()
        whole = fov.overlap(query, database)
        parts = gather(Converted(fov.source(query, database, block=50), "overlap"))
        assert (parts.matrix != whole.to_measure("overlap").matrix).nnz == 0

    def test_there_and_back(self):
        """From iou to dice and back no pair is lost and no value moves by more than float32 can tell."""
        query, database = city()
        psi = fov.overlap(query, database)
        back = psi.to_measure("dice").to_measure("iou")
        np.testing.assert_array_equal(back.matrix.indices, psi.matrix.indices)
        np.testing.assert_allclose(back.matrix.data, psi.matrix.data, rtol=4 * np.finfo(np.float32).eps / 2)
        assert back.collection.min_value == pytest.approx(psi.collection.min_value, rel=1e-12)

    def test_a_measure_that_nobody_told(self):
        query, database = city(3)
        collection = Collection(query, database, np.ones(3), np.ones(3), "imported", "unknown")
        with pytest.raises(OptionError, match="relabel fit"):
            Similarity(collection, sparse.csr_array((3, 3), dtype=np.float32)).to_measure("iou")


class TestConvertedBound:
    @given(
        st.floats(1e-9, 0.5),
        st.lists(st.floats(1.0, 1e3), min_size=1, max_size=5),
        st.lists(st.floats(1.0, 1e3), min_size=1, max_size=5),
        st.sampled_from(MEASURES),
        st.sampled_from(MEASURES),
    )
    def test_no_pair_exceeds_it(self, bound, a, b, source, target):
        """Every pair of cameras whose value is the bound has at most the new bound, and one of them has it."""
        every, other = (side.ravel() for side in np.meshgrid(a, b))
        most = converted_bound(bound, np.array(a), np.array(b), source, target)
        values = convert(np.full(len(every), bound), every, other, source, target)
        below_one = np.nextafter(np.float32(1), np.float32(0))
        assert most == pytest.approx(min(values.max(), below_one), rel=1e-9)

    def test_cameras_that_see_nothing_do_not_count(self):
        extents = np.array([0.0, 10.0])
        assert converted_bound(0.1, extents, extents, "iou", "overlap") == pytest.approx(0.2 / 1.1)
        assert converted_bound(0.1, np.zeros(2), np.zeros(2), "iou", "overlap") == pytest.approx(0.2 / 1.1)


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
            ({"measure": "unknown", "method": "fov-sector"}, OptionError),
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
        assert not Collection(query, query, np.ones(2), np.ones(2), "imported", "unknown", self_pairs=True).symmetric


class TestGather:
    def test_is_the_inverse_of_blocks(self):
        query, database = city()
        source = fov.source(query, database, block=100)
        rows: list[int] = []
        whole = gather(source, rows.append)
        assert sum(rows) == len(query)
        assert len(rows) > 1
        for most in (0, 7, 10**6):  # unknown, too few, more than there are
            again = gather(whole, most=most).matrix
            assert (again != whole.matrix).nnz == 0
            assert again.indices.dtype == again.indptr.dtype == np.int32


class TestRowBlock:
    """relabel.similarity.RowBlock"""

    def test_rows(self) -> None:
        """Every entry has the row that its place among the counts gives it."""
        block = RowBlock(3, np.array([2, 0, 1]), np.array([0, 4, 1], np.int32), np.array([0.5, 0.25, 1.0], np.float32))
        assert block.rows.tolist() == [3, 3, 5]
        assert block._replace(counts=np.zeros(3, np.int64)).rows.tolist() == []
