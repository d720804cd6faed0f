"""The reader that anybody may copy reads what relabel's own reader does, from all golden files."""

from __future__ import annotations

import ast
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.read_label_file import Labels, collections, convert
from relabel import measures
from relabel.excluded_pairs import ExcludedPairs
from relabel.labelfile import LabelFile, StoredCollection, write
from tests.conftest import REPOSITORY
from tests.similarities import similarity

SCRIPT = REPOSITORY / "formats" / "read_label_file.py"
FOLDER = REPOSITORY / "formats" / "golden" / "v1.0"
GOOD = sorted(path.name for path in FOLDER.glob("*.h5"))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=60)  # noqa: PLW1510


def expected(stored: StoredCollection, measure: Any = None) -> np.ndarray:
    """ψ of all pairs: 0 for true negatives, NaN where it is unknown, 1 for a camera with itself."""
    dense = (stored if measure is None else stored.in_measure(measure)).to_scipy().toarray().astype(float)
    dense[~stored.query.ok] = np.nan
    dense[:, ~stored.database.ok] = np.nan
    if stored.self_pairs:
        np.fill_diagonal(dense, np.where(stored.query.ok, 1.0, np.nan))
    return dense


class TestScript:
    def test_is_short_and_stands_alone(self) -> None:
        """Fewer than 100 lines, and nothing imported but h5py, NumPy and what Python has."""
        text = SCRIPT.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 100
        imported = [alias.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import) for alias in n.names]
        assert sorted(imported) == ["h5py", "json", "numpy", "sys"]
        assert not [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)]

    def test_prints_collections(self) -> None:
        """Without more, all collections are described."""
        done = run(FOLDER / "scene.h5")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [line.split(":")[0] for line in lines] == ["redkitchen/test-train", "redkitchen/train"]
        assert "3 x 6 cameras" in lines[0]
        assert "'measure': 'iou'" in lines[0]

    def test_prints_matches(self) -> None:
        """With a key, its matches best first, and how many others are negative and unknown."""
        done = run(FOLDER / "city.h5", "amman", "q-höhe")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1:] == [
            f"{70 / 110:.6f}  d-hill-10",
            f"{20 / 160:.6f}  d-hill-60",
            "4 true negatives, 2 unknown",
        ]

    def test_usage(self) -> None:
        """Without a file it says how it is called."""
        done = run()
        assert done.returncode == 1
        assert "python read_label_file.py FILE [COLLECTION [KEY]]" in done.stderr


@pytest.mark.parametrize("name", ["excluded.h5", "city.h5", "scene.h5"])
def test_excluded_pairs(name: str) -> None:
    """Those that the text excludes, decided pair by pair; the reader of the package says the same."""
    for stored in LabelFile(FOLDER / name).values():
        labels, c = Labels(FOLDER / name, stored.name), stored.collection
        excluded = np.array([labels.excluded(row) for row in range(stored.shape[0])])
        for (i, j), out in np.ndenumerate(excluded):
            a, b = ({n: v[k] for n, v in side.extra.items()} for side, k in ((c.query, i), (c.database, j)))
            one = a.get("sequence") == b.get("sequence") and a.get("sequence") != ""
            near = {
                "other_sequence": one,
                "min_frame_gap": one
                and abs(a.get("frame", 0) - b.get("frame", 0)) < stored.params.get("min_frame_gap", 0),
                "min_time_gap_s": one
                and abs(a.get("time_s", 0) - b.get("time_s", 0)) < stored.params.get("min_time_gap_s", 0),
            }
            assert out == any(near[rule] for rule in near if rule in stored.params), (stored.name, i, j)
        if c.exclusion:
            rows, columns = np.indices(excluded.shape)
            assert (ExcludedPairs(c.exclusion, c.query, c.database).holds(rows, columns) == excluded).all()
            assert excluded[~np.eye(len(excluded), dtype=bool)].any()


class TestCollections:
    @pytest.mark.parametrize(
        ("name", "match"),
        [
            ("version-newer-major", "has format version 2.0; this reader knows version 1"),
            ("version-0", "has format version 0.9; this reader knows version 1"),
            ("complete-0", "was not written to its end"),
            ("complete-missing", "was not written to its end"),
            ("format-missing", "is no label file"),
            ("format-other", "is no label file"),
        ],
    )
    def test_refuses(self, name: str, match: str) -> None:
        """What is no complete label file of a known version is refused with the reason."""
        with pytest.raises(ValueError, match=rf"{name}\.h5: .*{match}"):
            collections(FOLDER / "broken" / f"{name}.h5")

    @pytest.mark.parametrize("name", GOOD)
    def test_finds_all(self, name: str) -> None:
        """Nested names are told by their whole path, those of newer versions and other writers too."""
        assert collections(FOLDER / name) == list(LabelFile(FOLDER / name))


class TestLabels:
    def test_a_wrong_name(self) -> None:
        """The names that there are stand in the error."""
        with pytest.raises(ValueError, match=r"no collection 'x'; there are redkitchen/test-train, redkitchen/train"):
            Labels(FOLDER / "scene.h5", "x")

    @pytest.mark.parametrize("name", GOOD)
    def test_equals_the_other_reader(self, name: str) -> None:
        """Attributes, all columns, and what every pair of cameras has, absent ones included."""
        labels = LabelFile(FOLDER / name)
        for collection in labels:
            stored, found = labels[collection], Labels(FOLDER / name, collection)
            for attribute in ("method", "measure", "crs", "min_value", "symmetric", "self_pairs", "nnz"):
                assert found.attributes[attribute] == getattr(stored, attribute), attribute
            for side, cameras, extent in (
                (found.query, stored.query, stored.query_extent),
                (found.database, stored.database, stored.database_extent),
            ):
                assert side["key"].tolist() == cameras.key.tolist()
                assert ((side["status"] == 0) == cameras.ok).all()
                np.testing.assert_array_equal(side["position"][:, : cameras.position.shape[1]], cameras.position)
                np.testing.assert_array_equal(side["heading_deg"], cameras.heading_deg)
                np.testing.assert_array_equal(side["extent"], extent)
                assert side.keys() >= cameras.extra.keys()
            rows = np.array([found.row(row) for row in range(stored.shape[0])])
            np.testing.assert_array_equal(rows.reshape(stored.shape), expected(stored))

    @pytest.mark.parametrize("measure", measures.MEASURES)
    @pytest.mark.parametrize("name", [name for name in GOOD if name != "imported.h5"])
    def test_converts_like_the_other_reader(self, name: str, measure: measures.Measure) -> None:
        """In every measure, to the precision that is stored."""
        labels = LabelFile(FOLDER / name)
        for collection in labels:
            stored, found = labels[collection], Labels(FOLDER / name, collection)
            rows = np.array([found.row(row, measure) for row in range(stored.shape[0])])
            np.testing.assert_allclose(rows.reshape(stored.shape), expected(stored, measure), rtol=2e-7)

    def test_an_unknown_measure_stays_unknown(self) -> None:
        """Values of which nobody knows the measure are given, but not converted."""
        labels = Labels(FOLDER / "imported.h5", "london")
        assert np.nansum(labels.row(1)) > 0
        with pytest.raises(ValueError, match="unknown cannot become iou"):
            labels.row(1, "iou")

    def test_a_larger_file(self, tmp_path: Path) -> None:
        """Rows of a file of several chunks, masked cameras among them."""
        path = write(tmp_path / "a.h5", {"a": similarity(200, 250, density=0.5)})
        labels = Labels(path, "a")
        rows = np.array([labels.row(row) for row in range(200)])
        np.testing.assert_array_equal(rows, expected(LabelFile(path)["a"]))


class TestShards:
    @pytest.fixture
    def reader(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The module, which finds the other one beside it, as where both were copied to."""
        monkeypatch.syspath_prepend(SCRIPT.parent)
        return importlib.import_module("read_shards")

    def test_equals_the_other_reader(self, reader: Any) -> None:
        """What every pair has is the same, also with self pairs."""
        labels = LabelFile(FOLDER / "sharded.labels")
        for name, stored in labels.items():
            found = reader.ShardedLabels(FOLDER / "sharded.labels", name)
            rows = np.array([found.row(row) for row in range(stored.shape[0])])
            np.testing.assert_array_equal(rows, expected(stored))
            assert found.query["key"].tolist() == stored.query.key.tolist()
            assert found.attributes["nnz"] == stored.nnz == len(found.values)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda shards: shards.pop(0), "other rows"),
            (lambda shards: shards.pop(), "end with row"),
            (lambda shards: shards[0].update(bytes=3), "is not the file"),
            (lambda shards: shards[0].update(content_sha256="0" * 64), "has other content"),
            (lambda shards: shards[0].update(path="../sharded.labels/amman-00000.h5"), "is not the file"),
        ],
    )
    def test_refuses(self, change: Any, match: str, reader: Any, tmp_path: Path) -> None:
        """What is not what the manifest says is not read."""
        folder = Path(shutil.copytree(FOLDER / "sharded.labels", tmp_path / "sharded.labels"))
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        change(manifest["collections"]["amman"]["shards"])
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        with pytest.raises(ValueError, match=match):
            reader.ShardedLabels(folder, "amman")


class TestConvert:
    @given(
        st.floats(1e-6, 1.0),
        st.floats(1.0, 1e6),
        st.floats(1.0, 1e6),
        st.sampled_from(measures.MEASURES),
        st.sampled_from(measures.MEASURES),
    )
    def test_equals_relabel(self, psi: float, a: float, b: float, source: Any, target: Any) -> None:
        """Any value of two cameras becomes the same in both."""
        values = tuple(np.array([x]) for x in (psi, a, b))
        np.testing.assert_allclose(
            convert(*values, source, target), measures.convert(*values, source, target), rtol=1e-12
        )
