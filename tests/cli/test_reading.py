"""info, ls, tree, stats, row, dump, validate: what they print for a small file."""

from __future__ import annotations

import csv
import fcntl
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import Result

import relabel
from relabel.report.stats import statistics
from relabel.similarity import Similarity
from tests.similarities import similarity

Runner = Callable[..., Result]


def json_of(result: Result) -> Any:
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file with the right ending and nothing else right."""
    path = tmp_path / "broken.h5"
    path.write_text("these are not labels\n")
    return path


class TestEveryReader:
    """What all commands that read a file have in common."""

    @pytest.mark.parametrize("command", ["info", "ls", "tree", "stats", "dump"])
    def test_names_a_file_that_is_none(self, run: Runner, broken: Path, command: str) -> None:
        """A file of another kind is refused by name."""
        result = run(command, broken)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "broken.h5" in result.stderr

    @pytest.mark.parametrize("command", ["info", "ls", "tree", "stats", "dump"])
    def test_names_a_file_that_is_not_there(self, run: Runner, tmp_path: Path, command: str) -> None:
        """A missing file is refused by name."""
        result = run(command, tmp_path / "missing.h5")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "missing.h5" in result.stderr

    @pytest.mark.parametrize("arguments", [["dump"], ["stats"], ["row", "q0000"]])
    def test_wrong_collection(self, run: Runner, labels: Path, arguments: list[str]) -> None:
        """A wrong name lists those that exist."""
        result = run(arguments[0], f"{labels}::oslo", *arguments[1:])
        assert result.exit_code == 1
        assert "amman" in result.stderr
        assert "redkitchen/train" in result.stderr

    @pytest.mark.parametrize("arguments", [["dump"], ["row", "q0000"]])
    def test_collection_left_out(self, run: Runner, labels: Path, one: Path, arguments: list[str]) -> None:
        """The collection may be left out where there is one, and is asked for where there are several."""
        assert run(arguments[0], one, *arguments[1:]).exit_code == 0
        result = run(arguments[0], labels, *arguments[1:])
        assert result.exit_code == 1
        assert "amman" in result.stderr
        assert "redkitchen/train" in result.stderr


class TestInfo:
    """relabel info"""

    def test_json(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """Exactly the keys of the contract."""
        found = json_of(run("info", labels, "--json"))
        assert found == {
            "format": "relabel.labels",
            "format_version": "1.0",
            "collections": [
                {
                    "name": name,
                    "method": "fov-sector",
                    "measure": "iou",
                    "shape": list(psi.shape),
                    "nnz": psi.matrix.nnz,
                    "min_value": 1e-6,
                    "symmetric": psi.collection.self_pairs,
                    "self_pairs": psi.collection.self_pairs,
                    "params": {"fov_deg": 90.0, "radius_m": 50.0},
                    "status": {
                        "queries": psi.collection.query.status_counts(),
                        "database": psi.collection.database.status_counts(),
                    },
                }
                for name, psi in similarities.items()
            ],
        }

    def test_text(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """One line a collection with its counts, and the cameras that are not ok."""
        result = run("info", labels)
        for name, psi in similarities.items():
            line = next(line for line in result.stdout.splitlines() if line.startswith(f"{name} "))
            assert f" {psi.matrix.nnz:,} " in line
            ok = int(psi.collection.query.ok.sum())
            assert f" {ok} of {psi.shape[0]} " in line
        assert "no_heading" in result.stdout


class TestLs:
    """relabel ls"""

    def test_names(self, run: Runner, labels: Path) -> None:
        """One name a line, or a list in JSON."""
        assert run("ls", labels).stdout.splitlines() == ["amman", "redkitchen/train"]
        assert json_of(run("ls", labels, "--json")) == {"collections": ["amman", "redkitchen/train"]}

    @pytest.mark.parametrize("side", ["queries", "database"])
    def test_keys(self, run: Runner, labels: Path, similarities: dict[str, Similarity], side: str) -> None:
        """A key a line, of all collections or of one, in the order of the file."""
        keys = {
            name: (psi.collection.query if side == "queries" else psi.collection.database).key.tolist()
            for name, psi in similarities.items()
        }
        assert run("ls", labels, "--side", side).stdout.splitlines() == [*keys["amman"], *keys["redkitchen/train"]]
        assert run("ls", f"{labels}::amman", "--side", side).stdout.splitlines() == keys["amman"]
        assert json_of(run("ls", f"{labels}::amman", "--side", side, "--json")) == {
            "collections": [{"name": "amman", side: keys["amman"]}]
        }


class TestTree:
    """relabel tree"""

    def test_needs_no_lock(self, run: Runner, labels: Path) -> None:
        """Some file systems have none; a file that another program has locked is read as well."""
        with labels.open("rb") as locked:
            fcntl.flock(locked, fcntl.LOCK_EX)
            assert run("tree", labels).exit_code == 0

    def test_every_dataset(self, run: Runner, labels: Path) -> None:
        """Each dataset of the file is there with its shape, each attribute with its name."""
        text = run("tree", labels).stdout
        with h5py.File(labels) as file:

            def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
                leaf = name.rsplit("/", 1)[-1]
                if isinstance(item, h5py.Dataset):
                    shape = ", ".join(map(str, item.shape))
                    assert f"{leaf}  ({shape})" in text
                for key in item.attrs:
                    assert f"@{key} = " in text

            file.visititems(visit)
        assert "@format = 'relabel.labels'" in text

    def test_the_same_group_twice(self, run: Runner, labels: Path) -> None:
        """The database of a self-paired collection is shown as what it is, a link."""
        assert "queries → /redkitchen/train/database" in run("tree", labels).stdout
        root = json_of(run("tree", labels, "--json"))
        kitchen = next(child for child in root["children"] if child["name"] == "redkitchen")
        (train,) = kitchen["children"]
        assert {"name": "queries", "kind": "link", "target": "/redkitchen/train/database"} in train["children"]

    def test_any_hdf5_file(self, run: Runner, tmp_path: Path) -> None:
        """A file that is no label file is shown too: empty datasets, long attributes, loops and dangling links."""
        path = tmp_path / "other.h5"
        with h5py.File(path, "w") as file:
            file["a/text"] = "ä"
            file["a/none"] = h5py.Empty("f8")
            file["a/loop"] = file["a"]
            file["a/kind"] = np.dtype("f4")
            file["gone"] = h5py.SoftLink("/nowhere")
            file.attrs["long"] = "x" * 500
            file.attrs["list"] = np.arange(3)
            file.attrs["bytes"] = np.bytes_(b"\xff")
        text = run("tree", path).stdout
        for part in ("text  ()  utf-8[any]", "none  empty", "loop → /a", "gone → nothing", "@list = [0, 1, 2]", "…"):
            assert part in text
        assert json_of(run("tree", path, "--json"))["attributes"]["long"] == "x" * 500


class TestStats:
    """relabel stats"""

    def test_json(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """Each collection with the figures that the library computes from memory."""
        found = json_of(run("stats", labels, "--json"))
        expected = [{"name": name, **statistics(psi).to_json()} for name, psi in similarities.items()]
        assert found == {"collections": expected}

    def test_one_collection(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """An address picks one; the limits are options."""
        (found,) = json_of(run("stats", f"{labels}::amman", "--near", "60", "--facing", "90", "--json"))["collections"]
        expected = statistics(similarities["amman"], near_m=60.0, facing_deg=90.0).to_json()
        assert found == {"name": "amman", **expected}

    def test_text(self, run: Runner, labels: Path) -> None:
        """A histogram with bars."""
        text = run("stats", labels).stdout
        assert "█" in text
        assert "queries without a positive" in text

    def test_bad_limit(self, run: Runner, labels: Path) -> None:
        """A limit that makes no sense is wrong usage."""
        result = run("stats", labels, "--near", "-3")
        assert result.exit_code == 2
        assert "near_m" in result.stderr


class TestRow:
    """relabel row"""

    @staticmethod
    def best(psi: Similarity, row: int) -> list[tuple[str, float]]:
        """Matches of one row by a plain sort: best first, equal ones in the order of the columns."""
        dense = psi.matrix.toarray()[row]
        columns = sorted(np.flatnonzero(dense).tolist(), key=lambda j: (-dense[j], j))
        return [(str(psi.collection.database.key[j]), float(str(dense[j]))) for j in columns]

    def test_json(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """Key and value of every match, best first, for every query that is ok."""
        psi = similarities["amman"]
        for i in np.flatnonzero(psi.collection.query.ok)[:8]:
            key = str(psi.collection.query.key[i])
            found = json_of(run("row", f"{labels}::amman", key, "--json"))
            expected = [{"key": k, "value": v} for k, v in self.best(psi, i)]
            assert found == {"key": key, "matches": expected}

    def test_top(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """Only the first few, of how many is said."""
        psi = similarities["amman"]
        row = int(np.argmax(np.diff(psi.matrix.indptr)))
        key = str(psi.collection.query.key[row])
        found = json_of(run("row", f"{labels}::amman", key, "--top", "2", "--json"))
        assert [match["key"] for match in found["matches"]] == [k for k, _ in self.best(psi, row)[:2]]
        text = run("row", f"{labels}::amman", key, "--top", "2").stdout.splitlines()
        assert text[0] == f"{key}: {len(self.best(psi, row))} matches, the best 2"
        assert len(text) == 4

    def test_text_shows_place_and_turn(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """Distance in metres and difference of headings, as computed by hand."""
        psi = similarities["amman"]
        row = int(np.argmax(np.diff(psi.matrix.indptr)))
        query, database = psi.collection.query, psi.collection.database
        lines = run("row", f"{labels}::amman", query.key[row]).stdout.splitlines()[2:]
        for line, (key, value) in zip(lines, self.best(psi, row), strict=True):
            j = int(np.flatnonzero(database.key == key)[0])
            metres = float(np.hypot(*(query.position[row] - database.position[j])))
            turn = abs(query.heading_deg[row] - database.heading_deg[j])
            turn = min(turn, 360.0 - turn)
            assert line.split() == [f"{value:.4f}", f"{metres:.1f}", "m", f"{turn:.0f}°", key]

    def test_a_query_that_is_not_ok(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """No match of it means unknown, which is said."""
        query = similarities["amman"].collection.query
        key = str(query.key[np.flatnonzero(~query.ok)[0]])
        result = run("row", f"{labels}::amman", key)
        assert result.exit_code == 0
        assert "unknown" in result.stderr

    @pytest.mark.parametrize("key", ["-VdxqGX8d8L_OiSEN5CtDw", "-q-v", "--json-like", "-top"])
    def test_keys_that_look_like_options(self, run: Runner, tmp_path: Path, key: str) -> None:
        """A key that begins with a dash is found; two dashes need a -- in front, as everywhere."""
        psi = similarity(3, 3, seed=1, faults=False, density=0.9)
        query = replace(psi.collection.query, key=np.array([key, "b", "c"]))
        path = tmp_path / "dashes.h5"
        relabel.write(path, {"amman": Similarity(replace(psi.collection, query=query), psi.matrix)})
        separated = ["--", path, key] if key.startswith("--") else [path, key]
        for arguments in (["--json", "--top", "2", *separated], ["--json", "-q", *separated]):
            assert json_of(run("row", *arguments))["key"] == key
        if not key.startswith("--"):
            assert json.loads(run("row", path, key, "--top", "2", "-v", "--json").stdout)["key"] == key

    @pytest.mark.parametrize("arguments", [["--top", "-3"], ["--tpo", "3"], []])
    def test_options_are_still_options(self, run: Runner, one: Path, arguments: list[str]) -> None:
        """What is no key is still wrong usage."""
        assert run("row", one, *arguments).exit_code == 2

    def test_unknown_key(self, run: Runner, labels: Path) -> None:
        """A key that is not there is named."""
        result = run("row", f"{labels}::amman", "nobody")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "nobody" in result.stderr


class TestDump:
    """relabel dump"""

    @pytest.mark.parametrize(("flags", "delimiter"), [([], ","), (["--tsv"], "\t")])
    def test_every_pair(
        self, run: Runner, labels: Path, similarities: dict[str, Similarity], flags: list[str], delimiter: str
    ) -> None:
        """All pairs come back, bit for bit."""
        psi = similarities["amman"]
        text = run("dump", f"{labels}::amman", *flags).stdout
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
        dense = np.zeros(psi.shape, np.float32)
        query = {str(k): i for i, k in enumerate(psi.collection.query.key)}
        database = {str(k): i for i, k in enumerate(psi.collection.database.key)}
        for row in rows:
            dense[query[row["query"]], database[row["database"]]] = np.float32(row["value"])
        assert len(rows) == psi.matrix.nnz
        assert np.array_equal(dense, psi.matrix.toarray())

    def test_json_lines(self, run: Runner, labels: Path, similarities: dict[str, Similarity]) -> None:
        """One object a pair."""
        lines = run("dump", f"{labels}::amman", "--json").stdout.splitlines()
        assert len(lines) == similarities["amman"].matrix.nnz
        assert json.loads(lines[0]).keys() == {"query", "database", "value"}


class TestValidate:
    """relabel validate"""

    def test_a_good_file(self, run: Runner, labels: Path) -> None:
        """Valid, with no finding."""
        assert json_of(run("validate", labels, "--json")) == {"valid": True, "findings": []}
        assert run("validate", labels).stdout == f"{labels}: valid (content)\n"

    @pytest.mark.parametrize("level", ["header", "structure", "content"])
    def test_a_file_of_another_kind(self, run: Runner, broken: Path, level: str) -> None:
        """Status 1, and findings on stdout with level, path and message."""
        result = run("validate", broken, "--level", level, "--json")
        assert result.exit_code == 1
        report = json.loads(result.stdout)
        assert report["valid"] is False
        assert {"level", "path", "message"} <= report["findings"][0].keys()
        assert run("validate", broken, "--level", level).stdout.endswith(f"{broken}: not valid ({level})\n")

    def test_all_findings(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Two faults are two findings."""
        path = tmp_path / "two.h5"
        path.write_bytes(labels.read_bytes())
        with h5py.File(path, "r+") as file:
            file["amman/similarity/data"][0] = np.nan
            file["redkitchen/train/similarity/data"][0] = 2.0
        found = json.loads(run("validate", path, "--level", "structure", "--json").stdout)["findings"]
        assert {finding["path"].split("/")[1 if finding["path"].startswith("/") else 0] for finding in found} == {
            "amman",
            "redkitchen",
        }

    def test_level_is_handed_on(self, run: Runner, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command calls the library with the file and the level, once."""
        seen: list[tuple[Any, ...]] = []
        real = relabel.validate

        def spy(path: Path, level: str) -> Any:
            seen.append((path, level))
            return real(path, level)

        monkeypatch.setattr("relabel.labelfile.validate", spy)
        run("validate", labels, "--level", "header")
        assert seen == [(labels, "header")]
