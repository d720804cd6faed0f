"""`make release` stops at what does not agree, and at archives that are not whole."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def checks() -> Any:
    """.ci/release_checks.py"""
    path = REPOSITORY / ".ci/release_checks.py"
    if not path.is_file():
        pytest.skip("there are no scripts of CI here")
    spec = importlib.util.spec_from_file_location("release_checks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {
    "relabel/_version.py": '__version__ = "1.2.3"\n',
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3 – 2026-01-02\n\n- News.\n\n## 1.2.2 – 2025-01-02\n\n- Old.\n",
    "CITATION.cff": 'cff-version: 1.2.0\nversion: 1.2.3\ndate-released: "2026-01-02"\n',
    ".zenodo.json": '{"version": "1.2.3"}',
}


def tree(folder: Path, **changed: str) -> Path:
    """The files that are compared, with changes by suffix."""
    for name, text in GOOD.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(path.suffix.removeprefix(".") or "", text), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({}, []),
        ({"py": '__version__ = "1.2"\n'}, ["_version.py: the version is '1.2'", "CHANGELOG", "CITATION", "zenodo"]),
        ({"md": "## 1.2.3 – unreleased\n\n- News.\n"}, ["1.2.3 is 'unreleased'; write the day", "date-released"]),
        ({"md": "## 1.2.2 – 2026-01-02\n\n- News.\n"}, ["first section is '1.2.2'; expected 1.2.3"]),
        ({"md": "## 1.2.3 – 2026-01-02\n\n## 1.2.2 – 2025-01-02\n\n- Old.\n"}, ["nothing is said of 1.2.3"]),
        ({"cff": "version: 1.2.2\ndate-released: 2026-01-02\n"}, ["CITATION.cff: version is 1.2.2"]),
        ({"cff": "version: 1.2.3\n"}, ["CITATION.cff: date-released is missing"]),
        ({"json": "{}"}, [".zenodo.json: version is None"]),
    ],
)
def test_metadata(checks: Any, tmp_path: Path, changed: dict[str, str], faults: list[str]) -> None:
    """All that disagrees is named at once."""
    found = checks.metadata_faults(tree(tmp_path, **changed))
    assert len(found) == len(faults)
    for line, words in zip(found, faults, strict=True):
        assert words in line


def git(folder: Path, *arguments: str) -> None:
    """A git command in a folder."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A committed tree with a package, and the libraries of a viewer beside what they are built from."""
    folder = tree(tmp_path / "repository")
    for name in ("relabel/__init__.py", "relabel/view/bundle/libraries.min.js", "relabel/view/bundle/build.mjs"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    git(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "all")
    return folder


def test_repository(checks: Any, repository: Path) -> None:
    """What is not committed, and a tag that is there, stop a release."""
    assert checks.repository_faults(repository) == []
    (repository / "note").write_text("")
    git(repository, "tag", "v1.2.3")
    assert [fault.partition(";")[0] for fault in checks.repository_faults(repository)] == [
        "the working tree has changes",
        "there is a tag v1.2.3 already",
    ]


def archives(folder: Path, names: list[str], version: str = "1.2.3") -> list[Path]:
    """A wheel and a source distribution of empty files with these names."""
    folder.mkdir()
    wheel = folder / f"relabel_vpr-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in [*names, f"relabel_vpr-{version}.dist-info/METADATA"]:
            archive.writestr(name, "")
    source = folder / f"relabel_vpr-{version}.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        for name in [*names, "LICENSE", "README.md", "setup.cfg", "pyproject.toml"]:
            archive.addfile(tarfile.TarInfo(f"relabel_vpr-{version}/{name}"), io.BytesIO())
    return [wheel, source]


def test_archives(checks: Any, repository: Path, tmp_path: Path) -> None:
    """Wheel and source distribution hold the package and nothing else, of the version that is released."""
    names = ["relabel/__init__.py", "relabel/_version.py", "relabel/view/bundle/libraries.min.js"]
    assert checks.dist_faults(repository, archives(tmp_path / "good", names)) == []
    lacking = checks.dist_faults(repository, archives(tmp_path / "lacking", names[1:]))
    assert lacking == [
        "relabel_vpr-1.2.3-py3-none-any.whl: lacks relabel/__init__.py",
        "relabel_vpr-1.2.3.tar.gz: lacks relabel/__init__.py",
    ]
    more = checks.dist_faults(repository, archives(tmp_path / "more", [*names, "tests/test_x.py"]))
    assert more == ["relabel_vpr-1.2.3-py3-none-any.whl: has tests/test_x.py, which is not of the package"]
    other = checks.dist_faults(repository, archives(tmp_path / "other", names, "1.2.30"))
    assert [fault.partition(": ")[2] for fault in other] == ["is not of version 1.2.3"] * 2
    assert "expected a wheel and a .tar.gz" in checks.dist_faults(repository, archives(tmp_path / "x", names)[:1])[0]
