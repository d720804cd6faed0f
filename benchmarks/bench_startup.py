"""How long `relabel --help`, and that of commands that use torch, take: medians of ten runs, and of a bare Python."""

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
    commands = {name: median_s([script, name, "--help"]) for name in ("train", "evaluate")}
    print(f"python -c pass           {python * 1e3:6.0f} ms")
    print(f"python -c import relabel {library * 1e3:6.0f} ms")
    print(f"relabel --help           {script_help * 1e3:6.0f} ms   (to reach: < {GOAL_S * 1e3:.0f} ms)")
    for name, seconds in commands.items():
        print(f"{f'relabel {name} --help':24} {seconds * 1e3:6.0f} ms   (without torch)")


if __name__ == "__main__":
    main()
