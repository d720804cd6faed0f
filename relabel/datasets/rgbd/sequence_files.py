"""The common result of the layouts of RGB-D sequences: the files of one sequence, from which frames are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from relabel.cameras import FloatArray
from relabel.datasets.rgbd_frames import DepthCamera, FrameFiles


@dataclass(frozen=True, eq=False)
class SequenceFiles:
    """One sequence of n frames.

    Attributes
    ----------
    frames:
        the files of each, in the order of time.
    poses:
        (n, 4, 4) camera-to-world as they are stored, NaN where unknown.
    camera:
        the common properties of the depth maps.
    intrinsics:
        (n, 4) fx, fy, cx, cy, pixels, if frames differ; None if all have those of `camera`.
    lists:
        files that were read besides those of the frames.
    notes:
        what the user should know, one sentence each.
    """

    frames: list[FrameFiles]
    poses: FloatArray
    camera: DepthCamera
    intrinsics: FloatArray | None = None
    lists: tuple[Path, ...] = ()
    notes: tuple[str, ...] = field(default=())
