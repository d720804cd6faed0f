from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relabel
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.labelfile import provenance
from relabel.labelfile.provenance import describe, grouped_by_folder, record_problems, record_text, step


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
        """A dataset whose files are links elsewhere is described by the names that it has."""
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
        with pytest.raises(InputError, match=r"a\.csv: is outside .*root"):
            describe(tmp_path / "root", [tmp_path / "a.csv"])
        with pytest.raises(MissingFileError, match=r"b\.csv: no longer exists"):
            describe(tmp_path, [tmp_path / "b.csv"])
        with pytest.raises(InputError, match="root: cannot be read: Is a directory"):
            describe(tmp_path, [tmp_path / "root"])
        with pytest.raises(OptionError, match="threads is 0"):
            describe(tmp_path, [], 0)

    def test_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What has not changed for a while is read once; another content, another file of the name are seen."""
        monkeypatch.setattr(provenance, "_SETTLED_NS", -(10**18))
        provenance._digest.cache_clear()
        file = tmp_path / "a.csv"
        for content, when in ((b"one", 1), (b"two", 2), (b"three", 2)):
            file.write_bytes(content)
            os.utime(file, (when, when))
            for _ in range(2):
                assert describe(tmp_path, [file])[0]["sha256"] == hashlib.sha256(content).hexdigest()
        assert provenance._digest.cache_info()[:2] == (3, 3)

    def test_written_just_now(self, tmp_path: Path) -> None:
        """The clock of a file system may not tell two contents apart."""
        file = tmp_path / "a.csv"
        for content in (b"one", b"two"):
            file.write_bytes(content)
            os.utime(file, (1, 1))
            assert describe(tmp_path, [file])[0]["sha256"] == hashlib.sha256(content).hexdigest()


class TestTogether:
    """relabel.labelfile.provenance.describe of files by the thousand"""

    @staticmethod
    def scene(root: Path, frames: int = 12) -> list[Path]:
        files = [root / "room" / "TrainSplit.txt", root / "room" / "TestSplit.txt"]
        endings = [f"{number:06d}.{what}" for number in range(frames) for what in ("depth.png", "pose.txt")]
        files += [root / "room" / "seq-01" / f"frame-{ending}" for ending in endings]
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path.name}\n")
        return files

    def test_one_entry_a_folder_and_ending(self, tmp_path: Path) -> None:
        """Few files have an entry each, as ever; many have one, with the sum of their sizes."""
        files = self.scene(tmp_path)
        found = {entry["path"]: entry for entry in describe(tmp_path, files, by_folder=True)}
        assert list(found) == [
            "room/TestSplit.txt",
            "room/TrainSplit.txt",
            "room/seq-01/*.depth.png",
            "room/seq-01/*.pose.txt",
        ]
        assert found["room/seq-01/*.depth.png"]["bytes"] == sum(
            path.stat().st_size for path in files if path.name.endswith(".depth.png")
        )
        alone = {entry["path"]: entry for entry in describe(tmp_path, files)}
        assert found["room/TrainSplit.txt"] == alone["room/TrainSplit.txt"]
        assert len(alone) == len(files)
        assert record_problems(step("relabel 7scenes", {}, list(found.values()))) == []

    def test_anybody_can_check_it(self, tmp_path: Path) -> None:
        """The digest is what sha256sum prints of its own lines, as the format says."""
        files = self.scene(tmp_path)
        entry = describe(tmp_path, files, by_folder=True)[2]
        command = "LC_ALL=C sha256sum *.depth.png | sha256sum"
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path / "room" / "seq-01", check=True, capture_output=True, text=True
        )
        assert done.stdout.split()[0] == entry["sha256"]

    def test_order_and_threads_do_not_matter(self, tmp_path: Path) -> None:
        """The same files make the same entries."""
        files = self.scene(tmp_path)
        one = describe(tmp_path, files, 1, by_folder=True)
        assert describe(tmp_path, files[::-1], 3, by_folder=True) == one

    def test_any_change_shows(self, tmp_path: Path) -> None:
        """A byte of one file, its name, and one file less each make another digest."""
        files = self.scene(tmp_path)
        seen = {describe(tmp_path, files, by_folder=True)[2]["sha256"]}
        seen.add(describe(tmp_path, files[:-2], by_folder=True)[2]["sha256"])
        renamed = files[4].rename(files[4].with_name("frame-9.depth.png"))
        seen.add(describe(tmp_path, [*files[:4], renamed, *files[5:]], by_folder=True)[2]["sha256"])
        renamed.write_text("other\n")
        seen.add(describe(tmp_path, [*files[:4], renamed, *files[5:]], by_folder=True)[2]["sha256"])
        assert len(seen) == 4

    @pytest.mark.parametrize(
        ("name", "ending"),
        [
            ("1305031102.160407.png", ".png"),
            ("frame-000000.depth.png", ".depth.png"),
            ("00017.png", ".png"),
            ("depth", ""),
            ("a.7", ""),
        ],
    )
    def test_endings(self, name: str, ending: str) -> None:
        """Numbers between points are no ending."""
        alike = [{"path": f"d/{k}{name}", "bytes": 1, "sha256": "0" * 64} for k in range(9)]
        assert [entry["path"] for entry in grouped_by_folder(alike)] == [f"d/*{ending}"]

    def test_up_to_eight_stay_as_they_are(self) -> None:
        """As do names that sha256sum spells in another way, and files at the top."""
        few = [{"path": f"{k}.png", "bytes": 1, "sha256": "0" * 64} for k in range(8)]
        odd = [{"path": f"d/\\{k}.png", "bytes": 1, "sha256": "0" * 64} for k in range(9)]
        assert grouped_by_folder([*few, *odd]) == sorted([*few, *odd], key=lambda entry: str(entry["path"]))
        (one,) = grouped_by_folder([*few, {"path": "8.png", "bytes": 1, "sha256": "0" * 64}])
        assert (one["path"], one["bytes"]) == ("*.png", 9)
