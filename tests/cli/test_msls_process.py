"""The installed `relabel msls` killed, interrupted and out of space: the old file intact, nothing partial, and the
next run succeeds and cleans up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result

from relabel import fov
from relabel.datasets.msls import city as msls
from relabel.labelfile import LabelFile, validate
from relabel.synthetic.msls import write_tree
from tests.cli.conftest import SCRIPT
from tests.conftest import FULL
from tests.trees import msls_tree

slow = pytest.mark.skipif(not FULL, reason="slow; make test-faults runs it")

Runner = Callable[..., Result]

POLYGONS = ("--shape", "polygon", "--arc", "80")
SLOW = ("--shape", "polygon", "--arc", "1000")
"""Makes the large city take seconds, so that there is a middle to be stopped in."""
ENDLESS = {"NUMBA_DISABLE_JIT": "1"}
"""Makes it take hours: for those that are killed, which is the same whatever they are doing."""
CAMERAS_BYTES = 40_000
"""Less than the cameras of the large city take, 58 kB: a file of this size waits for its overlaps only."""
OLD = b"what was here before"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city, then a large one."""
    top = msls_tree(tmp_path_factory.mktemp("msls"), city="amman")
    write_tree(top, cameras=3000, city="large", overwrite=True)
    city = msls.read(top, city="amman")
    fov.overlap(city.query, city.database, shape="polygon")  # so that no time goes into compiling the kernels
    return top


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with an output of old."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "x.h5").write_bytes(OLD)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def visible(folder: Path) -> list[str]:
    return [name for name in names(folder) if not any(part.startswith(".") for part in Path(name).parts)]


@contextmanager
def started(*arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`relabel` in a process group of its own, which is gone when the block is left."""
    process = subprocess.Popen(
        [SCRIPT, *map(str, arguments)],
        env=os.environ | environment,
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


def wait_for(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    """Return as soon as the process has written the cameras to a file of that name; fail if it ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(path.stat().st_size > CAMERAS_BYTES for path in folder.glob(pattern)):
        assert process.poll() is None, f"it ended before there was {pattern}: {process.communicate()}"
        assert time.monotonic() < deadline, f"no {pattern} after {PATIENCE_S:.0f} s"
        time.sleep(0.002)


def wait_for_second(process: subprocess.Popen[str], out: Path, executor: str = "processes:2") -> None:
    """Return as soon as the small city is finished and the large one is being computed."""
    part = ".h5" if executor == "local" else "%block-*.h5"
    wait_for(process, out, f"x.h5.parts/.large{part}.*.tmp/large{part}")
    while not any((out / "x.h5.parts").glob(f"amman{part}")):
        assert process.poll() is None
        time.sleep(0.002)


OF_PROCESSES = ["amman%block.h5", "amman%outline.h5", "job.json", "large%outline.h5"]


def whole_parts(out: Path) -> list[str]:
    """What is in the folder of parts, without the names of blocks."""
    return [re.sub(r"%block-\w+", "%block", name) for name in names(out / "x.h5.parts")]


class TestKilled:
    """kill -9 in the middle."""

    def test_one_city(self, run: Runner, root: Path, out: Path) -> None:
        """The old file is untouched; the next run removes what the dead one left, and succeeds."""
        arguments = ("msls", "--root", root, "--cities", "large", "-o", out / "x.h5", "--force")
        with started(*arguments, *POLYGONS, **ENDLESS) as process:
            wait_for(process, out, ".x.h5.*.tmp/x.h5")
            process.kill()
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert (out / "x.h5").read_bytes() == OLD
        assert visible(out) == ["x.h5"]
        assert names(out) != ["x.h5"]
        result = run(*arguments)
        assert result.exit_code == 0, result.stderr
        assert names(out) == ["x.h5"]
        assert validate(out / "x.h5").valid

    def test_several_cities(self, run: Runner, root: Path, out: Path) -> None:
        """The city that was finished is kept, and the file is the same as without the kill."""
        arguments = ("msls", "--root", root, "-o", out / "x.h5", "--force", *POLYGONS)
        with started(*arguments, **ENDLESS) as process:
            wait_for(process, out, "x.h5.parts/.large.h5.*.tmp/large.h5")
            process.kill()
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert (out / "x.h5").read_bytes() == OLD
        assert visible(out) == ["x.h5", "x.h5.parts", "x.h5.parts/amman.h5", "x.h5.parts/job.json"]
        result = run(*arguments)
        assert result.exit_code == 0, result.stderr
        assert "amman: kept from an earlier run" in result.stderr
        assert "large: kept" not in result.stderr
        assert names(out) == ["x.h5"]
        assert validate(out / "x.h5").valid
        assert list(LabelFile(out / "x.h5")) == ["amman", "large"]

    def test_processes(self, run: Runner, root: Path, out: Path) -> None:
        """Worker processes end with their parent, with its streams and what they had begun, and the part is kept."""
        arguments = ("msls", "--root", root, "-o", out / "x.h5", "--force", *POLYGONS)
        with started(*arguments, "--executor", "processes:2", **ENDLESS) as process:
            wait_for_second(process, out)
            process.kill()
            process.communicate(timeout=PATIENCE_S)  # returns when nobody has the streams open any more
        found = whole_parts(out)  # the large one too, where it was about to be finished
        assert [name for name in found if name != "large%block.h5"] == OF_PROCESSES
        result = run(*arguments)
        assert result.exit_code == 0, result.stderr
        assert "amman: 1 of 1 parts are kept from an earlier run" in result.stderr
        assert names(out) == ["x.h5"]


class TestInterrupted:
    """Ctrl-C, or another signal that asks for an end, in the middle."""

    def test_one_city(self, root: Path, out: Path) -> None:
        """Status 130, one line, and nothing is left behind."""
        with started(
            "msls", "--root", root, "--cities", "large", "-o", out / "x.h5", "--force", "-q", *SLOW
        ) as process:
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
        arguments = ("msls", "--root", root, "-o", out / "x.h5", "--force", *SLOW, "--executor", executor)
        with started(*arguments) as process:
            wait_for_second(process, out, executor)
            send(process.pid, number)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, stdout) == (128 + number, "")
        *notes, kept, last = stderr.splitlines()
        assert last == message
        # A process may finish its part while the signal is on its way.
        assert re.search("[12] of 2 parts are kept in", kept)
        assert all(note.startswith("relabel: ") for note in notes)
        assert (out / "x.h5").read_bytes() == OLD
        kept_parts = [name for name in whole_parts(out) if name != "large%block.h5"]
        assert kept_parts == (["amman.h5", "job.json"] if executor == "local" else OF_PROCESSES)
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
