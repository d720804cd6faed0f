"""A base map below the cameras: tiles of a server that the user names, placed in the frame of the labels.

Tiles are squares of the Web Mercator projection, numbered by zoom, column and row from the north-west, as OpenStreetMap
numbers them. In the frame of the labels they are quadrangles, placed by polynomials, so that the page needs no
projections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from relabel.cameras import FloatArray
from relabel.errors import OptionError
from relabel.geometry.projection import unproject

DEGREE = 3
"""degree of the polynomials; within 50 km they are accurate to a centimetre"""
_MOST_ERROR_M = 1.0
_LEAST_REACH_M = 1000.0
_GRID = 13

_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?/[A-Za-z0-9._~/?&=%{}@+,-]*")


@dataclass(frozen=True)
class Tiles:
    """Where tiles come from.

    Parameters
    ----------
    template:
        address with ``{z}``, ``{x}`` and ``{y}``.
    attribution:
        credit shown on the map; the name of the host by default.

    Raises
    ------
    OptionError
        when the template is not an address on one fixed host with all three placeholders.
    """

    template: str
    attribution: str = ""

    def __post_init__(self) -> None:
        fields = sorted(re.findall(r"\{(.*?)\}", self.template))
        if not _URL.fullmatch(self.template) or fields != ["x", "y", "z"] or "{" in urlsplit(self.template).netloc:
            raise OptionError(
                f"tiles {self.template!r}: give the address of one host with {{z}}, {{x}} and {{y}}, for example "
                "https://tiles.example/{z}/{x}/{y}.png"
            )
        if not self.attribution:
            object.__setattr__(self, "attribution", f"Base map: {urlsplit(self.template).hostname}")

    @property
    def origin(self) -> str:
        """The host that the page may ask, for its content security policy."""
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.template))

    def to_json(self) -> Mapping[str, str]:
        """The values that the page needs, as JSON."""
        return {"template": self.template, "attribution": self.attribution}


def placement(centre: FloatArray, extent_m: float, crs: str) -> dict[str, Any]:
    """Where tiles lie around a place, as JSON.

    Parameters
    ----------
    centre:
        (2,) the position in `crs` that is the origin of the map.
    extent_m:
        the larger of width and height of the cameras' bounding box.
    crs:
        the frame of the positions.

    Returns
    -------
    dict
        ``reach``: metres to each side of the origin for which it holds. ``to_world`` and ``to_map``: coefficients, x
        and y, of the polynomials from (x, y) / ``reach`` to world coordinates less ``middle``, divided by ``size``, and
        back to metres / ``reach``; terms x^i y^j with i + j ≤ `DEGREE`, i first, then j, rising. World coordinates lead
        from the north-west, 0, to the south-east of the Web Mercator square, 1.

    Raises
    ------
    OptionError
        when the frame is not on the earth, or the cameras are too far apart.
    """
    reach = max(extent_m, _LEAST_REACH_M)
    step = np.linspace(-1.0, 1.0, _GRID)
    grid = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    halves = (step[1:] + step[:-1]) / 2
    between = np.stack(np.meshgrid(halves, halves), axis=-1).reshape(-1, 2)
    check_on_earth(crs)
    world, there = (_world(centre + points * reach, crs) for points in (grid, between))
    if not (np.isfinite(world).all() and np.isfinite(there).all()):
        raise OptionError(f"frame {crs}: it does not cover {reach:,.0f} m around the cameras, so there is no base map")
    middle = _world(centre[None], crs)[0]
    for values in (world, there):  # over the antimeridian
        values[:, 0] -= np.round(values[:, 0] - middle[0])
    size = float(np.abs(world - middle).max())
    scaled = (world - middle) / size
    to_world, to_map = (np.linalg.lstsq(_terms(a), b, rcond=None)[0] for a, b in ((grid, scaled), (scaled, grid)))
    error = float(np.abs(_terms((there - middle) / size) @ to_map - between).max()) * reach
    if error > _MOST_ERROR_M:
        raise OptionError(
            f"frame {crs}: cameras are spread over {extent_m / 1000:,.0f} km, and tiles would be off by {error:,.0f} "
            "m; relabel subset makes smaller label files"
        )
    return {
        "reach": reach,
        "middle": middle.tolist(),
        "size": size,
        "to_world": to_world.T.tolist(),
        "to_map": to_map.T.tolist(),
    }


def _world(position: FloatArray, crs: str) -> FloatArray:
    """(n, 2) places in the Web Mercator square."""
    lon, lat = unproject(position[:, 0], position[:, 1], crs).T
    return np.column_stack([(lon + 180.0) / 360.0, 0.5 - np.arctanh(np.sin(np.radians(lat))) / (2.0 * np.pi)])


def _terms(points: FloatArray) -> FloatArray:
    x, y = points.T
    return np.stack([x**i * y**j for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)], axis=1)


def check_on_earth(crs: str) -> None:
    """Raise an `OptionError` if a frame is not on the earth, so that no base map can be drawn below it."""
    try:
        unproject([0.0], [0.0], crs)
    except OptionError:
        raise OptionError(
            f"frame {crs}: its location on the earth is unknown, so no base map can be drawn; omit --tiles"
        ) from None
