"""The files of RGB-D frames, and `Frames` from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.datasets.doubts import Doubt
from relabel.datasets.image_headers import read_header
from relabel.datasets.matrix_files import Intrinsics
from relabel.display import several
from relabel.exclusion import FRAME, SEQUENCE, TIME
from relabel.fixed_width import text_array
from relabel.frames import DepthIs, Frames

_SHOWN = 3
_LOOKED_AT = 20
_OFF_CENTRE = 0.15
"""Largest distance of a plausible principal point from the image centre, as a share of width and height."""
_DIGITS = re.compile(r"(\d+)")


class FrameFiles(NamedTuple):
    """One frame: its key, its sequence, its rank in time within it, those of its files that exist, and its time."""

    key: str
    sequence: str
    rank: int
    depth: Path | None = None
    pose: Path | None = None
    image: Path | None = None
    time_s: float = np.nan


@dataclass(frozen=True)
class DepthCamera:
    """The common properties of the depth maps of a dataset; see `Frames`."""

    intrinsics: Intrinsics
    unit_m: float = 0.001
    size: tuple[int, int] | None = None
    depth_is: DepthIs = "z"

    def params(self) -> dict[str, object]:
        """The camera as recorded in the `params` of a collection."""
        params: dict[str, object] = {"intrinsics": list(self.intrinsics), "depth_unit_m": self.unit_m}
        return params | ({"depth_is": self.depth_is} if self.depth_is != "z" else {})


def frames_from_files(
    frame_files: Sequence[FrameFiles], poses: FloatArray, camera: DepthCamera, intrinsics: FloatArray | None = None
) -> Frames:
    """The frames of n files with their poses (n, 4, 4): `NO_POSE` where one is not finite, else `BAD_DEPTH` where there
    is no depth map. Frames that differ in their `intrinsics` (n, 4) have those instead of those of the camera.
    """
    finite = np.isfinite(poses).all(axis=(1, 2))
    extra: dict[str, npt.NDArray[Any]] = {
        SEQUENCE: text_array([frame.sequence for frame in frame_files]),
        FRAME: np.array([frame.rank for frame in frame_files], dtype=np.int64),
    }
    times = np.array([frame.time_s for frame in frame_files])
    if np.isfinite(times).any():
        extra[TIME] = times
    cameras = Cameras(
        text_array([frame.key for frame in frame_files]),
        poses[:, :3, 3].reshape(-1, 3),
        pose=poses,
        status=np.where(finite, Status.OK, Status.NO_POSE).astype(np.uint8),
        extra=extra,
    )
    return Frames(
        cameras,
        _texts([frame.depth for frame in frame_files]),
        np.array(camera.intrinsics) if intrinsics is None else intrinsics,
        camera.unit_m,
        size=camera.size,
        depth_is=camera.depth_is,
        image=_texts([frame.image for frame in frame_files]),
    )


def _texts(paths: Sequence[Path | None]) -> npt.NDArray[np.str_]:
    return text_array(["" if path is None else str(path) for path in paths])


def existing_files(frame_files: Sequence[FrameFiles]) -> list[Path]:
    """The poses and depth maps that exist."""
    return [path for frame in frame_files for path in (frame.pose, frame.depth) if path is not None]


def missing_notes(
    frame_files: Sequence[FrameFiles], poses: FloatArray, *, posed: Sequence[bool] | None = None
) -> list[str]:
    """What is missing, one sentence each.

    Parameters
    ----------
    frame_files, poses:
        n frames with their poses (n, 4, 4).
    posed:
        (n,) whether there is a pose at all; None if each pose has a file.
    """
    has_pose = [frame.pose is not None for frame in frame_files] if posed is None else list(posed)
    finite = [bool(np.isfinite(pose).all()) for pose in poses]
    keys_by_fault = {
        "no depth map": [frame.key for frame in frame_files if frame.depth is None],
        "no pose": [frame.key for frame, has in zip(frame_files, has_pose, strict=True) if not has],
        "a pose that is not finite, or all zeros": [
            frame.key for frame, has, good in zip(frame_files, has_pose, finite, strict=True) if has and not good
        ],
    }
    return [
        f"{several(len(keys), 'frame has', 'frames have')} {fault}{shown(keys)}"
        for fault, keys in keys_by_fault.items()
        if keys
    ]


def turned_image_notes(frame_files: Sequence[FrameFiles]) -> list[str]:
    """A note if EXIF data asks viewers to turn images, from a few of them.

    Depth maps have no such data: an image that is shown turned does not match its depth map.
    """
    with_image = [frame for frame in frame_files if frame.image is not None]
    looked_at = with_image[:: max(1, len(with_image) // _LOOKED_AT)][:_LOOKED_AT]
    headers = [(frame, read_header(frame.image)) for frame in looked_at if frame.image is not None]
    turned = [(frame, header) for frame, header in headers if header is not None and header.orientation != 1]
    if not turned:
        return []
    frame, header = turned[0]
    depth = None if frame.depth is None else read_header(frame.depth)
    as_shown = depth is not None and _is_wide(depth.size) == _is_wide(header.shown_size) != _is_wide(header.size)
    what = (
        "the depth maps have the shape of the images after that, and not that of the images as stored"
        if as_shown
        else "depth maps, poses and intrinsics are assumed to be for the pixels as stored"
    )
    of = f"{len(turned):,} of {len(looked_at):,} images that were checked"
    return [f"EXIF data asks viewers to turn {of} ({frame.key}: orientation {header.orientation}); {what}"]


def principal_point_doubts(frame_files: Sequence[FrameFiles], intrinsics: FloatArray) -> tuple[Doubt, ...]:
    """A doubt if the principal point is in the first depth map, but far from its centre.

    A principal point outside, or in the corner, is an error once depth maps are decoded.

    Parameters
    ----------
    frame_files:
        n frames.
    intrinsics:
        (4,) or (n, 4) fx, fy, cx, cy, pixels.
    """
    of_frames = np.broadcast_to(intrinsics, (len(frame_files), 4)).tolist()
    for frame, (_, _, cx, cy) in zip(frame_files, of_frames, strict=True):
        header = None if frame.depth is None else read_header(frame.depth)
        if header is None or frame.depth is None:
            continue
        width, height = header.size
        off = max(abs(cx / width - 0.5), abs(cy / height - 0.5))
        if not _OFF_CENTRE < off <= 0.5:
            return ()
        doubt = Doubt(
            "intrinsics-off-centre",
            1,
            1,
            f"{frame.depth.name} is {width} × {height} pixels, and the principal point ({cx:g}, {cy:g}) far from its "
            "middle",
            "the intrinsics are for another image size, or not in the order fx fy cx cy",
            "give those of the depth maps with --intrinsics",
        )
        return (doubt,)
    return ()


def _is_wide(size: tuple[int, int]) -> bool:
    return size[0] >= size[1]


def shown(keys: Sequence[str]) -> str:
    """The first few keys in brackets."""
    return f" ({', '.join(keys[:_SHOWN])}{', …' if len(keys) > _SHOWN else ''})"


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A sorting key under which numbers in names count as such: a2 before a10, and, as time stamps, 1.25 before 1.3."""
    whole, point, decimals = name.partition(".")
    if point and whole.isdecimal() and decimals.isdecimal():
        return ((int(whole), whole), (-1, decimals))
    parts = _DIGITS.split(name)
    return tuple((int(part), part) if i % 2 else (-1, part) for i, part in enumerate(parts))
