"""relabel.verify.verify.verify: good files pass, and every way to be wrong is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import relabel
from relabel import fov
from relabel.errors import DatasetNotFoundError, InputError, LabelFileError, MissingFileError, OptionError
from relabel.fov.params import FovParams
from relabel.labelfile import LabelFile, provenance
from relabel.measures import MEASURES
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.run import label
from relabel.similarity import Similarity
from relabel.synthetic.msls import write_tree
from relabel.verify.fov_labels import POLYGON_TOLERANCE, SECTOR_TOLERANCE
from relabel.verify.verify import verify
from tests.pipeline.jobs import msls_parts
from tests.similarities import similarity
from tests.strategies import View, cameras
from tests.trees import COLUMNS, edit, write_csv

Parts = Callable[..., tuple[FovPart, ...]]

ALL = 200
"""More than the pairs of a small city, so that every one of them is checked."""


@pytest.fixture
def labels(parts: Parts, out: Path) -> Path:
    """The labels of one small city of the tree `root`; polygons, since the oracle is quicker with few corners."""
    label(parts("amman", radius_m=25.0, shape="polygon"), out / "x.h5")
    return out / "x.h5"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic city with all faults."""
    root = tmp_path_factory.mktemp("town")
    write_tree(root, cameras=300, seed=4)
    return root


def changed(path: Path, change: Callable[[sparse.lil_array], object], **fields: Any) -> Path:
    """A valid file of the same name and provenance whose values were tampered with."""
    labels = LabelFile(path)
    sources: Mapping[str, Similarity] = {name: labels[name].to_similarity() for name in labels}
    written = {}
    for name, source in sources.items():
        matrix = source.matrix.tolil()
        change(matrix)
        tampered = sparse.csr_array(matrix)
        tampered.eliminate_zeros()  # some versions of SciPy store them
        written[name] = Similarity(replace(source.collection, **fields), tampered)
    relabel.write(path, written, provenance=labels.provenance(), overwrite=True)
    return path


def first_pair(path: Path) -> tuple[int, int, str, str]:
    """Row, column and keys of the first stored pair."""
    stored = LabelFile(path)["amman"]
    rows, columns = stored.to_scipy().nonzero()
    i, j = int(rows[0]), int(columns[0])
    return i, j, str(stored.query.key[i]), str(stored.database.key[j])


class TestGoodFiles:
    """No mismatch, with the dataset at hand or without."""

    @pytest.mark.parametrize("heading", ["compass", "travel"])
    @pytest.mark.parametrize("shape", fov.SHAPES)
    def test_shapes_and_headings(self, town: Path, out: Path, shape: Any, heading: Any) -> None:
        """A city with all faults, by sector and polygon, compass and direction of travel."""
        parts, _ = msls_parts(town, None, heading=heading, params=FovParams(shape=shape, arc=7))
        label(parts, out / "x.h5")
        for root in (town, None):
            found = verify(out / "x.h5", root, sample=40)
            assert (found.checked, found.mismatches, found.findings) == (40, 0, [])
            assert found.max_abs_diff <= (SECTOR_TOLERANCE if shape == "sector" else POLYGON_TOLERANCE)

    @pytest.mark.parametrize("measure", MEASURES)
    def test_measures(self, parts: Parts, root: Path, out: Path, measure: str) -> None:
        """All pairs of a city, in every measure."""
        label(parts("goa", radius_m=20.0, measure=measure, min_value=0.2), out / "x.h5")
        found = verify(out / "x.h5", root, sample=ALL)
        assert (found.checked, found.mismatches, found.findings) == (42, 0, [])

    def test_self_pairs_and_own_fields_of_view(self, tmp_path: Path) -> None:
        """A file from arrays, in which cameras bring their own field of view and range; the diagonal is left alone."""
        rng = np.random.default_rng(5)
        views = [View(*row) for row in rng.uniform([0, 0, 0, 20, 10], [90, 90, 360, 360, 60], (12, 5))]
        one = cameras(views)
        relabel.write(tmp_path / "x.h5", {"own": fov.overlap(one, one)})
        found = verify(tmp_path / "x.h5", sample=ALL)
        assert (found.checked, found.mismatches) == (12 * 11, 0)

    def test_no_pairs(self, parts: Parts, root: Path, out: Path) -> None:
        """A file that stores none is checked by its absent pairs."""
        label(parts("amman", min_value=0.9999), out / "x.h5")
        assert LabelFile(out / "x.h5")["amman"].nnz < 42
        found = verify(changed(out / "x.h5", lambda matrix: matrix.__imul__(0)), root, sample=30)
        assert found.checked == 30

    def test_no_cameras(self, tmp_path: Path) -> None:
        """A file in which no camera can be labelled has nothing to be checked."""
        view = cameras([View(0, 0, 0, 90, 50)])
        relabel.write(tmp_path / "x.h5", {"x": fov.overlap(replace(view, status=np.array([1])), view)})
        found = verify(tmp_path / "x.h5")
        assert (found.checked, found.mismatches, found.max_abs_diff) == (0, 0, 0.0)

    def test_root_given_one_level_deeper(self, labels: Path, root: Path) -> None:
        """The folder train_val is understood as it is when labelling."""
        assert verify(labels, root / "train_val", sample=4).findings == []

    def test_same_seed_same_sample(self, parts: Parts, out: Path) -> None:
        """Results repeat, and another seed looks at other pairs."""
        label(parts("amman", shape="polygon"), out / "x.h5")
        changed(out / "x.h5", lambda matrix: matrix.__imul__(0.5))
        one, two, other = (verify(out / "x.h5", sample=6, seed=seed).findings for seed in (1, 1, 2))
        assert one == two != other

    def test_progress(self, parts: Parts, out: Path) -> None:
        """Every pair of every collection is counted once; what takes its time besides is named without a total."""
        seen: dict[str, list[int]] = {}
        without_total = []

        @contextmanager
        def bar(name: str, pairs: int | None) -> Iterator[Callable[[int], object]]:
            if pairs is None:
                without_total.append(name)
                yield lambda _: None
                return
            seen[name] = [pairs]
            yield seen[name].append

        label(parts("amman,goa", radius_m=20.0, shape="polygon"), out / "x.h5")
        verify(out / "x.h5", sample=ALL, bar=bar)
        assert list(seen) == ["amman: pairs", "goa: pairs"]
        assert without_total == ["validating"]
        assert all(total == sum(steps) == 42 for total, *steps in seen.values())


class TestWrongValues:
    """Values that are not the overlap."""

    def test_tampered(self, labels: Path) -> None:
        """A value that was changed is found, by its keys, with what it should be."""
        i, j, query, database = first_pair(labels)
        true = float(LabelFile(labels)["amman"].to_scipy()[i, j])
        changed(labels, lambda matrix: matrix.__setitem__((i, j), true / 2))
        found = verify(labels, sample=ALL)
        assert (found.checked, found.mismatches) == (42, 1)
        assert found.max_abs_diff == pytest.approx(true / 2, rel=1e-5)
        (text,) = found.findings
        assert text == f"amman: {query} / {database}: the file has {true / 2:.6f}, recomputed {true:.6f}"

    def test_dropped(self, labels: Path) -> None:
        """So is a pair that should be stored and is not."""
        i, j, query, database = first_pair(labels)
        true = float(LabelFile(labels)["amman"].to_scipy()[i, j])
        changed(labels, lambda matrix: matrix.__setitem__((i, j), 0.0))
        found = verify(labels, sample=ALL)
        assert (found.checked, found.mismatches) == (42, 1)
        assert found.max_abs_diff == pytest.approx(true, rel=1e-4)
        assert found.findings == [f"amman: {query} / {database}: the file has no value, recomputed {true:.6f}"]

    def test_invented(self, labels: Path) -> None:
        """So is a stored pair that shares nothing."""
        stored = LabelFile(labels)["amman"]
        i, j = (int(k) for k in np.argwhere(stored.to_scipy().toarray() == 0.0)[0])
        changed(labels, lambda matrix: matrix.__setitem__((i, j), 0.5))
        found = verify(labels, sample=ALL)
        assert (found.mismatches, found.max_abs_diff) == (1, pytest.approx(0.5))
        assert "recomputed 0.000000" in found.findings[0]

    def test_wrong_parameters(self, labels: Path) -> None:
        """Values for another field of view than the file says are wrong in number; a few are shown."""
        params = {**LabelFile(labels)["amman"].params, "fov_deg": 80.0}
        found = verify(changed(labels, lambda _: None, params=params), sample=ALL)
        assert found.mismatches > len(found.findings) == 5

    def test_wrong_measure(self, labels: Path) -> None:
        """So are values of another measure than the file says."""
        assert verify(changed(labels, lambda _: None, measure="dice"), sample=ALL).mismatches > 0

    def test_small_changes_within_rounding(self, labels: Path) -> None:
        """What float32 and the oracle's chords change is no mismatch."""
        changed(labels, lambda matrix: matrix.__imul__(1.0 - 5e-7))
        assert verify(labels, sample=ALL).mismatches == 0


class TestOtherDataset:
    """The dataset is not what was labelled."""

    def test_moved_camera(self, labels: Path, root: Path) -> None:
        """A camera that moved is found by key, with the file that changed, and with its values."""
        path = root / "train_val/amman/query/postprocessed.csv"
        row = path.read_text().splitlines()[1]
        cells = row.split(",")
        cells[3] = str(float(cells[3]) + 20.0)  # northing
        edit(path, row, ",".join(cells))
        found = verify(labels, root, sample=ALL)
        texts = [
            "amman: train_val/amman/query/postprocessed.csv is not the file that was labelled (its sha256 differs)",
            "amman/queries: 1 camera(s) differ from the dataset in position, heading or status: q0",
        ]
        assert found.findings[:2] == texts
        assert any(text.startswith("amman: q0 / d") for text in found.findings[2:])
        assert found.mismatches > len(texts)

    @pytest.mark.parametrize(
        ("name", "old", "new", "differ"),
        [
            ("raw", ",50.0,", ",51.0,", True),
            ("raw", ",50.0,", ",,", True),
            ("raw", "False", "True", True),
            ("raw", "2018-05-11", "2018-05-12", False),
        ],
        ids=["heading", "no heading", "panorama", "unused column"],
    )
    def test_changed_cell(self, labels: Path, root: Path, name: str, old: str, new: str, *, differ: bool) -> None:
        """Any changed byte of the input is a mismatch; a camera is one where what was used of it changed."""
        edit(root / f"train_val/amman/query/{name}.csv", old, new)
        found = verify(labels, root, sample=ALL)
        assert found.mismatches >= 1 + differ
        assert f"query/{name}.csv is not the file that was labelled" in found.findings[0]
        assert any("q0" in text for text in found.findings) == differ

    def test_lost_position(self, labels: Path, root: Path) -> None:
        """A camera without a position now has no ψ to compare; it is told once."""
        path = root / "train_val/amman/database/postprocessed.csv"
        row = path.read_text().splitlines()[1]
        cells = row.split(",")
        edit(path, row, ",".join([*cells[:2], "nan", "inf", *cells[4:]]))
        found = verify(labels, root, sample=ALL)
        assert (found.checked, found.mismatches) == (36, 2)
        assert found.findings[1].endswith(": d0")

    def test_other_pictures(self, labels: Path, root: Path) -> None:
        """Cameras that are only in one of the two are named."""
        for name in COLUMNS:
            edit(root / f"train_val/amman/query/{name}.csv", ",q3,", ",new,")
        found = verify(labels, root, sample=ALL)
        assert "amman/queries: 1 camera(s) of the file are not in the dataset: q3" in found.findings
        assert "amman/queries: 1 camera(s) of the dataset are not in the file: new" in found.findings
        assert (found.checked, found.mismatches) == (42, 3 + 2)

    def test_order_is_no_difference(self, labels: Path, root: Path) -> None:
        """Cameras are joined by key; only the bytes of the file differ."""
        path = root / "train_val/amman/query/raw.csv"
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *rows[::-1]]) + "\n")
        found = verify(labels, root, sample=ALL)
        assert (found.checked, found.mismatches, len(found.findings)) == (42, 1, 1)

    def test_emptied(self, labels: Path, root: Path) -> None:
        """A dataset without rows is a difference, not a crash."""
        for name, columns in COLUMNS.items():
            write_csv(root / f"train_val/amman/query/{name}.csv", [], columns)
        found = verify(labels, root, sample=ALL)
        assert (
            "amman/queries: 6 camera(s) of the file are not in the dataset: q0, q1, q2, q3, q4 and 1 more"
            in found.findings
        )
        assert found.mismatches == 3 + 6

    def test_city_gone(self, labels: Path, root: Path) -> None:
        """A dataset without the city is refused with those that it holds."""
        (root / "train_val/amman").rename(root / "amman")
        with pytest.raises(InputError, match=r"'amman'.*goa, zurich"):
            verify(labels, root)

    def test_no_dataset(self, labels: Path, tmp_path: Path) -> None:
        """A folder that is none is refused."""
        with pytest.raises(DatasetNotFoundError, match="nowhere"):
            verify(labels, tmp_path / "nowhere")


class TestRefused:
    """Files that cannot be verified."""

    def test_other_methods(self, tmp_path: Path) -> None:
        """What relabel did not compute is refused by name."""
        source = similarity()
        source = Similarity(replace(source.collection, method="imported"), source.matrix)
        relabel.write(tmp_path / "x.h5", {"room": source})
        with pytest.raises(InputError, match=r"x\.h5::room: imported labels cannot be recomputed"):
            verify(tmp_path / "x.h5")

    @pytest.mark.parametrize(
        "records", [[], [("relabel msls", {"city": "goa"})], [("another tool", {"city": "amman"})], [("x", {})]]
    )
    def test_other_provenance(
        self, labels: Path, root: Path, tmp_path: Path, records: list[tuple[str, dict[str, Any]]]
    ) -> None:
        """A file that does not say how to read the dataset again is refused with a root, and checked without."""
        other = tmp_path / "other.h5"
        relabel.write(other, LabelFile(labels), provenance=[provenance.step(*record) for record in records])
        with pytest.raises(InputError, match="omit root=…"):
            verify(other, root)
        assert verify(other, sample=5).mismatches == 0

    @pytest.mark.parametrize("name", ["fov_deg", "radius_m", "arc"])
    def test_parameters_missing(self, labels: Path, name: str) -> None:
        """A parameter that the oracle needs is asked for by name."""
        params = {**LabelFile(labels)["amman"].params, name: "per camera"}
        changed(labels, lambda _: None, params=params)
        with pytest.raises(InputError, match=f"do not hold {name}"):
            verify(labels)

    def test_damaged(self, labels: Path) -> None:
        """A file that is not valid is not worth recomputing."""
        import h5py

        with h5py.File(labels, "r+") as file:
            file["amman/similarity/data"][0] = 0.25
        with pytest.raises(LabelFileError, match=r"x\.h5: is damaged .* `relabel validate`"):
            verify(labels)

    def test_no_file(self, tmp_path: Path) -> None:
        """A file that is not there is named."""
        with pytest.raises(MissingFileError, match=r"x\.h5"):
            verify(tmp_path / "x.h5")

    def test_empty_sample(self, labels: Path) -> None:
        """Nothing can be said from no pair."""
        with pytest.raises(OptionError, match="sample is 0"):
            verify(labels, sample=0)
