"""Poses at the time stamps of images, between those of a track: the images of RobotCar have times of their own.

1418381798093398 1          stereo.timestamps: microseconds, and the part of the drive
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.datasets.base import unreadable
from relabel.datasets.conventions import MAX_POSE_GAP_S
from relabel.datasets.trajectory_formats import Track, check_keys
from relabel.display import several
from relabel.errors import InputError, OptionError

_SECOND = 1_000_000  # microseconds
_LONGEST_STAMP = 18  # digits that fit int64


def read_times(path: Path) -> npt.NDArray[np.str_]:
    """(n,) the time stamps of a ``.timestamps`` file, as written: the first word of each line.

    Raises
    ------
    InputError
        when the file cannot be read, has no time stamp, or a time stamp is not a whole number or is repeated; the
        message names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; expected a file of time stamps, one per line") from None
    except OSError as error:
        raise unreadable(path, error) from None
    stamps: list[str] = []
    lines: list[int] = []
    for line, words in enumerate(map(str.split, text.split("\n")), 1):
        if not words:
            continue
        if not _is_stamp(words[0]):
            raise InputError(f"{path}: line {line}: {words[0][:40]!r} is not a time stamp in whole microseconds")
        stamps.append(words[0])
        lines.append(line)
    if not stamps:
        raise InputError(f"{path}: has no time stamp; expected lines such as 1418381798093398 1")
    array = np.array(stamps, np.str_)
    check_keys(path, array, lines)
    return array


def check_gap(max_gap_s: float) -> None:
    """Raise an OptionError for an invalid longest gap."""
    if not 0.0 < max_gap_s < np.inf:
        raise OptionError(f"--max-gap {max_gap_s:g}: a time between two poses has to be more than 0 seconds")


def at_times(track: Track, path: Path, stamps: npt.NDArray[np.str_], max_gap_s: float = MAX_POSE_GAP_S) -> Track:
    """The poses of a track at other times; keys are those times.

    A position is linear in time between the pose before and the pose after, a rotation turns uniformly about one axis.
    A pose is all NaN before the first pose, after the last, and between poses that are more than `max_gap_s` apart.

    Parameters
    ----------
    track:
        its keys are time stamps in microseconds, in any order; poses that are not finite are ignored.
    path:
        of the track, for messages.
    stamps:
        (n,) time stamps in microseconds.
    max_gap_s:
        seconds.

    Raises
    ------
    InputError
        when a key of the track is not a time stamp, none of its poses is known, or no image is between any two.
    """
    from scipy.spatial.transform import Rotation  # noqa: PLC0415  slow to load

    bad = next((key for key in track.key.tolist() if not _is_stamp(key)), None)
    if bad is not None:
        raise InputError(f"{path}: {bad!r} is not a time stamp in whole microseconds, so no pose has a time")
    known = np.flatnonzero(np.isfinite(track.pose).all(axis=(1, 2)))
    if not len(known):
        raise InputError(
            f"{path}: none of its {len(track.key):,} poses is known, so no pose between them can be interpolated"
        )
    time = track.key[known].astype(np.int64)
    order = np.argsort(time, kind="stable")
    time, pose = time[order], track.pose[known][order]
    wanted = stamps.astype(np.int64)
    after = np.searchsorted(time, wanted, side="left")
    inside = (wanted >= time[0]) & (wanted <= time[-1])
    after = after.clip(0, len(time) - 1)
    before = np.where(time[after] == wanted, after, after - 1).clip(0)
    if not inside.any():
        raise InputError(
            f"{path}: none of the {len(wanted):,} images, which are from {wanted.min()} to {wanted.max()}, is between "
            f"its poses, from {time[0]} to {time[-1]}; do the time stamps belong to another drive?"
        )
    span = time[after] - time[before]
    near = inside & (span <= max_gap_s * _SECOND)

    result = np.full((len(wanted), 4, 4), np.nan)
    a, b = pose[before[near]], pose[after[near]]
    share = (wanted[near] - time[before[near]]) / np.maximum(span[near], 1)
    turn = Rotation.from_matrix(a[:, :3, :3])
    rest = turn.inv() * Rotation.from_matrix(b[:, :3, :3])
    result[near] = np.eye(4)
    result[near, :3, :3] = (turn * Rotation.from_rotvec(share[:, None] * rest.as_rotvec())).as_matrix()
    result[near, :3, 3] = a[:, :3, 3] + share[:, None] * (b[:, :3, 3] - a[:, :3, 3])
    notes = [
        *track.notes,
        f"{int(near.sum()):,} of {len(wanted):,} images have a pose, interpolated between two of the track",
    ]
    for count, why in (
        (int((~inside).sum()), "before the first or after the last pose"),
        (int((inside & ~near).sum()), f"in a gap of more than {max_gap_s:g} s between two poses"),
    ):
        if count:
            notes.append(f"{several(count, 'image is', 'images are')} {why}: no pose")
    return replace(track, key=stamps, pose=result, notes=tuple(notes))


def _is_stamp(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_STAMP
