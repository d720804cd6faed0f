"""Cameras, fields of view and matches as GeoJSON (RFC 7946), for maps."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.display import several
from relabel.errors import InputError, NotFoundError, OptionError
from relabel.exchange.folder import ExportFolder, file_name
from relabel.geometry.earth import LAT, LON, is_geodesic, lon_lat
from relabel.geometry.headings import wrap_deg
from relabel.geometry.projection import geodesic_ends, is_geographic, meridian_convergence, unproject
from relabel.geometry.sectors import openings, sector_angles, sector_rings, segments
from relabel.keys import rows_of
from relabel.similarity import Collection, SimilaritySource
from relabel.tables import facts_text, status_names

TOLERANCE_M = 0.1
"""The largest distance of a chord from the arc of a field of view; labels of polygons have the polygon itself."""
_DIGITS = 7  # of a degree: 1.1 cm on the ground
_AT_ONCE = 4096  # cameras
_SAMPLE = 64  # features from which the size of a file is estimated
_NEAR_POLE_M = 111_000.0  # a degree of latitude, lower bound
_OWN = ("key", "side", "status", "heading_deg", "extent", "up_m", "fov_deg", "radius_m")
"""Properties; a further column of such a name gets the prefix ``extra_``"""

Geometry = dict[str, Any] | None
log = logging.getLogger(__name__)


def write_geojson(
    source: SimilaritySource,
    name: str,
    folder: ExportFolder,
    *,
    queries: Sequence[str] | None = None,
    threshold: float | None = None,
    top: int | None = None,
) -> list[str]:
    """``NAME-cameras.geojson`` with points, ``NAME-fields-of-view.geojson`` with polygons, ``NAME-matches.geojson``.

    Longitudes and latitudes are on WGS 84 with seven decimals. A heading is clockwise from true north, whatever the
    labels count it from: that of a map is turned by the convergence of its meridians. Fields of view are those that the
    labels were computed from, on their map or on the earth, with corners on the arc and chords within `TOLERANCE_M` of
    it. What crosses the antimeridian is cut there.

    Parameters
    ----------
    source, name, folder:
        as for every writer.
    queries:
        keys whose matches become lines, with ψ; None writes no matches.
    threshold:
        the least ψ of a match.
    top:
        at most this many matches of each query, the best.

    Raises
    ------
    InputError
        when positions are in a local frame, whose location on earth is unknown.
    NotFoundError
        when there is no such query.
    OptionError
        when `threshold` or `top` is given without `queries`, or is invalid.
    """
    c = source.collection
    if queries is None and (threshold is not None or top is not None):
        raise OptionError("threshold and top choose matches, which are only written for the given queries (query=…)")
    if threshold is not None and not 0.0 < threshold <= 1.0:
        raise OptionError(f"threshold is {threshold}; it has to be in (0, 1]")
    if top is not None and top < 1:
        raise OptionError(f"top is {top}; it has to be 1 or more")
    sides = [("both", c.query, c.query_extent)] if c.self_pairs else []
    sides += [] if c.self_pairs else [("query", c.query, c.query_extent), ("database", c.database, c.database_extent)]
    on_earth = {side: OnEarth.of(cameras, c, name) for side, cameras, _ in sides}
    rows = None if queries is None else _rows_of(c, name, queries)
    stem = file_name(name)
    files = [f"{stem}-{part}.geojson" for part in ("cameras", "fields-of-view", "matches")]
    cameras_file, views_file, matches_file = files
    folder.claim(files if rows is not None else files[:2])
    facts = facts_text(source)
    for file, features_of in ((cameras_file, _camera_features), (views_file, _view_features)):
        parts = [
            _Features(len(cameras), features_of(side, cameras, extent, on_earth[side], c))
            for side, cameras, extent in sides
        ]
        _write(folder, file, facts, parts)
    notes = [f"{name}: provenance and the pairs of other queries are not in the files"]
    if rows is None:
        for _ in source.blocks():  # a damaged file is an error, whatever is read of it
            pass
    else:
        places = [on_earth[side].place for side in ("both", "both")] if c.self_pairs else []
        places = places or [on_earth["query"].place, on_earth["database"].place]
        found = _matches(source, rows, threshold, top)
        _write(folder, matches_file, facts, [_Features(len(found), lambda at: _match_features(c, places, found, at))])
        notes += _unknown_notes(c, name, rows)
    for side, cameras, _ in sides:
        notes += _side_notes(name, side, cameras, on_earth[side], c)
    if "occluders" in c.params:
        notes.append(f"{name}: fields of view are drawn uncut; the footprints that cut them are not in a label file")
    return notes


@dataclass(frozen=True, eq=False)
class OnEarth:
    """The positions of the cameras of a side on WGS 84, and their fields of view there.

    Attributes
    ----------
    place:
        (n, 2) longitude and latitude in degrees, NaN where unknown.
    heading_deg:
        (n,) clockwise from true north, NaN if there is none.
    fov_deg, radius_m:
        (n,) NaN where the labels have none.
    view:
        (n,) True where there is a field of view to draw.
    near_pole:
        (n,) True where a pole is within range of the camera, so that no ring in degrees encloses its view.
    rings:
        makes (k, m, 2) closed counter-clockwise rings in degrees, of (k,) rows with a field of view.
    """

    place: FloatArray
    heading_deg: FloatArray
    fov_deg: FloatArray
    radius_m: FloatArray
    view: npt.NDArray[np.bool_]
    near_pole: npt.NDArray[np.bool_]
    rings: Callable[[npt.NDArray[np.int64]], FloatArray]

    @classmethod
    def of(cls, cameras: Cameras, c: Collection, name: str) -> OnEarth:
        """The cameras of a side of a collection; an `InputError` if the location of their frame on earth is unknown."""
        crs = cameras.crs
        if not is_geodesic(c.params) and crs == "local":
            raise InputError(
                f"{name}: its positions are metres in a local frame, whose location on earth is unknown, so there are "
                "no longitudes and latitudes for GeoJSON; export to csv or parquet, or label with crs=…"
            )
        fov, radius = openings(cameras, c.params)
        arc = c.params.get("arc") if c.params.get("shape") == "polygon" else None
        if is_geodesic(c.params) or is_geographic(crs):
            place = lon_lat(cameras) if is_geodesic(c.params) else cameras.position[:, :2]
            heading, on_map = cameras.heading_deg, False
        else:
            place = unproject(cameras.position[:, 0], cameras.position[:, 1], crs)
            heading = wrap_deg(cameras.heading_deg + meridian_convergence(place[:, 0], place[:, 1], crs))
            on_map = True
        numbers = np.stack([*place.T, heading, fov, radius])
        with np.errstate(invalid="ignore"):
            near_pole = (90.0 - np.abs(place[:, 1])) * _NEAR_POLE_M < radius
        known = cameras.ok & np.isfinite(numbers).all(axis=0)

        def rings(rows: npt.NDArray[np.int64]) -> FloatArray:
            chords = segments(fov[rows], radius[rows], TOLERANCE_M) if arc is None else int(arc)
            if not on_map:
                return _geodesic_rings(place[rows], heading[rows], fov[rows], radius[rows], chords)
            at = sector_rings(cameras.position[rows, :2], cameras.heading_deg[rows], fov[rows], radius[rows], chords)
            return unproject(at[..., 0].ravel(), at[..., 1].ravel(), crs).reshape(at.shape)

        return cls(place, heading, fov, radius, known & ~near_pole, known & near_pole, rings)


def _geodesic_rings(
    place: FloatArray, heading_deg: FloatArray, fov_deg: FloatArray, radius_m: FloatArray, n_segments: int
) -> FloatArray:
    """As `sector_rings`, in degrees, with all corners of an arc at the end of a geodesic from the camera."""
    angle = sector_angles(heading_deg, fov_deg, n_segments)
    start = np.repeat(place, angle.shape[1], axis=0)
    ends = geodesic_ends(start, angle.ravel(), np.repeat(radius_m, angle.shape[1])).reshape(*angle.shape, 2)
    first = np.where((fov_deg >= 360.0)[:, None], ends[:, 0], place)
    return np.concatenate([first[:, None], ends, first[:, None]], axis=1)


@dataclass(frozen=True)
class _Features:
    """Features that are generated in pieces."""

    count: int
    """the number of items that they are made from"""
    make: Callable[[npt.NDArray[np.int64]], Iterator[dict[str, Any]]]
    """the features of some of the items, given by number"""


def _write(folder: ExportFolder, file: str, facts: str, parts: Sequence[_Features]) -> None:
    """A FeatureCollection with one feature per line; its size is reported before it is written."""
    size = 0.0
    for part in parts:
        some = np.unique(np.linspace(0, max(0, part.count - 1), min(_SAMPLE, part.count)).astype(np.int64))
        size += sum(len(_line(f)) for f in part.make(some)) * part.count / max(1, len(some))
    log.info("%s: about %s", file, f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.0f} kB")
    with folder.file(file) as private, private.open("w", encoding="utf-8", newline="") as text:
        text.write(f'{{"type": "FeatureCollection",\n"relabel": {facts},\n"features": [')
        separator = "\n"
        for part in parts:
            for first in range(0, part.count, _AT_ONCE):
                for feature in part.make(np.arange(first, min(first + _AT_ONCE, part.count))):
                    text.write(separator + _line(feature))
                    separator = ",\n"
        text.write("\n]}\n")


def _line(feature: dict[str, Any]) -> str:
    return json.dumps(feature, ensure_ascii=False, allow_nan=False)


def _feature(geometry: Geometry, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _camera_features(
    side: str, cameras: Cameras, extent: FloatArray, on_earth: OnEarth, c: Collection
) -> Callable[[npt.NDArray[np.int64]], Iterator[dict[str, Any]]]:
    columns: dict[str, Any] = {
        "key": cameras.key,
        "side": np.full(len(cameras), side),
        "status": status_names(cameras),
        "heading_deg": np.round(on_earth.heading_deg, 4) % 360.0,
        "extent": extent,
        "fov_deg": on_earth.fov_deg,
        "radius_m": on_earth.radius_m,
    }
    if cameras.position.shape[1] == 3:
        columns["up_m"] = cameras.position[:, 2]
    for name, column in cameras.extra.items():
        if column.ndim == 1 and name not in (LON, LAT):
            columns[f"extra_{name}" if name in _OWN else name] = column
    del c

    def make(rows: npt.NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        values = [_plain(column[rows]) for column in columns.values()]
        for place, *row in zip(_degrees(on_earth.place[rows]).tolist(), *values, strict=True):
            known = place[0] == place[0]
            geometry: Geometry = {"type": "Point", "coordinates": place} if known else None
            yield _feature(geometry, dict(zip(columns, row, strict=True)))

    return make


def _view_features(
    side: str, cameras: Cameras, extent: FloatArray, on_earth: OnEarth, c: Collection
) -> Callable[[npt.NDArray[np.int64]], Iterator[dict[str, Any]]]:
    del extent, c

    def make(rows: npt.NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        rows = rows[on_earth.view[rows]]
        if not len(rows):
            return
        names = ("heading_deg", "fov_deg", "radius_m")
        heading = np.round(on_earth.heading_deg[rows], 4) % 360.0
        values = [_plain(column) for column in (heading, on_earth.fov_deg[rows], on_earth.radius_m[rows])]
        for key, ring, *row in zip(cameras.key[rows].tolist(), on_earth.rings(rows), *values, strict=True):
            properties = {"key": key, "side": side, **dict(zip(names, row, strict=True))}
            yield _feature(_polygon(ring), properties)

    return make


def _matches(
    source: SimilaritySource, rows: npt.NDArray[np.int64], threshold: float | None, top: int | None
) -> list[tuple[int, int, float, int]]:
    """Row, column, ψ and rank of the matches of some rows, best first; equal values in the order of the database."""
    of_row: dict[int, list[tuple[int, int, float, int]]] = {}
    wanted = np.unique(rows)
    for block in source.blocks():
        ends = np.cumsum(block.counts)
        here = wanted[(wanted >= block.first_row) & (wanted < block.first_row + len(block.counts))]
        for row in here.tolist():
            part = slice(ends[row - block.first_row] - block.counts[row - block.first_row], ends[row - block.first_row])
            columns, values = block.indices[part], block.data[part]
            best = np.argsort(-values, kind="stable")
            best = best[values[best] >= np.float32(threshold or 0.0)][:top]
            ranked = zip(columns[best].tolist(), values[best], range(1, len(best) + 1), strict=True)
            of_row[row] = [(row, column, float(str(value)), rank) for column, value, rank in ranked]
    return [match for row in dict.fromkeys(rows.tolist()) for match in of_row.get(row, [])]


def _match_features(
    c: Collection, places: Sequence[FloatArray], found: list[tuple[int, int, float, int]], at: npt.NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    for row, column, value, rank in (found[i] for i in at.tolist()):
        line = np.stack([places[0][row], places[1][column]])
        properties = {
            "query": str(c.query.key[row]),
            "database": str(c.database.key[column]),
            "value": value,
            "rank": rank,
        }
        yield _feature(_line_string(line), properties)


def _line_string(line: FloatArray) -> Geometry:
    if not np.isfinite(line).all():
        return None
    if abs(line[0, 0] - line[1, 0]) <= 180.0:
        return {"type": "LineString", "coordinates": _degrees(line).tolist()}
    return _cut(line, "LineString")


def _polygon(ring: FloatArray) -> Geometry:
    if np.ptp(ring[:, 0]) <= 180.0:
        return {"type": "Polygon", "coordinates": [_degrees(ring).tolist()]}
    return _cut(ring, "Polygon")


def _cut(corners: FloatArray, kind: str) -> Geometry:
    """The line or the ring in parts on either side of the antimeridian, as RFC 7946 asks for."""
    import shapely  # noqa: PLC0415  slow to load, and hardly ever needed

    east = corners.copy()
    east[east[:, 0] < 0.0, 0] += 360.0
    whole = shapely.LineString(east) if kind == "LineString" else shapely.Polygon(east)
    parts: list[Any] = []
    for low, shift in ((0.0, 0.0), (180.0, -360.0)):
        half = shapely.intersection(whole, shapely.box(low, -90.0, low + 180.0, 90.0))
        for part in shapely.get_parts(half):
            if part.geom_type != kind or part.is_empty:
                continue
            if kind == "LineString":
                parts.append(_degrees(shapely.get_coordinates(part) + np.array([shift, 0.0])).tolist())
            else:
                ring = shapely.get_coordinates(shapely.orient_polygons(part).exterior)
                parts.append([_degrees(ring + np.array([shift, 0.0])).tolist()])
    return {"type": f"Multi{kind}", "coordinates": parts}


def _degrees(place: FloatArray) -> FloatArray:
    return np.asarray(np.round(place, _DIGITS) + 0.0)  # -0.0 is 0


def _plain(column: npt.NDArray[Any]) -> list[Any]:
    """The values of a column as JSON: null for an unknown number."""
    values: list[Any] = column.tolist()
    if column.dtype.kind != "f":
        return values
    return [value if np.isfinite(value) else None for value in values]


def _rows_of(c: Collection, name: str, queries: Sequence[str]) -> npt.NDArray[np.int64]:
    rows = rows_of(c.query.key, np.array(list(queries), np.str_))
    missing = np.flatnonzero(rows < 0)
    if missing.size:
        raise NotFoundError(
            f"{name}: there is no query {queries[int(missing[0])]!r} ({missing.size} of the given queries do not exist)"
        )
    return rows


def _unknown_notes(c: Collection, name: str, rows: npt.NDArray[np.int64]) -> list[str]:
    lost = rows[~c.query.ok[rows]]
    if not len(lost):
        return []
    key, status = str(c.query.key[lost[0]]), Status(int(c.query.status[lost[0]])).label
    return [f"{name}: {len(lost):,} of the given queries are not ok, so their matches are unknown ({key}: {status})"]


def _side_notes(name: str, side: str, cameras: Cameras, on_earth: OnEarth, c: Collection) -> list[str]:
    what = "camera" if c.self_pairs else f"{side} camera"
    lost = int((~np.isfinite(on_earth.place).all(axis=1)).sum())
    blind = int((cameras.ok & ~on_earth.view & ~on_earth.near_pole).sum())
    polar = int(on_earth.near_pole.sum())
    counts = (
        (lost, "has", "have", "no position; they are features without a geometry"),
        (blind, "is ok but has", "are ok but have", "no known field of view, so none is drawn"),
        (polar, "sees", "see", "a pole, which no polygon in degrees can enclose; none is drawn"),
    )
    return [
        f"{name}: {several(count, f'{what} {one}', f'{what}s {many}')} {text}"
        for count, one, many, text in counts
        if count
    ]
