"""What setup.cfg says that the package needs."""

from __future__ import annotations

import configparser
import json
import re

import pytest
import yaml

import relabel
from tests.conftest import REPOSITORY


def extras() -> dict[str, list[str]]:
    """The requirements of each extra."""
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return {name: text.strip().splitlines() for name, text in parser["options.extras_require"].items()}


class TestExtras:
    """[options.extras_require]"""

    def test_torchvision_is_for_training_alone(self) -> None:
        """The tests install neither torchvision nor timm, which bring a torch of their own."""
        wanted = {
            name for name, lines in extras().items() for line in lines if re.match("torchvision|timm|.*train", line)
        }
        assert wanted == {"train", "all"}

    def test_all_is_whatever_users_need(self) -> None:
        """Every extra but those of the tests, the documentation, the benchmarks and releases."""
        (line,) = extras()["all"]
        assert set(re.findall(r"\w+", line.partition("[")[2])) | {"torch"} == extras().keys() - {
            "all",
            "bench",
            "docs",
            "release",
            "test",
        }


def test_archives_say_what_citations_say() -> None:
    """.zenodo.json and CITATION.cff name the same authors, licence, version and words."""
    if not (REPOSITORY / ".zenodo.json").is_file():
        pytest.skip("this is no checkout")
    cff = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    zenodo = json.loads((REPOSITORY / ".zenodo.json").read_text(encoding="utf-8"))
    assert zenodo == {
        "upload_type": "software",
        "title": cff["title"],
        "description": cff["abstract"],
        "creators": [{"name": author["name"]} for author in cff["authors"]],
        "access_right": "open",
        "license": cff["license"],
        "version": cff["version"],
        "keywords": cff["keywords"],
    }
    assert cff["version"] == relabel.__version__


class TestMakefile:
    """make test"""

    def test_kernels_are_all_run_with_the_jit_and_without(self) -> None:
        """All other tests are run without those, and only the rooms that have such tests are collected for it."""
        mark = "mark." + "kernels"
        marked = {path.parent.name for path in (REPOSITORY / "tests").rglob("*.py") if mark in path.read_text("utf-8")}
        makefile = (REPOSITORY / "Makefile").read_text()
        (line,) = (line for line in makefile.splitlines() if "NUMBA_DISABLE_JIT=1" in line)
        assert {word.removeprefix("tests/") for word in line.split() if word.startswith("tests/")} == marked
        (line,) = (line for line in makefile.splitlines() if "$(MAKE) -j" in line)
        assert {word.removeprefix("compiled-") for word in line.split() if word.startswith("compiled-")} == marked
