"""Walls that block a view, as straight lines in the plane of the cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Walls:
    """m straight walls in p parts, each the outline of a building or a line of walls.

    Attributes
    ----------
    ends:
        (m, 4) float64: x and y of one end, x and y of the other; metres, in the frame that `crs` names.
    part:
        (m,) int64, the part of each wall, ascending from 0 to p - 1.
    closed:
        (p,) bool: whether a part is the outline of an area, holes included, which may hold a camera.
    crs:
        the frame, for example ``EPSG:32636``, or ``local``.
    params:
        what the parameters of a collection record about the walls, as JSON values.

    Raises
    ------
    InputError
        when lengths disagree, an end is not finite, or a part does not exist.
    """

    ends: FloatArray
    part: npt.NDArray[np.int64]
    closed: npt.NDArray[np.bool_]
    crs: str = "local"
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ends = np.ascontiguousarray(self.ends, dtype=np.float64).reshape(-1, 4)
        part = np.ascontiguousarray(self.part, dtype=np.int64)
        closed = np.ascontiguousarray(self.closed, dtype=np.bool_)
        if part.shape != (len(ends),):
            raise InputError(f"walls: part has shape {part.shape}; expected ({len(ends)},), one per wall")
        bad = np.flatnonzero(~np.isfinite(ends).all(axis=1))
        if bad.size:
            raise InputError(f"wall {bad[0]} (counted from 0) has an end that is not finite; {bad.size} wall(s) do")
        if len(part) and (part[0] < 0 or part[-1] >= len(closed) or (np.diff(part) < 0).any()):
            raise InputError(f"walls: the parts have to ascend from 0 to {len(closed) - 1}")
        for name, value in (("ends", ends), ("part", part), ("closed", closed)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.ends)

    @classmethod
    def of_lines(
        cls,
        lines: Sequence[Sequence[npt.ArrayLike]],
        *,
        closed: bool | Sequence[bool] = True,
        crs: str = "local",
        params: Mapping[str, Any] | None = None,
    ) -> Walls:
        """Walls along the lines of each part.

        Parameters
        ----------
        lines:
            for each part its lines, (k, 2) metres each: of a building the rings, the first point repeated at the end.
        closed:
            whether the parts are outlines, one value for all or one each.
        crs, params:
            as of `Walls`.
        """
        flat = [np.asarray(line, dtype=np.float64).reshape(-1, 2) for part in lines for line in part]
        sizes = [len(line) for line in flat]
        number = np.repeat(np.arange(len(lines), dtype=np.int64), [len(part) for part in lines])
        line = np.repeat(np.arange(len(flat)), sizes)
        points = np.concatenate([np.empty((0, 2)), *flat])
        joined = np.flatnonzero(line[1:] == line[:-1])
        ends = np.concatenate([points[joined], points[joined + 1]], axis=1)
        flags = np.broadcast_to(np.asarray(closed, dtype=np.bool_), len(lines))
        return cls(ends, number[line[joined]], flags, crs, dict(params or {}))
