"""`relabel`, whose rows of large collections are computed only once a signal has come.

    python -m tests.cli.held FILE ARGUMENTS…

FILE appears when they are to be computed: from then on a parent can be sure to find the command at work, however fast
it is. Whatever a kill -9 or the end of a worker process interrupts, it waits there for good.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from relabel.fov.planar import FovOverlap
from relabel.similarity import RowBlock
from relabel.stopping import stop_signal

LARGE = 1000
"""database cameras; a collection of fewer is not held"""
HELD_AT = "RELABEL_TESTS_HELD_AT"

_blocks = FovOverlap.blocks


def _held(overlap: FovOverlap) -> Iterator[RowBlock]:
    if len(overlap.collection.database) > LARGE:
        Path(os.environ[HELD_AT]).touch()
        while stop_signal() is None:
            time.sleep(0.005)
    yield from _blocks(overlap)


FovOverlap.blocks = _held  # type: ignore[assignment, method-assign]  # in worker processes too

if __name__ == "__main__":
    from relabel.cli import main

    os.environ[HELD_AT] = sys.argv.pop(1)
    main()
