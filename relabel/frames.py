"""Frames: cameras with depth maps, what every RGB-D reader returns and every surface overlap takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.display import Displayed, Layer, Summary, counted, named, several
from relabel.errors import InputError

_DERIVED: Any = None  # a field that __post_init__ fills in where it is not given
INTRINSICS = ("fx", "fy", "cx", "cy")
DepthIs = Literal["z", "ray"]
"""What a stored depth is: the distance along the optical axis, or along the ray of its pixel."""


@dataclass(frozen=True, eq=False, repr=False)
class Frames(Displayed):
    """n cameras with poses and the path of the depth map of each. No depth map is held in memory.

    ``len`` is n; iteration and ``in`` are by key.

    Parameters
    ----------
    cameras:
        with `pose`, camera-to-world of the *depth* camera: x right, y down, z forward, metres.
    depth:
        (n,) str, paths of depth maps (16-bit greyscale PNG). An empty path means that there is none; the status of an
        OK camera is then `BAD_DEPTH`.
    intrinsics:
        (n, 4) or (4,) float64: fx, fy, cx, cy of the depth camera in pixels; the centre of the first pixel is (0, 0).
    unit_m:
        metres per unit of a stored depth.
    invalid:
        stored depths that mean that nothing was measured.
    size:
        (width, height) of depth maps in pixels, if the dataset states it: a depth map of another size is bad. With None
        each may have its own size.
    depth_is:
        ``z`` if depths are measured along the optical axis, as most cameras store them; ``ray`` if they are measured
        along the ray of each pixel, as by some simulators and laser scanners.
    image:
        (n,) str, paths of the colour images, which are only displayed; empty if there is none.

    Raises
    ------
    InputError
        if the cameras have no poses, lengths disagree, or intrinsics are not positive and finite.
    """

    cameras: Cameras
    depth: npt.NDArray[np.str_]
    intrinsics: FloatArray
    unit_m: float = 0.001
    invalid: tuple[int, ...] = (0, 65535)
    size: tuple[int, int] | None = None
    depth_is: DepthIs = "z"
    image: npt.NDArray[np.str_] = _DERIVED

    if TYPE_CHECKING:

        def __init__(  # what is taken, of which the attributes are arrays
            self,
            cameras: Cameras,
            depth: Sequence[str] | npt.NDArray[np.str_] | npt.NDArray[np.object_],
            intrinsics: npt.ArrayLike,
            unit_m: float = 0.001,
            invalid: tuple[int, ...] = (0, 65535),
            size: tuple[int, int] | None = None,
            depth_is: DepthIs = "z",
            image: Sequence[str] | npt.NDArray[np.str_] | npt.NDArray[np.object_] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        n = len(self.cameras)
        if self.cameras.pose is None:
            raise InputError("the cameras have no poses; depth maps are of no use without poses")
        depth = np.asarray(self.depth, dtype=np.str_).reshape(-1)
        image = np.full(n, "") if self.image is None else np.asarray(self.image, dtype=np.str_).reshape(-1)
        for name, paths in (("depth", depth), ("image", image)):
            if len(paths) != n:
                raise InputError(f"{name} holds {len(paths)} paths; expected {n}, one per camera")
        intrinsics = np.array(self.intrinsics, dtype=np.float64)
        if intrinsics.shape not in ((4,), (n, 4)):
            raise InputError(f"intrinsics have shape {intrinsics.shape}; expected (4,) or ({n}, 4): fx, fy, cx, cy")
        intrinsics = np.ascontiguousarray(np.broadcast_to(intrinsics, (n, 4)))
        good = np.isfinite(intrinsics).all(axis=1) & (intrinsics[:, :2] > 0.0).all(axis=1)
        bad = np.flatnonzero(self.cameras.ok & ~good)
        if bad.size:
            shown = ", ".join(f"{name} {value:g}" for name, value in zip(INTRINSICS, intrinsics[bad[0]], strict=True))
            raise InputError(
                f"camera {str(self.cameras.key[bad[0]])!r} has {shown}: intrinsics are finite, focal lengths positive"
            )
        if not self.unit_m > 0.0:
            raise InputError(f"unit_m is {self.unit_m:g}; a step of depth is a positive number of metres")
        if self.depth_is not in get_args(DepthIs):
            raise InputError(f"depth_is is {self.depth_is!r}; it is one of {', '.join(get_args(DepthIs))}")
        missing = self.cameras.ok & (depth == "")
        if missing.any():
            status = np.where(missing, Status.BAD_DEPTH, self.cameras.status)
            object.__setattr__(self, "cameras", replace(self.cameras, status=status))
        for name, value in (("depth", depth), ("image", image), ("intrinsics", intrinsics)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.cameras)

    def __iter__(self) -> Iterator[str]:
        return iter(self.cameras)

    def __contains__(self, key: object) -> bool:
        return key in self.cameras

    def _summary(self) -> Summary:
        maps = int((self.depth != "").sum())
        along = "ray" if self.depth_is == "ray" else "optical axis"
        size = "any size" if self.size is None else f"{self.size[0]} × {self.size[1]}"
        return Summary(
            f"Frames: {len(self):,}",
            [
                ("status", counted(self.cameras.status_counts())),
                ("keys", named(self.cameras.key, len(self))),
                (
                    "depth",
                    f"{several(maps, 'map')}, {size}, steps of {self.unit_m:g} m along the {along}",
                ),
                ("invalid", ", ".join(str(value) for value in self.invalid) or "none"),
                ("images", f"{int((self.image != '').sum()):,}"),
            ],
        )

    def _layers(self) -> Sequence[Layer]:
        return (Layer("frames", self.cameras.position),)
