"""Exit statuses, error lines and verbosity, with commands that do nothing but fail."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest
from click.testing import CliRunner, Result

from relabel import errors
from relabel._version import __version__
from relabel.cli.app import App
from relabel.cli.commands import COMMANDS, Entry
from relabel.datasets import registry

Runner = Callable[..., Result]


def failing(error: BaseException | None) -> App:
    """A program whose one command raises the error, or logs at every level where there is none."""

    @click.command()
    def command() -> None:
        log = logging.getLogger("relabel.somewhere")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            log.log(level, "said at %s", logging.getLevelName(level).lower())
        if error is not None:
            raise error

    class Failing(App):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return command

    return Failing(name="relabel", table={"fail": Entry("Section", "nowhere:command", "Fail.")})


def invoke(error: BaseException | None, *arguments: str) -> Result:
    from relabel.cli import terminal

    app = failing(error)
    terminal.with_verbosity(app)
    return CliRunner().invoke(app, [*arguments, "fail"])


class TestHelp:
    """What a newcomer types first."""

    def test_lists_every_command_with_its_line(self, run: Runner) -> None:
        """Each command stands under its section with its short help."""
        result = run("--help")
        assert (result.exit_code, result.stderr) == (0, "")
        for name, entry in COMMANDS.items():
            assert f"{entry.section}:" in result.stdout
            line = next(line for line in result.stdout.splitlines() if line.startswith(f"  {name} "))
            assert line.endswith(entry.short_help)
        for name, spec in registry.datasets().items():
            assert any(line.split() == [name, *spec.summary.split()] for line in result.stdout.splitlines())

    def test_nothing_asked(self, run: Runner) -> None:
        """Without a command the help goes to stderr, and the usage was wrong."""
        result = run()
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Make labels:" in result.stderr

    def test_version(self, run: Runner) -> None:
        """The version, on stdout."""
        assert run("--version").stdout == f"relabel {__version__}\n"


class TestUsage:
    """Exit status 2 and one line."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["inf", "x"], "relabel: error: there is no command 'inf'; did you mean 'info'? (see 'relabel --help')"),
            (
                ["zzz"],
                "there is no command 'zzz'; choose from sample, msls, pitts, names, table, 7scenes",
            ),
            (["sample", "msl"], "there is no command 'msl'; did you mean 'msls'? (see 'relabel sample --help')"),
            (["sample"], "Missing command (see 'relabel sample --help')"),
            (["info"], "Missing argument 'FILE' (see 'relabel info --help')"),
            (
                ["rgbd", "--root", "x"],
                "Missing option '--layout'. Choose from: tum, scannet, folder (see 'relabel rgbd --help')",
            ),
            (["info", "a", "--jsn"], "--jsn"),
            (["row", "a.h5", "k", "--top", "0"], "--top"),
            (["--nonsense"], "--nonsense"),
        ],
    )
    def test_one_line(self, run: Runner, arguments: list[str], message: str) -> None:
        """A wrong command or option is named, with close ones and where to read on."""
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


class TestErrors:
    """What a user sees when a command fails."""

    @pytest.mark.parametrize(
        ("error", "code", "line"),
        [
            (errors.LabelFileError("x.h5 is cut off"), 1, "relabel: error: x.h5 is cut off"),
            (errors.NotFoundError("no 'a'; there are b, c"), 1, "relabel: error: no 'a'; there are b, c"),
            (errors.OutputExistsError("x.h5 is there"), 1, "relabel: error: x.h5 is there"),
            (errors.OptionError("fov_deg is 0"), 2, "relabel: error: fov_deg is 0"),
            (click.FileError("x.h5", "no"), 1, "relabel: error: Could not open file 'x.h5': no"),
            (MemoryError(), 1, "relabel: error: out of memory"),
            (OSError(errno.EIO, "Input/output error", "x.h5"), 1, "Input/output error: 'x.h5'"),
            (ZeroDivisionError("by zero"), 1, "relabel: error: ZeroDivisionError: by zero; this is a bug in relabel"),
            (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "Broken pipe"),
            (KeyboardInterrupt(), 130, "relabel: interrupted"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_one_line_and_a_status(self, error: BaseException, code: int, line: str) -> None:
        """Every error is one line on stderr without a traceback; a pipe to a worker that breaks is an error too."""
        result = invoke(error, "-qqq")
        assert (result.exit_code, result.stdout) == (code, "")
        assert line in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr

    def test_a_key_of_a_megabyte(self) -> None:
        """A message is never so long that it pushes all else out of the terminal; its ends are there."""
        result = invoke(errors.InputError(f"a.csv: row 7: {'k' * 1_000_000} is no key; correct it"), "-qqq")
        assert len(result.stderr) < 5_000
        assert "relabel: error: a.csv: row 7: kkk" in result.stderr
        assert result.stderr.endswith("kkk is no key; correct it\n")
        assert "characters left out" in result.stderr

    @pytest.mark.parametrize("error", [errors.InputError("bad"), ZeroDivisionError("by zero")])
    def test_traceback_on_request(self, error: Exception) -> None:
        """With -vv it says where it happened, and the line still comes last."""
        result = invoke(error, "-vv")
        assert "Traceback" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("relabel: error: ")


class TestVerbosity:
    """-v and -q"""

    @pytest.mark.parametrize(
        ("flags", "levels"),
        [
            ([], ["info", "warning", "error"]),
            (["-v"], ["debug", "info", "warning", "error"]),
            (["-vvv"], ["debug", "info", "warning", "error"]),
            (["-q"], ["warning", "error"]),
            (["-qq"], ["error"]),
            (["-qqqq"], ["error"]),
            (["-v", "-q"], ["info", "warning", "error"]),
        ],
    )
    def test_levels(self, flags: list[str], levels: list[str]) -> None:
        """Each -v lets one level more through, each -q one less; errors always get through."""
        lines = invoke(None, *flags).stderr.splitlines()
        assert [line.rsplit(" ", 1)[1] for line in lines] == levels

    def test_seconds(self) -> None:
        """With -v every note says how long after the start it was made; else none does."""
        stamps = [re.match(r"relabel: \[(\d+\.\d) s\] ", line) for line in invoke(None, "-v").stderr.splitlines()]
        assert len(stamps) == 4
        assert all(stamps)
        assert "[" not in invoke(None).stderr

    def test_levels_are_named_from_warnings_up(self) -> None:
        """Notes carry no level, warnings do."""
        lines = invoke(None).stderr.splitlines()
        assert lines[:2] == ["relabel: said at info", "relabel: warning: said at warning"]

    def test_before_and_behind_the_command(self, run: Runner, tmp_path: Path) -> None:
        """-vv counts the same on either side of the command's name, and together."""
        missing = tmp_path / "missing.h5"
        for arguments in (["-vv", "info", missing], ["info", missing, "-vv"], ["-v", "info", "-v", missing]):
            assert "Traceback" in run(*arguments).stderr
        assert "Traceback" not in run("-v", "info", missing).stderr

    def test_leaves_no_handler_behind(self) -> None:
        """A program that calls the command line keeps its own logging."""
        logger = logging.getLogger("relabel")
        before = list(logger.handlers), logger.level
        invoke(None, "-v")
        assert (logger.handlers, logger.level) == before


@pytest.mark.parametrize("epoch", ["abc", "", "1e5", "9" * 30])
@pytest.mark.parametrize("command", [("stats", "FILE"), ("export", "FILE", "--to", "csv", "-o", "OUT")])
def test_a_source_date_that_is_none(
    epoch: str, command: tuple[str, ...], script: Callable[..., CompletedProcess[str]], labels: Path, tmp_path: Path
) -> None:
    """SOURCE_DATE_EPOCH is checked before numpy reads it too: no bug in relabel, and nothing is written."""
    words = [{"FILE": str(labels), "OUT": str(tmp_path / "out")}.get(word, word) for word in command]
    done = script(*words, env={**os.environ, "SOURCE_DATE_EPOCH": epoch})
    assert done.returncode == 2
    assert done.stderr.startswith(f"relabel: error: SOURCE_DATE_EPOCH is {epoch!r}; it has to be a whole number")
    assert not (tmp_path / "out").exists()
