"""How long `relabel --help` takes to answer: the median of ten runs, against a bare start of the same Python."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 10
GOAL_S = 0.3


def median_s(command: list[str]) -> float:
    """Median wall time of a command, seconds, after one run that warms the file cache."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    script = shutil.which("relabel", path=str(Path(sys.executable).parent)) or "relabel"
    python = median_s([sys.executable, "-c", "pass"])
    library = median_s([sys.executable, "-c", "import relabel"])
    script_help = median_s([script, "--help"])
    print(f"python -c pass           {python * 1e3:6.0f} ms")
    print(f"python -c import relabel {library * 1e3:6.0f} ms")
    print(f"relabel --help           {script_help * 1e3:6.0f} ms   (to reach: < {GOAL_S * 1e3:.0f} ms)")


if __name__ == "__main__":
    main()
