"""Labels that somebody else made: without places, without a measure; and labels read in another measure."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, LabelFileError, OptionError
from relabel.labelfile import LabelFile, provenance, validate, write
from relabel.labelfile.schema import stored_text
from relabel.measures import MEASURES, UNKNOWN, Measure
from relabel.similarity import Collection, Converted, Similarity, gather
from tests.labelfile.sources import assert_same, assert_same_pairs, errors, similarities
from tests.similarities import similarity


def placeless(n: int, prefix: str, masked: int | None = None) -> Cameras:
    """n cameras of which nothing is known but their keys, all but one of them ok."""
    status = np.zeros(n, np.uint8)
    if masked is not None:
        status[masked] = Status.MASKED
    return Cameras(key=[f"{prefix}{k}" for k in range(n)], position=np.full((n, 2), np.nan), status=status, posed=False)


def imported(measure: str = UNKNOWN, *, self_pairs: bool = False, extent: float = np.nan) -> Similarity:
    query = placeless(4, "q", masked=2)
    database = query if self_pairs else placeless(5, "d")
    psi = (np.add.outer(np.arange(4), np.arange(len(database))) % 4 / 4).astype(np.float32)
    psi[~query.ok] = 0.0
    psi[:, ~database.ok] = 0.0
    if self_pairs:
        np.fill_diagonal(psi, 0.0)
    extents = [np.full(len(side), extent) for side in (query, database)]
    collection = Collection(
        query,
        database,
        *extents,
        method="imported",
        measure=measure,
        params={"source": "gcl"},
        min_value=0.0,
        self_pairs=self_pairs,
    )
    return Similarity(collection, sparse.csr_array(psi))


def saved(folder: Path, source: Similarity) -> Path:
    return write(folder / "labels.h5", {"a": source}, provenance=[provenance.step("test", {})], overwrite=True)


class TestImported:
    @pytest.mark.parametrize("self_pairs", [False, True])
    @pytest.mark.parametrize("measure", [*MEASURES, UNKNOWN])
    def test_comes_back(self, tmp_path: Path, measure: str, self_pairs: bool) -> None:
        """Cameras without a place stay ok, the measure stays what it is, and the file is valid."""
        source = imported(measure, self_pairs=self_pairs)
        path = saved(tmp_path, source)
        assert validate(path).findings == []
        stored = LabelFile(path)["a"]
        assert stored.measure == measure
        assert stored.symmetric == (self_pairs and measure in ("iou", "dice"))
        assert not stored.query.posed
        assert stored.query.ok.tolist() == [True, True, False, True]
        assert np.isnan(stored.query.position).all()
        assert np.isnan(stored.query_extent).all()
        assert_same(stored.to_similarity(), source)

    def test_can_be_written_again(self, tmp_path: Path) -> None:
        """A stored collection without places is a source like any other, with the same digest."""
        first = LabelFile(saved(tmp_path, imported()))["a"]
        second = LabelFile(write(tmp_path / "copy.h5", {"b": first}))["b"]
        assert second.content_sha256 == first.content_sha256

    def test_unknown_measure_may_be_asymmetric(self, tmp_path: Path) -> None:
        """Nothing says that unknown values are symmetric, so self pairs need not be."""
        source = imported(self_pairs=True)
        source.matrix.data[0] = 0.75
        assert (source.matrix != source.matrix.T).nnz
        assert validate(saved(tmp_path, source)).findings == []


class TestUnknownOfOtherMethods:
    def test_is_refused_by_the_collection(self) -> None:
        """Only labels of others may have an unknown measure."""
        with pytest.raises(OptionError, match="measure 'unknown' is not known; choose iou, overlap, dice"):
            replace(imported().collection, method="fov-sector")

    def test_is_refused_by_the_writer(self, tmp_path: Path) -> None:
        """A collection that was bent behind its own checks is not written: the finished file is looked at."""
        source = imported()
        object.__setattr__(source.collection, "method", "surface")
        with pytest.raises((InputError, OSError), match="unknown"):
            saved(tmp_path, source)
        assert list(tmp_path.iterdir()) == []

    def test_is_found_by_the_validator_and_the_reader(self, tmp_path: Path) -> None:
        """Another program's file that says so is not valid, and is not read."""
        path = saved(tmp_path, similarity())
        with h5py.File(path, "r+") as file:
            file["a"].attrs["measure"] = stored_text(UNKNOWN)
        assert errors(validate(path, "structure")) == [
            "/a: measure is 'unknown', which only labels of method 'imported' may have"
        ]
        with pytest.raises(LabelFileError, match=r"labels\.h5: /a: measure 'unknown' is not known"):
            LabelFile(path)["a"].collection  # noqa: B018

    def test_places_are_needed_by_other_methods(self, tmp_path: Path) -> None:
        """Cameras without a place are ok only in imported collections."""
        path = saved(tmp_path, imported("iou"))
        with h5py.File(path, "r+") as file:
            file["a"].attrs["method"] = stored_text("fov-sector")
        found = errors(validate(path, "structure"))
        assert sum("have no finite value, although the camera is ok" in line for line in found) == 4, found


class TestInMeasure:
    @settings(max_examples=25)
    @given(source=similarities(max_size=6), target=st.sampled_from(MEASURES))
    def test_all_ways_to_read_agree(
        self, source: Similarity, target: Measure, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Rows, blocks and the whole matrix hold the same pairs as a conversion in memory; so does a pickled copy."""
        stored = LabelFile(saved(tmp_path_factory.mktemp("measure"), source))["a"]
        try:
            expected = gather(Converted(source, target)).matrix
        except (InputError, OptionError) as error:
            with pytest.raises(type(error)):
                stored.in_measure(target).to_scipy()
            return
        view = stored.in_measure(target)
        assert_same_pairs(view.to_scipy(), expected)
        assert_same_pairs(gather(view).matrix, expected)
        for copy in (view, pickle.loads(pickle.dumps(view))):
            for number in range(stored.shape[0]):
                keys, values = copy.row(number)
                row = expected[[number]]
                best = np.argsort(-row.data, kind="stable")
                assert keys.tolist() == stored.database.key[row.indices[best]].tolist()
                assert values.tolist() == row.data[best].tolist()

    @pytest.mark.parametrize("target", ["iou", "dice"])
    def test_overlap_of_self_pairs_becomes_symmetric(self, tmp_path: Path, target: Measure) -> None:
        """To the bit, although both directions were rounded apart; rows are those of the matrix; a file can be made."""
        source = unequal(9)
        stored = LabelFile(saved(tmp_path, source))["a"]
        assert not stored.symmetric
        view = stored.in_measure(target)
        whole = view.to_scipy()
        assert (whole != whole.T).nnz == 0
        assert whole.nnz == source.matrix.nnz
        assert view.collection.symmetric
        for number in range(9):
            keys, values = view.row(number)
            assert sorted(values.tolist()) == sorted(whole[[number]].data.tolist())
            assert set(keys.tolist()) == set(stored.database.key[whole[[number]].indices].tolist())
        path = write(tmp_path / "converted.h5", {"a": view}, provenance=[provenance.step("test", {})])
        assert validate(path).findings == []
        assert_same_pairs(LabelFile(path)["a"].to_scipy(), whole)
        truth = exact(target)
        np.testing.assert_allclose(whole.toarray(), truth, rtol=3e-7)

    def test_an_unknown_measure(self, tmp_path: Path) -> None:
        """What the values are is not known, so they become nothing else; the error says what to do."""
        stored = LabelFile(saved(tmp_path, imported()))["a"]
        with pytest.raises(OptionError, match="measure of these values is unknown, so they cannot be"):
            stored.in_measure("iou")

    def test_missing_extents(self, tmp_path: Path) -> None:
        """Without extents iou becomes dice, but not overlap."""
        stored = LabelFile(saved(tmp_path, imported("iou")))["a"]
        psi = stored.to_scipy().toarray().astype(float)
        np.testing.assert_allclose(stored.in_measure("dice").to_scipy().toarray(), 2 * psi / (1 + psi), rtol=1e-7)
        with pytest.raises(InputError, match="needs the extents of both cameras"):
            stored.in_measure("overlap").to_scipy()

    def test_not_a_measure(self, tmp_path: Path) -> None:
        """A wrong name lists the right ones."""
        stored = LabelFile(saved(tmp_path, imported("iou")))["a"]
        for name in ("jaccard", UNKNOWN):
            with pytest.raises(OptionError):
                stored.in_measure(name)


def extents(n: int) -> np.ndarray:
    return 100.0 + 37.0 * np.arange(n)


def shared(n: int) -> np.ndarray:
    """What two of n cameras have in common; nothing for some."""
    common = np.minimum.outer(extents(n), extents(n)) / (1.3 + np.abs(np.subtract.outer(np.arange(n), np.arange(n))))
    common[np.add.outer(np.arange(n), np.arange(n)) % 4 == 0] = 0.0
    np.fill_diagonal(common, 0.0)
    return common


def unequal(n: int) -> Similarity:
    """Self pairs under overlap, of cameras with different extents."""
    cameras = Cameras(key=[f"c{k}" for k in range(n)], position=np.zeros((n, 2)), heading_deg=np.zeros(n))
    collection = Collection(
        cameras,
        cameras,
        extents(n),
        extents(n),
        method="fov-sector",
        measure="overlap",
        params={"fov_deg": 90.0, "radius_m": 50.0},
        self_pairs=True,
    )
    return Similarity(collection, sparse.csr_array((shared(n) / extents(n)[:, None]).astype(np.float32)))


def exact(measure: str) -> np.ndarray:
    """The same by the definition of the measure."""
    total = np.add.outer(extents(9), extents(9))
    return shared(9) / (total - shared(9)) if measure == "iou" else 2 * shared(9) / total
