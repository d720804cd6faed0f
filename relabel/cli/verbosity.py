"""`-v` and `-q`: how much is said on stderr."""

from __future__ import annotations

import logging
from collections.abc import Callable

import click

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_DEFAULT_LEVEL = LEVELS.index(logging.INFO)


class Verbosity:
    """How much is said on stderr: the number of `-v` less the number of `-q` given so far."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, steps: int) -> None:
        """Count `steps` more and let relabel's logger through accordingly."""
        self.count += steps
        level = min(max(_DEFAULT_LEVEL - self.count, 0), len(LEVELS) - 1)
        logging.getLogger("relabel").setLevel(LEVELS[level])

    @property
    def traceback(self) -> bool:
        """Whether an error is to show where it was raised."""
        return self.count >= 2


def _louder(ctx: click.Context, param: click.Parameter, value: int) -> None:
    del param
    if value:
        ctx.ensure_object(Verbosity).add(value)


def _quieter(ctx: click.Context, param: click.Parameter, value: int) -> None:
    _louder(ctx, param, -value)


def _verbosity() -> list[click.Parameter]:
    def counted(
        *names: str, callback: Callable[[click.Context, click.Parameter, int], None], text: str
    ) -> click.Option:
        return click.Option(names, count=True, expose_value=False, callback=callback, help=text)

    return [
        counted("-v", "--verbose", callback=_louder, text="Say more; twice to show tracebacks."),
        counted("-q", "--quiet", callback=_quieter, text="Say less; no progress, no notes."),
    ]


def with_verbosity(command: click.Command) -> click.Command:
    """The same command, taking `-v` and `-q`; so do all commands of a group. Nothing changes where they are there."""
    if not any("--verbose" in parameter.opts for parameter in command.params):
        command.params.extend(_verbosity())
    if isinstance(command, click.Group):
        for child in command.commands.values():
            with_verbosity(child)
    return command
