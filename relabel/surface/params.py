"""The parameters of the overlap of surfaces: units, defaults, and valid values.

Nothing heavy is imported here, so that the command line can take its options from this module.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from relabel.errors import OptionError
from relabel.measures import DEFAULT_MIN_VALUE, Measure, check_measure, check_min_value, check_number

Method = Literal["surface", "voxel-iou"]
METHODS: tuple[Method, ...] = get_args(Method)

VOXEL_SHARE = 0.55
"""Edge of a voxel as a share of the tolerance. Points whose voxels touch count as within the tolerance; their
distance is between 0 and √12 edges. On real frames, the mean error against nearest neighbours is smallest at this
share
(benchmarks/bench_surface_accuracy.py)."""
STRIDE = 2
"""The pixel stride, if all depths allow it."""
_SLACK = 1.0 + 1e-9  # 0.03·585/8.775 is 2, not a little less
_LEFT_OPEN = {"voxel_m": None, "stride": None, "nearest_m": 0.0, "farthest_m": None}


@dataclass(frozen=True)
class SurfaceParams:
    """The parameters of the overlap of surfaces.

    Attributes
    ----------
    method:
        ``surface``, or ``voxel-iou``.
    tolerance_m:
        distance up to which two points count as the same surface, metres.
    voxel_m:
        edge of a voxel, metres; None: `edge_m` follows from the tolerance.
    stride:
        pixel stride: every `stride`-th row and column is used; None: the largest up to `STRIDE` that the depths allow.
    nearest_m, farthest_m:
        depths outside this range are ignored, metres; None: no limit.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.

    Raises
    ------
    OptionError
        when a value is outside its range. Whether the stride suits the depths is checked where these are known.
    """

    method: Method = "surface"
    tolerance_m: float = 0.05
    voxel_m: float | None = None
    stride: int | None = None
    nearest_m: float = 0.0
    farthest_m: float | None = None
    measure: Measure = "iou"
    min_value: float = DEFAULT_MIN_VALUE

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(f"method {self.method!r} is not known; choose {' or '.join(METHODS)}")
        for name in ("tolerance_m", *_LEFT_OPEN):
            if getattr(self, name) is not None or name in ("tolerance_m", "nearest_m"):
                check_number(name, getattr(self, name))
        if not 0.0 < self.tolerance_m < math.inf:
            raise OptionError(f"the tolerance is {self.tolerance_m:g} m; it has to be positive")
        if not 1e-4 <= self.edge_m < math.inf:
            raise OptionError(f"voxels have edges of {self.edge_m:g} m; they have to be at least 0.0001 m")
        if self.method == "surface" and self.edge_m > self.tolerance_m:
            raise OptionError(
                f"voxels have edges of {self.edge_m:g} m, more than the tolerance of {self.tolerance_m:g} m; about "
                f"{VOXEL_SHARE * self.tolerance_m:g} m is best"
            )
        if self.stride is not None and self.stride < 1:
            raise OptionError(f"the stride is {self.stride}; it has to be at least 1 (every pixel)")
        if not 0.0 <= self.nearest_m < math.inf:
            raise OptionError(f"the least depth is {self.nearest_m:g} m; it has to be 0 or more")
        if self.farthest_m is not None and not self.nearest_m < self.farthest_m < math.inf:
            raise OptionError(
                f"the largest depth is {self.farthest_m:g} m; it has to be more than the least, {self.nearest_m:g} m"
            )
        check_measure(self.measure)
        check_min_value(self.min_value)
        # As floats, so that 1 and 1.0 do not make different files.
        for name in ("tolerance_m", "voxel_m", "nearest_m", "farthest_m", "min_value"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float(getattr(self, name)))
        if self.stride is not None:
            object.__setattr__(self, "stride", int(self.stride))

    @property
    def edge_m(self) -> float:
        """Edge of a voxel in metres: `voxel_m`, or the default for the tolerance."""
        if self.voxel_m is not None:
            return self.voxel_m
        return self.tolerance_m if self.method == "voxel-iou" else round(VOXEL_SHARE * self.tolerance_m, 12)

    def with_stride(self, stride: int) -> SurfaceParams:
        """The same parameters with another stride."""
        return replace(self, stride=stride)

    def largest_stride(self, focal: float, depth_m: float) -> int:
        """The largest stride at which neighbouring points on a wall `depth_m` away are at most a voxel apart.

        0 if those of adjacent pixels are farther apart. `focal` is the smaller focal length in pixels.
        """
        return int(min(self.edge_m * focal / depth_m * _SLACK, 2.0**31)) if depth_m > 0.0 else 2**31

    def label_params(self) -> dict[str, Any]:
        """The `params` of labels: the voxels and pixels that were used; the tolerance only if it has a meaning.

        `stride` must not be None.
        """
        params: dict[str, Any] = {} if self.method == "voxel-iou" else {"tolerance_m": self.tolerance_m}
        params["voxel_m"] = self.edge_m
        return params | {name: getattr(self, name) for name in ("stride", "nearest_m", "farthest_m")}

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without parameters that are None."""
        values = asdict(self)
        for name, nothing in _LEFT_OPEN.items():
            if values[name] == nothing:
                del values[name]
        return values
