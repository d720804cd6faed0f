"""The benchmarks run, on little data; what they print is looked at by people."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys

import pytest

from tests.conftest import FULL, REPOSITORY
from tests.trees import at_street, name_list

SMALL = {
    "bench_accuracy.py": ["--cameras", "100", "--sample", "50"],
    "bench_evaluate.py": ["--queries", "30", "--database", "200", "--dimensions", "8"],
    "bench_fov.py": ["--cameras", "60"],
    "bench_learning.py": ["--steps", "2", "--seeds", "1", "--rooms", "1", "--frames", "6", "--batch-size", "4"],
    "bench_matches.py": ["--frames", "4", "--pairs", "2", "--common", "5", "--bootstrap", "20"],
    "bench_noise.py": ["--cameras", "60", "--pairs", "50", "--samples", "256"],
    "bench_occluders.py": ["--cameras", "100"],
    "bench_pipeline.py": ["--cameras", "300", "--turns", "1", "--radii", "50"],
    "bench_remote.py": ["--cameras", "60", "--rows", "3", "--latency-ms", "0", "--repeats", "1"],
    "bench_sampler.py": ["--cameras", "150", "--pairs", "20000", "--dense", "20"],
    "bench_scale.py": ["--cameras", "300"],
    "bench_startup.py": [],
    "bench_surface_accuracy.py": ["--frames", "1", "--pairs", "12"],
    "bench_step.py": ["--pairs", "4", "--steps", "1", "--size", "48x32", "--device", "cpu"],
    "bench_store.py": ["--cameras", "150", "--dense", "20"],
    "bench_surface.py": ["--frames", "6", "--pairs", "3", "--device", "cpu"],
    "bench_view.py": ["--cameras", "60", "--a-query", "6"],
}
SLOW = (
    "bench_accuracy.py",
    "bench_learning.py",
    "bench_noise.py",
    "bench_occluders.py",
    "bench_sampler.py",
    "bench_scale.py",
    "bench_startup.py",
    "bench_step.py",
    "bench_store.py",
    "bench_surface.py",
    "bench_surface_accuracy.py",
    "bench_view.py",
)
"""Run by make test-faults; they are imported otherwise."""
NEED_TORCH = ("bench_learning.py", "bench_sampler.py", "bench_step.py")


def test_all_are_known_here():
    assert {path.name for path in (REPOSITORY / "benchmarks").glob("bench_*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_runs(name, tmp_path, monkeypatch):
    """On the synthetic city, whatever real data there is."""
    if name in NEED_TORCH:
        pytest.importorskip("torch")
    if name == "bench_matches.py":
        pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'relabel-vpr[bench]'")
    if name == "bench_remote.py":
        for package in ("fsspec", "aiohttp"):
            pytest.importorskip(package, reason=f"{package} is not installed: pip install 'relabel-vpr[remote]'")
    if name == "bench_view.py":
        pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")
    script = str(REPOSITORY / "benchmarks" / name)
    if name in SLOW and not FULL:
        monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
        runpy.run_path(script)
        return
    done = subprocess.run(
        [sys.executable, script, *SMALL[name]],
        env=os.environ | {"RELABEL_DATA": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3


def test_case_for_graded(tmp_path):
    """On a street where queries look east and the database west: the share of near pairs with ψ = 0 is told."""
    lists = [
        name_list(tmp_path / "q.txt", at_street(8)),
        name_list(tmp_path / "d.txt", [name.replace("@90@", "@270@") for name in at_street(8, step_m=9.5)]),
    ]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / "case_for_graded.py"), *map(str, lists)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert rows[0][0] == "headings differ by"
    # Opposite views overlap where they face each other, which is where the picture that looks east is farther west.
    steps = [(10.0 * i, 9.5 * j) for i in range(8) for j in range(8) if abs(10.0 * i - 9.5 * j) <= 25.0]
    apart = sum(query >= database for query, database in steps)
    table = {row[0]: row for row in rows[2:]}
    assert table["[0°, 30°)"][1] == "0"
    assert table["[150°, 180°]"][1:5] == [f"{len(steps)}", "100.0 %", f"{apart}", f"{100 * apart / len(steps):.1f} %"]
    assert table["all"][1:] == table["[150°, 180°]"][1:]
