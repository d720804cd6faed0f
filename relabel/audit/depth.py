"""Depth against pose, measured: whether frames that see the same surface agree on where it is.

A few pairs of neighbouring frames are compared as they were read, and as another convention would read them. Pairs are
chosen by the ratio of baseline to depth, not by a number of frames: with hardly any motion, every convention fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations, product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from relabel.audit.findings import Finding, NotChecked, rounded
from relabel.audit.reprojection import AS_READ, Convention, Sampled, pair_errors
from relabel.cameras import FloatArray
from relabel.errors import InputError
from relabel.frames import Frames
from relabel.surface.depth_maps import read_depth

CHECK = "depth against pose"
IntArray = npt.NDArray[np.int64]

BASELINE = 0.15
"""Preferred distance between the cameras of a pair, as a share of the median depth."""
MOST_TURN_DEG = 25.0
"""Largest rotation between two frames, beyond which they have too little in common."""
CONVINCING = 0.67
"""Another convention is suggested if it leaves at most this share of the error."""
DISAGREES = 0.1
"""Median relative error from which on depth maps and poses are reported to disagree."""
FITS = 0.05
"""A convention with a larger median error is never suggested, however bad the others are."""
_GAPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_FEWEST_PAIRS = 3
_GRID = 24  # columns of a grid of pixels
_DECODERS = 4

_UNITS_M = (0.001, 0.0002, 0.01, 0.0001, 0.00025, 1.0 / 256.0)
_POSE_UNITS = {"centimetres": 100.0, "millimetres": 1000.0}
"""Where translations are not in metres, depths fit them in a unit that is so many times larger."""
_COMMON_UNITS_M = (0.001, 0.0002)
"""Units that are also tried together with poses that are not in metres."""
_FOCAL = (0.5, 0.75, 0.9, 1.11, 1.33, 2.0)
_SIZES = (0.5, 2.0)
"""Factors from the intrinsics as read to those of the depth maps, where they are of an image of another size."""


@dataclass(frozen=True)
class Alternative:
    """A convention to try, and what to report if it fits."""

    code: str
    convention: Convention
    name: str
    unit_m: float | None = None
    """the unit of stored depths under this convention, if it is another one"""
    pose_unit: float = 1.0
    """how many units of the poses are a metre"""


REMEDIES = {
    "depth-unit": "set --depth-unit {unit}",
    "depth-focal": "set --intrinsics or --focal",
    "depth-image-size": "multiply fx, fy, cx and cy by {size:g}, or give those of the depth maps with --intrinsics",
    "depth-ray": "set --depth-is",
    "depth-axes": "set --convention opengl, or --axes",
    "depth-inverse-poses": "invert them, or set --poses world-to-camera",
    "depth-quaternion": "put it last, or set --quaternion wxyz",
}
"""What mends each, where the dataset has no other words for it."""


def _others(unit_m: float, base: Convention) -> tuple[Alternative, ...]:
    """What is tried of frames that were read with this unit and by the convention `base`."""
    units = [unit for unit in _UNITS_M if abs(unit / unit_m - 1.0) > 0.01]
    poses = [
        Alternative("depth-unit", base._replace(unit=factor), f"translations of the poses in {name}", pose_unit=factor)
        for name, factor in _POSE_UNITS.items()
    ]
    both = [
        Alternative(
            "depth-unit",
            base._replace(unit=unit / unit_m * factor),
            f"a depth unit of {unit:.4g} m and translations of the poses in {name}",
            unit,
            factor,
        )
        for name, factor in _POSE_UNITS.items()
        for unit in units
        if unit in _COMMON_UNITS_M
    ]
    along = "depths along the optical axis" if base.ray else "depths along the ray of each pixel"
    return (
        *(Alternative("depth-unit", base._replace(unit=u / unit_m), f"a depth unit of {u:.4g} m", u) for u in units),
        *poses,
        *both,
        *(Alternative("depth-focal", base._replace(focal=factor), "another focal length") for factor in _FOCAL),
        *(Alternative("depth-image-size", base._replace(size=factor), "another image size") for factor in _SIZES),
        Alternative("depth-ray", base._replace(ray=not base.ray), along),
        Alternative("depth-axes", base._replace(opengl=True), "OpenGL camera axes (y up, z backward)"),
        Alternative("depth-inverse-poses", base._replace(inverse=True), "world-to-camera poses"),
        Alternative("depth-quaternion", base._replace(quaternion=True), "quaternions with the real part first"),
    )


def depth_findings(
    frames: Frames, side: str = "", remedies: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Finding | NotChecked]:
    """Findings from depth maps on poses, intrinsics and unit: warnings, or a check that could not be made.

    At most 24 depth maps are decoded. `remedies` are those that the dataset defines itself, by code.
    """
    ok = np.flatnonzero(frames.cameras.ok & (frames.depth != ""))
    if len(ok) < 2:
        yield NotChecked(CHECK, "fewer than two frames have a pose and a depth map")
        return
    sampled, pairs = _sample(frames, ok)
    if len(pairs) < _FEWEST_PAIRS:
        yield NotChecked(
            CHECK, f"only {len(pairs)} pairs of neighbouring frames look the same way, within {MOST_TURN_DEG:g}°"
        )
        return
    base = AS_READ._replace(ray=frames.depth_is == "ray")
    as_read = pair_errors(sampled, pairs, base)
    tried = {other: pair_errors(sampled, pairs, other.convention) for other in _others(frames.unit_m, base)}
    best = min(tried, key=lambda other: float(np.median(tried[other])))
    # Of focal lengths only some were tried, and the right one may lie between them.
    if best.code == "depth-focal" and np.median(tried[best]) < np.median(as_read):
        focal = _best_focal(sampled, pairs, best.convention)
        best = Alternative(best.code, best.convention._replace(focal=focal), best.name)
        tried[best] = pair_errors(sampled, pairs, best.convention)
    if _convinces(as_read, tried[best]):
        yield _finding(sampled, pairs, best, (as_read, tried[best]), side, remedies)
        return
    error = float(np.median(as_read))
    if error <= DISAGREES:
        yield from _undecided(as_read, tried)
        return
    several = list(_combined(sampled, pairs, as_read, base, side, remedies))
    if several:
        yield from several
    elif np.isfinite(error):
        yield Finding(
            "depth-disagrees",
            int((as_read > DISAGREES).sum()),
            len(pairs),
            f"neighbouring frames differ by {_percent(error)} of the depth (median of {len(pairs)} pairs), and none "
            "of the conventions that were tried explains that",
            "depth maps, poses or intrinsics do not belong to these frames, or are inaccurate",
            "check that depth maps and poses belong together",
            {"error": rounded(error), "pairs": float(len(pairs))},
            side,
        )
    else:
        yield NotChecked(CHECK, "neighbouring frames have too little surface in common")


def unit_is_sure(results: Iterable[Finding | NotChecked]) -> bool:
    """Whether depth maps and poses are of one unit, by what `depth_findings` found."""
    return all(isinstance(result, NotChecked) and result.check not in (CHECK, "depth-unit") for result in results)


def _sample(frames: Frames, ok: IntArray) -> tuple[Sampled, IntArray]:
    """A few frames with their neighbours, decoded, and the pairs of them."""
    cameras = frames.cameras
    assert cameras.pose is not None
    count = int(np.clip(len(ok) // 50, 2, 8))
    anchors = ok[np.unique(np.linspace(0, len(ok) - 1, count + 2).astype(np.int64)[1:-1])]
    maps = _decoded(frames, anchors)
    sequence = cameras.extra.get("sequence", np.zeros(len(cameras), np.int64))
    chosen: list[tuple[int, int]] = []
    for anchor in (anchor for anchor in anchors.tolist() if anchor in maps):
        depth_m = _median_m(maps[anchor], frames)
        if np.isfinite(depth_m):
            same = ok[sequence[ok] == sequence[anchor]]
            group = [anchor, *_partners(cameras.pose, same, anchor, depth_m)]
            chosen += [
                pair for pair in combinations(sorted(group), 2) if _turn_deg(cameras.pose, *pair) <= MOST_TURN_DEG
            ]
    chosen = sorted(set(chosen))
    maps |= _decoded(frames, sorted({row for pair in chosen for row in pair} - maps.keys()))
    chosen = [pair for pair in chosen if pair[0] in maps and pair[1] in maps]
    rows = sorted({row for pair in chosen for row in pair})
    number = {row: k for k, row in enumerate(rows)}
    pixels = [_grid(maps[row], frames.invalid) for row in rows]
    sampled = Sampled(
        [pixel[:, :2] for pixel in pixels],
        [pixel[:, 2] * frames.unit_m for pixel in pixels],
        [maps[row] for row in rows],
        cameras.pose[rows],
        frames.intrinsics[rows],
        frames.unit_m,
        frames.invalid,
    )
    return sampled, np.array([[number[a], number[b]] for a, b in chosen], np.int64).reshape(-1, 2)


def _partners(pose: FloatArray, same: IntArray, anchor: int, depth_m: float) -> set[int]:
    """Up to two frames of the same sequence to compare with: by baseline, and by turn."""
    at = int(np.searchsorted(same, anchor))
    places = np.array([at + sign * gap for gap in _GAPS for sign in (1, -1)])
    rows = same[places[(places >= 0) & (places < len(same))]]
    turn_deg = np.array([_turn_deg(pose, anchor, row) for row in rows.tolist()])
    near = turn_deg <= MOST_TURN_DEG
    if not near.any():
        return set()
    rows, turn_deg = rows[near], turn_deg[near]
    share = np.linalg.norm(pose[rows, :3, 3] - pose[anchor, :3, 3], axis=1) / depth_m
    by_baseline = int(np.argmin(np.abs(np.log(np.maximum(share, 1e-9) / BASELINE))))
    off = np.abs(turn_deg - MOST_TURN_DEG / 2.0)
    off[by_baseline] = np.inf
    by_turn = int(np.argmin(off))
    return {int(rows[by_baseline]), int(rows[by_turn])}


def _turn_deg(pose: FloatArray, a: int, b: int) -> float:
    trace = float((pose[a, :3, :3] * pose[b, :3, :3]).sum())
    return float(np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))))


def _decoded(frames: Frames, rows: Iterable[int]) -> dict[int, npt.NDArray[np.uint16]]:
    """The depth maps of the rows that can be read."""

    def read(row: int) -> npt.NDArray[np.uint16] | None:
        try:
            return read_depth(str(frames.depth[row]), frames.size)
        except InputError:
            return None  # decoding all of them reports it

    rows = [int(row) for row in rows]
    with ThreadPoolExecutor(_DECODERS) as pool:
        return {row: depth for row, depth in zip(rows, pool.map(read, rows), strict=True) if depth is not None}


def _grid(depth: npt.NDArray[np.uint16], invalid: tuple[int, ...]) -> FloatArray:
    """(p, 3) column, row and stored depth of the pixels of a grid that have one."""
    height, width = depth.shape
    step = max(1, width // _GRID)
    column, row = np.meshgrid(np.arange(step // 2, width, step), np.arange(step // 2, height, step))
    stored = depth[row, column]
    known = ~np.isin(stored, invalid)
    return np.column_stack([column[known], row[known], stored[known]]).astype(np.float64)


def _median_m(depth: npt.NDArray[np.uint16], frames: Frames) -> float:
    stored = _grid(depth, frames.invalid)[:, 2]
    return float(np.median(stored)) * frames.unit_m if len(stored) else float("nan")


def _convinces(as_read: FloatArray, other: FloatArray) -> bool:
    """Whether another convention fits so much better that it must be the right one."""
    error, before = float(np.median(other)), float(np.median(as_read))
    comparable = np.isfinite(other)  # a pair may have been chosen by distances that are wrong as read
    better = np.mean(other[comparable] < 0.9 * as_read[comparable]) if comparable.any() else 0.0
    return bool(error <= FITS and error < CONVINCING * before and before - error > 1e-3 and better >= 0.75)


def _finding(
    sampled: Sampled,
    pairs: IntArray,
    other: Alternative,
    errors: tuple[FloatArray, FloatArray],
    side: str,
    remedies: Mapping[str, str],
) -> Finding:
    """The warning that names another convention; `errors` are those as read and with it."""
    before, after = (float(np.median(error)) for error in errors)
    figures = {"error": rounded(before), "error_after": rounded(after), "pairs": float(len(pairs))}
    name, remedy = other.name, remedies.get(other.code, REMEDIES[other.code])
    if other.code == "depth-focal":
        focal_px = float(np.median(sampled.intrinsics[:, 0])) * other.convention.focal
        name = f"a focal length of about {focal_px:.3g} px"
        figures["focal_px"] = rounded(focal_px)
    elif other.code == "depth-unit":
        steps = []
        if other.unit_m is not None:
            steps.append(remedy.format(unit=f"{other.unit_m:.4g}"))
            figures["unit_m"] = rounded(other.unit_m)
        if other.pose_unit != 1.0:
            steps.append(f"divide the translations of the poses by {other.pose_unit:g}")
        remedy = ", and ".join(steps)
    elif other.code == "depth-image-size":
        size = other.convention.size
        name = f"intrinsics of an image {'twice' if size > 1.0 else 'half'} as wide and high as the given ones assume"
        remedy = remedy.format(size=size)
        figures["size"] = size
    as_read = f"differ by {_percent(before)} of the depth" if np.isfinite(before) else "see no common surface"
    seen = f"neighbouring frames {as_read} (median of {len(pairs)} pairs), and differ by {_percent(after)} with {name}"
    count = int((errors[0] > errors[1]).sum())
    return Finding(other.code, count, len(pairs), seen, f"the data has {name}", remedy, figures, side)


def _percent(error: float) -> str:
    return f"{100.0 * error:.2g} %"


def _best_focal(sampled: Sampled, pairs: IntArray, convention: Convention) -> float:
    """The factor of the focal length with the least error, to 1 %."""
    factor, step = convention.focal, 0.08
    while step > 0.005:
        candidates = [factor * (1.0 - step), factor, factor * (1.0 + step)]
        errors = [
            float(np.median(pair_errors(sampled, pairs, convention._replace(focal=value)))) for value in candidates
        ]
        factor = candidates[int(np.argmin(errors))]
        step = step / 2.0 if factor == candidates[1] else step
    return factor


def _combined(
    sampled: Sampled,
    pairs: IntArray,
    as_read: FloatArray,
    base: Convention,
    side: str,
    remedies: Mapping[str, str],
) -> Iterator[Finding]:
    """Warnings for two or more conventions that only fit in combination, if there are any."""
    units = (Alternative("depth-unit", base, ""), *(o for o in _others(sampled.unit_m, base) if o.code == "depth-unit"))
    best, error = base, np.full(len(pairs), np.inf)
    for opengl, inverse, quaternion in product((False, True), repeat=3):
        for unit in units:
            convention = base._replace(unit=unit.convention.unit, opengl=opengl, inverse=inverse, quaternion=quaternion)
            tried = pair_errors(sampled, pairs, convention)
            if np.median(tried) < np.median(error):
                best, error = convention, tried
    if not _convinces(as_read, error):
        return
    for other in _others(sampled.unit_m, base):
        changed = [name for name in Convention._fields if getattr(other.convention, name) != getattr(base, name)]
        if all(getattr(best, name) == getattr(other.convention, name) for name in changed):
            yield _finding(sampled, pairs, other, (as_read, error), side, remedies)


def _undecided(as_read: FloatArray, tried: Mapping[Alternative, FloatArray]) -> Iterator[NotChecked]:
    """The conventions that the data does not decide, because another fits as well."""
    limit = 1.2 * float(np.median(as_read)) + 1e-4
    codes = dict.fromkeys(other.code for other, errors in tried.items() if float(np.median(errors)) <= limit)
    for code in codes:
        yield NotChecked(code, "frames fit equally well under other conventions: the camera moves or turns too little")
