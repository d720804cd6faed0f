"""The audit of one collection, cameras or frames, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from relabel.audit import fillers, poses
from relabel.audit.findings import AuditReport, Finding, NotChecked
from relabel.audit.sides import side_findings
from relabel.audit.tracks import MOST_ROWS
from relabel.cameras import Cameras, FloatArray
from relabel.datasets.base import CameraSets, FrameSets, cameras_in
from relabel.frames import Frames
from relabel.geometry.earth import is_geodesic, lon_lat


def audit(sets: CameraSets | FrameSets, *, thorough: bool = False) -> AuditReport:
    """The audit of two sets of cameras or frames; of depth maps, only a few are decoded.

    The result depends on the input alone.

    Parameters
    ----------
    sets:
        what a reader read.
    thorough:
        check all tracks; otherwise only a sample of them, which bounds the time.
    """
    with np.errstate(all="ignore"):  # numbers without sense give findings, not warnings of NumPy
        results = _results(sets, None if thorough else MOST_ROWS)
    return AuditReport(
        tuple(result for result in results if isinstance(result, Finding)),
        tuple(result for result in results if isinstance(result, NotChecked)),
    )


def audit_labels(query: Cameras, database: Cameras, params: Mapping[str, Any], *, with_depth: bool) -> AuditReport:
    """The audit of cameras of a label file, which no longer shows what readers replaced or doubted.

    Parameters
    ----------
    query, database:
        the cameras; the same object for self pairs.
    params:
        of their collection.
    with_depth:
        whether the labels come from depth maps, whose cameras may be in any frame; no depth map is read.
    """
    with np.errstate(all="ignore"):
        results: list[Finding] = []
        for side, cameras in (("", query),) if database is query else (("query", query), ("database", database)):
            results += fillers.without_pose(cameras, side)
            if with_depth:
                results += poses.frame_findings(cameras, side)
            else:
                degrees = lon_lat(cameras) if is_geodesic(params) else None
                results += _of_cameras(cameras, side, params, degrees, None)
        if not with_depth:
            both = (lon_lat(query), lon_lat(database)) if is_geodesic(params) else None
            results += side_findings(query, database, both)
    return AuditReport(tuple(results))


def check(read: CameraSets | FrameSets | Cameras | Frames) -> AuditReport:
    """The report of ``relabel audit`` on what a reader returned, or on cameras or frames; print it to read it.

    Labelling commands make the same checks, on a sample of very long tracks.
    """
    if isinstance(read, Cameras):
        return audit(CameraSets(query=read, database=read), thorough=True)
    if isinstance(read, Frames):
        return audit(FrameSets(query=read, database=read), thorough=True)
    return audit(read, thorough=True)


def _results(sets: CameraSets | FrameSets, most_rows: int | None) -> list[Finding | NotChecked]:
    results: list[Finding | NotChecked] = list(fillers.replaced(sets.fillers))
    results += [
        Finding(doubt.code, doubt.number, doubt.cameras, doubt.seen, doubt.cause, doubt.remedy, keys=doubt.keys)
        for doubt in sets.doubts
    ]
    if isinstance(sets, CameraSets):
        sides = list(_sides(sets))
        with ThreadPoolExecutor(len(sides), thread_name_prefix="relabel-audit") as pool:
            jobs = [pool.submit(_of_side, sets, cameras, side, most_rows) for side, cameras in sides]
        for job in jobs:
            results += job.result()
        results += side_findings(sets.query, sets.database, sets.geographic)
        return results
    for side, cameras in _sides(sets):
        results += fillers.without_pose(cameras, side)
        results += poses.frame_findings(cameras, side)
        frames = sets.database if side == "database" else sets.query
        from relabel.audit import depth  # noqa: PLC0415  it loads what fields of view do without

        measured = list(depth.depth_findings(frames, side, sets.remedies))
        results += measured
        if not depth.unit_is_sure(measured):
            results += poses.large_room(cameras, side)
    return results


def _of_side(sets: CameraSets, cameras: Cameras, side: str, most_rows: int | None) -> list[Finding]:
    degrees = None if sets.geographic is None else sets.geographic[side == "database"]
    with np.errstate(all="ignore"):  # which holds for one thread
        return [
            *fillers.without_pose(cameras, side),
            *_of_cameras(cameras, side, sets.params, degrees, most_rows),
        ]


def _of_cameras(
    cameras: Cameras, side: str, params: Mapping[str, Any], lon_lat_deg: FloatArray | None, most_rows: int | None
) -> Iterator[Finding]:
    """The audit of cameras that are labelled by fields of view."""
    yield from fillers.zero_headings(cameras, side)
    yield from fillers.zero_positions(cameras, side)
    yield from poses.camera_findings(cameras, side, params, lon_lat_deg, most_rows=most_rows)


def _sides(sets: CameraSets | FrameSets) -> Iterator[tuple[str, Cameras]]:
    """The two sets of cameras with their names, or the one set of self pairs without."""
    if sets.database is sets.query:
        yield "", cameras_in(sets.query)
        return
    yield "query", cameras_in(sets.query)
    yield "database", cameras_in(sets.database)
