"""What the pages say is so: commands print what stands there, code runs, options and names exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import relabel
from relabel.cli.app import app
from relabel.errors import MissingPackageError
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
NAMES = [page.name for page in PAGES]
PYTHON = r"^```python\n(.*?)^```$"


def blocks(text: str) -> Iterator[str]:
    """All blocks of code of a page, fenced or indented."""
    fenced = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    yield from fenced.findall(text)
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", fenced.sub("", text), re.MULTILINE):
        yield re.sub("^    ", "", block, flags=re.MULTILINE)


def commands(text: str) -> Iterator[list[str]]:
    """The command lines of relabel that stand in blocks of code, in words."""
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            if (line := line.removeprefix("$ ")).startswith("relabel "):
                yield shlex.split(line, comments=True)[1:]


@pytest.fixture(scope="module")
def first_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all commands of start.md have run, and have printed what the page says."""
    folder = tmp_path_factory.mktemp("start")
    text = (DOCS / "start.md").read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                result = CliRunner().invoke(app, shlex.split(command)[1:], prog_name="relabel")
                assert result.exit_code == 0, result.stderr
                assert result.stdout == output, command
    return folder


def run_python(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run all Python blocks of a page one after the other, and return what they define."""
    for code in re.findall(PYTHON, (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(code, page, "exec"), names)
    return names


def test_first_steps(first_steps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python code of start.md runs on the file that its commands made."""
    monkeypatch.chdir(first_steps)
    names = run_python("start.md", {})
    assert len(names["queries"]) == 32
    assert names["values"][0] == max(names["values"])
    assert names["matrix"].nnz == 64_986


def test_numbers(first_steps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of numbers.md has the values that its function gives, and its other code runs."""
    monkeypatch.chdir(first_steps)
    names = run_python("numbers.md", {})
    page = (DOCS / "numbers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]* \| `psi\(([^)]*)\)` \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
    assert len(rows) == 10
    for arguments, iou, overlap in rows:
        values = [float(argument) for argument in arguments.split(",")]
        assert names["psi"](*values) == float(iou), arguments
        assert names["psi"](*values, measure="overlap") == float(overlap), arguments
        assert names["psi"](*values, measure="dice") == float(overlap), arguments
    assert len(names["unknown"]) == 71 + 18
    noisy = names["psi"](0.0, 0.0, 0.0, heading_sigma_deg=5.0, position_sigma_m=2.5)
    assert noisy == pytest.approx(0.75, abs=0.006)
    assert names["psi"](30.0, 0.0, 0.0) == 0.22
    assert names["psi"](0.0, 0.0, 10.0) == pytest.approx(0.8, abs=0.006)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_exist(page: Path) -> None:
    """Every command that a page shows exists, with the options it is shown with, and takes as many arguments."""
    for words in commands(page.read_text(encoding="utf-8")):
        if {"COMMAND", "…"} & set(words):
            continue
        command: click.Command = app
        context = click.Context(app, info_name="relabel")
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            sub = command.get_command(context, words[0])
            assert sub is not None, f"{page.name}: there is no command {words[0]}"
            command, context = sub, click.Context(sub, info_name=words.pop(0), parent=context)
        command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_names_exist(page: Path) -> None:
    """Code compiles, and every name that it imports from relabel is there."""
    for code in blocks(page.read_text(encoding="utf-8")):
        if not re.search(r"^(from|import) \w", code, re.MULTILINE):
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "relabel":
                try:
                    module = importlib.import_module(node.module or "")
                except MissingPackageError:
                    continue
                for alias in node.names:
                    assert alias.name in dir(module), f"{page.name}: {node.module} has no {alias.name}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    """Files that a page links to exist."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_rooms_are_listed() -> None:
    """Every module and package of relabel is in the table of rooms of CONTRIBUTING.md."""
    table = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)/?`", "".join(line for line in table.splitlines() if line.startswith("| `"))))
    package = Path(relabel.__file__).parent
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    assert modules - listed == {"__init__", "__main__"}


PUBLIC = ("fov", "surface", "audit", "labelfile", "compose", "plot", "sampling", "training", "publish")


def test_api_is_whole() -> None:
    """Every public name of the modules for users has its place in the reference."""
    for room in PUBLIC:
        page = (DOCS / "api" / f"{room}.rst").read_text(encoding="utf-8")
        if ":members:" in page:
            continue
        sampling = set(importlib.import_module("relabel.sampling").__all__)
        for name in set(importlib.import_module(f"relabel.{room}").__all__) - sampling:
            assert re.search(rf"relabel\.{room}\.{name}$", page, re.MULTILINE), f"{room}.rst lacks {name}"
