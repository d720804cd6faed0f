"""What every engine of the surface overlap has to do: count the voxels that frames have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
import numpy.typing as npt

from relabel.errors import OptionError

Method = Literal["surface", "voxel-iou"]
METHODS: tuple[Method, ...] = get_args(Method)

CountArray = npt.NDArray[np.int32]


class Counts(NamedTuple):
    """What the frames of some rows (queries) and some columns (database) share, exactly."""

    s_query: CountArray
    """(r, c) voxels of the query that are, or are next to, voxels of the database frame: |O_q ∩ D_d|"""
    s_database: CountArray
    """(r, c) voxels of the database frame that are, or are next to, voxels of the query: |O_d ∩ D_q|"""


class Counter(Protocol):
    """An engine, made for the occupancies of two sides; all engines give the same counts.

    With O_f the voxels that frame f occupies and D_f those and their 26 neighbours. For ``voxel-iou`` both counts are
    |O_q ∩ O_d|.
    """

    def counts(self, rows: slice, columns: slice) -> Counts:
        """The counts of the queries `rows` and the database frames `columns`, slices without a step."""
        ...


VOXEL_SHARE = 0.55
"""Edge of a voxel as a share of the tolerance. Points whose voxels touch are held to be within the tolerance; their
distance is between 0 and √12 edges. On real frames the mean error against nearest neighbours is least at this share
(benchmarks/bench_surface_accuracy.py)."""
STRIDE = 2
"""Rows and columns of pixels from one that counts to the next, where all depths allow it."""
_SLACK = 1.0 + 1e-9  # 0.03·585/8.775 is 2, not a little less


@dataclass(frozen=True)
class Settings:
    """Checked parameters; `stride` is None until it is chosen."""

    method: Method
    tolerance_m: float
    voxel_m: float
    stride: int | None
    nearest_m: float
    farthest_m: float | None

    def with_stride(self, stride: int) -> Settings:
        """The same with a stride."""
        return replace(self, stride=stride)

    def params(self) -> dict[str, Any]:
        """As the label file tells them; a tolerance only where it means something."""
        told: dict[str, Any] = {} if self.method == "voxel-iou" else {"tolerance_m": self.tolerance_m}
        rest = {name: getattr(self, name) for name in ("voxel_m", "stride", "nearest_m", "farthest_m")}
        return told | rest

    def largest_stride(self, focal: float, depth_m: float) -> int:
        """The largest stride at which pixels that look at a wall `depth_m` away are no farther apart than a voxel.

        0 where even neighbouring pixels are. `focal` is the smaller focal length in pixels.
        """
        return int(min(self.voxel_m * focal / depth_m * _SLACK, 2.0**31)) if depth_m > 0.0 else 2**31


def settings(
    method: str,
    tolerance_m: float,
    voxel_m: float | None,
    stride: int | None,
    nearest_m: float,
    farthest_m: float | None,
) -> Settings:
    """The parameters, checked.

    Raises
    ------
    OptionError
        when one is outside its range.
    """
    if method not in METHODS:
        raise OptionError(f"method {method!r} is not known; choose {' or '.join(METHODS)}")
    if not 0.0 < tolerance_m < math.inf:
        raise OptionError(f"the tolerance is {tolerance_m:g} m; it is a positive length")
    if voxel_m is None:
        voxel_m = tolerance_m if method == "voxel-iou" else round(VOXEL_SHARE * tolerance_m, 12)
    if not 1e-4 <= voxel_m < math.inf:
        raise OptionError(f"voxels have edges of {voxel_m:g} m; they are at least 0.0001 m long")
    if method == "surface" and voxel_m > tolerance_m:
        raise OptionError(
            f"voxels have edges of {voxel_m:g} m, more than the tolerance of {tolerance_m:g} m; about "
            f"{VOXEL_SHARE * tolerance_m:g} m is best"
        )
    if stride is not None and stride < 1:
        raise OptionError(f"the stride is {stride}; it is at least 1: every pixel")
    if not 0.0 <= nearest_m < math.inf:
        raise OptionError(f"the least depth is {nearest_m:g} m; it is 0 or more")
    if farthest_m is not None and not nearest_m < farthest_m < math.inf:
        raise OptionError(f"the largest depth is {farthest_m:g} m; it is more than the least, {nearest_m:g} m")
    return Settings(
        method,
        float(tolerance_m),
        float(voxel_m),
        None if stride is None else int(stride),
        float(nearest_m),
        None if farthest_m is None else float(farthest_m),
    )
