"""Jobs in blocks whose processes are killed: the next run goes on, and the bytes are those of an undisturbed one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.packing import status
from relabel.pipeline.run import label
from tests.conftest import FULL
from tests.pipeline.cluster import cluster
from tests.pipeline.readers import Rows, write_rows
from tests.stopped import goes_on as go_on
from tests.stopped import stopped

JOB = """
import sys
from contextlib import contextmanager
from pathlib import Path
from relabel.errors import RelabelError
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.run import label
from tests.pipeline.readers import Rows
from tests.stopped import stop

finished = 0

@contextmanager
def bar(name, total):
    def progress(rows):
        global finished
        finished += 1
        if finished == 1:
            stop()
    yield progress

root = Path(sys.argv[1])
try:
    label((FovPart(Rows(root)),), root / "x.h5", executor=sys.argv[2], block_rows=14, bar=bar)
except RelabelError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A town of five blocks, and whole.h5, its labels."""
    write_rows(tmp_path / "town.csv", queries=60, database=70)
    label((FovPart(Rows(tmp_path)),), tmp_path / "whole.h5")
    return tmp_path


def goes_on(town: Path, executor: str = "local") -> None:
    """The next run keeps what is finished, and writes the file."""
    result = label((FovPart(Rows(town)),), town / "x.h5", executor=executor, block_rows=14)
    assert 1 <= result.parts[0].blocks_kept <= result.parts[0].blocks == 5
    assert (town / "x.h5").read_bytes() == (town / "whole.h5").read_bytes()
    assert not (town / "x.h5.parts").exists()
    assert [entry.name for entry in town.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize(
    "executor", ["local", pytest.param("processes:2", marks=pytest.mark.skipif(not FULL, reason="slow"))]
)
def test_the_process_of_the_job_is_killed(town: Path, executor: str) -> None:
    """kill -9 of the process that reads and joins, when a part has been finished."""
    with stopped(JOB, town, executor) as process:
        found = status(town / "x.h5.parts")
        assert [run.process for run in found.runs] == [process.pid]
        assert found.count("done") >= 1
    assert status(town / "x.h5.parts").runs == ()
    goes_on(town)


@pytest.mark.skipif(not FULL or not Path("/proc").exists(), reason="slow; and children are found in /proc")
def test_a_worker_process_is_killed(town: Path) -> None:
    """kill -9 of one of two workers, as where memory runs out: its part is made again by the same run."""
    with stopped(JOB, town, "processes:2") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
        workers = [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        code, _, errors = go_on(process)
    assert (code, "Traceback" in errors) == (0, False), errors
    assert (town / "x.h5").read_bytes() == (town / "whole.h5").read_bytes()
    assert not (town / "x.h5.parts").exists()


@pytest.mark.skipif(not FULL, reason="slow")
def test_without_locks_of_hdf5(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on network file systems; processes that are started get the setting as well."""
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "FALSE")
    label((FovPart(Rows(town)),), town / "x.h5", executor="processes:2", block_rows=14)
    assert (town / "x.h5").read_bytes() == (town / "whole.h5").read_bytes()


@pytest.mark.skipif(not FULL, reason="slow")
def test_the_scheduler_is_killed(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends and says why; the next one goes on with a new scheduler."""
    pytest.importorskip("distributed", reason="distributed is not installed (the extra cluster)")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")
    (town / "first").mkdir()
    (town / "second").mkdir()
    with cluster(town / "first", workers=1) as dask, stopped(JOB, town, f"dask:{dask.address}") as process:
        dask.scheduler.kill()
        _, errors = process.communicate("\n")
        assert process.returncode == 1
    assert "does not answer any more; finished parts are kept" in errors
    assert "Traceback" not in errors
    with cluster(town / "second", workers=1) as dask:
        goes_on(town, f"dask:{dask.address}")
