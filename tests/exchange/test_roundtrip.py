"""What an export with values says comes back through the import: keys, values, shape, and which cameras are known."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.errors import InputError
from relabel.exchange.camera_files import CameraFiles
from relabel.exchange.exporting import export
from relabel.exchange.importing import load
from relabel.labelfile import LabelFile, validate
from relabel.similarity import Similarity, gather
from tests.similarities import similarity

FILES: dict[str, str] = {
    "gcl": "c_gt.h5",
    "condensed": "c_gt.h5",
    "csv": "c.csv",
    "parquet": "c.parquet",
    "npz": "c.npz",
    "pairs": "c-pairs-scores.txt",
}
STRANGE = [
    "a\tb",
    "a\nb",
    "a\rb",
    'say "a"',
    "a,b",
    " a ",
    "#a",
    "\ufeffa",
    "\u202eabc\u202c",
    "k" * 10_000,
    "\u2028",
    "é",
]
"""Keys that a text format has to quote, or a reader might strip, split or take for something else."""
WITH_STATUS = ("csv", "parquet", "npz")


def back(psi: Similarity, form: str, folder: Path) -> Similarity:
    """Exported, imported, written as a label file and read again."""
    export({"c": psi}, form, folder)
    cameras = CameraFiles()
    if form == "pairs":
        names = folder / "queries.txt", folder / "database.txt"
        for file, side in zip(names, (psi.collection.query, psi.collection.database), strict=True):
            file.write_text("".join(f"{key}\n" for key in side.key))
        cameras = CameraFiles(names[0], None if psi.collection.self_pairs else names[1])
    imported = load(form, folder / FILES[form], measure="iou", cameras=cameras, self_pairs=psi.collection.self_pairs)
    target = imported.write(folder / "back.h5")
    assert validate(target, "content").valid
    return LabelFile(target)["c"].to_similarity()


class TestRoundTrip:
    """relabel.exchange.exporting.export, relabel.exchange.importing.load"""

    @pytest.mark.parametrize("form", FILES)
    @settings(max_examples=8)
    @given(
        n=st.integers(0, 9),
        m=st.integers(0, 9),
        seed=st.integers(0, 2**32 - 1),
        density=st.floats(0.0, 1.0),
        self_pairs=st.booleans(),
    )
    def test_same_labels(self, form: str, n: int, m: int, seed: int, density: float, self_pairs: bool) -> None:
        """Keys and their order, every value bit for bit, and the shape; formats with a status keep what is unknown."""
        psi = similarity(n, m, seed=seed, density=density, self_pairs=self_pairs or form == "condensed")
        with tempfile.TemporaryDirectory() as folder:
            restored = back(psi, form, Path(folder))
        for side in ("query", "database"):
            mine, theirs = getattr(psi.collection, side), getattr(restored.collection, side)
            assert mine.key.tolist() == theirs.key.tolist()
            if form in WITH_STATUS:
                np.testing.assert_array_equal(mine.status, theirs.status)
                np.testing.assert_array_equal(mine.heading_deg, theirs.heading_deg)
            if form in (*WITH_STATUS, "gcl"):
                np.testing.assert_array_equal(mine.position, theirs.position[:, :2])
        np.testing.assert_array_equal(restored.matrix.toarray(), psi.matrix.toarray())
        c = restored.collection
        assert (c.method, c.measure, c.self_pairs) == ("imported", "iou", psi.collection.self_pairs)

    @pytest.mark.parametrize("form", ["csv", "parquet", "npz"])
    def test_extents_too(self, form: str, tmp_path: Path) -> None:
        """Formats with a camera table keep extents, so the measure still converts."""
        psi = similarity(8, 9, seed=4)
        restored = back(psi, form, tmp_path)
        np.testing.assert_array_equal(restored.collection.query_extent, psi.collection.query_extent)
        np.testing.assert_array_equal(
            restored.to_measure("overlap").matrix.toarray(), psi.to_measure("overlap").matrix.toarray()
        )

    @pytest.mark.parametrize("form", ["gcl", "condensed"])
    @pytest.mark.parametrize("gzip", [False, True])
    def test_without_the_unknown(self, form: str, gzip: bool, tmp_path: Path) -> None:
        """Left out cameras are left out of index and matrix alike, and all others keep their values."""
        psi = similarity(30, 25, seed=5, self_pairs=form == "condensed")
        export({"c": psi}, form, tmp_path, drop_unknown=True, gzip=gzip)
        restored = load(form, tmp_path / FILES[form], measure="iou").source
        c = psi.collection
        assert not (c.query.ok.all() and c.database.ok.all())
        assert restored.collection.query.key.tolist() == c.query.key[c.query.ok].tolist()
        expected = psi.matrix.toarray()[np.ix_(c.query.ok, c.database.ok)]
        np.testing.assert_array_equal(gather(restored).matrix.toarray(), expected)

    def test_small_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """How rows are cut into blocks, in writing and in reading, makes no difference."""
        monkeypatch.setattr("relabel.exchange.gcl._BLOCK_VALUES", 40)
        for form in ("gcl", "condensed"):
            psi = similarity(17, 13, seed=6, self_pairs=form == "condensed")
            (tmp_path / form).mkdir()
            restored = back(psi, form, tmp_path / form)
            np.testing.assert_array_equal(restored.matrix.toarray(), psi.matrix.toarray())

    @pytest.mark.parametrize("form", ["csv", "parquet", "npz", "condensed"])
    def test_keys_are_never_altered(self, form: str, tmp_path: Path) -> None:
        """Tabs, line breaks, quotes, marks of direction and 10 kB come back as they were."""
        psi = similarity(len(STRANGE), seed=3, density=0.9, self_pairs=True, faults=False)
        query = replace(psi.collection.query, key=np.array(STRANGE))
        psi = Similarity(replace(psi.collection, query=query, database=query), psi.matrix)
        again = back(psi, form, tmp_path)
        assert again.collection.query.key.tolist() == STRANGE
        np.testing.assert_array_equal(again.matrix.toarray(), psi.matrix.toarray())

    def test_keys_of_a_list(self, tmp_path: Path) -> None:
        """A key a line is all of the line: no blank is stripped, and only line feeds end a line."""
        keys = [key for key in STRANGE if not {"\n", "\r"} & set(key) and not key.startswith("\ufeff")]
        psi = similarity(len(keys), seed=3, density=0.9, self_pairs=True, faults=False)
        export({"c": psi}, "npz", tmp_path)
        (tmp_path / "keys.txt").write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")
        imported = load("npz", tmp_path / "c.npz", measure="iou", cameras=CameraFiles(tmp_path / "keys.txt"))
        assert imported.source.collection.query.key.tolist() == keys

    def test_a_hash_before_a_key(self, tmp_path: Path) -> None:
        """A key that begins with # is no comment."""
        (tmp_path / "p.txt").write_text("# made by hand\n#a b 0.5\n")
        imported = load("pairs", tmp_path / "p.txt", measure="iou")
        assert imported.source.collection.query.key.tolist() == ["#a"]

    @pytest.mark.parametrize("key", ["a\0", "a\0b"])
    def test_a_nul(self, key: str, tmp_path: Path) -> None:
        """No label file can hold it, and numpy drops it at the end of a text: refused wherever a key is read."""
        (tmp_path / "c.csv").write_text(f"query,database,value\nq,d,0.5\n{key},d,0.5\n")
        (tmp_path / "p.txt").write_text(f"q d 0.5\n{key} d 0.5\n")
        pa.parquet.write_table(pa.table({"query": [key], "database": ["d"], "value": [0.5]}), tmp_path / "c.parquet")
        pa.parquet.write_table(pa.table({"key": [key]}), tmp_path / "keys.parquet")
        (tmp_path / "keys.txt").write_text(f"q\n{key}\n")
        (tmp_path / "keys.json").write_text(json.dumps({"im_paths": ["q", key]}))
        with pytest.raises(InputError, match=r"c\.csv: line 3, column 'query': .* NUL"):
            load("csv", tmp_path / "c.csv", measure="iou")
        with pytest.raises(InputError, match=r"c\.parquet: row 0 .* NUL"):
            load("parquet", tmp_path / "c.parquet", measure="iou")
        with pytest.raises(InputError, match=r"p\.txt: .* NUL"):
            load("pairs", tmp_path / "p.txt", measure="iou")
        export({"c": similarity(2, seed=1, density=1.0, self_pairs=True, faults=False)}, "npz", tmp_path)
        for names in ("keys.txt", "keys.json", "keys.parquet"):
            with pytest.raises(InputError, match=rf"{names}: .* NUL"):
                load("npz", tmp_path / "c.npz", measure="iou", cameras=CameraFiles(tmp_path / names))
