"""The doctor: what it finds, and that nothing breaks it."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from relabel import doctor
from relabel.cli.check import doctor_command
from relabel.optional import EXTRAS


def on_linux(monkeypatch: pytest.MonkeyPatch, *, apt: bool) -> None:
    """As on Debian, or on a Linux with another package manager."""
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if apt else None)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """One examination of this machine."""
    return doctor.examine()


class TestExamine:
    """relabel.doctor.examine"""

    def test_versions(self, found: dict[str, Any]) -> None:
        """Every package that relabel needs is there at the version that is installed."""
        for name in doctor.REQUIRED:
            assert found["packages"][name] == importlib.metadata.version(name)

    def test_requires_what_the_package_declares(self) -> None:
        """The list of packages is that of the package's own metadata."""
        declared = importlib.metadata.requires("relabel-vpr") or []
        names = {line.split(">")[0].strip() for line in declared if "extra ==" not in line}
        assert set(doctor.REQUIRED) == names

    def test_knows_every_extra(self) -> None:
        """The package that each extra is for is looked up, with the command that installs it."""
        for package, extra in EXTRAS.items():
            assert f"pip install 'relabel-vpr[{extra}]'" in doctor.OPTIONAL[package]

    def test_is_json(self, found: dict[str, Any]) -> None:
        """All of it is JSON."""
        assert json.loads(json.dumps(found, allow_nan=False)) == found

    def test_survives_broken_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a package does not load and no library is there, that is what it says, with what to do."""
        real = importlib.import_module

        def broken(name: str, *rest: Any) -> Any:
            if name in ("numba", "h5py", "torch"):
                raise RuntimeError(f"{name} is damaged")
            return real(name, *rest)

        real_version = importlib.metadata.version
        monkeypatch.setattr(importlib, "import_module", broken)
        monkeypatch.setattr(importlib.metadata, "version", lambda n: "2.0" if n == "torch" else real_version(n))
        monkeypatch.setattr(doctor, "_loads", lambda _: False)
        on_linux(monkeypatch, apt=True)
        found = doctor.examine()
        assert found["packages"]["numba"] == "broken: numba is damaged"
        assert found["kernel_cache"] == {"folder": None, "writable": False}
        assert (found["gpu"], found["hdf5"], found["threads"]["layer"]) == ([], None, None)
        advice = "\n".join(found["advice"])
        for part in ("numba is broken", "NUMBA_CACHE_DIR", "apt-get install libusb-1.0-0 libgl1"):
            assert part in advice
        assert doctor.lines(found)

    def test_linux_without_apt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is no apt-get, the libraries themselves are named, since their packages have other names."""
        monkeypatch.setattr(doctor, "_loads", lambda library: library != "libGL.so.1")
        on_linux(monkeypatch, apt=False)
        found = doctor.examine()
        assert found["system_libraries"]["libGL.so.1"] is False
        assert "open3d needs system libraries that do not load here: libGL.so.1" in found["advice"]
        assert "apt-get" not in "\n".join(found["advice"])

    def test_other_systems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On macOS no library of Linux is looked for, and all cores count as this process's."""
        monkeypatch.setattr("platform.system", lambda: "Darwin")
        monkeypatch.setattr(doctor, "_loads", lambda _: False)
        monkeypatch.delattr("os.sched_getaffinity", raising=False)
        found = doctor.examine()
        assert found["system_libraries"] == {}
        assert found["threads"]["processors"] == os.cpu_count()
        assert found["threads"]["layer"] is not None
        assert "apt-get" not in "\n".join(found["advice"])
        assert doctor.lines(found)

    def test_a_package_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing package is None, and the advice says how to get it."""
        real = importlib.metadata.version

        def version(name: str) -> str:
            if name == "pyproj":
                raise importlib.metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(importlib.metadata, "version", version)
        found = doctor.examine()
        assert found["packages"]["pyproj"] is None
        assert any(line.startswith("pyproj is not installed: reinstall") for line in found["advice"])

    def test_read_only_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A kernel cache that cannot be written to is noticed."""
        monkeypatch.setattr("os.access", lambda *_: False)
        found = doctor.examine()
        assert found["kernel_cache"]["writable"] is False
        assert any("NUMBA_CACHE_DIR" in line for line in found["advice"])


class TestMissingLibraries:
    """relabel.doctor.missing_libraries"""

    def test_packages_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The Debian package of each library that does not load, and of no other."""
        on_linux(monkeypatch, apt=True)
        monkeypatch.setattr(doctor, "_loads", lambda library: library not in ("libGL.so.1", "libX11.so.6"))
        assert doctor.missing_libraries() == ["libgl1", "libx11-6"]
        monkeypatch.setattr(doctor, "_loads", lambda _: True)
        assert doctor.missing_libraries() == []

    def test_other_systems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On macOS there is nothing to install for it."""
        monkeypatch.setattr("platform.system", lambda: "Darwin")
        monkeypatch.setattr(doctor, "_loads", lambda _: False)
        assert doctor.missing_libraries() == []


class TestLines:
    """relabel.doctor.lines"""

    def test_every_finding(self, found: dict[str, Any]) -> None:
        """Each package, library and piece of advice is a line of its own."""
        text = "\n".join(doctor.lines(found))
        for name in (*found["packages"], *found["system_libraries"], *found["advice"]):
            assert name in text


class TestCommand:
    """relabel doctor"""

    def test_json_and_text(self, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]) -> None:
        """The command prints what the library finds."""
        monkeypatch.setattr(doctor, "examine", lambda: found)
        assert json.loads(CliRunner().invoke(doctor_command, ["--json"]).stdout) == found
        assert CliRunner().invoke(doctor_command).stdout.splitlines() == doctor.lines(found)

    def test_folder_is_a_path(self, found: dict[str, Any]) -> None:
        """The kernel cache is named."""
        assert Path(found["kernel_cache"]["folder"]).is_absolute()
