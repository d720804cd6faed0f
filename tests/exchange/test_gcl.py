"""Dense files against what the GCL loaders do with them, written again independently."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import squareform

from relabel.errors import InputError, OutputError, OutputExistsError
from relabel.exchange.exporting import export
from relabel.exchange.gcl_index import index_of, read_index
from relabel.exchange.importing import load
from relabel.exchange.known_cameras import unknown_pairs
from relabel.similarity import Similarity
from tests.similarities import similarity


class City(NamedTuple):
    """What the MSLS loader knows of a city."""

    queries: list[str]
    database: list[str]
    rows: list[np.ndarray]
    binary: list[np.ndarray]


def as_the_loader_reads(root: str, city: str) -> City:
    """Names from the two indices, counts from the shape of fov, and one row at a time."""
    names = [json.loads(Path(f"{root}train_val/{city}/{side}.json").read_text()) for side in ("query", "database")]
    with h5py.File(f"{root}train_val/{city}_gt.h5", "r") as file:
        count = file["fov"].shape[0]
        rows = [file["fov"][i, :] for i in range(count)]
        binary = [file["sim"][i, :] for i in range(count)]
    return City(names[0]["im_paths"], names[1]["im_paths"], rows, binary)


class TestWriteGcl:
    """relabel.exchange.gcl.write_gcl"""

    @pytest.fixture
    def psi(self) -> Similarity:
        return similarity(20, 30, seed=7)

    def test_as_gcl_reads_it(self, psi: Similarity, tmp_path: Path) -> None:
        """Bands drawn from a row are those of the matrix; a hard negative is 0 exactly, and 0.5 is a positive."""
        export({"amman": psi}, "gcl", tmp_path / "train_val")
        city = as_the_loader_reads(f"{tmp_path}/", "amman")
        dense = psi.matrix.toarray()
        keys = psi.collection.query.key, psi.collection.database.key
        assert city.queries == [f"train_val/amman/query/images/{key}.jpg" for key in keys[0]]
        assert city.database == [f"train_val/amman/database/images/{key}.jpg" for key in keys[1]]
        assert (dense == 0.5).any()
        for i, (row, binary) in enumerate(zip(city.rows, city.binary, strict=True)):
            assert row.dtype == np.float32
            np.testing.assert_array_equal(np.flatnonzero(row >= 0.5), np.flatnonzero(dense[i] >= 0.5))
            np.testing.assert_array_equal(row[(row > 0) & (row < 0.5)], dense[i][(dense[i] > 0) & (dense[i] < 0.5)])
            np.testing.assert_array_equal(row == 0, dense[i] == 0)
            np.testing.assert_array_equal(binary == 1, dense[i] >= 0.5)
            np.testing.assert_array_equal(binary == 0, dense[i] < 0.5)

    def test_chunked_by_row(self, psi: Similarity, tmp_path: Path) -> None:
        """A row, the unit in which the loader reads, is one chunk."""
        export({"amman": psi}, "gcl", tmp_path)
        with h5py.File(tmp_path / "amman_gt.h5") as file:
            assert all(file[name].chunks == (1, 30) and file[name].compression is None for name in ("fov", "sim"))

    def test_location(self, psi: Similarity, tmp_path: Path) -> None:
        """loc is east, north and compass angle; the file is JSON without NaN."""
        export({"amman": psi}, "gcl", tmp_path)

        def refused(text: str) -> float:
            raise AssertionError(text)

        index = json.loads((tmp_path / "amman/query.json").read_text(), parse_constant=refused)
        cameras = psi.collection.query
        expected = np.column_stack([cameras.position, cameras.heading_deg])
        np.testing.assert_array_equal(np.array(index["loc"], float), expected)
        assert index["im_prefix"] == ""

    def test_rows_of_panoramas(self, psi: Similarity, tmp_path: Path) -> None:
        """Without the unknown there is a raw.csv of as many rows, in which the loader finds no panorama."""
        export({"amman": psi}, "gcl", tmp_path / "train_val", drop_unknown=True)
        city = as_the_loader_reads(f"{tmp_path}/", "amman")
        for side, count in (("query", len(city.rows)), ("database", len(city.rows[0]))):
            path = tmp_path / "train_val/amman" / side / "raw.csv"
            panorama = np.genfromtxt(path, dtype=bool, skip_header=1, delimiter=",")[:, -1]
            assert panorama.shape == (count,)
            assert not panorama.any()

    def test_a_raw_csv_of_any_keys(self, tmp_path: Path) -> None:
        """Commas, quotes and line breaks stay in their cell; pandas, with which GCL reads the file, gets the keys."""
        keys = ["a,b", 'say "a"', "a\nb", "a\rb", "plain"]
        psi = similarity(5, 5, seed=2, faults=False)
        query = replace(psi.collection.query, key=np.array(keys))
        psi = Similarity(replace(psi.collection, query=query), psi.matrix)
        export({"c": psi}, "gcl", tmp_path, drop_unknown=True)
        table = pd.read_csv(tmp_path / "c" / "query" / "raw.csv", index_col=0)
        assert table["key"].tolist() == keys
        assert table["pano"].tolist() == [False] * 5

    def test_a_raw_csv_is_sacred(self, psi: Similarity, tmp_path: Path) -> None:
        """A raw.csv that is there may be the dataset's own: not even overwriting touches it, nothing is written."""
        theirs = tmp_path / "amman/query/raw.csv"
        theirs.parent.mkdir(parents=True)
        theirs.write_text("precious")
        with pytest.raises(OutputExistsError, match=r"raw\.csv.*not replaced"):
            export({"amman": psi}, "gcl", tmp_path, drop_unknown=True, overwrite=True)
        assert theirs.read_text() == "precious"
        assert not (tmp_path / "amman_gt.h5").exists()

    def test_says_how_many_unknown_become_zero(self, psi: Similarity, tmp_path: Path) -> None:
        """The count of unknown pairs is that of all pairs with a camera that is not ok."""
        known = np.outer(psi.collection.query.ok, psi.collection.database.ok)
        assert unknown_pairs(psi.collection) == (~known).sum() > 0
        notes = " ".join(export({"amman": psi}, "gcl", tmp_path).notes)
        assert f"{(~known).sum():,} pairs are unknown" in notes
        assert "measure" in notes

    def test_what_cannot_fit(self, psi: Similarity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Too large a file is refused before anything is written, with the bytes that it would take."""
        with pytest.raises(OutputError, match=r"3,000 bytes when dense.*2,999 are allowed.*gzip=True"):
            export({"amman": psi}, "gcl", tmp_path / "deep/er", max_bytes=2999)
        usage = shutil.disk_usage(tmp_path)._replace(free=2000)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        with pytest.raises(OutputError, match="2,000 are free there"):
            export({"amman": psi}, "gcl", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_gzip_over_the_limit(self, psi: Similarity, tmp_path: Path) -> None:
        """A compressed file is measured while it grows; one that grows too large is not left behind."""
        with pytest.raises(OutputError, match="more than the 100 bytes"):
            export({"amman": psi}, "gcl", tmp_path, gzip=True, max_bytes=100)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    def test_existing_files_stay(self, psi: Similarity, tmp_path: Path) -> None:
        """One file that is there stops the export before the first is written."""
        (tmp_path / "amman").mkdir()
        (tmp_path / "amman/database.json").write_text("mine")
        with pytest.raises(OutputExistsError, match=r"database\.json.*overwrite=True"):
            export({"amman": psi}, "gcl", tmp_path)
        assert not (tmp_path / "amman_gt.h5").exists()
        export({"amman": psi}, "gcl", tmp_path, overwrite=True)
        assert "im_paths" in (tmp_path / "amman/database.json").read_text()


class TestWriteCondensed:
    """relabel.exchange.gcl.write_condensed"""

    @pytest.mark.parametrize("gzip", [False, True])
    def test_as_the_siamese_loader_reads_it(self, gzip: bool, tmp_path: Path) -> None:
        """Flattened and squared it is the matrix, with a diagonal of zeros, in the order of im_paths."""
        psi = similarity(23, seed=8, self_pairs=True)
        export({"chess/train": psi}, "condensed", tmp_path, gzip=gzip)
        with h5py.File(tmp_path / "chess-train_gt.h5") as file:
            fov, sim = (squareform(file[name][:].flatten().astype(float)) for name in ("fov", "sim"))
        dense = psi.matrix.toarray()
        np.testing.assert_array_equal(fov.astype(np.float32), dense)
        np.testing.assert_array_equal(sim == 1, dense >= 0.5)
        names = json.loads((tmp_path / "chess-train.json").read_text())["im_paths"]
        assert names == psi.collection.query.key.tolist()

    def test_one_half_is_never_drawn(self, tmp_path: Path) -> None:
        """The loader wants more than 0.5; how many pairs have 0.5 exactly is said."""
        psi = similarity(23, seed=8, density=0.9, self_pairs=True)
        halves = np.triu(psi.matrix.toarray() == 0.5).sum()
        assert halves > 0
        assert any(f"{halves} pairs have ψ = 0.5" in note for note in export({"c": psi}, "condensed", tmp_path).notes)

    def test_two_sides(self, tmp_path: Path) -> None:
        """Queries apart from the database have no condensed form."""
        with pytest.raises(InputError, match="export it to gcl"):
            export({"c": similarity()}, "condensed", tmp_path)

    def test_two_values_a_pair(self, tmp_path: Path) -> None:
        """Overlap that differs between the directions is refused, overlap that does not is taken."""
        psi = similarity(9, seed=1, self_pairs=True)
        collection = replace(psi.collection, measure="overlap")
        export({"c": Similarity(collection, psi.matrix)}, "condensed", tmp_path)
        lopsided = psi.matrix.copy()
        lopsided.data[0] /= 2
        with pytest.raises(InputError, match="measure='iou'"):
            export({"d": Similarity(collection, lopsided)}, "condensed", tmp_path)


class TestIndex:
    """relabel.exchange.gcl_index"""

    def test_poses(self, tmp_path: Path) -> None:
        """Poses become position and quaternion, scalar first, and come back; a missing one stays missing."""
        from scipy.spatial.transform import Rotation

        rng = np.random.default_rng(0)
        pose = np.tile(np.eye(4), (6, 1, 1))
        pose[:, :3, :3] = Rotation.random(6, random_state=1).as_matrix()
        pose[:, :3, 3] = rng.normal(size=(6, 3))
        pose[2] = np.nan
        cameras = replace(similarity(6, 1, faults=False).collection.query, pose=pose)
        index = index_of(cameras, cameras.key, poses=True)
        (tmp_path / "index.json").write_text(json.dumps(index, allow_nan=False))
        restored = read_index(tmp_path / "index.json", "path")
        assert restored.pose is not None
        np.testing.assert_allclose(restored.pose, pose, atol=1e-12)
        x, y, z, w = Rotation.from_matrix(pose[0, :3, :3]).as_quat(canonical=True)
        np.testing.assert_allclose(index["poses"][0], [*pose[0, :3, 3], w, x, y, z])

    @pytest.mark.parametrize("form", ["gcl", "condensed"])
    def test_keys_come_back(self, form: str, tmp_path: Path) -> None:
        """Those that are neither stem nor path of an image are in the index; the others need no list of their own."""
        plain = similarity(4, self_pairs=form == "condensed", faults=False)
        for keys, listed in ((["a", "b", "c", "d"], form == "condensed"), (["a/1.png", "b.c", " d ", "e,f\tg"], True)):
            query = replace(plain.collection.query, key=np.array(keys), extra={"path": np.array([*"wxyz"])})
            database = query if form == "condensed" else plain.collection.database
            source = Similarity(replace(plain.collection, query=query, database=database), plain.matrix)
            folder = tmp_path / f"{listed}{keys[0][0]}{len(keys[0])}"
            export({"c": source}, form, folder, image_path="{key}.jpg" if form == "gcl" else None)
            index = folder / ("c/query.json" if form == "gcl" else "c.json")
            content = json.loads(index.read_text())
            assert ("keys" in content) == listed
            imported = load(form, folder / "c_gt.h5", measure="iou").source.collection
            assert imported.query.key.tolist() == keys
            assert read_index(index, "stem", "path").key.tolist() == content["im_paths"]

    def test_keys(self, tmp_path: Path) -> None:
        """A key is the stem of the file name or the path as it stands."""
        path = tmp_path / "i.json"
        path.write_text(json.dumps({"im_prefix": "/x", "im_paths": ["a/b/k.1.jpg", "a/c/l.jpg"]}))
        assert read_index(path, "stem").key.tolist() == ["k.1", "l"]
        assert read_index(path, "path").key.tolist() == ["a/b/k.1.jpg", "a/c/l.jpg"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "JSON"),
            ("[]", "im_paths"),
            ('{"im_paths": [1]}', "im_paths"),
            ('{"im_paths": ["a/k.jpg", "b/k.jpg"]}', "rows 0 and 1.*key_from=.path"),
            ('{"im_paths": ["a"], "loc": [[1, 2, 3], [4, 5, 6]]}', "2 rows.*has 1"),
            ('{"im_paths": ["a"], "loc": [["x", 2, 3]]}', "3 numbers"),
            ('{"im_paths": ["a", "b"], "keys": ["a"]}', "'keys' is not a list of 2 names"),
            ('{"im_paths": ["a"], "keys": [1]}', "'keys' is not a list of 1 names"),
            ('{"im_paths": ["a", "b"], "keys": ["c", "c"]}', "rows 0 and 1"),
        ],
    )
    def test_broken(self, text: str, message: str, tmp_path: Path) -> None:
        """An index that is none is refused by name."""
        path = tmp_path / "i.json"
        path.write_text(text)
        with pytest.raises(InputError, match=rf"i\.json.*{message}"):
            read_index(path, "stem")
