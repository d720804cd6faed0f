"""Whether the dataset is still what was labelled: its files by digest, its cameras one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from relabel.cameras import Cameras
from relabel.geometry.earth import LAT, LON
from relabel.keys import rows_of
from relabel.labelfile import provenance
from relabel.verify.result import SHOWN, Task, Verification

log = logging.getLogger(__name__)


def compare_inputs(
    task: Task, record: Mapping[str, Any], root: Path, files: Iterable[Path], result: Verification, *, thousands: bool
) -> None:
    """Find the inputs of a record whose digest is that of none of the files read now."""
    stored = task.stored
    # Not by path: the root may be a folder above or below the one that was labelled.
    files = list(dict.fromkeys(files))
    log.debug("%s: %s files of the dataset are compared by sha256", stored.name, f"{len(files):,}")
    with task.bar(f"{stored.name}: files", len(files)) if task.bar is not None else nullcontext() as progress:
        entries = provenance.describe(root, files, outside=True, by_folder=thousands, progress=progress)
    now = {entry["sha256"] for entry in entries}
    occluders = stored.params.get("occluders")
    if isinstance(occluders, dict):
        now.add(occluders["sha256"])
    for entry in record["inputs"]:
        if entry["sha256"] not in now:
            many = "*" in entry["path"].rpartition("/")[2]
            what = "are not the files that were" if many else "is not the file that was"
            result.add(1, f"{stored.name}: {entry['path']} {what} labelled (its sha256 differs)")


def compare_cameras(where: str, ours: Cameras, theirs: Cameras, result: Verification) -> Cameras:
    """Compare every camera of the file with the camera of the same key in the dataset, and return the latter."""
    rows = rows_of(theirs.key, ours.key)
    known = np.flatnonzero(rows >= 0)
    rows = rows[known]
    sides = (ours, theirs)
    own = [name for name in ("fov_deg", "radius_m") if all(getattr(c, name) is not None for c in sides)]
    posed = all(c.pose is not None for c in sides)
    width = min(c.position.shape[1] for c in sides)
    on_earth = [name for name in (LON, LAT) if all(name in c.extra for c in sides)]
    stored, read = (
        np.column_stack(
            [
                c.position[:, :width],
                c.heading_deg,
                c.status,
                *(getattr(c, name) for name in own),
                *(c.extra[name] for name in on_earth),
                *([] if not posed or c.pose is None else [c.pose.reshape(len(c), 16)]),
            ]
        )
        for c in sides
    )
    old, new = stored[known], read[rows]
    differs = ((old != new) & ~(np.isnan(old) & np.isnan(new))).any(axis=1)
    stored[known] = new
    for what, keys in (
        ("of the file are not in the dataset", np.delete(ours.key, known)),
        (f"differ from the dataset in position, {'pose' if posed else 'heading'} or status", ours.key[known[differs]]),
        ("of the dataset are not in the file", np.delete(theirs.key, rows)),
    ):
        if len(keys):
            shown = ", ".join(str(key) for key in keys[:SHOWN])
            more = f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else ""
            result.add(len(keys), f"{where}: {len(keys):,} camera(s) {what}: {shown}{more}")
    return replace(
        ours,
        position=stored[:, :width],
        heading_deg=stored[:, width],
        status=stored[:, width + 1].astype(np.uint8),
        extra={**ours.extra, **dict(zip(on_earth, stored.T[width + 2 + len(own) :], strict=False))},
        **dict(zip(own, stored.T[width + 2 : width + 2 + len(own)], strict=True)),
    )
