"""What users write type-checks: the code in tests/typing, by ``mypy --strict`` against the imported package."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import relabel
from relabel import Cameras, Frames

TYPING = Path(__file__).parent / "typing"
PACKAGE = Path(relabel.__file__).parent


def mypy(code: list[Path], folder: Path) -> str:
    """What mypy says of code, read as a user's own: without this project's settings, in a folder of its own."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={folder / 'cache'}"]
    # Packages without types are the user's to install stubs for.
    command += ["--ignore-missing-imports", "--follow-imports=silent"]
    environment = os.environ | {"MYPYPATH": str(PACKAGE.parent)} if "site-packages" not in PACKAGE.parts else os.environ
    done = subprocess.run(
        [*command, *map(str, code)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_users_code(tmp_path: Path) -> None:
    """All of it passes, and what is wrong in the same words does not."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from relabel import Cameras\n\nCameras(key=[1, 2], position='here')\nCameras(['a'])\n")
    said = mypy([*sorted(TYPING.glob("*.py")), wrong], tmp_path)
    errors = [line for line in said.splitlines() if ": error:" in line]
    assert all(line.startswith("wrong.py:") for line in errors), said
    assert {line.split(":")[1] for line in errors} == {"3", "4"}, said


@pytest.mark.parametrize("kind", [Cameras, Frames])
def test_what_is_typed_is_what_is_called(kind: type) -> None:
    """The `__init__` that type checkers see has the arguments of the one that is called, in order."""
    source = Path(inspect.getfile(kind)).read_text(encoding="utf-8")
    (stated,) = [
        node
        for cls in ast.parse(source).body
        if isinstance(cls, ast.ClassDef) and cls.name == kind.__name__
        for node in ast.walk(cls)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    called = inspect.signature(kind)
    assert [argument.arg for argument in stated.args.args][1:] == list(called.parameters)
    optional = [p.name for p in called.parameters.values() if p.default is not inspect.Parameter.empty]
    assert [argument.arg for argument in stated.args.args][-len(stated.args.defaults) :] == optional
