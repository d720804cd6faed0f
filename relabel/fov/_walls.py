"""Walls and cameras: the cells of a grid that a wall passes through, and the buildings that a camera stands in."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from relabel.jit import compiled, inlined

TOUCH_M = 1e-6
"""A building that holds a camera, or a wall that is this near to it, hides nothing from that camera."""
SPARE = 1e-9  # cells: what rounding may be off by


@compiled(parallel=True)
def cells(ends: Any, low: Any, width: Any, columns: Any, rows: Any, places: Any, cell: Any, wall: Any) -> None:
    """Count the cells that each wall passes through into places[1:], or, given room in `cell`, write them down.

    A wall is cut at the lines between the rows, with a hair to spare on all sides.
    """
    fill = cell.size > 0
    for w in numba.prange(ends.shape[0]):
        ax, ay = (ends[w, 0] - low[0]) / width, (ends[w, 1] - low[1]) / width
        bx, by = (ends[w, 2] - low[0]) / width, (ends[w, 3] - low[1]) / width
        if ay > by:
            ax, ay, bx, by = bx, by, ax, ay
        first = max(np.floor(ay - SPARE), 0.0)
        last = min(np.floor(by + SPARE), rows - 1.0)
        count = 0
        for row in range(int(first), int(last) + 1 if last >= first else int(first)):
            # Where the wall enters and leaves the row; a level wall is in it from end to end.
            rise = by - ay
            s = max((row - SPARE - ay) / rise, 0.0) if rise > 0.0 else 0.0
            t = min((row + 1 + SPARE - ay) / rise, 1.0) if rise > 0.0 else 1.0
            x, y = ax + s * (bx - ax), ax + t * (bx - ax)
            left = max(np.floor(min(x, y) - SPARE * (1.0 + abs(bx - ax))), 0.0)
            right = min(np.floor(max(x, y) + SPARE * (1.0 + abs(bx - ax))), columns - 1.0)
            for column in range(int(left), int(right) + 1 if right >= left else int(left)):
                if fill:
                    cell[places[w] + count] = row * columns + column
                    wall[places[w] + count] = w
                count += 1
        if not fill:
            places[w + 1] = count


@inlined
def apart(ax: Any, ay: Any, bx: Any, by: Any) -> Any:
    """Distance of the segment a → b from the origin, squared."""
    ex, ey = bx - ax, by - ay
    length = ex * ex + ey * ey
    s = min(max(-(ax * ex + ay * ey) / length, 0.0), 1.0) if length > 0.0 else 0.0
    x, y = ax + s * ex, ay + s * ey
    return x * x + y * y


@inlined
def holds(x: Any, y: Any, ends: Any, first: Any, last: Any, closed: Any) -> Any:
    """Whether walls ends[first:last], of one part, hold the point, by the even-odd rule, or touch it."""
    odd = False
    for w in range(first, last):
        ax, ay = ends[w, 0] - x, ends[w, 1] - y
        bx, by = ends[w, 2] - x, ends[w, 3] - y
        if apart(ax, ay, bx, by) <= TOUCH_M * TOUCH_M:
            return True
        if (ay > 0.0) != (by > 0.0) and (ax * by - ay * bx > 0.0) == (by > ay):
            odd = not odd
    return odd and closed


@compiled(parallel=True)
def hold(apex: Any, ends: Any, first: Any, closed: Any, places: Any, held: Any) -> None:
    """Count the cameras that each part holds into places[1:], or, given room in `held`, write them down.

    `apex` is sorted by x; the walls of part p are ends[first[p]:first[p + 1]].
    """
    fill = held.size > 0
    for p in numba.prange(closed.size):
        lowest_x, highest_x, lowest_y, highest_y = np.inf, -np.inf, np.inf, -np.inf
        for w in range(first[p], first[p + 1]):
            lowest_x = min(lowest_x, ends[w, 0], ends[w, 2])
            highest_x = max(highest_x, ends[w, 0], ends[w, 2])
            lowest_y = min(lowest_y, ends[w, 1], ends[w, 3])
            highest_y = max(highest_y, ends[w, 1], ends[w, 3])
        count = 0
        for i in range(np.searchsorted(apex[:, 0], lowest_x - TOUCH_M), apex.shape[0]):
            x, y = apex[i, 0], apex[i, 1]
            if x > highest_x + TOUCH_M:
                break
            if lowest_y - TOUCH_M <= y <= highest_y + TOUCH_M and holds(x, y, ends, first[p], first[p + 1], closed[p]):
                if fill:
                    held[places[p] + count] = i
                count += 1
        if not fill:
            places[p + 1] = count
