from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from formats.golden.surgery import seal_file
from relabel import fov
from relabel.cameras import Cameras
from relabel.compose import convert
from relabel.errors import InputError, LabelFileError, NotFoundError, OptionError, OutputExistsError
from relabel.labelfile import LabelFile, provenance, validate, write
from relabel.labelfile.schema import stored_text
from relabel.measures import MEASURES, Measure
from relabel.similarity import Similarity
from tests.labelfile.sources import assert_same, errors
from tests.similarities import similarity


def street(n: int, seed: int) -> Cameras:
    """Cameras on a square, each with a field of view and range of its own."""
    rng = np.random.default_rng(seed)
    return Cameras(
        key=[f"{seed}-{i}" for i in range(n)],
        position=rng.uniform(0, 150, (n, 2)),
        heading_deg=np.where(rng.random(n) < 0.1, np.nan, rng.uniform(0, 360, n)),
        fov_deg=rng.uniform(40, 120, n),
        radius_m=rng.uniform(20, 60, n),
    )


class TestConvert:
    """relabel.compose.convert"""

    @pytest.mark.parametrize("target", MEASURES)
    @pytest.mark.parametrize("source", MEASURES)
    @pytest.mark.parametrize("self_pairs", [False, True])
    def test_equals_computing_in_that_measure(
        self, tmp_path: Path, source: Measure, target: Measure, self_pairs: bool
    ) -> None:
        """The pairs and values are those of labels computed directly, to four units in the last place of float32."""
        query = street(40, 1)
        database = query if self_pairs else street(50, 2)
        made = write(tmp_path / "a.h5", {"x": fov.overlap(query, database, measure=source)})
        wanted = fov.overlap(query, database, measure=target, min_value=0.0)
        result = convert(tmp_path / "b.h5", str(made), target)
        got = LabelFile(result.path)["x"]
        assert errors(validate(result.path)) == []
        assert got.measure == target
        assert got.symmetric == (self_pairs and target != "overlap")
        dense, direct = got.to_scipy().toarray(), wanted.matrix.toarray()
        there = dense > 0
        np.testing.assert_array_max_ulp(dense[there], direct[there], 4)
        # What is absent is so rightly: directly computed it is no larger than the new bound, but for rounding.
        assert (direct[~there] <= got.min_value * (1 + 1e-6)).all()
        (one,) = result.collections
        assert (one.name, one.source, one.pairs, one.min_value) == ("x", source, int(there.sum()), got.min_value)
        assert one.dropped == max(0, LabelFile(made)["x"].nnz - one.pairs)

    def test_dropped_pairs(self, tmp_path: Path) -> None:
        """Where a bound becomes too high for some pairs, they are dropped and counted."""
        source = similarity(30, 30, seed=1, density=0.9, min_value=0.3, faults=False)
        source = Similarity(source.collection, source.matrix.multiply(source.matrix > 0.3).tocsr())
        source.matrix.eliminate_zeros()
        extent = np.random.default_rng(0).uniform(500, 2000, 30)
        source = replace(source, collection=replace(source.collection, query_extent=extent))
        made = write(tmp_path / "a.h5", {"x": source})
        (one,) = convert(tmp_path / "b.h5", str(made), "overlap").collections
        assert one.dropped > 0
        assert one.min_value > 0.3
        assert one.pairs == LabelFile(tmp_path / "b.h5")["x"].nnz == source.matrix.nnz - one.dropped

    def test_already_in_it(self, tmp_path: Path) -> None:
        """What is in the measure already keeps its digest, alone or beside others."""
        source = similarity(20, 30, seed=1)
        made = write(tmp_path / "a.h5", {"iou": source, "dice": source.to_measure("dice")})
        mixed = LabelFile(convert(tmp_path / "b.h5", str(made), "dice").path)
        alone = LabelFile(convert(tmp_path / "c.h5", f"{made}::dice", "dice").path)
        assert mixed["dice"].content_sha256 == LabelFile(made)["dice"].content_sha256 == alone["dice"].content_sha256
        assert list(mixed) == ["dice", "iou"]
        assert list(alone) == ["dice"]
        assert mixed["iou"].measure == "dice"

    def test_there_and_back(self, tmp_path: Path) -> None:
        """iou to dice and back is what it was, but for rounding; the history tells of both steps."""
        source = similarity(20, 30, seed=1)
        made = write(tmp_path / "a.h5", {"x": source}, provenance=[provenance.step("first", {})])
        convert(tmp_path / "b.h5", str(made), "dice")
        convert(tmp_path / "b.h5", str(tmp_path / "b.h5"), "iou", overwrite=True)
        labels = LabelFile(tmp_path / "b.h5")
        back = labels["x"].to_similarity()
        np.testing.assert_array_max_ulp(back.matrix.data, source.matrix.data, 4)
        exact = replace(back.collection, min_value=source.collection.min_value)
        assert_same(Similarity(exact, source.matrix), source)
        records = labels.provenance()
        assert [record["command"] for record in records] == ["first", "relabel convert", "relabel convert"]
        assert records[1]["parameters"] == {"collections": ["x"], "measure": "dice"}
        assert records[1]["inputs"] == provenance.describe(tmp_path, [made])

    def test_refusals(self, tmp_path: Path) -> None:
        """An unknown measure, missing extents and names that are not there are refused, and nothing is written."""
        source = similarity(20, 30, seed=1)
        c = source.collection
        made = write(
            tmp_path / "a.h5",
            {
                "bare": replace(source, collection=replace(c, query_extent=np.full(20, np.nan))),
                "foreign": replace(source, collection=replace(c, method="imported", measure="unknown")),
                "good": source,
            },
        )
        target = tmp_path / "b.h5"
        with pytest.raises(OptionError, match=r"a\.h5::foreign: the measure of these values is unknown"):
            convert(target, str(made), "dice")
        with pytest.raises(InputError, match=r"a\.h5::bare: converting iou to overlap needs the extents"):
            convert(target, f"{made}::bare", "overlap")
        with pytest.raises(OptionError, match="'f1' is not known"):
            convert(target, str(made), "f1")  # type: ignore[arg-type]
        with pytest.raises(NotFoundError, match="there are bare, foreign, good"):
            convert(target, str(made), "dice", collections=["x"])
        with pytest.raises(OptionError, match="no collection is named"):
            convert(target, str(made), "dice", collections=[])
        with pytest.raises(OptionError, match="already names one collection;"):
            convert(target, f"{made}::good", "dice", collections=["good"])
        assert not target.exists()
        with pytest.raises(OutputExistsError):
            convert(made, f"{made}::good", "dice")

    def test_foreign_history(self, tmp_path: Path) -> None:
        """A record that breaks the format is named and not passed on."""
        made = write(tmp_path / "a.h5", {"x": similarity(4, 5)}, provenance=[provenance.step("first", {})])
        with h5py.File(made, "r+") as file:
            del file["provenance/0000"]
            file["provenance"].create_dataset("0000", data=stored_text('{"command": 1}'))
            seal_file(file)
        with pytest.raises(LabelFileError, match=r"a\.h5: /provenance, record 0: software is missing"):
            convert(tmp_path / "b.h5", str(made), "dice")
