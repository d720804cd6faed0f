"""Output of the command line: results on stdout, progress bars and log on stderr."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click

from relabel.cli.streams import drop_stdout
from relabel.errors import OutputError

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_REDRAW_S = 0.5
_DEFAULT_LEVEL = LEVELS.index(logging.INFO)


def echo_result(data: Callable[[], Any], lines: Callable[[], Iterable[str]], *, as_json: bool) -> None:
    """Print a result as JSON or as lines of text; only the one that is printed is computed.

    Parameters
    ----------
    data:
        makes the JSON value.
    lines:
        makes the lines.
    as_json:
        the value of `--json`.
    """
    if as_json:
        echo_json(data())
    else:
        echo_lines(lines())


def echo_json(value: Any) -> None:
    """Print one JSON value; keys stay readable where stdout is UTF-8 and are escaped where it is not."""
    plain = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")
    echo_lines([json.dumps(value, indent=2, ensure_ascii=not plain, allow_nan=False)])


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines of text; a reader that has gone gets no more of them, and the command runs to its end."""
    try:
        for line in lines:
            with _writing():
                click.echo(line)
    except ReaderGoneError:
        drop_stdout()


def echo_bytes(pieces: Iterable[bytes | memoryview]) -> None:
    """Write UTF-8 text as it is, of which there may be much: a reader that has gone ends the command."""
    if sys.stdout is None:  # a program may be started without one
        return
    for piece in pieces:
        with _writing():
            sys.stdout.buffer.write(piece)


def flush() -> None:
    """Flush all that was printed; it is dropped if the reader has closed the pipe."""
    if sys.stdout is not None:
        try:
            with _writing():
                sys.stdout.flush()
        except ReaderGoneError:
            drop_stdout()


class ReaderGoneError(BrokenPipeError):
    """The reader of this program's stdout has closed it."""


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError(*error.args) from None  # it has enough; see relabel.cli.app
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error


@contextmanager
def bar(what: str, total: int | None, *, unit: str = "", hidden: bool = False) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr while the block runs; it yields a function to call with the size of each step.

    Nothing is drawn where `hidden`, where stderr is no terminal, or after `-q`.

    Parameters
    ----------
    what:
        the title in front of the bar.
    total:
        the sum of all steps, or None if unknown: then only the elapsed time is shown.
    unit:
        what is counted, for example ``rows``.
    hidden:
        the value of `--no-progress`.
    """
    quiet = not logging.getLogger("relabel").isEnabledFor(logging.INFO)
    if hidden or quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    layout = None if total is not None else "{desc}: {elapsed}"  # the time goes on, so that something is seen to
    with (
        tqdm(
            total=total, desc=what, unit=f" {unit}", unit_scale=True, file=sys.stderr, leave=False, bar_format=layout
        ) as drawn,
        _redrawn(drawn) if total is None else nullcontext(),
    ):

        def step(size: int) -> None:
            drawn.update(size)

        yield step


@contextmanager
def _redrawn(drawn: Any) -> Iterator[None]:
    """Redraw a bar regularly while a block runs that reports no steps."""
    done = threading.Event()

    def redraw() -> None:
        while not done.wait(_REDRAW_S):
            drawn.refresh()

    thread = threading.Thread(target=redraw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Verbosity:
    """How much is logged on stderr: the number of `-v` less the number of `-q` given so far."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, steps: int) -> None:
        """Count `steps` more and let relabel's logger through accordingly."""
        self.count += steps
        level = min(max(_DEFAULT_LEVEL - self.count, 0), len(LEVELS) - 1)
        logging.getLogger("relabel").setLevel(LEVELS[level])

    @property
    def traceback(self) -> bool:
        """Whether an error shows its traceback."""
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
        counted(
            "-v",
            "--verbose",
            callback=_louder,
            text="Print more: what is read, and when; give it twice for tracebacks.",
        ),
        counted("-q", "--quiet", callback=_quieter, text="Print less: no progress bars, no notes."),
    ]


def with_verbosity(command: click.Command) -> click.Command:
    """The command with `-v` and `-q` added to it and, of a group, to all its commands; those that have them stay so."""
    if not any("--verbose" in parameter.opts for parameter in command.params):
        command.params.extend(_verbosity())
    if isinstance(command, click.Group):
        for child in command.commands.values():
            with_verbosity(child)
    return command
