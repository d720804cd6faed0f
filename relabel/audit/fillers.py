"""Filler values instead of measurements: those that a reader has replaced, and those that it may have missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from relabel.audit.findings import Finding, rounded
from relabel.cameras import Cameras, Status
from relabel.datasets import fillers
from relabel.datasets.fillers import Filler, keys_of
from relabel.display import several

_STATUS = {"heading": "no_heading", "position": "no_position"}
_FEW = 20
_ZERO_SHARE = 0.02


def replaced(values: Sequence[Filler]) -> Iterator[Finding]:
    """A note for each filler value that the reader replaced."""
    for filler in values:
        yield Finding(
            f"{filler.quantity}-filler",
            filler.number,
            filler.cameras,
            f"{filler}: {_STATUS[filler.quantity]}",
            keys=filler.keys,
        )


def without_pose(cameras: Cameras, side: str) -> Iterator[Finding]:
    """A note on cameras without a pose."""
    without = np.flatnonzero(cameras.status == Status.NO_POSE)
    count = len(without)
    if count:
        yield Finding(
            "no-pose",
            count,
            len(cameras),
            f"{count:,} of {len(cameras):,} cameras have no pose: "
            "it is missing, not finite, all zeros, or marked as bad",
            side=side,
            keys=keys_of(cameras.key, without),
        )


def zero_headings(cameras: Cameras, side: str) -> Iterator[Finding]:
    """A warning if there are many headings of exactly 0 among finely measured ones."""
    heading = cameras.heading_deg[cameras.ok]
    if cameras.pose is not None or len(heading) < _FEW:
        return
    zero = heading == 0.0
    count = int(np.count_nonzero(zero))
    others = heading[~zero]
    if count < max(5, _ZERO_SHARE * len(heading)) or not len(others):
        return
    # Of headings in whole degrees, or on a coarser grid, some are 0 and true; so few different ones are no measurement.
    if np.mean(others != np.round(others)) < 0.5 or np.unique(others, return_counts=True)[1].max() >= count:
        return
    yield Finding(
        "heading-zero",
        count,
        len(heading),
        f"the heading of {count:,} of {len(heading):,} cameras is exactly 0, and no other heading is as frequent",
        "0 most likely stands for an unknown heading",
        "empty those cells, or leave the cameras out with --mask",
        {"share": rounded(count / len(heading))},
        side,
        keys_of(cameras.key, np.flatnonzero(cameras.ok)[zero]),
    )


def zero_positions(cameras: Cameras, side: str) -> Iterator[Finding]:
    """A warning if cameras are labelled at exactly (0, 0) that are unlikely to be there."""
    if cameras.pose is not None:
        return
    ok = cameras.ok
    (at_origin,) = fillers.position_fillers([cameras.position[ok]])
    count = int(at_origin.sum())
    if count:
        yield Finding(
            "position-zero",
            count,
            int(ok.sum()),
            f"{several(count, 'camera is', 'cameras are')}"
            " at exactly (0, 0), far from the others or more than at any other position",
            "(0, 0) most likely stands for an unknown position",
            "empty those cells, or leave the cameras out with --mask",
            side=side,
            keys=keys_of(cameras.key, np.flatnonzero(ok)[at_origin]),
        )
