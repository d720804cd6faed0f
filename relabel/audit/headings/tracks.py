"""Headings along tracks: direction of travel, compass against it, and the parts of a sequence that jump away.

    a  direction from the place before, at least a step away, to this frame     (in)
    b  direction from this frame to the place after it, at least a step away    (out)

            b ↗            The track turns from a to b. Between two frames the camera may turn by anything from
         i ·               nothing to that; what is left of the change of its heading is unexplained.
    a →  ·

All arrays are per frame, in the order of sequence and frame; a frame is a row that has a position and a heading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.geometry.headings import difference_deg, wrap_deg

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

STRAIGHT_DEG = 30.0
"""Compass and travel are only compared where the track turns by no more than this."""
FLIP_FRAMES = 3
"""Fewer frames that are turned round are jumps, not a turned part."""
LEAST_STRAIGHT = 5
"""Sequences with fewer straight frames are not compared with their travel."""
MIXED_DEG = 30.0
"""From this spread on, the camera of a sequence keeps to no side of its travel."""
END_DEG = 120.0
"""At the ends of a track, where a corner may hide what came before or after, only more than this is a jump."""
_LOOK = 50  # frames to look back or ahead for a place that is a step away: a car may wait at a light
_ROUND_DEG = 150.0  # a track that turns by this much may have turned either way: any change of heading is explained
_BINS = 24
FACING = ("forward", "backward", "left", "right", "mixed", "unknown")


@dataclass(frozen=True, eq=False)
class Tracks:
    """The direction of travel of m frames, and the frames whose headings do not fit it.

    Attributes
    ----------
    travel_deg:
        direction of travel, NaN where the camera is stationary or the track does not go straight on.
    offset_deg:
        compass − travel in [-180, 180), NaN where either is.
    centre_deg, spread_deg, straight:
        (g,) per group: the median of the offsets about the fullest 45° of them, the median distance from it, and the
        number of frames that have an offset. NaN below `LEAST_STRAIGHT`.
    jumping, flipped:
        frames in a part that is off the level of its sequence; see `audit_tracks`.
    turns:
        (g,) True where the track of a group turns: two straight frames or more are over `STRAIGHT_DEG` off its main
        direction.
    """

    travel_deg: FloatArray
    offset_deg: FloatArray
    centre_deg: FloatArray
    spread_deg: FloatArray
    straight: IntArray
    jumping: BoolArray
    flipped: BoolArray
    turns: BoolArray


def audit_tracks(
    points: FloatArray,
    heading_deg: FloatArray,
    group: IntArray,
    compass: tuple[FloatArray, FloatArray],
    *,
    step_m: float,
    gap_m: float,
    jump_deg: float,
    flip_deg: float,
) -> Tracks:
    """Travel, offsets and off-level parts of frames that are sorted by group and, in it, by time.

    A sequence is cut where the heading changes between two frames by `jump_deg` more than the track explains; at the
    first and last place of a track, which may lie behind a corner, by `END_DEG` more at least. Where two frames are
    more than `gap_m` apart, or the track is not known, nothing is cut. The deviation of a frame is how far its
    heading is from the centre of the sequence plus any direction from a to b, those of its neighbours included, since
    compass and satellites do not turn in the same instant. A part whose median deviation is over half of `jump_deg` is
    off, but for the frames in it that go straight on and are on the level themselves: flipped if it is `flip_deg` or
    more and the part has `FLIP_FRAMES` or more, jumping otherwise. Where most frames of a sequence with cuts are off,
    there is no level to be trusted, and all of them are jumping.

    Parameters
    ----------
    points:
        (m, 2 or 3) float64, metres.
    heading_deg:
        (m,) in [0, 360).
    group:
        (m,) int64, ascending, counted from 0.
    compass:
        (m, 2 or 3) unit vectors east and north at each point.
    step_m, gap_m:
        least and largest distance over which a direction is taken.
    jump_deg, flip_deg:
        thresholds.
    """
    groups = int(group[-1]) + 1 if len(group) else 0
    came, goes = _directions(points, group, compass, step_m, gap_m)
    no_way_in, no_way_out = np.isnan(came), np.isnan(goes)
    came, goes = np.where(no_way_in, goes, came), np.where(no_way_out, came, goes)
    turn = difference_deg(goes, came)
    # Across a corner the chord is no direction of travel, and beside a U-turn there is none.
    along = wrap_deg(came + turn / 2.0)
    travel = np.where(np.abs(turn) <= STRAIGHT_DEG, along, np.nan)
    offset = difference_deg(heading_deg, travel)
    centre, spread, straight = centres(offset, group, groups)
    main, _, _ = centres(travel, group, groups)
    off_main = np.abs(difference_deg(travel, main[group])) > STRAIGHT_DEG
    turns = np.bincount(group[off_main], minlength=groups) >= 2

    start, end = _neighbours(came, group, -1), _neighbours(goes, group, 1)
    change = difference_deg(heading_deg[1:], heading_deg[:-1])
    near = (np.diff(points, axis=0) ** 2).sum(axis=1) <= gap_m * gap_m
    same = group[1:] == group[:-1]
    at_end = no_way_in[:-1] | no_way_out[1:]
    least = np.where(at_end, max(jump_deg, END_DEG), jump_deg)
    cut = same & near & (_beyond(change, difference_deg(end[1:], start[:-1])) > least)
    part = np.concatenate([[0], np.cumsum(cut | ~same)])[: len(group)]
    deviation = _beyond(difference_deg(heading_deg, wrap_deg(centre[group] + start)), difference_deg(end, start))
    size = np.bincount(part) if len(part) else np.zeros(0, np.int64)
    level = _medians(deviation, part, len(size))
    some_cut = np.bincount(group[1:][cut], minlength=groups) > 0
    on_level = np.abs(difference_deg(offset, centre[group])) <= jump_deg / 2.0
    off = (level > jump_deg / 2.0)[part] & some_cut[group] & ~on_level
    total, away = np.bincount(group, minlength=groups), np.bincount(group[off], minlength=groups)
    lost = (2 * away > total)[group]
    flipped = off & ~lost & ((level >= flip_deg) & (size >= FLIP_FRAMES))[part]
    jumping = np.where(lost, some_cut[group], off & ~flipped)
    return Tracks(travel, offset, centre, spread, straight, jumping, flipped, turns)


def facing(centre_deg: FloatArray, spread_deg: FloatArray) -> npt.NDArray[np.str_]:
    """(g,) to which side of its travel the camera of each sequence looks, one of `FACING`."""
    far = np.abs(centre_deg)
    return np.select(
        [np.isnan(centre_deg), spread_deg > MIXED_DEG, far <= 45.0, far >= 135.0, centre_deg < 0.0],
        ["unknown", "mixed", "forward", "backward", "left"],
        "right",
    )


def centres(angle_deg: FloatArray, group: IntArray, groups: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """A robust circular median of each group, the median distance from it, and the number of finite angles.

    The fullest three neighbours of 24 bins of 15° give a direction, and the median of the angles about it, taken twice,
    the centre. Both are NaN for groups with fewer than `LEAST_STRAIGHT` finite angles.

    Parameters
    ----------
    angle_deg:
        (m,) degrees; NaN is skipped.
    group:
        (m,) int64 in [0, groups).
    """
    finite = np.isfinite(angle_deg)
    count = np.bincount(group[finite], minlength=groups)
    centre, spread = np.full(groups, np.nan), np.full(groups, np.nan)
    enough = count >= LEAST_STRAIGHT
    number = np.cumsum(enough) - 1
    rows = np.flatnonzero(finite & enough[group])
    if not len(rows):
        return centre, spread, count
    angle, index = angle_deg[rows], number[group[rows]]
    size = int(index.max()) + 1
    bins = np.minimum((wrap_deg(angle) // (360.0 / _BINS)).astype(np.int64), _BINS - 1)
    held = np.bincount(index * _BINS + bins, minlength=size * _BINS).reshape(size, _BINS)
    held = held + np.roll(held, 1, axis=1) + np.roll(held, -1, axis=1)
    middle = (held.argmax(axis=1) + 0.5) * (360.0 / _BINS)
    for _ in range(2):
        middle = middle + _medians(difference_deg(angle, middle[index]), index, size)
    centre[enough] = difference_deg(middle, 0.0)
    spread[enough] = _medians(np.abs(difference_deg(angle, middle[index])), index, size)
    return centre, spread, count


def _directions(
    points: FloatArray, group: IntArray, compass: tuple[FloatArray, FloatArray], step_m: float, gap_m: float
) -> tuple[FloatArray, FloatArray]:
    """(m,) in and out of every frame, degrees, NaN where there is no place before or after it."""
    after = _first_away(points, group, step_m, gap_m)
    before = len(points) - 1 - _first_away(points[::-1], group[::-1], step_m, gap_m)[::-1]
    before[before == len(points)] = -1  # was -1 before it was turned round
    rows = np.arange(len(points))
    came = _bearing(points - points[np.where(before >= 0, before, rows)], compass)
    goes = _bearing(points[np.where(after >= 0, after, rows)] - points, compass)
    return came, goes


def _first_away(points: FloatArray, group: IntArray, step_m: float, gap_m: float) -> IntArray:
    """(m,) for every frame the first one after it that is a step away, of the next 50; -1 where none is, or too far."""
    first_away = np.full(len(points), -1)
    open_rows = np.arange(len(points))
    for ahead in range(1, _LOOK + 1):
        open_rows = open_rows[open_rows < len(points) - ahead]
        there = open_rows + ahead
        same = group[there] == group[open_rows]
        open_rows, there = open_rows[same], there[same]
        distance = ((points[there] - points[open_rows]) ** 2).sum(axis=1)
        away = distance >= step_m * step_m
        hit = away & (distance <= gap_m * gap_m)
        first_away[open_rows[hit]] = there[hit]
        open_rows = open_rows[~away]
        if not len(open_rows):
            break
    return first_away


def _bearing(way: FloatArray, compass: tuple[FloatArray, FloatArray]) -> FloatArray:
    east, north = ((way * axis).sum(axis=1) for axis in compass)
    return np.where(way.any(axis=1), wrap_deg(np.degrees(np.arctan2(east, north))), np.nan)


def _neighbours(angle_deg: FloatArray, group: IntArray, by: int) -> FloatArray:
    """The angle of the frame before (-1) or after (1), or of the frame itself at the end of its group."""
    there = np.clip(np.arange(len(group)) + by, 0, max(len(group) - 1, 0))
    return np.where((group[there] == group) & np.isfinite(angle_deg[there]), angle_deg[there], angle_deg)


def _beyond(angle_deg: FloatArray, arc_deg: FloatArray) -> FloatArray:
    """How far an angle is outside of the arc from 0 to `arc_deg`; 0 for an arc that may go either way round."""
    inside = (angle_deg * np.sign(arc_deg) >= 0.0) & (np.abs(angle_deg) <= np.abs(arc_deg))
    outside = np.minimum(np.abs(angle_deg), np.abs(difference_deg(angle_deg, arc_deg)))
    either = np.abs(arc_deg) >= _ROUND_DEG
    return np.where(np.isnan(arc_deg), np.nan, np.where(inside | either, 0.0, outside))


def _medians(value: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """(g,) the median of the finite values of each group; NaN where there is none."""
    rows = np.flatnonzero(np.isfinite(value))
    rows = rows[np.lexsort((value[rows], group[rows]))]
    count = np.bincount(group[rows], minlength=groups)
    first = np.cumsum(count) - count
    result = np.full(groups, np.nan)
    some = count > 0
    ordered = value[rows]
    low, high = first + (count - 1) // 2, first + count // 2
    result[some] = (ordered[low[some]] + ordered[high[some]]) / 2.0
    return result
