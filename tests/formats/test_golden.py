"""The golden files: their recipe, their faults, and that they say what the recipe put in."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from formats.golden import recipe_v1_0 as recipe
from formats.golden.make import RECIPES, libraries
from relabel import fov
from relabel.cameras import Status
from relabel.errors import LabelFileError
from relabel.labelfile import LabelFile, pack, schema, validate
from relabel.similarity import Similarity
from tests.conftest import REPOSITORY
from tests.labelfile.sources import assert_same

GOLDEN = REPOSITORY / "formats" / "golden"
FOLDER = GOLDEN / "v1.0"
GOOD = sorted(path.name for path in FOLDER.glob("*.h5"))
FINDINGS: dict[str, dict[str, str]] = json.loads((FOLDER / "broken" / "findings.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden files of version 1.0, made again by the script."""
    folder = tmp_path_factory.mktemp("golden")
    subprocess.run([sys.executable, GOLDEN / "make.py", "v1.0", folder], check=True, cwd=folder, timeout=120)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def digests(path: Path) -> list[str]:
    """All digests that a file carries, which depend on its content alone; its bytes where it is no HDF5."""
    found = []
    try:
        with h5py.File(path) as file:
            file.visititems(lambda _, node: found.append(str(node.attrs.get("content_sha256"))))
            return [str(file.attrs.get("content_sha256")), *found]
    except OSError:
        return [path.suffix]


class TestRecipe:
    def test_makes_the_same_files(self, made: Path) -> None:
        """The same names, findings and content; with the libraries that made the golden files, the same bytes."""
        assert [n for n in names(made) if n != "README.md"] == [n for n in names(FOLDER) if n != "README.md"]
        same = json.loads((FOLDER / "made-with.json").read_text(encoding="utf-8")) == libraries()
        for name in names(made):
            if name.endswith("manifest.json") and not same:
                continue  # the manifest has digests of the bytes of shards
            if name.endswith(".h5") and not same:
                assert digests(made / name) == digests(FOLDER / name), name
            elif name != "made-with.json" and (same or name != "SHA256SUMS"):
                assert (made / name).read_bytes() == (FOLDER / name).read_bytes(), name

    def test_does_not_depend_on_the_version_of_relabel(self, made: Path, tmp_path: Path) -> None:
        """Files that a later relabel of a later format makes by the recipe are those of version 1.0."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema, "WRITER", "relabel 9.9")
            patch.setattr(schema, "FORMAT_VERSION", "1.9")
            recipe.make(tmp_path)
        for name in GOOD:
            assert (tmp_path / name).read_bytes() == (made / name).read_bytes(), name

    def test_sums(self) -> None:
        """SHA256SUMS names all files with the digests that they have: nothing has been changed since its release."""
        lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
        listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
        files = [name for name in names(FOLDER) if name.endswith((".h5", "manifest.json"))]
        assert listed == {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in files}

    def test_every_version_has_a_recipe(self) -> None:
        """Each folder of golden files can be made again, and the version that is written now has one."""
        assert sorted(path.name for path in GOLDEN.glob("v*") if path.is_dir()) == sorted(RECIPES)
        assert f"v{schema.FORMAT_VERSION}" in RECIPES

    def test_files_are_small(self) -> None:
        """No file is larger than 80 kB."""
        assert max(path.stat().st_size for path in FOLDER.rglob("*")) < 80_000

    @pytest.mark.parametrize("arguments", [[], ["v0.9", "x"]])
    def test_usage(self, arguments: list[str]) -> None:
        """Other arguments than a known version and a folder are answered with the usage."""
        done = subprocess.run([sys.executable, GOLDEN / "make.py", *arguments], capture_output=True, text=True)  # noqa: PLW1510
        assert done.returncode == 1
        assert done.stderr == "usage: python formats/golden/make.py v1.0 DIR\n"


class TestGood:
    @pytest.mark.parametrize("name", GOOD)
    def test_is_valid(self, name: str) -> None:
        """Nothing is found in a valid file, but that a newer one holds more than can be checked."""
        found = [(f.severity, f.message) for f in validate(FOLDER / name).findings]
        if name == "newer-minor.h5":
            assert [severity for severity, _ in found] == ["warning"]
            assert "newer minor version" in found[0][1]
        else:
            assert found == []

    @pytest.mark.parametrize("name", GOOD)
    def test_says_what_the_recipe_put_in(self, name: str) -> None:
        """Cameras, parameters and pairs are read as they were given."""
        sources = {"newer-minor.h5": recipe.city, "other-writer.h5": recipe.scene, **recipe.SOURCES}[name]()
        labels = LabelFile(FOLDER / name)
        assert sorted(labels) == sorted(sources)
        assert labels.writer == recipe.WRITER
        assert labels.provenance() == [recipe.RECORD]
        for collection, source in sources.items():
            found = labels[collection].to_similarity()
            if name == "newer-minor.h5":
                assert labels[collection].method == "fov-cone"
                found = as_old(found)
            assert_same(found, source)

    def test_shards_are_the_whole(self, tmp_path: Path) -> None:
        """The folder, which the recipe cut by code of its own, is valid, read like the files, and packed to them."""
        labels = LabelFile(FOLDER / "sharded.labels")
        assert validate(FOLDER / "sharded.labels").findings == []
        assert sorted(labels) == sorted(recipe.SHARDED)
        assert labels.provenance() == [recipe.RECORD]
        for name, (source, _) in recipe.SHARDED.items():
            assert_same(labels[name].to_similarity(), source()[name])
        names_of_scene = [name for name in labels if name.startswith("redkitchen")]
        scene = pack(tmp_path / "scene.h5", {name: labels[name] for name in names_of_scene})
        for name in names_of_scene:
            assert LabelFile(scene)[name].content_sha256 == LabelFile(FOLDER / "scene.h5")[name].content_sha256

    def test_all_that_the_format_has(self) -> None:
        """Methods, measures, statuses, types of columns, empty rows and nested names are all there."""
        stored = [labels[name] for file in GOOD for labels in [LabelFile(FOLDER / file)] for name in labels]
        assert {s.measure for s in stored} == {"iou", "overlap", "dice", "unknown"}
        assert {s.method for s in stored} >= {"fov-sector", "fov-polygon", "surface", "imported"}
        assert any("/" in s.name for s in stored)
        assert {s.self_pairs for s in stored if s.measure == "overlap"} == {True}
        city = LabelFile(FOLDER / "city.h5")["amman"]
        assert set(city.query.status.tolist()) == {int(status) for status in Status}
        assert any(not len(city.row_block(int(row)).data) for row in np.flatnonzero(city.query.ok))
        kinds = {column.dtype.str[1:] for column in LabelFile(FOLDER / "columns.h5")["columns"].query.extra.values()}
        assert {kind for kind in kinds if kind[0] != "U"} == {f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)} | {
            "b1", "f2", "f4", "f8"
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["city", "polygon", "overlap", "columns"])
    def test_labels_are_true(self, name: str) -> None:
        """The values of the recipe, made by arithmetic, are those that are computed from the cameras."""
        for source in getattr(recipe, name)().values():
            c = source.collection
            shape = c.params["shape"]
            computed = fov.overlap(c.query, c.database, shape=shape, measure=c.measure)
            np.testing.assert_allclose(source.matrix.toarray(), computed.matrix.toarray(), atol=1e-6)
            np.testing.assert_allclose(c.query_extent, computed.collection.query_extent, rtol=1e-12)
            np.testing.assert_allclose(c.database_extent, computed.collection.database_extent, rtol=1e-12)
            assert computed.collection.params.items() <= c.params.items()


def as_old(found: Similarity) -> Similarity:
    """A newer file's collection without what the newer version added."""
    c = found.collection
    c.query.extra.pop("tilt_deg")  # type: ignore[attr-defined]
    object.__setattr__(c, "method", "fov-sector")
    return found


class TestBroken:
    def test_findings_are_listed_for_all(self) -> None:
        """Every broken file is in the table and the other way round."""
        assert sorted(FINDINGS) == sorted(path.name for path in (FOLDER / "broken").glob("*.h5"))

    @pytest.mark.parametrize("name", sorted(FINDINGS))
    def test_is_found(self, name: str) -> None:
        """Exactly the one finding of the table, as an error at its level and place, and nothing above that level."""
        path, expected = FOLDER / "broken" / name, FINDINGS[name]
        (finding,) = validate(path).findings
        assert (finding.level, finding.severity, finding.path) == (expected["level"], "error", expected["path"])
        assert expected["message"] in finding.message
        above = {"header": None, "structure": "header", "content": "structure"}[expected["level"]]
        if above:
            assert validate(path, above).findings == []

    @pytest.mark.parametrize("name", sorted(FINDINGS))
    def test_reading_it_never_surprises(self, name: str) -> None:
        """The reader gives the content or a `LabelFileError`; a file whose header is broken is refused."""
        path = FOLDER / "broken" / name

        def read() -> Any:
            return [labels[each].to_similarity() for labels in [LabelFile(path)] for each in labels]

        if FINDINGS[name]["level"] == "header":
            with pytest.raises(LabelFileError, match=name):
                read()
        else:
            try:
                read()
            except LabelFileError as error:
                assert name in str(error)  # noqa: PT017
