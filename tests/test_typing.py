"""What users write type-checks: the code in tests/typing, by ``mypy --strict`` against the wheel of the package."""

from __future__ import annotations

import ast
import inspect
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import relabel
from relabel import Cameras, Frames
from tests.conftest import REPOSITORY

TYPING = Path(__file__).parent / "typing"
PACKAGE = Path(relabel.__file__).parent


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel of this package installed, and besides it what this one has."""
    if "site-packages" in PACKAGE.parts:
        return Path(sys.executable)
    if find_spec("setuptools") is None:  # not imported here: it refuses to where distutils has been
        pytest.skip("setuptools is not installed")
    place = tmp_path_factory.mktemp("wheel")
    # Of a copy, as .ci/test-wheel does it: an old build/ beside the sources would come along.
    shutil.copytree(PACKAGE, place / "source" / "relabel", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, place / "source")
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, place], cwd=place / "source", check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    python = place / "venv" / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(place / "venv"), "platbase": str(place / "venv")})
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(paths["purelib"])
    (Path(paths["purelib"]) / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def mypy(python: Path, code: list[Path], folder: Path) -> str:
    """What mypy says of code, read as a user's own: without this project's settings, in a folder of its own."""
    pytest.importorskip("mypy")
    # Of what torch and numba are made of, relabel has no types; it would take as long as all the rest.
    unread = "IPython,coverage,networkx,numba,prompt_toolkit,sympy,torch._dynamo,torch._export,torch._functorch"
    unread += ",torch._inductor,torch.export,torch.fx,torch.onnx"
    sections = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in unread.split(","))
    (folder / "mypy.ini").write_text(f"[mypy]\n{sections}")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=mypy.ini", f"--cache-dir={folder / 'cache'}"]
    # Packages without types are the user's to install stubs for.
    command += ["--ignore-missing-imports", "--follow-imports=silent", "--python-executable", str(python)]
    environment = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    done = subprocess.run(
        [*command, *map(str, code)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_users_code(interpreter: Path, tmp_path: Path) -> None:
    """All of it passes against the installed wheel, and what is wrong in the same words does not.

    Without ``py.typed`` in the wheel, mypy would take everything for Any and find nothing wrong.
    """
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from relabel import Cameras\n\nCameras(key=[1, 2], position='here')\nCameras(['a'])\n")
    said = mypy(interpreter, [*sorted(TYPING.glob("*.py")), wrong], tmp_path)
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
