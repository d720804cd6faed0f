"""The audit of one collection, cameras or frames, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from relabel.audit import fillers, poses
from relabel.audit.findings import AuditReport, Finding, NotChecked
from relabel.audit.tracks import MOST_ROWS
from relabel.cameras import Cameras
from relabel.datasets.base import CameraSets, FrameSets, cameras_in
from relabel.frames import Frames


def audit(sets: CameraSets | FrameSets, *, thorough: bool = False) -> AuditReport:
    """Everything that the audit has to say of two sets of cameras or frames; of depth maps a few are decoded.

    The result depends on the input alone.

    Parameters
    ----------
    sets:
        what a reader read.
    thorough:
        look at all tracks, however many; otherwise a sample of them keeps the time short.
    """
    with np.errstate(all="ignore"):  # numbers without sense give findings, not warnings of NumPy
        results = _results(sets, None if thorough else MOST_ROWS)
    return AuditReport(
        tuple(result for result in results if isinstance(result, Finding)),
        tuple(result for result in results if isinstance(result, NotChecked)),
    )


def check(read: CameraSets | FrameSets | Cameras | Frames) -> AuditReport:
    """What ``relabel audit`` says of what a reader read, or of cameras or frames by themselves; print it to read it.

    Labelling commands make the same checks, on a sample of very long tracks.
    """
    if isinstance(read, Cameras):
        return audit(CameraSets(query=read, database=read), thorough=True)
    if isinstance(read, Frames):
        return audit(FrameSets(query=read, database=read), thorough=True)
    return audit(read, thorough=True)


def _results(sets: CameraSets | FrameSets, most_rows: int | None) -> list[Finding | NotChecked]:
    results: list[Finding | NotChecked] = list(fillers.replaced(sets.fillers))
    results += [Finding(*doubt) for doubt in sets.doubts]
    for side, cameras in _sides(sets):
        results += fillers.without_pose(cameras, side)
        if isinstance(sets, CameraSets):
            results += fillers.zero_headings(cameras, side)
            results += fillers.zero_positions(cameras, side)
            degrees = None if sets.geographic is None else sets.geographic[side == "database"]
            results += poses.camera_findings(cameras, side, sets.params, degrees, most_rows=most_rows)
        else:
            results += poses.frame_findings(cameras, side)
            frames = sets.database if side == "database" else sets.query
            from relabel.audit import depth  # noqa: PLC0415  it loads what fields of view do without

            measured = list(depth.depth_findings(frames, side, sets.remedies))
            results += measured
            if not depth.unit_is_sure(measured):
                results += poses.large_room(cameras, side)
    return results


def _sides(sets: CameraSets | FrameSets) -> Iterator[tuple[str, Cameras]]:
    """The two sets of cameras with their names, or the one set of self pairs without."""
    if sets.database is sets.query:
        yield "", cameras_in(sets.query)
        return
    yield "query", cameras_in(sets.query)
    yield "database", cameras_in(sets.database)
