"""A synthetic city in the exact layout of MSLS, for demonstrations, tests and benchmarks; nothing in it is real.

Cars drive a grid of slightly bent streets, turn at crossings, and take an image every few metres. Query and database
are two sets of drives over the same streets. The faults of the real data are in it: noise on position and heading,
panoramas, missing, stuck and unwrapped compass angles, cameras that look backward or sideways. Buildings, where asked
for, fill the blocks between the streets.

The town lies in the open Atlantic, so that nobody takes it for a place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.atomic import output_errors
from relabel.cameras import FloatArray
from relabel.errors import OptionError
from relabel.geometry.headings import wrap_deg
from relabel.geometry.projection import unproject, utm_crs
from relabel.synthetic.tree import place_in_tree

IntArray = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]

CITY = "sampletown"
BUILDINGS = "buildings.geojson"
_SIDES = ("query", "database")
_TABLES = ("raw", "postprocessed", "seq_info", "subtask_index")
_OURS = frozenset({*_SIDES, BUILDINGS, *(f"{side}/{table}.csv" for side in _SIDES for table in _TABLES)})
TABLES = len(_SIDES) * len(_TABLES)
"""Number of CSV files in a tree."""
_CRS = utm_crs(27)  # 21 degrees west
_CORNER_M = (500_000.0, 4_000_000.0)

_BLOCK_M = 100.0  # from the middle of one street to the next
_STREET_M = 18.0  # from house to house: what two lanes, parked cars and pavements take
_CORNERS = 8  # a side of a block, so that it bends with its street
_STREET_M_PER_CAMERA = 3.75  # an image every 7.5 m, and each street driven twice: as many neighbours as in MSLS
_STEP_M = (5.0, 10.0)
_FRAMES = (20, 80)
_BEND_M, _BEND_WAVE_M = 12.0, 700.0
_STRAIGHT_ON, _LEFT = 0.7, 0.85  # thresholds of one uniform draw: straight on, left, else right

_POSITION_SIGMA_M = (1.5, 0.4)  # per drive, per image
_HEADING_SIGMA_DEG = (4.0, 2.0)
_BACKWARD, _SIDEWAYS, _PANORAMA, _NIGHT = 0.08, 0.06, 0.03, 0.12  # shares of the drives
_EMPTY_CA, _OVER_360, _NEGATIVE = 0.01, 0.01, 0.01  # shares of the images

_FEW = 8  # drives; in a smaller town a fault would take too much of it

_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
_KEY_LETTERS = 22


@dataclass(frozen=True)
class _Drives:
    """Images along drives: of each image the drive, its place in it, position (metres) and heading of travel."""

    drive: IntArray
    frame: IntArray
    east_m: FloatArray
    north_m: FloatArray
    travel_deg: FloatArray
    count: int


def write_tree(
    folder: Path | str,
    *,
    cameras: int = 2000,
    seed: int = 0,
    city: str = CITY,
    overwrite: bool = False,
    buildings: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Write ``train_val/<city>/{query,database}/*.csv`` under `folder`; the same seed gives the same bytes.

    Parameters
    ----------
    folder:
        the root of the tree; created if it does not exist.
    cameras:
        images on each side, query and database. The town grows with their number, so that each has as many neighbours
        as in MSLS: about 40 within 50 m.
    seed:
        0 or more.
    city:
        the name of the city, a plain folder name.
    overwrite:
        allow a folder that is not empty: the files of this city are replaced, all others are kept.
    buildings:
        also write ``buildings.geojson`` into the folder of the city, the blocks between the streets.
    progress:
        called with 1 for each of the `TABLES` that is written.

    Returns
    -------
    path
        the folder of the city.

    Raises
    ------
    OptionError
        when `cameras`, `seed` or `city` is not valid.
    OutputExistsError
        when the folder is not empty and `overwrite` is False.
    OutputError
        when it cannot be written.
    """
    folder = Path(folder)
    if cameras < 1:
        raise OptionError(f"cameras is {cameras}; at least one per side is needed")
    if seed < 0:
        raise OptionError(f"seed is {seed}; it is 0 or more")
    if not city or city != Path(city).name or city in (".", ".."):
        raise OptionError(f"city is {city!r}; it has to be a folder name without separators")
    target = folder / "train_val" / city
    with (
        place_in_tree(folder, target, overwrite=overwrite, is_own=_OURS.__contains__) as private,
        output_errors(target),
    ):
        for number, side in enumerate(_SIDES):
            (private / side).mkdir()
            for name, columns in _tables(cameras, np.random.default_rng([seed, number])).items():
                _write_csv(private / side / f"{name}.csv", columns)
                if progress is not None:
                    progress(1)
        if buildings:
            _write_buildings(private / BUILDINGS, _blocks_a_side(cameras))
    return target


def _tables(n: int, rng: np.random.Generator) -> dict[str, Columns]:
    drives = _drives(n, rng)
    of_drive = drives.drive

    def share(part: float) -> npt.NDArray[np.bool_]:
        """True for that part of the drives, and for one at least unless they are few."""
        count = max(round(part * drives.count), int(drives.count >= _FEW))
        return rng.permutation(drives.count) < count

    side = np.where(share(_SIDEWAYS), rng.choice([-90.0, 90.0], drives.count), 0.0)
    turn = np.where(share(_BACKWARD), 180.0, side)
    view = np.select([turn == 180.0, turn != 0.0], ["Backward", "Sideways"], "Forward")[of_drive]
    pano, night = share(_PANORAMA)[of_drive], share(_NIGHT)[of_drive]
    year, month, day = (rng.integers(low, high, drives.count) for low, high in ((2011, 2020), (1, 13), (1, 29)))
    date = np.char.mod("%04d", year) + np.char.mod("-%02d", month) + np.char.mod("-%02d", day)
    summer, new = ((month >= 4) & (month <= 9))[of_drive], (year >= 2016)[of_drive]

    ca = wrap_deg(drives.travel_deg + turn[of_drive] + _noise(rng, drives, _HEADING_SIGMA_DEG))
    ca = np.round(ca, 4)
    fault = rng.random(n)
    if drives.count >= _FEW:
        stuck = of_drive == np.bincount(of_drive).argmax()
        ca[stuck] = ca[stuck][0]
        fault[stuck] = 1.0
    ca[fault < _EMPTY_CA] = np.nan
    ca[(fault >= _EMPTY_CA) & (fault < _EMPTY_CA + _OVER_360)] += 360.0
    ca[(fault >= 1.0 - _NEGATIVE) & (fault < 1.0)] -= 360.0
    ca = np.round(ca, 4)

    east = np.round(drives.east_m + _noise(rng, drives, _POSITION_SIGMA_M), 4)
    north = np.round(drives.north_m + _noise(rng, drives, _POSITION_SIGMA_M), 4)
    lon, lat = np.round(unproject(east, north, _CRS), 7).T
    key = _names(rng, n)
    return {
        "raw": {"key": key, "lon": lon, "lat": lat, "ca": ca, "captured_at": date[of_drive], "pano": pano},
        "postprocessed": {
            "key": key,
            "easting": east,
            "northing": north,
            "unique_cluster": np.arange(n) // 2,
            "control_panel": rng.random(n) < 0.002,
            "night": night,
            "view_direction": view,
        },
        "seq_info": {"key": key, "sequence_key": _names(rng, drives.count)[of_drive], "frame_number": drives.frame},
        "subtask_index": {
            "key": key,
            "all": ~pano,
            "s2w": summer,
            "w2s": ~summer,
            "o2n": ~new,
            "n2o": new,
            "d2n": ~night,
            "n2d": night,
        },
    }


def _drives(n: int, rng: np.random.Generator) -> _Drives:
    """Drives of 20 to 80 images each over the town for n images, n images in all."""
    blocks = _blocks_a_side(n)
    frames = rng.integers(_FRAMES[0], _FRAMES[1] + 1, n // _FRAMES[0] + 1)
    count = int(np.searchsorted(np.cumsum(frames), n)) + 1
    frames = frames[:count]
    frames[-1] -= frames.sum() - n
    first = np.cumsum(frames) - frames
    drive = np.repeat(np.arange(count), frames)
    frame = np.arange(n) - first[drive]

    step = rng.uniform(*_STEP_M, count)[drive] * rng.uniform(0.9, 1.1, n)
    way = np.cumsum(step) - step
    way += (rng.uniform(0.0, _BLOCK_M, count) - way[first])[drive]
    corner, heading = _routes(rng, count, blocks, int(way.max() // _BLOCK_M) + 1)
    leg = (way // _BLOCK_M).astype(np.int64)
    ahead = way - leg * _BLOCK_M
    dx, dy = heading[drive, leg].T.astype(np.float64)
    x, y = (corner[drive, leg] * _BLOCK_M).T + ahead * np.stack([dx, dy])

    # The heading of travel follows through the derivative of the displacement.
    k = 2.0 * np.pi / _BEND_WAVE_M
    east, north = _bent(x, y)
    along_east = dx + _BEND_M * k * np.cos(k * y) * dy
    along_north = dy + _BEND_M * k * np.cos(k * x) * dx
    travel = wrap_deg(np.degrees(np.arctan2(along_east, along_north)))
    return _Drives(drive, frame, east, north, travel, count)


def _blocks_a_side(n: int) -> int:
    """Number of blocks a side of a town for n images."""
    return max(2, round(math.sqrt(n * _STREET_M_PER_CAMERA / (2.0 * _BLOCK_M))))


def _bent(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """East and north in `_CRS` of places on the straight grid: streets are bent by a smooth displacement."""
    k = 2.0 * np.pi / _BEND_WAVE_M
    return x + _BEND_M * np.sin(k * y) + _CORNER_M[0], y + _BEND_M * np.sin(k * x) + _CORNER_M[1]


def _routes(rng: np.random.Generator, count: int, blocks: int, legs: int) -> tuple[IntArray, IntArray]:
    """Crossings (count, legs, 2) and unit directions (count, legs, 2) of drives that stay in a town of blocks²."""
    at = rng.integers(0, blocks + 1, (count, 2))
    quarter = rng.integers(0, 4, count)
    directions = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
    corners, headings = np.empty((count, legs, 2), np.int64), np.empty((count, legs, 2), np.int64)
    for leg in range(legs):
        draw = rng.random(count)
        wish = np.select([draw < _STRAIGHT_ON, draw < _LEFT], [0, 3], 1)
        # The first that stays in town: as drawn, straight on, right, left, back.
        turns = np.column_stack([wish, *np.broadcast_to([[0], [1], [3], [2]], (4, count))])
        options = (quarter[:, np.newaxis] + turns) % 4
        targets = at[:, np.newaxis] + directions[options]
        inside = ((targets >= 0) & (targets <= blocks)).all(axis=2)
        quarter = options[np.arange(count), inside.argmax(axis=1)]
        corners[:, leg], headings[:, leg] = at, directions[quarter]
        at = at + directions[quarter]
    return corners, headings


def _noise(rng: np.random.Generator, drives: _Drives, sigma: tuple[float, float]) -> FloatArray:
    """Normal noise, a part of it shared by all images of a drive."""
    shared, own = sigma
    return rng.normal(0.0, shared, drives.count)[drives.drive] + rng.normal(0.0, own, len(drives.drive))


def _names(rng: np.random.Generator, n: int) -> npt.NDArray[np.bytes_]:
    """Names as Mapillary gave them: 22 letters of base64url."""
    letters = _ALPHABET[rng.integers(0, 64, (n, _KEY_LETTERS))]
    return np.ascontiguousarray(letters).view(f"S{_KEY_LETTERS}").ravel()


def _write_buildings(path: Path, blocks: int) -> None:
    """Write a closed block between every four streets as GeoJSON, in longitude and latitude; `blocks` a side."""
    along = np.linspace(_STREET_M / 2.0, _BLOCK_M - _STREET_M / 2.0, _CORNERS)
    low, high = np.full(_CORNERS - 1, along[0]), np.full(_CORNERS - 1, along[-1])
    ring_x = np.concatenate([along[:-1], high, along[:0:-1], low, along[:1]])
    ring_y = np.concatenate([low, along[:-1], high, along[:0:-1], along[:1]])
    corner = np.stack(np.meshgrid(np.arange(blocks), np.arange(blocks)), axis=-1).reshape(-1, 1, 2) * _BLOCK_M
    east, north = _bent((corner[:, :, 0] + ring_x).ravel(), (corner[:, :, 1] + ring_y).ravel())
    rings = np.round(unproject(east, north, _CRS), 8).reshape(len(corner), -1, 2)
    features = [
        {
            "type": "Feature",
            "properties": {"block": number},
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        }
        for number, ring in enumerate(rings)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}) + "\n", encoding="utf-8")


def _write_csv(path: Path, columns: Columns) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.csv  # noqa: PLC0415

    index = np.arange(len(columns["key"]))
    arrays = [_arrow(column) for column in (index, *columns.values())]
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write(("," + ",".join(columns) + "\n").encode())
        pyarrow.csv.write_csv(pa.Table.from_arrays(arrays, names=["", *columns]), file, write_options=options)


def _arrow(column: npt.NDArray[Any]) -> Any:
    """The column in Arrow, put together from buffers: pyarrow.array loads pandas where it can, which takes 0.5 s."""
    import pyarrow as pa  # noqa: PLC0415

    n = len(column)
    if column.dtype.kind == "f":  # NaN becomes an empty cell
        valid = np.packbits(~np.isnan(column), bitorder="little")
        return pa.Array.from_buffers(pa.float64(), n, [pa.py_buffer(valid), pa.py_buffer(column.astype(np.float64))])
    if column.dtype.kind == "i":
        return pa.Array.from_buffers(pa.int64(), n, [None, pa.py_buffer(column.astype(np.int64))])
    words = np.where(column, b"True", b"False") if column.dtype.kind == "b" else column.astype(np.bytes_)
    lengths = np.strings.str_len(words)
    letters = np.ascontiguousarray(words).view(np.uint8).reshape(n, -1)
    content = letters[np.arange(letters.shape[1]) < lengths[:, np.newaxis]]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(content)])
