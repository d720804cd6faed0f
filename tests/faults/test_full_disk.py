"""A disk that fills up under every command that writes: a clear error, nothing half written, a second run that works.

A limit on the size of files stands in for a full disk everywhere; where this user may mount one, a small file system is
filled as well.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FULL
from tests.faults.commands import Writer
from tests.faults.conftest import CommandServer, contents
from tests.faults.test_kills import check_outputs, check_second_run, each_writer, fresh, undisturbed


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory, workplace: Path) -> Iterator[Path]:
    """A file system of 512 KiB in memory, with the inputs beside the folders that commands run in."""
    if not sys.platform.startswith("linux"):
        pytest.skip("mounts are made as on Linux")
    mounted = tmp_path_factory.mktemp("small")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(mounted)], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted: {made.stderr.strip()}")
    (mounted / "inputs").symlink_to(workplace / "inputs")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def sizes(writer: Writer, content: dict[str, bytes | None]) -> list[int]:
    """Limits at which a file no longer fits: nothing at all, and one byte less than each file, the largest first."""
    found = {len(data) - 1 for data in content.values() if data}
    ordered = sorted(found, reverse=True)
    return [*ordered, *{size // 2 for size in ordered}, 0] if FULL else [ordered[0], 0]


@each_writer
class TestFullDisk:
    def test_no_file_may_be_so_large(self, writer: Writer, server: CommandServer, workplace: Path) -> None:
        """It fails with an error that says so and what to do; then, with room enough, it makes what it should."""
        _, expected = undisturbed(server, workplace, writer)
        for limit in sizes(writer, expected):
            folder = fresh(workplace, "starved")
            # What it says goes into files as well, so a limit of nothing leaves no room for words.
            ended = server.run(folder, writer.arguments, largest_file=limit)
            assert ended.code == 1, f"{limit} bytes: {ended}"
            ended.check_words()
            if limit > 1024:
                assert "cannot be written" in ended.stderr, ended.stderr
                assert "larger than this system allows" in ended.stderr, ended.stderr
            check_outputs(writer, contents(folder), expected, {})
            if len(writer.outputs) == 1:  # of several, some may be done
                assert left_behind(folder) == [], "left behind"
            check_second_run(server, folder, writer, expected, force=False)

    def test_the_disk_is_full(self, writer: Writer, server: CommandServer, workplace: Path, small_disk: Path) -> None:
        """The same on a real file system with little or no space left."""
        _, expected = undisturbed(server, workplace, writer)
        folder = small_disk / "folder"
        filler = small_disk / "filler"
        needed = sum(len(data) for data in expected.values() if data)
        for left in (needed // 4096 // 2 * 4096, 0) if needed < 100_000 else ():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(filler, small_disk, left)
            ended = server.run(folder, writer.arguments)
            assert ended.code in (0, 1), ended
            ended.check_words()
            if ended.code:
                check_outputs(writer, contents(folder), expected, {})
                if len(writer.outputs) == 1:
                    assert left_behind(folder) == [], "left behind"
                filler.unlink()
                check_second_run(server, folder, writer, expected, force=False)
            filler.unlink(missing_ok=True)


def left_behind(folder: Path) -> list[str]:
    """What a failed command leaves, but for the parts of a job, which are finished and kept."""
    return [name for name in contents(folder) if not name.startswith("new.h5.parts")]


def fill(filler: Path, disk: Path, left: int) -> None:
    """Leave so many bytes of a file system free."""
    filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - left)))
