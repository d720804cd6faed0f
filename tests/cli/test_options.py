"""Options that commands share: one flag, one meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from relabel.cli import options, terminal
from relabel.cli.app import app

READERS = ("info", "ls", "tree", "stats", "row", "dump", "validate", "verify", "compare", "doctor")


def load(name: str) -> click.Command:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    return command


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, those of groups included."""
    for name in app.list_commands(click.Context(app)):
        command = load(name)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                inner = command.get_command(context, child)
                assert inner is not None
                yield f"{name} {child}", inner
        else:
            yield name, command


class TestShared:
    """relabel.cli.options"""

    def test_one_flag_one_meaning(self) -> None:
        """A flag that several commands take has the same help everywhere."""
        seen: dict[str, tuple[str, str | None]] = {}
        for name, command in leaves():
            for option in command.params:
                if not isinstance(option, click.Option) or (name, option.opts[0]) == ("dump", "--json"):
                    continue  # the JSON of dump is a line a pair, which its help has to say
                for flag in option.opts:
                    # -o FILE is a label file, -o DIR a folder for the files of another format; so with --plot.
                    which = f"{flag} {option.metavar}" if flag in ("-o", "--output", "--plot") else flag
                    first, text = seen.setdefault(which, (name, option.help))
                    assert text == option.help, f"{flag} of {first} and of {name}"

    @pytest.mark.parametrize("name", READERS)
    def test_every_reader_speaks_json(self, name: str) -> None:
        """Each command that reads has --json."""
        assert any("--json" in parameter.opts for parameter in load(name).params)

    def test_everything_is_explained(self) -> None:
        """Every command and every option has help."""
        for name, command in leaves():
            assert command.help, name
            for option in command.params:
                assert not isinstance(option, click.Option) or option.help, f"{name} {option.opts}"


class TestOutput:
    """relabel.cli.options.output"""

    def test_default_is_shown(self) -> None:
        """Each labelling command has its own default, which its help shows."""
        decorate = options.output("msls.h5")

        @click.command()
        @decorate
        def command(output: object) -> None:
            del output

        assert "[default: msls.h5]" in command.get_help(click.Context(command))


class TestWithVerbosity:
    """relabel.cli.terminal.with_verbosity"""

    def test_twice_is_once(self) -> None:
        """A command that already takes -v and -q is left as it is."""
        command = click.Command("x")
        assert len(terminal.with_verbosity(terminal.with_verbosity(command)).params) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export NOTHING --to csv --query k -o out", "queries does not apply to format csv"),
        ("view NOTHING --attribution x", "--attribution can only be used with --tiles"),
        ("view NOTHING --follow-links", "--follow-links can only be used with"),
        ("report NOTHING -o x.html --image-path x", "--image-path can only be used with"),
        ("msls --root NOTHING --fov 500", "the field of view is 500°"),
        ("msls --root NOTHING --occluders-crs EPSG:32636", "give both or neither"),
        ("msls --root NOTHING --executor anywhere", "executor 'anywhere' is not known"),
        ("7scenes --root NOTHING --tolerance 0", "the tolerance is 0 m"),
        ("train NOTHING --images . -o out --backbone tiny --epochs 0", "epochs"),
        ("shared NOTHING a b --root . --plot x.foo", "x.foo: a figure has to be"),
        ("row NOTHING a --plot x.foo", "x.foo: a figure has to be"),
    ],
)
def test_options_come_first(line: str, message: str, run: Any, tmp_path: Path) -> None:
    """What cannot work whatever the input is refused before the input is looked at."""
    result = run(*[str(tmp_path / "nothing") if word == "NOTHING" else word for word in line.split()])
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
