"""`relabel msls` killed, interrupted and out of space: the old file intact, nothing partial, and the next run succeeds
and cleans up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result

from relabel.labelfile import LabelFile, validate
from relabel.synthetic.msls import write_tree
from tests.cli.conftest import SCRIPT
from tests.conftest import FULL, REPOSITORY
from tests.trees import msls_tree

slow = pytest.mark.skipif(not FULL, reason="slow; make test-faults runs it")

Runner = Callable[..., Result]

OLD = b"what was here before"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city, then a large one."""
    top = msls_tree(tmp_path_factory.mktemp("msls"), city="amman")
    write_tree(top, cameras=3000, city="large", overwrite=True)
    return top


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with an output of old."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "x.h5").write_bytes(OLD)
    return folder


def held_at(out: Path) -> Path:
    return out.parent / "held"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def visible(folder: Path) -> list[str]:
    return [name for name in names(folder) if not any(part.startswith(".") for part in Path(name).parts)]


@contextmanager
def started(out: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`relabel msls` as in `held`, in a process group of its own, which is gone when the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.held", str(held_at(out)), "msls", *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(process: subprocess.Popen[str], out: Path, *patterns: str) -> None:
    """Return as soon as the large city is to be computed and files of these names are there; fail if it ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while not (held_at(out).exists() and all(any(out.glob(pattern)) for pattern in patterns)):
        assert process.poll() is None, f"it ended before there were {patterns}: {process.communicate()}"
        assert time.monotonic() < deadline, f"no {patterns} after {PATIENCE_S:.0f} s"
        time.sleep(0.002)


OF_PROCESSES = ["amman%block.h5", "amman%outline.h5", "job.json", "large%outline.h5"]


def whole_parts(out: Path) -> list[str]:
    """What is in the folder of parts, without the names of blocks."""
    return [re.sub(r"%block-\w+", "%block", name) for name in names(out / "x.h5.parts")]


class TestKilled:
    """kill -9 in the middle."""

    def test_one_city(self, run: Runner, root: Path, out: Path) -> None:
        """The old file is untouched; the next run removes what the dead one left, and succeeds."""
        arguments = ("--root", root, "--cities", "large", "-o", out / "x.h5", "--force")
        with started(out, *arguments) as process:
            wait_for(process, out, ".x.h5.*.tmp/x.h5")
            process.kill()
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert (out / "x.h5").read_bytes() == OLD
        assert visible(out) == ["x.h5"]
        assert names(out) != ["x.h5"]
        result = run("msls", *arguments)
        assert result.exit_code == 0, result.stderr
        assert names(out) == ["x.h5"]
        assert validate(out / "x.h5").valid

    def test_several_cities(self, run: Runner, root: Path, out: Path) -> None:
        """The city that was finished is kept, and the file is the same as without the kill."""
        arguments = ("--root", root, "-o", out / "x.h5", "--force")
        with started(out, *arguments) as process:
            wait_for(process, out, "x.h5.parts/.large.h5.*.tmp/large.h5")
            process.kill()
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert (out / "x.h5").read_bytes() == OLD
        assert visible(out) == ["x.h5", "x.h5.parts", "x.h5.parts/amman.h5", "x.h5.parts/job.json"]
        result = run("msls", *arguments)
        assert result.exit_code == 0, result.stderr
        assert "amman: kept from an earlier run" in result.stderr
        assert "large: kept" not in result.stderr
        assert names(out) == ["x.h5"]
        assert validate(out / "x.h5").valid
        assert list(LabelFile(out / "x.h5")) == ["amman", "large"]

    def test_processes(self, run: Runner, root: Path, out: Path) -> None:
        """Worker processes end with their parent, with its streams and what they had begun, and the part is kept."""
        arguments = ("--root", root, "-o", out / "x.h5", "--force")
        with started(out, *arguments, "--executor", "processes:2") as process:
            wait_for(process, out, "x.h5.parts/amman%block-*.h5")
            process.kill()
            process.communicate(timeout=PATIENCE_S)  # returns when nobody has the streams open any more
        assert whole_parts(out) == OF_PROCESSES
        result = run("msls", *arguments)
        assert result.exit_code == 0, result.stderr
        assert "amman: 1 of 1 parts are kept from an earlier run" in result.stderr
        assert names(out) == ["x.h5"]


class TestInterrupted:
    """Ctrl-C, or another signal that asks for an end, in the middle."""

    def test_one_city(self, root: Path, out: Path) -> None:
        """Status 130, one line, and nothing is left behind."""
        with started(out, "--root", root, "--cities", "large", "-o", out / "x.h5", "--force", "-q") as process:
            wait_for(process, out, ".x.h5.*.tmp/x.h5")
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, stdout, stderr) == (130, "", "relabel: interrupted\n")
        assert names(out) == ["x.h5"]
        assert (out / "x.h5").read_bytes() == OLD

    @pytest.mark.parametrize(
        ("executor", "send", "number", "message"),
        [
            pytest.param("local", os.killpg, signal.SIGINT, "relabel: interrupted", marks=slow),
            ("processes:2", os.killpg, signal.SIGINT, "relabel: interrupted"),
            pytest.param("processes:2", os.kill, signal.SIGINT, "relabel: interrupted", marks=slow),
            ("local", os.kill, signal.SIGTERM, "relabel: stopped by SIGTERM"),
            pytest.param("processes:2", os.killpg, signal.SIGTERM, "relabel: stopped by SIGTERM", marks=slow),
            ("processes:2", os.kill, signal.SIGTERM, "relabel: stopped by SIGTERM"),
            pytest.param("processes:2", os.killpg, signal.SIGHUP, "relabel: stopped by SIGHUP", marks=slow),
        ],
    )
    def test_several_cities(
        self,
        root: Path,
        out: Path,
        executor: str,
        send: Callable[[int, int], None],
        number: signal.Signals,
        message: str,
    ) -> None:
        """So it is for several, here or in processes, which get the signal from a terminal but not from kill."""
        arguments = ("--root", root, "-o", out / "x.h5", "--force", "--executor", executor)
        with started(out, *arguments) as process:
            wait_for(process, out, "x.h5.parts/amman.h5" if executor == "local" else "x.h5.parts/amman%block-*.h5")
            send(process.pid, number)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, stdout) == (128 + number, "")
        *notes, kept, last = stderr.splitlines()
        assert last == message
        assert "1 of 2 parts are kept in" in kept
        assert all(note.startswith("relabel: ") for note in notes)
        assert (out / "x.h5").read_bytes() == OLD
        assert whole_parts(out) == (["amman.h5", "job.json"] if executor == "local" else OF_PROCESSES)
        assert visible(out)[0] == "x.h5"
        assert [name for name in names(out) if name not in visible(out)] == []


class TestFullDisk:
    """A disk that takes no more, by a limit to the size of a file."""

    @pytest.mark.parametrize("cities", ["large", "amman,large"])
    def test_is_an_error(self, run: Runner, root: Path, out: Path, cities: str) -> None:
        """One line names the file and what to do; the old file is intact, no half file stays, and later it works."""
        arguments = ("msls", "--root", root, "--cities", cities, "-o", out / "x.h5", "--force")
        # Once without the limit, so that compiled kernels need not be written to numba's cache under it.
        assert run(*arguments[:-2], out / "warm.h5").exit_code == 0
        (out / "warm.h5").unlink()
        command = " ".join(f"'{argument}'" for argument in (SCRIPT, *arguments, "-q"))
        done = subprocess.run(
            ["bash", "-c", f"ulimit -f 128; exec {command}"],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("relabel: error: ")
        assert done.stderr.count("\n") == 1
        assert "cannot be written" in done.stderr
        assert "choose another folder" in done.stderr
        assert (out / "x.h5").read_bytes() == OLD
        assert names(out) == (
            ["x.h5"] if cities == "large" else ["x.h5", "x.h5.parts", "x.h5.parts/amman.h5", "x.h5.parts/job.json"]
        )
        assert run(*arguments).exit_code == 0
        assert names(out) == ["x.h5"]
