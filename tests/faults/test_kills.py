"""kill -9 at every file operation of every command that writes, and at random moments in between.

What is promised: an output is there whole or not at all; one that is replaced is the old or the new one; and the same
command, run again, makes the very files of an undisturbed run and leaves nothing else behind.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import FULL
from tests.faults.commands import WRITERS, Writer
from tests.faults.conftest import CommandServer, Ended, contents, spread

each_writer = pytest.mark.parametrize(
    "writer", [pytest.param(writer, id=name) for name, writer in WRITERS.items() if FULL or not writer.is_slow]
)

Content = dict[str, bytes | None]


def below(content: Content, output: str) -> Content:
    """What of a folder belongs to one output."""
    return {name: data for name, data in content.items() if name == output or name.startswith(f"{output}/")}


def fresh(workplace: Path, name: str) -> Path:
    folder = workplace / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@cache
def undisturbed(server: CommandServer, workplace: Path, writer: Writer) -> tuple[Ended, Content]:
    """How the command ends and what it makes where nothing is in its way; it is run once for all tests."""
    folder = fresh(workplace, "undisturbed")
    ended = server.run(folder, writer.arguments)
    assert ended.code == 0, ended.stderr
    content = contents(folder)
    for output in writer.outputs:
        assert below(content, output), f"{output} is not among {list(content)}"
    return ended, content


def check_outputs(writer: Writer, content: Content, expected: Content, before: Content) -> None:
    """Each output is as it was before, or as an undisturbed run makes it; each file of it, where it is added to."""
    for output in writer.outputs:
        now, old, new = (below(where, output) for where in (content, before, expected))
        if not writer.adds_files or not old:
            assert now in (old, new) or set_aside(content, output) == old, f"{output} is half written"
            continue
        now = {name: data for name, data in now.items() if "/." not in name}  # hidden ones are left for the next run
        assert old.keys() <= now.keys() <= old.keys() | new.keys(), "something was lost, or came from nowhere"
        half = [name for name, data in now.items() if name not in old and data != new[name]]
        half += [name for name in old if now[name] not in (old[name], new.get(name, old[name]))]
        assert half == []


def set_aside(content: Content, output: str) -> Content:
    """The earlier folder in the instant between two renames, when it has a hidden name and the new one has none yet."""
    hidden = re.compile(rf"(?:.*/)?\.{re.escape(Path(output).name)}\.[0-9a-f]{{8}}\.tmp/old(/.*)?")
    matches = ((hidden.fullmatch(name), data) for name, data in content.items())
    return {f"{output}{match[1] or ''}": data for match, data in matches if match}


def check_second_run(server: CommandServer, folder: Path, writer: Writer, expected: Content, *, force: bool) -> None:
    """The same command makes what it should; without --force only the outputs that are there may be in its way."""
    again = server.run(folder, (*writer.arguments, *(["--force"] if force else [])))
    if again.code != 0 and not force:
        there = [output for output in writer.outputs if below(contents(folder), output)]
        assert there, again.stderr
        again = server.run(folder, (*writer.arguments, "--force"))
    assert again.code == 0, again.stderr
    after = contents(folder)
    assert after.keys() == expected.keys(), "left behind or missing"
    assert after == expected
    again.check_words()


@each_writer
class TestKilled:
    def test_at_its_file_operations(self, writer: Writer, server: CommandServer, workplace: Path) -> None:
        """Killed just before it opens, renames or removes anything where it writes."""
        ended, expected = undisturbed(server, workplace, writer)
        for operation in spread(ended.operations, 2):
            folder = fresh(workplace, "killed")
            killed = server.run(folder, writer.arguments, kill_before=operation)
            assert killed.code in (-signal.SIGKILL, 0), killed.stderr
            check_outputs(writer, contents(folder), expected, {})
            check_second_run(server, folder, writer, expected, force=False)

    def test_while_it_replaces(self, writer: Writer, server: CommandServer, workplace: Path) -> None:
        """The same with --force over an earlier output, of which nothing is lost before the new one is there."""
        _, expected = undisturbed(server, workplace, writer)
        folder = fresh(workplace, "replaced")
        restore(folder, expected)
        before = aged(folder, workplace / "inputs/other.h5")
        ended = server.run(folder, (*writer.arguments, "--force"))
        assert ended.code == 0, ended.stderr
        assert contents(folder) == expected
        for operation in spread(ended.operations, 2):
            folder = fresh(workplace, "killed")
            restore(folder, before)
            server.run(folder, (*writer.arguments, "--force"), kill_before=operation)
            check_outputs(writer, contents(folder), expected, before)
            check_second_run(server, folder, writer, expected, force=True)

    def test_at_random_moments(self, writer: Writer, server: CommandServer, workplace: Path) -> None:
        """Killed anywhere, as by a system that runs out of memory."""
        ended, expected = undisturbed(server, workplace, writer)
        moments = random.Random(1)
        for _ in range(40 if FULL else 1):
            folder = fresh(workplace, "killed")
            server.run(folder, writer.arguments, kill_after_s=moments.uniform(0.2, 1.0) * ended.duration_s)
            check_outputs(writer, contents(folder), expected, {})
            check_second_run(server, folder, writer, expected, force=False)


def aged(folder: Path, other: Path) -> Content:
    """Make the outputs in a folder older ones, with other label files and a line more in text files; what is there."""
    for entry in folder.rglob("*"):
        if entry.is_file() and entry.suffix in (".csv", ".txt"):
            entry.write_bytes(entry.read_bytes() + b"\n")
        elif entry.suffix == ".h5":
            shutil.copy(other, entry)
    return contents(folder)


def restore(folder: Path, content: Content) -> None:
    for name, data in content.items():
        path = folder / name
        if data is None:
            path.mkdir(exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
