"""The top of the command line: what `relabel` does with errors, interrupts, closed pipes and exit statuses."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from relabel._version import __version__
from relabel.cli import terminal
from relabel.cli.commands import COMMANDS, LazyGroup
from relabel.cli.help_text import styled
from relabel.cli.streams import drop_stdout
from relabel.cli.terminal import Verbosity, with_verbosity
from relabel.errors import OptionError, RelabelError
from relabel.optional import EXTRAS, install
from relabel.source_date import source_date
from relabel.stopping import end_workers, farewell, stop_signal

FAILED, USAGE = 1, 2
_LONGEST_MESSAGE = 4000  # characters

_HELP = """Turn place-recognition datasets into graded similarity labels, and look into the files that hold them.

A collection of a label file is addressed as FILE::COLLECTION. Results go to stdout, notes and progress to stderr.
Exit status: 0 success, 1 failed or invalid, 2 wrong usage, 130 interrupted, 143 terminated (128 + the signal's number).
"""


class StderrHandler(logging.Handler):
    """Log lines on the stderr of the moment, above a progress bar where one is drawn; after `-v` with the seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.time()  # as of the records

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a closed stderr does not stop the command."""
        name = f"{record.levelname.lower()}:"
        level = "" if record.levelno <= logging.INFO else f"{styled(name, fg='yellow')} "
        with contextlib.suppress(OSError, ValueError):
            loud = logging.getLogger("relabel").isEnabledFor(logging.DEBUG)
            seconds = f"[{record.created - self._start:.1f} s] " if loud else ""
            line = f"relabel: {seconds}{level}{shortened(with_options(record.getMessage()))}"
            bars = sys.modules.get("tqdm")  # loaded only by a command that draws bars
            if bars is not None:
                bars.tqdm.write(line if sys.stderr.isatty() else click.unstyle(line), file=sys.stderr)
            else:
                click.echo(line, err=True)


class App(LazyGroup):
    """The `relabel` command."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run with `args` (by default those of this process) and leave with the exit status."""
        del complete_var, standalone_mode  # click's ways to be called from other programs
        if instruction := os.environ.get("_RELABEL_COMPLETE"):  # see relabel.cli.shell
            from click.shell_completion import shell_complete

            sys.exit(shell_complete(self, {}, prog_name or "relabel", "_RELABEL_COMPLETE", instruction))
        verbosity = Verbosity()
        logger, handler = logging.getLogger("relabel"), StderrHandler()
        level = logger.level
        logger.addHandler(handler)
        verbosity.add(0)
        for stream in (sys.stdout, sys.stderr):
            # A terminal without UTF-8 shows an escape for ψ instead of stopping the program.
            if stream is not None and hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            sys.exit(self._run(sys.argv[1:] if args is None else list(args), prog_name or "relabel", verbosity, extra))
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def _run(self, args: list[str], name: str, verbosity: Verbosity, extra: dict[str, Any]) -> int:
        try:
            code = self._invoke(args, name, verbosity, extra)
            terminal.flush()  # here, where a full disk or a closed pipe is still reported properly
        except (KeyboardInterrupt, click.Abort):
            return _stopped(stop_signal() or signal.SIGINT)
        except Exception as error:  # the last resort of the program
            if (number := stop_signal()) is not None:  # an import, say, has made another error of it
                return _stopped(number)
            if isinstance(error, terminal.ReaderGoneError) or (
                isinstance(error, BrokenPipeError) and _stdout_is_closed()
            ):
                # The reader, `head` say, has all it wants: nothing has failed.
                drop_stdout()
                return 0
            try:
                terminal.flush()
            except OSError:
                drop_stdout()
            return _fail(error, verbosity)
        return code

    def _invoke(self, args: list[str], name: str, verbosity: Verbosity, extra: dict[str, Any]) -> int:
        try:
            with self.make_context(name, args, obj=verbosity, **extra) as ctx:
                if not args:
                    click.echo(ctx.get_help(), err=True)
                    return USAGE
                source_date()  # numpy and SciPy read the variable too while they load, and fail less clearly
                self.invoke(ctx)
        except click.exceptions.Exit as leave:
            return leave.exit_code
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx is not None else name
            message = " ".join(error.format_message().split()).rstrip(".")  # click lists choices a line each
            _say_error(f"{shortened(message)} (see '{where} --help')")
            return USAGE
        return 0


def _stopped(number: int) -> int:
    end_workers()
    drop_stdout()
    _say(farewell(number))
    return 128 + number


def _fail(error: Exception, verbosity: Verbosity) -> int:
    if verbosity.traceback:
        _say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, RelabelError):
        _say_error(shortened(with_options(str(error))))
    elif isinstance(error, click.ClickException):
        _say_error(shortened(error.format_message()))
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in EXTRAS:
        name = (error.name or "").partition(".")[0]
        _say_error(f"this needs the package {name}: {install(name)}")
    elif isinstance(error, MemoryError):
        _say_error("out of memory; use fewer --threads, or a smaller part of the data at a time")
    elif isinstance(error, OSError):
        _say_error(str(error))
    else:
        what = f"{type(error).__name__}: {error}"
        _say_error(f"{what}; this is a bug in relabel; -vv shows where it occurred")
    return USAGE if isinstance(error, OptionError) else FAILED


def with_options(message: str) -> str:
    """The library's advice in terms of Python, translated to the command line."""
    from relabel.cli.options import OF_ARGUMENTS

    for argument, option in OF_ARGUMENTS.items():
        # `crs=…` is not the end of `occluders_crs=…`.
        message = re.sub(rf"(?<!\w){re.escape(argument)}", option, message)
    return message


def shortened(message: str) -> str:
    """A message with its middle left out if it is very long, for example because of a key or cell of 100 kB."""
    left_out = len(message) - _LONGEST_MESSAGE
    if left_out <= 0:
        return message
    half = _LONGEST_MESSAGE // 2
    return f"{message[:half]}… ({left_out:,} characters left out) …{message[-half:]}"


def _say_error(text: str) -> None:
    _say(f"relabel: {styled('error:', fg='red', bold=True)} {text}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def _stdout_is_closed() -> bool:
    """Whether the reader of our stdout has closed it; a pipe to a worker process can break as well.

    It is asked of what click prints by itself. Some builds of Python for macOS have no poll, and take it for an error.
    """
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


app: App = click.version_option(__version__, prog_name="relabel", message="%(prog)s %(version)s")(
    App(name="relabel", help=_HELP, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
)
with_verbosity(app)
