"""Positions, poses and headings against each other: signs that an axis, a unit or an order was misread."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.audit.findings import Finding, rounded
from relabel.audit.headings.audit import audit_along_tracks
from relabel.audit.headings.tracks import centres
from relabel.audit.headings.types import SideAudit, Thresholds
from relabel.audit.tracks import MOST_ROWS, IntArray, Tracks, tracks_of
from relabel.cameras import Cameras, FloatArray
from relabel.datasets.conventions import AXES
from relabel.datasets.fillers import keys_of
from relabel.geometry.headings import difference_deg, wrap_deg

FEWEST = 20
"""With fewer cameras, nothing is concluded from how they are spread."""
STEEP_DEG = 60.0
"""Cameras that look more steeply than this look mainly up or down."""
TILTED_DEG = 50.0
"""If the up axis is right, the upper edge of most images points up to within this, degrees."""
FAULTY_SHARE = 0.05
"""Fewer cameras with a faulty heading, as every compass has some, are only reported by `relabel headings`."""
CONSTANT_DEG = 15.0
"""Median deviation up to which headings count as keeping a constant angle, degrees."""
TURNED_DEG = 20.0
"""A constant angle between heading and travel from which on it is reported."""
SMALL_M, LARGE_M, ROOM_M = 10.0, 500_000.0, 100.0
STREET_LEAP_M, ROOM_LEAP_M = 100.0, 1.0
FASTEST_M_S = 70.0
_AT_ONCE = 2**17  # cameras, so that what is computed on the way takes little memory
_SECONDS = {"tum": 1.0, "robotcar": 1e-6}
"""Seconds per unit of a time stamp, by the layouts whose keys are time stamps."""
_SIDES = ((45.0, "slightly to the {side}"), (135.0, "to the {side}"), (180.1, "backward"))


def camera_findings(
    cameras: Cameras,
    side: str,
    params: Mapping[str, Any],
    lon_lat_deg: FloatArray | None,
    *,
    most_rows: int | None = MOST_ROWS,
) -> Iterator[Finding]:
    """Findings on the poses of cameras that are labelled by fields of view.

    Parameters
    ----------
    cameras:
        n cameras on the ground.
    side:
        ``query``, ``database``, or empty.
    params:
        of the collection; for a trajectory they name the axis that is up.
    lon_lat_deg:
        (n, 2) longitude and latitude where cameras are compared on the earth.
    most_rows:
        approximate number of cameras whose tracks are checked; None for all.
    """
    up = str(params.get("up", "")) or _axis_up(str(params.get("axes", "")))
    yield from _upright(cameras, side, up)
    yield from _scale(cameras, side, metric=lon_lat_deg is None)
    yield from _single_precision(cameras, side)
    yield from _repeated(cameras, side)
    tracks = tracks_of(cameras, most_rows)
    if tracks is not None and tracks.declared:
        yield from _jumps(cameras, tracks, side, str(params.get("layout", "")), least_m=STREET_LEAP_M)
    if not str(params.get("heading", "")).startswith("travel"):
        yield from _headings(cameras, tracks, side, lon_lat_deg, has_axes=bool(up))


def frame_findings(cameras: Cameras, side: str) -> Iterator[Finding]:
    """Findings on the poses of frames with depth maps, whose world may have any axes."""
    yield from _repeated(cameras, side)
    tracks = tracks_of(cameras)
    if tracks is not None and tracks.declared:
        yield from _jumps(cameras, tracks, side, "", least_m=ROOM_LEAP_M)


def large_room(cameras: Cameras, side: str) -> Iterator[Finding]:
    """A warning where frames of depth maps lie as far apart as no room is wide."""
    position = cameras.position[cameras.ok]
    extent = _extent(position)
    if len(position) >= FEWEST and extent > ROOM_M:
        yield Finding(
            "scale-large",
            len(position),
            len(position),
            f"the cameras are spread over {_metres(extent)}",
            "positions are most likely not in metres",
            "divide the translations to get metres",
            {"extent_m": rounded(extent)},
            side,
        )


def _upright(cameras: Cameras, side: str, up: str) -> Iterator[Finding]:
    """Whether the axis that was taken to be up is up, by images, directions and the track."""
    if cameras.position.shape[1] < 3:
        return
    posed = np.isfinite(cameras.position).all(axis=1)
    position = cameras.position[posed]
    if len(position) < FEWEST:
        return
    image_up, steep_deg = None, 0.0
    if cameras.pose is not None:
        pose = cameras.pose[posed & np.isfinite(cameras.pose).all(axis=(1, 2))]
        if len(pose):
            image_up = -pose[:, :3, 1].mean(axis=0)
            steep_deg = float(np.degrees(np.median(np.arcsin(np.clip(np.abs(pose[:, 2, 2]), 0.0, 1.0)))))
    low, high = np.percentile(position, [5.0, 95.0], axis=0)
    spread = high - low
    level_m, vertical_m = float(np.hypot(*spread[:2])), float(spread[2])
    remedy = _up_remedy(image_up, spread, up)
    figures = {"vertical_m": rounded(vertical_m), "level_m": rounded(level_m), "steep_deg": rounded(steep_deg)}
    tilt_deg = 0.0
    if image_up is not None and float(np.linalg.norm(image_up)) > 0.6:
        tilt_deg = float(np.degrees(np.arccos(np.clip(image_up[2] / np.linalg.norm(image_up), -1.0, 1.0))))
        figures["tilt_deg"] = rounded(tilt_deg)
    if vertical_m > 1.5 * level_m and vertical_m > 1.0:
        code, seen = (
            "track-along-up",
            f"the track rises or falls by {_metres(vertical_m)}, over {_metres(level_m)} of horizontal travel",
        )
    elif steep_deg > STEEP_DEG:
        code, seen = "looks-vertical", f"most cameras look up or down, by a median of {steep_deg:.0f}°"
    elif tilt_deg > TILTED_DEG:
        code, seen = "camera-tilted", f"the upper edge of the images is {tilt_deg:.0f}° off the assumed up axis"
    else:
        return
    cause = f"{up or 'another axis'} is most likely not up" if up else "another axis is most likely up"
    yield Finding(code, len(position), len(cameras), seen, cause, remedy, figures, side)


def _axis_up(axes: str) -> str:
    """The up axis in the notation of TB-Places, ``ahead=z,up=-y``."""
    roles = dict(part.split("=") for part in axes.split(",") if part.count("=") == 1)
    return roles.get("up", "")


def _up_remedy(image_up: FloatArray | None, spread: FloatArray, up: str) -> str:
    """The option that names the axis that most likely is up, in the axes of the file."""
    if up not in AXES:
        return "state which axis of the world is up"
    from relabel.datasets.trajectory import axis, ground_axes  # noqa: PLC0415  slow to load, and rarely needed

    ground = ground_axes(up)
    if image_up is not None and float(np.linalg.norm(image_up)) > 0.6:
        in_file = ground.T @ image_up
        name = max(AXES, key=lambda candidate: float(axis(candidate) @ in_file))
        if name[-1] != up[-1]:
            return f"set --up={name}"
        # Upside down: the same axis the other way round, or cameras that were taken to look back.
        return f"set --up={name}, or set the viewing axis of a pose with --axis"
    flat = np.abs(ground.T)[:, int(np.argmin(spread))]
    letter = "xyz"[int(np.argmax(flat))]
    return f"set --up={letter} or --up=-{letter}"


def _sample(position: FloatArray) -> FloatArray:
    """(m, 2) the places on the ground of every n-th camera, 10,000 at most."""
    return position[:: 1 + len(position) // 10_000, :2]


def _metres(value: float) -> str:
    return f"{value:,.0f} m" if value >= 100.0 else f"{value:.3g} m"


def _extent(position: FloatArray) -> float:
    """The diagonal of the box that holds all but the outermost hundredth of the positions, metres."""
    if not len(position):
        return 0.0
    low, high = np.percentile(_sample(position), [1.0, 99.0], axis=0)
    return float(np.hypot(*(high - low)))


def _scale(cameras: Cameras, side: str, *, metric: bool) -> Iterator[Finding]:
    position = cameras.position[cameras.ok]
    if len(position) < FEWEST or (position[:, :2] == position[0, :2]).all():
        return
    extent = _extent(position)
    count = len(position)
    figures = {"extent_m": rounded(extent)}
    if metric and cameras.pose is None and extent < 2.0 and _like_degrees(position):
        yield Finding(
            "positions-degrees",
            count,
            count,
            f"all positions are within ±180 and ±90, and spread over {extent:.2g}",
            "they are most likely longitudes and latitudes, not metres",
            "name them with --columns lon=NAME,lat=NAME",
            figures,
            side,
        )
    elif extent < SMALL_M:
        cause = "the scale of the positions is most likely not metres, or the range of view too large for them"
        if cameras.pose is not None:
            cause += "; that of a monocular reconstruction is arbitrary"
        seen = f"all cameras are within {extent:.2g} m of each other, so all of them see much the same ground"
        yield Finding(
            "scale-small",
            count,
            count,
            seen,
            cause,
            "scale the positions to metres, or use a smaller --radius",
            figures,
            side,
        )
    elif metric and extent > LARGE_M:
        seen = f"the cameras are spread over {extent / 1000.0:,.0f} km"
        cause = "positions are most likely in a smaller unit than metres, or from several maps"
        yield Finding("scale-large", count, count, seen, cause, "give positions in metres on one map", figures, side)


def _like_degrees(position: FloatArray) -> bool:
    x, y = np.abs(position[:, :2]).max(axis=0)
    away = float(np.hypot(*np.median(position[:, :2], axis=0)))
    return bool(x <= 180.0 and y <= 90.0 and away > 2.0)  # a local frame has its origin near by


def _single_precision(cameras: Cameras, side: str) -> Iterator[Finding]:
    """A note where coordinates of a map have gone through float32, which takes whole decimetres from them."""
    position = cameras.position[cameras.ok]
    if len(position) < FEWEST:
        return
    sample = _sample(position)
    large = np.abs(sample).min(axis=0) > 1e5
    if not large.any() or not (sample == sample.astype(np.float32)).all():
        return
    step = float(np.spacing(np.float32(np.abs(sample).max())))
    if (sample == np.round(sample)).all():
        return
    yield Finding(
        "positions-float32",
        len(position),
        len(position),
        f"all coordinates are float32 numbers, in steps of up to {step:g} m",
        "they have most likely lost precision on the way",
        "use a source that stores them as float64",
        {"step_m": rounded(step)},
        side,
    )


def _repeated(cameras: Cameras, side: str) -> Iterator[Finding]:
    """A warning where many cameras have exactly the same pose, or the same place and heading."""
    ok = np.flatnonzero(cameras.ok)
    if len(ok) < FEWEST:
        return
    hashed = np.empty(len(ok), np.uint64)
    for start in range(0, len(ok), _AT_ONCE):
        rows = ok[start : start + _AT_ONCE]
        heading = cameras.heading_deg[rows] if cameras.pose is None else cameras.pose[rows, :3, :3].reshape(-1, 9)
        hashed[start : start + _AT_ONCE] = _hashes(np.column_stack([cameras.position[rows], heading]) + 0.0)  # no -0
    in_order = np.sort(hashed)
    fewest = max(10, math.ceil(0.05 * len(ok)))
    if not (in_order[fewest - 1 :] == in_order[: len(ok) - fewest + 1]).any():
        return
    starts = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
    sizes = np.diff(starts, append=len(ok))
    most = int(sizes.max())
    yield Finding(
        "pose-repeated",
        most,
        len(ok),
        f"{most:,} of {len(ok):,} cameras have exactly the same position and direction",
        "it most likely stands for an unknown pose, or repeats the last known pose",
        "leave them out with --mask",
        side=side,
        keys=keys_of(cameras.key, ok[hashed == in_order[starts[sizes.argmax()]]]),
    )


def _hashes(values: FloatArray) -> npt.NDArray[np.uint64]:
    """(n,) a hash of each row (n, m)."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    factors = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64) * np.uint64(2)
    with np.errstate(over="ignore"):
        return (bits ^ (bits >> np.uint64(29))) @ (factors + np.uint64(1))


def _jumps(cameras: Cameras, tracks: Tracks, side: str, layout: str, *, least_m: float) -> Iterator[Finding]:
    """A warning where cameras of a track leap: faster than a car, or `least_m` and far more than it does otherwise."""
    if len(tracks.row) < FEWEST:
        return
    position = cameras.position[tracks.row, :2]
    step_m = np.hypot(*np.diff(position, axis=0).T)
    same = tracks.consecutive
    if not same.any():
        return
    usual = float(np.median(step_m[same]))
    far = step_m > max(least_m, 50.0 * usual)
    seconds = _seconds(cameras.key[tracks.row], layout)
    if seconds is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (step_m / np.diff(seconds) > FASTEST_M_S) & (step_m > 20.0)
    jumps = np.flatnonzero(far & same)
    if not len(jumps):
        return
    first = int(jumps[np.argmax(step_m[jumps])])
    key = str(cameras.key[tracks.row[first + 1]])
    how = f"faster than {FASTEST_M_S:g} m/s" if seconds is not None else f"{_metres(usual)} is usual"
    yield Finding(
        "track-jumps",
        len(jumps),
        int(same.sum()),
        f"{len(jumps):,} steps of tracks are jumps ({how}), the longest of {_metres(step_m[first])} to {key!r}",
        "positions there are most likely wrong, or separate tracks were joined",
        "leave those cameras out with --mask, or name the column of sequences",
        {"farthest_m": rounded(float(step_m[first])), "usual_m": rounded(usual)},
        side,
        keys_of(cameras.key, tracks.row[jumps[np.argsort(-step_m[jumps], kind="stable")] + 1]),
    )


def _seconds(key: npt.NDArray[np.str_], layout: str) -> FloatArray | None:
    if layout not in _SECONDS:
        return None
    try:
        return key.astype(np.float64) * _SECONDS[layout]
    except ValueError:
        return None


def _headings(
    cameras: Cameras, tracks: Tracks | None, side: str, lon_lat_deg: FloatArray | None, *, has_axes: bool
) -> Iterator[Finding]:
    """Headings that are all one, or keep a constant angle to the direction of travel, or run the other way round."""
    rows = np.flatnonzero(cameras.ok & np.isfinite(cameras.heading_deg))
    if len(rows) < FEWEST or (cameras.fov_deg is not None and (cameras.fov_deg[rows] >= 360.0).all()):
        return
    heading = cameras.heading_deg[rows]
    constant = _all_within(1.0, heading, float(heading[0]))
    if constant and _two_dimensional(cameras.position[rows, :2]):
        yield Finding(
            "headings-equal",
            len(rows),
            len(rows),
            f"all headings are {heading[0]:.0f}°, though the cameras are not along one line",
            "the heading most likely belongs to something else, or is a filler",
            "name another column, or another viewing axis",
            {"heading_deg": rounded(float(heading[0]))},
            side,
        )
        return
    if not constant and cameras.pose is None and _like_radians(cameras, rows):
        yield Finding(
            "headings-radians",
            len(rows),
            len(rows),
            "all headings are within ±2π, and spread over that whole range, though the cameras are not along one line",
            "they are most likely radians",
            "give degrees, clockwise from north",
            side=side,
        )
        return
    if tracks is None or constant:
        return
    extra = {
        "sequence": tracks.track,
        "frame": np.arange(len(tracks.row)),
        **{name: cameras.extra[name][tracks.row] for name in ("view_direction",) if name in cameras.extra},
    }
    taken = cameras.take(tracks.row)
    taken = Cameras(
        taken.key, taken.position, heading_deg=taken.heading_deg, status=taken.status, crs=taken.crs, extra=extra
    )
    step_m = max(min(5.0, _extent(taken.position) / 20.0), 1e-6)
    audit = audit_along_tracks(
        taken,
        side,
        None if lon_lat_deg is None else lon_lat_deg[tracks.row],
        Thresholds(step_m=step_m, gap_m=10.0 * step_m),
    )
    yield from _against_travel(taken, audit, side, has_axes=has_axes)
    if "sequence" in cameras.extra and cameras.pose is None:
        yield from _faults(audit, side)


def _two_dimensional(position: FloatArray) -> bool:
    """Whether positions spread to two sides rather than along a line."""
    centred = position - position.mean(axis=0)
    size = float(np.abs(centred).max())
    if not 0.0 < size < np.inf:
        return False
    centred = centred / size  # whose squares do not overflow
    least, most = np.linalg.eigvalsh(centred.T @ centred)
    return bool(most > 0.0 and least > 0.01 * most)


def _like_radians(cameras: Cameras, rows: IntArray) -> bool:
    """Whether headings in [0, 360) are radians: within 2π of north and over half of that, though places are spread."""
    heading_deg = cameras.heading_deg[rows]
    if not _all_within(6.3, heading_deg, 0.0):
        return False
    return bool(np.ptp(difference_deg(heading_deg, 0.0)) > 3.0 and _two_dimensional(cameras.position[rows, :2]))


def _all_within(limit_deg: float, heading_deg: FloatArray, middle_deg: float) -> bool:
    """Whether all headings (n,) differ by less from one direction."""
    parts = (heading_deg[start : start + _AT_ONCE] for start in range(0, len(heading_deg), _AT_ONCE))
    return all(bool(np.abs(difference_deg(part, middle_deg)).max() < limit_deg) for part in parts)


def _against_travel(cameras: Cameras, audit: SideAudit, side: str, *, has_axes: bool) -> Iterator[Finding]:
    known = np.isfinite(audit.offset_deg) & cameras.ok
    if "view_direction" in cameras.extra:
        view = np.strings.lower(np.strings.strip(cameras.extra["view_direction"].astype(np.str_)))
        known &= (view == "forward") | (view == "")
    if np.count_nonzero(known) < FEWEST:
        return
    travel = np.radians(audit.travel_deg[known])
    straight = float(np.hypot(np.cos(travel).mean(), np.sin(travel).mean()))
    (turned, off), (mirrored, off_mirrored) = (
        _centre(angle) for angle in (audit.offset_deg[known], audit.heading_deg[known] + audit.travel_deg[known])
    )
    count = int(known.sum())
    if off <= CONSTANT_DEG and abs(turned) > TURNED_DEG:
        where = next(name for most, name in _SIDES if abs(turned) < most)
        where = where.format(side="left" if turned < 0.0 else "right")
        wrong = "another axis of the poses is the viewing axis"
        if not has_axes:
            wrong = "the headings are not measured from north"
        yield Finding(
            "heading-offset",
            count,
            len(cameras),
            f"headings differ from the direction of travel by a constant {turned:.0f}° (median deviation {off:.0f}°)",
            f"either the cameras are mounted to look {where}, and the headings are right; or {wrong}",
            _offset_remedy(turned, has_axes=has_axes),
            {"turned_deg": rounded(turned), "deviation_deg": rounded(off)},
            side,
        )
    elif off > 30.0 and off_mirrored <= CONSTANT_DEG and straight < 0.8:
        start = {0: "north", 1: "east", 2: "south", 3: "west"}[round(wrap_deg(mirrored).item() / 90.0) % 4]
        yield Finding(
            "heading-mirrored",
            count,
            len(cameras),
            "headings turn in the opposite sense to the tracks (heading plus travel is "
            f"{wrap_deg(mirrored).item():.0f}°, "
            f"median deviation {off_mirrored:.0f}°)",
            f"headings are counterclockwise from {start}, or x and y are swapped",
            f"use {wrap_deg(mirrored).item():.0f}° minus the heading, or swap the columns",
            {"sum_deg": rounded(wrap_deg(mirrored).item()), "deviation_deg": rounded(off_mirrored)},
            side,
        )


def _centre(angle_deg: FloatArray) -> tuple[float, float]:
    centre, spread, _ = centres(angle_deg, np.zeros(len(angle_deg), np.int64), 1)
    return float(centre[0]), float(spread[0])


def _offset_remedy(turned: float, *, has_axes: bool) -> str:
    if has_axes:
        return "if the cameras look ahead, set the viewing axis with --axis or --axes"
    change = f"subtract {turned:.0f}° from" if turned > 0.0 else f"add {-turned:.0f}° to"
    return f"if the cameras look ahead, {change} the headings, or use --heading travel where the command has it"


def _faults(audit: SideAudit, side: str) -> Iterator[Finding]:
    """Stuck, jumping and turned compasses, as `relabel headings` tells them."""
    texts = {
        "constant": ("heading-constant", "repeat one heading while their track turns", "the compass was stuck"),
        "jumping": ("heading-jumps", "have headings that jump away from their track", "the compass was disturbed"),
        "flipped": (
            "heading-flips",
            "are in parts of their track that are turned by 180°",
            "the compass was turned round",
        ),
    }
    for reason, (code, text, cause) in texts.items():
        count = int(audit.faults[reason].sum())
        if count > FAULTY_SHARE * audit.rows:
            sequences = sum(sequence.faults[reason] > 0 for sequence in audit.sequences)
            yield Finding(
                code,
                count,
                audit.rows,
                f"{count:,} of {audit.rows:,} cameras in {sequences:,} sequences {text}",
                f"{cause}, most likely",
                "leave them out: `relabel headings` writes a mask for --mask",
                side=side,
                keys=keys_of(audit.key, np.flatnonzero(audit.faults[reason])),
            )
