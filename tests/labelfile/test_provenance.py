from __future__ import annotations

import getpass
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relabel
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.labelfile.provenance import describe, record_problems, record_text, step


class TestStep:
    def test_says_what_was_done_with_what(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Software, command, parameters, versions and inputs; no clock, machine or person."""
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        inputs = [{"path": "a/raw.csv", "bytes": 3, "sha256": "0" * 64}]
        record = step("relabel msls", {"radius_m": np.float64(50), "cities": ("amman",)}, inputs)
        assert record["software"] == {"name": "relabel", "version": relabel.__version__}
        assert record["command"] == "relabel msls"
        assert record["inputs"] == inputs
        assert record["libraries"]["numpy"] == np.__version__
        assert {"python", "hdf5", "h5py", "scipy"} <= record["libraries"].keys()
        assert "time" not in record
        assert record_problems(record) == []
        text = record_text(record)
        assert json.loads(text)["parameters"] == {"cities": ["amman"], "radius_m": 50.0}
        assert socket.gethostname() not in text
        assert f'"{getpass.getuser()}"' not in text

    def test_a_time_that_the_environment_fixes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """SOURCE_DATE_EPOCH is the only clock."""
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
        assert step("x", {})["time"] == "1970-01-02T00:00:00+00:00"
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
        with pytest.raises(OptionError, match="SOURCE_DATE_EPOCH is 'today'"):
            step("x", {})

    def test_packages_that_are_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only what is there has a version."""
        monkeypatch.setattr("relabel.labelfile.provenance.LIBRARIES", ("numpy", "no-such-package-at-all"))
        assert step("x", {})["libraries"].keys() == {"python", "hdf5", "numpy"}

    def test_parameters_are_json(self) -> None:
        """A parameter without a JSON form is refused."""
        with pytest.raises(InputError, match="provenance cannot be stored as JSON"):
            step("x", {"a": float("nan")})

    def test_inputs_are_relative(self) -> None:
        """An absolute path would tell where the user keeps things."""
        with pytest.raises(InputError, match=r"input 0 has the path '/home/me/a\.csv'"):
            step("x", {}, [{"path": "/home/me/a.csv", "bytes": 1, "sha256": "0" * 64}])


class TestRecordProblems:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"software": None}, "software is missing or not an object"),
            ({"software": {"name": "x"}}, "software has no name and version"),
            ({"command": 3}, "command is missing or not text"),
            ({"parameters": []}, "parameters is missing or not an object"),
            ({"libraries": {"numpy": 2}}, "libraries holds a version that is not text"),
            ({"time": 5}, "time is not UTC in ISO 8601"),
            ({"time": "2024-05-01"}, "time is not UTC in ISO 8601"),
            ({"inputs": {}}, "inputs is missing or not a list"),
            ({"inputs": [3]}, "input 0 is not an object"),
            ({"inputs": [{"path": "a/../../b", "bytes": 1, "sha256": "0" * 64}]}, "input 0 has the path"),
            ({"inputs": [{"path": "", "bytes": 1, "sha256": "0" * 64}]}, "input 0 has the path"),
            ({"inputs": [{"path": "a", "bytes": -1, "sha256": "0" * 64}]}, r"input 0 \(a\) has bytes -1"),
            ({"inputs": [{"path": "a", "bytes": True, "sha256": "0" * 64}]}, "has bytes True"),
            ({"inputs": [{"path": "a", "bytes": 1, "sha256": "F" * 64}]}, "expected 64 hexadecimal digits"),
        ],
    )
    def test_names_what_is_wrong(self, change: dict[str, Any], match: str) -> None:
        """Every key of a record is checked."""
        with pytest.raises(InputError, match=match):
            record_text({**step("x", {}), **change})

    def test_lists_all(self) -> None:
        """One call tells everything."""
        assert len(record_problems({})) == 5
        assert record_problems([]) == ["the record is not a JSON object"]

    def test_further_keys_are_allowed(self) -> None:
        """Others may add to a record."""
        assert record_problems({**step("x", {}), "resources": {"seconds": 3}}) == []


class TestDescribe:
    def test_path_size_and_digest(self, tmp_path: Path) -> None:
        """Each file once, sorted, with / and relative to the root, whatever the number of threads."""
        contents = {"b/ä.csv": b"x" * 3_000_000, "a.csv": b"", "b/c.csv": b"1,2\n"}
        for name, content in contents.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        files = [tmp_path / name for name in contents] + [tmp_path / "b" / ".." / "a.csv"]
        expected = [
            {"path": name, "bytes": len(contents[name]), "sha256": hashlib.sha256(contents[name]).hexdigest()}
            for name in sorted(contents)
        ]
        for threads in (None, 1, 3):
            assert describe(tmp_path, files, threads) == expected
        assert describe(tmp_path, []) == []

    def test_links_out_of_the_root_keep_their_name(self, tmp_path: Path) -> None:
        """A data set whose files are links elsewhere is described by the names that it has."""
        (tmp_path / "store").write_bytes(b"x")
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "a.csv").symlink_to(tmp_path / "store")
        assert describe(tmp_path / "root", [tmp_path / "root" / "a.csv"])[0]["path"] == "a.csv"

    def test_outside(self, tmp_path: Path) -> None:
        """Where it is asked for, a file elsewhere goes by its name, and by folders where that is taken."""
        files = [tmp_path / name for name in ("root/a.csv", "root/b/c.csv", "x/m.csv", "y/m.csv", "z/b/c.csv")]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
        expected = ["a.csv", "b/c.csv", "c.csv", "m.csv", "y/m.csv"]
        for order in (files, files[::-1]):
            assert [entry["path"] for entry in describe(tmp_path / "root", order, outside=True)] == expected

    def test_refusals(self, tmp_path: Path) -> None:
        """Files outside of the root, missing ones and folders are named."""
        (tmp_path / "root").mkdir()
        with pytest.raises(InputError, match=r"a\.csv: lies outside .*root"):
            describe(tmp_path / "root", [tmp_path / "a.csv"])
        with pytest.raises(MissingFileError, match=r"b\.csv: is not there any more"):
            describe(tmp_path, [tmp_path / "b.csv"])
        with pytest.raises(InputError, match="root: cannot be read: Is a directory"):
            describe(tmp_path, [tmp_path / "root"])
        with pytest.raises(OptionError, match="threads is 0"):
            describe(tmp_path, [], 0)
