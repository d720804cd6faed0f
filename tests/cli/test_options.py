"""Options that commands share: one flag, one meaning."""

from __future__ import annotations

from collections.abc import Iterator

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
