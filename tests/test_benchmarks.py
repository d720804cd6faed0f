"""The benchmarks run, on little data; what they print is looked at by people."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

SMALL = {
    "bench_accuracy.py": ["--cameras", "100", "--sample", "50"],
    "bench_fov.py": ["--cameras", "60"],
    "bench_pipeline.py": ["--cameras", "300"],
    "bench_startup.py": [],
    "bench_store.py": ["--cameras", "150", "--dense", "20"],
}


def test_all_are_known_here():
    assert {path.name for path in (REPOSITORY / "benchmarks").glob("bench_*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_runs(name, tmp_path):
    """On the synthetic city, whatever real data there is."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / name), *SMALL[name]],
        env=os.environ | {"RELABEL_DATA": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
