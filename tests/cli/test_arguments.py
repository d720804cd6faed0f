"""Messages of the library name arguments of Python, and the command line turns these into its options."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import click
import pytest

import relabel
from relabel.cli.app import with_options
from relabel.cli.options import OF_ARGUMENTS
from tests.cli.test_options import leaves

PACKAGE = Path(relabel.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z]")
LEFT = {"audit": 21, "datasets": 121, "exchange": 3, "report": 5, "view": 4}
"""Strings with options in them, by room, that are still to be put into words of Python: numbers that only fall."""
SHELL = ("relabel ", " --rename ", " --level ", " --repo-type ")
"""What a string is about in which options are those of a command that it tells to run."""


@functools.cache
def strings(path: Path) -> list[tuple[int, str]]:
    """Line and text of all strings of a module but for its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]


@functools.cache
def flags_of_commands() -> set[str]:
    """All options that there are."""
    return {name for _, command in leaves() for p in command.params if isinstance(p, click.Option) for name in p.opts}


def with_options_in_them() -> list[str]:
    """Room, module and line of all strings outside of the command line that have an option in them."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE)
        if module.parts[0] == "cli" or path.name == "command.py" or module == Path("datasets/options.py"):
            continue
        for line, text in strings(path):
            if OPTION.search(text) and not any(word in text for word in SHELL):
                found.append(f"{module.parts[0].removesuffix('.py')}: {module}:{line}: {text!r}")
    return found


def test_no_more_options_in_the_library() -> None:
    """A room that is done has no string with an option in it, and none of the others gets another one."""
    found = with_options_in_them()
    counts = Counter(line.split(":")[0] for line in found)
    more = {room for room, count in counts.items() if count > LEFT.get(room, 0)}
    assert not more, "\n".join(line for line in found if line.split(":")[0] in more)


@pytest.mark.parametrize(("argument", "option"), OF_ARGUMENTS.items())
def test_options_that_there_are(argument: str, option: str) -> None:
    """Each option is one of a command, and each argument is in a message of the library."""
    (flag,) = re.findall(r"--[a-z-]+", option)
    assert flag in flags_of_commands()
    assert with_options(f"…; see {argument}.") == f"…; see {option}."
    if not argument.startswith("measure="):
        name = argument.strip("()").removeprefix("with ").split("=")[0]
        table = PACKAGE / "cli" / "options.py"
        assert any(f"{name}=" in text for path in PACKAGE.rglob("*.py") if path != table for _, text in strings(path))


def test_what_users_have_stays() -> None:
    """A path or key with an equals sign in it is no argument."""
    text = "data/crs=4326/threads=2/device=cpu: does not exist"
    assert with_options(text) == text
