"""A click group that knows its commands from a table and loads one only when it is called."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import click

from relabel.cli.commands import Entry
from relabel.cli.verbosity import with_verbosity


def unknown_command(name: str, known: Iterable[str], ctx: click.Context) -> click.UsageError:
    """The error for a command that is not there: close ones where there are any, else all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(c) for c in close)}?" if close else f"choose from {', '.join(names)}"
    return click.UsageError(f"there is no command {name!r}; {hint}", ctx)


class SuggestingGroup(click.Group):
    """A group that answers an unknown command with those that are close."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` starts with, its name, and the rest of `args`."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            raise unknown_command(args[0], known, ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group whose commands are entries of a table; its help is written from the table alone."""

    def __init__(self, *args: Any, table: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; `-v` and `-q` are understood behind its name as well as before it."""
        del ctx
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name].home.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return with_verbosity(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one block of help a section."""
        del ctx
        width = max(len(name) for name in self.table)
        for section in dict.fromkeys(entry.section for entry in self.table.values()):
            lines = [
                (name.ljust(width), entry.short_help) for name, entry in self.table.items() if entry.section == section
            ]
            with formatter.section(section):
                formatter.write_dl(lines)
