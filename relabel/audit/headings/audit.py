"""An audit of headings: which sequences and cameras should not be trusted, before they become labels.

Only positions and headings are used. Faults along a sequence are only looked for where the cameras carry the columns
`sequence` and `frame`. docs/headings.md defines every figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.audit.headings import near_pairs
from relabel.audit.headings.tracks import BoolArray, IntArray, audit_tracks, facing
from relabel.audit.headings.types import REASONS, STEPS_DEG, Audit, SequenceAudit, SideAudit, Thresholds
from relabel.cameras import Cameras, FloatArray, Status
from relabel.geometry.earth import axes, ecef
from relabel.geometry.headings import constant_groups, difference_deg, group_codes

_STEP_TOLERANCE_DEG = 1e-6
_TURN_DEG = {"forward": 0.0, "backward": 180.0}


def audit(
    query: Cameras,
    database: Cameras,
    *,
    name: str = "cameras",
    thresholds: Thresholds | None = None,
    wrapped: int | None = None,
    geographic: tuple[FloatArray, FloatArray] | None = None,
) -> Audit:
    """Look for faults in the headings of two sets of cameras.

    Parameters
    ----------
    query, database:
        the cameras; the same object for self pairs. The columns ``sequence`` (any) and ``frame`` (numbers) of `extra`
        say which images were taken one after the other, ``view_direction`` (Forward, Backward or Sideways) to which
        side of its travel a camera is said to look. Panoramas and cameras without a position are skipped.
    name:
        of the collection.
    thresholds:
        when a heading is at fault.
    wrapped:
        number of headings that were outside [0, 360), which `Cameras` no longer shows.
    geographic:
        (n, 2) longitude and latitude of queries and database where distances and directions are to be those on the
        earth; otherwise those of their positions on a map.
    """
    limits = thresholds or Thresholds()
    itself = database is query
    sets = [
        _Placed.of(cameras, None if geographic is None else geographic[i])
        for i, cameras in enumerate((query,) if itself else (query, database))
    ]
    names = ("both",) if itself else ("query", "database")
    alone = _alone(sets, limits)
    sides = tuple(_side(*of_side, limits) for of_side in zip(names, sets, alone, strict=True))
    first, last = sets[0], sets[-1]
    near = near_pairs.near_pairs(
        (first.points, first.heading_deg),
        (last.points, last.heading_deg),
        self_pairs=itself,
        radius_m=limits.near_m,
        place_m=limits.place_m,
        flip_deg=limits.flip_deg,
    )
    return Audit(name, sides, near, limits, wrapped)


def audit_along_tracks(
    cameras: Cameras, name: str, lon_lat_deg: FloatArray | None = None, thresholds: Thresholds | None = None
) -> SideAudit:
    """The audit of one set of cameras without a look at those near each other, which takes the most time."""
    placed = _Placed.of(cameras, lon_lat_deg)
    return _side(name, placed, np.zeros(len(cameras), bool), thresholds or Thresholds())


def step_of(heading_deg: FloatArray) -> float | None:
    """The largest of `STEPS_DEG` that all headings are multiples of; None where none is, or there is no heading."""
    for step in STEPS_DEG if len(heading_deg) else ():
        if (np.abs(heading_deg - step * np.round(heading_deg / step)) <= _STEP_TOLERANCE_DEG).all():
            return step
    return None


@dataclass(frozen=True, eq=False)
class _Placed:
    """Cameras, and those (m,) of them that can be audited: their rows, points in metres, headings and compass."""

    cameras: Cameras
    rows: IntArray
    points: FloatArray
    heading_deg: FloatArray
    compass: tuple[FloatArray, FloatArray]
    """(m, 2 or 3) unit vectors east and north at each of them"""

    @classmethod
    def of(cls, cameras: Cameras, lon_lat_deg: FloatArray | None) -> _Placed:
        """Those that have a position and a heading and are no panorama."""
        finite = np.isfinite(cameras.position[:, :2]).all(axis=1) & np.isfinite(cameras.heading_deg)
        rows = np.flatnonzero(finite & (cameras.status != Status.PANORAMA))
        if lon_lat_deg is None:
            points = cameras.position[rows, :2]
            east, north = (np.broadcast_to(np.array(axis), points.shape) for axis in ((1.0, 0.0), (0.0, 1.0)))
        else:
            points = ecef(*lon_lat_deg[rows].T)
            east, north, _ = axes(*lon_lat_deg[rows].T)
        return cls(cameras, rows, points, cameras.heading_deg[rows], (east, north))


def _alone(sets: list[_Placed], limits: Thresholds) -> list[BoolArray]:
    """For each set its cameras that look against all others around, of any set."""
    points, heading = (np.concatenate([getattr(s, name) for s in sets]) for name in ("points", "heading_deg"))
    against_all = near_pairs.alone(points, heading, place_m=2.0 * limits.place_m, flip_deg=limits.flip_deg)
    result, first = [], 0
    for placed in sets:
        of_set = np.zeros(len(placed.cameras), bool)
        of_set[placed.rows] = against_all[first : first + len(placed.rows)]
        result.append(of_set)
        first += len(placed.rows)
    return result


def _side(name: str, placed: _Placed, alone: BoolArray, limits: Thresholds) -> SideAudit:
    cameras, rows = placed.cameras, placed.rows
    n = len(cameras)
    panorama = cameras.status == Status.PANORAMA
    position = np.isfinite(cameras.position[:, :2]).all(axis=1)
    missing = ~panorama & position & np.isnan(cameras.heading_deg)
    heading = np.full(n, np.nan)
    heading[rows] = placed.heading_deg
    step = step_of(placed.heading_deg)
    faults = {reason: np.zeros(n, bool) for reason in REASONS} | {"alone": alone}
    travel, offset = np.full(n, np.nan), np.full(n, np.nan)
    sequences: tuple[SequenceAudit, ...] = ()
    if "sequence" in cameras.extra:
        codes = _in_order(group_codes(cameras.extra["sequence"]))
        frame = cameras.extra.get("frame", np.zeros(n))
        order = np.lexsort((frame[rows], codes[rows]))
        rows = rows[order]
        groups = int(codes.max()) + 1 if n else 0
        present, of_row = np.unique(codes[rows], return_inverse=True)
        tracks = audit_tracks(
            placed.points[order],
            heading[rows],
            of_row.astype(np.int64),
            (placed.compass[0][order], placed.compass[1][order]),
            step_m=limits.step_m,
            gap_m=limits.gap_m,
            jump_deg=limits.jump_deg,
            flip_deg=limits.flip_deg,
        )
        travel[rows], offset[rows] = tracks.travel_deg, tracks.offset_deg
        faults["jumping"][rows], faults["flipped"][rows] = tracks.jumping, tracks.flipped
        constant = constant_groups(heading, codes, least=limits.constant_frames)
        # On a straight street a compass that counts in whole degrees may say the same for long, and be right.
        doubted = tracks.turns if step is not None else tracks.straight > 0
        faults["constant"][rows] = constant[rows] & doubted[of_row]
        faults["against_travel"] = _against(offset, cameras.extra.get("view_direction")) > limits.against_deg
        centre, spread = np.full(groups, np.nan), np.full(groups, np.nan)
        centre[present], spread[present] = tracks.centre_deg, tracks.spread_deg
        straight = np.zeros(groups, np.int64)
        straight[present] = tracks.straight
        sides_faced = facing(centre, spread)
        counts = {reason: np.bincount(codes[held], minlength=groups) for reason, held in faults.items()}
        size, without = np.bincount(codes, minlength=groups), np.bincount(codes[missing], minlength=groups)
        _, first = np.unique(codes, return_index=True)
        sequences = tuple(
            SequenceAudit(
                name,
                str(label),
                int(size[g]),
                int(without[g]),
                int(straight[g]),
                _number(centre[g]),
                _number(spread[g]),
                str(sides_faced[g]),
                {reason: int(count[g]) for reason, count in counts.items()},
            )
            for g, label in enumerate(cameras.extra["sequence"][first])
        )
    return SideAudit(
        name,
        cameras.key,
        n,
        int(panorama.sum()),
        int((~panorama & ~position).sum()),
        int(missing.sum()),
        len(np.unique(heading[rows])),
        step,
        sequences,
        faults,
        cameras.position[:, :2],
        heading,
        travel,
        offset,
    )


def _in_order(codes: IntArray) -> IntArray:
    """The codes, numbered in the order in which they first come."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _against(offset_deg: FloatArray, view: npt.NDArray[Any] | None) -> FloatArray:
    """How far each camera looks from where it is said to, forward where nothing is said; sideways is either side."""
    if view is None:
        return np.abs(offset_deg)
    words = np.strings.lower(np.strings.strip(view.astype(np.str_)))
    stated_deg = np.zeros(len(words))
    for word, angle in _TURN_DEG.items():
        stated_deg[words == word] = angle
    sideways = np.abs(np.abs(offset_deg) - 90.0)
    return np.where(words == "sideways", sideways, np.abs(difference_deg(offset_deg, stated_deg)))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)
