"""Footprints of buildings, and walls, which obstruct views, from GeoJSON or GeoParquet.

Polygons are buildings, lines are walls, in collections or not; points hide nothing and are skipped. Polygons that
are not valid, because they cross themselves, are repaired and counted.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, MissingFileError, OptionError
from relabel.geometry.projection import GEOGRAPHIC, between, is_geographic
from relabel.geometry.walls import Walls
from relabel.input_files import check_regular, check_rows

LOCAL = "local"
_POLYGON, _LINES = 3, (1, 2)  # of shapely.get_type_id


@dataclass(frozen=True, eq=False)
class Footprints:
    """Buildings and walls.

    Attributes
    ----------
    path, sha256:
        the file.
    crs:
        the reference system of the coordinates, or ``local``.
    geometry:
        (n,) shapely polygons and lines.
    features:
        number of features in the file.
    repaired:
        polygons among them that were not valid.
    skipped:
        features without a polygon or line.
    lost:
        polygons and lines outside the domain of `crs`.
    crs_is_explicit:
        whether `crs` was given by the user rather than by the file.
    """

    path: Path
    sha256: str
    crs: str
    geometry: npt.NDArray[Any]
    features: int
    repaired: int
    skipped: int
    lost: int = 0
    crs_is_explicit: bool = False

    def to_crs(self, crs: str) -> Footprints:
        """The same footprints in another reference system, corner by corner.

        Raises
        ------
        OptionError
            when only one of the two is ``local``, or PROJ does not know one of them.
        """
        import shapely  # noqa: PLC0415  (40 ms, and most labels need no buildings)

        if crs == self.crs:
            return self
        if LOCAL in (crs, self.crs):
            raise OptionError(
                f"{self.path}: is in {_named(self.crs)}, the cameras in {_named(crs)}, and there is no transformation "
                "between them; give the buildings in the frame of the cameras"
                + (", with --occluders-crs local" if crs == LOCAL else ", or name its reference system")
            )
        own = shapely.get_coordinates(self.geometry)
        xy = between(own[:, 0], own[:, 1], self.crs, crs)
        moved = shapely.set_coordinates(self.geometry.copy(), np.nan_to_num(xy, nan=0.0))
        index = np.repeat(np.arange(len(moved)), shapely.get_num_coordinates(moved))
        lost = np.unique(index[np.isnan(xy[:, 0])])
        return replace(
            self, crs=crs, geometry=np.delete(moved, lost), lost=len(lost), crs_is_explicit=self.crs_is_explicit
        )

    def walls(self) -> Walls:
        """The footprints as straight walls, in the same frame."""
        import shapely  # noqa: PLC0415

        buildings = shapely.get_type_id(self.geometry) == _POLYGON
        rings, ring_building = shapely.get_rings(self.geometry[buildings], return_index=True)
        corners, corner_ring = shapely.get_coordinates(rings, return_index=True)
        ends, ring = _joined(corners, corner_ring)
        points, point_line = shapely.get_coordinates(self.geometry[~buildings], return_index=True)
        line_ends, line = _joined(points, point_line)
        count = int(buildings.sum())
        return Walls(
            np.concatenate([ends, line_ends]),
            np.concatenate([ring_building[ring], line + count]),
            np.arange(len(buildings)) < count,
            self.crs,
            {"name": self.path.name, "sha256": self.sha256, "features": self.features} | self._explicit_crs,
        )

    @property
    def _explicit_crs(self) -> dict[str, str]:
        return {"crs": self.crs} if self.crs_is_explicit else {}


def _named(crs: str) -> str:
    return "a local frame" if crs == LOCAL else crs


def _joined(points: npt.NDArray[np.float64], line: npt.NDArray[np.int64]) -> tuple[Any, Any]:
    """The walls between consecutive points of a line, and the line of each; none between equal points."""
    to_next = np.flatnonzero((line[1:] == line[:-1]) & (points[1:] != points[:-1]).any(axis=1))
    return np.concatenate([points[to_next], points[to_next + 1]], axis=1), line[to_next].astype(np.int64)


def read(path: Path, crs: str | None = None) -> Footprints:
    """Read a file of footprints.

    Parameters
    ----------
    path:
        GeoJSON (a FeatureCollection, a Feature or a geometry), in longitude and latitude unless its member ``crs``
        says otherwise; or GeoParquet with geometries in WKB.
    crs:
        the reference system of the coordinates, instead of that of the file; ``local`` for the frame of cameras
        without a reference system.

    Raises
    ------
    MissingFileError, InputError
        when the file does not exist, cannot be read, or holds a feature that is not a geometry; features are counted
        from 0.
    OptionError
        when PROJ does not know the reference system.
    """
    path = Path(path)
    check_regular(path)
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist; --occluders takes a GeoJSON or GeoParquet file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return _read(path, crs, stat.st_mtime_ns, stat.st_size)


def digest(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=2)  # one file serves all cities of a job
def _read(path: Path, crs: str | None, changed: int, size: int) -> Footprints:
    del changed, size
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    geometry, own_crs = read_geometries(path, data)
    if crs is None and own_crs is None:
        raise InputError(f"{path}: does not say its reference system; {CRS_OPTION}")
    system = str(crs if crs is not None else own_crs)
    parts, repaired, skipped = _parts(path, geometry)
    _check_places(path, parts, geographic=system != LOCAL and is_geographic(system))
    sha256 = hashlib.sha256(data).hexdigest()
    return Footprints(path, sha256, system, parts[0], len(geometry), repaired, skipped, crs_is_explicit=crs is not None)


def _parts(path: Path, geometry: npt.NDArray[Any]) -> tuple[tuple[npt.NDArray[Any], npt.NDArray[Any]], int, int]:
    """Valid polygons and lines with the feature of each; how many were repaired, and features have none."""
    import shapely  # noqa: PLC0415

    parts, feature = _exploded(shapely.force_2d(geometry), np.arange(len(geometry)))
    invalid = np.flatnonzero((shapely.get_type_id(parts) == _POLYGON) & ~shapely.is_valid(parts))
    kept = np.setdiff1d(np.arange(len(parts)), invalid)
    finite = np.isfinite(shapely.bounds(parts[invalid])).all(axis=1)
    repaired = shapely.make_valid(parts[invalid][finite])
    new, new_feature = _exploded(repaired, feature[invalid][finite])
    hopeless = np.setdiff1d(feature[invalid], new_feature)
    if hopeless.size:
        number = int(hopeless[0])
        part = parts[invalid][feature[invalid] == number][0]
        raise InputError(
            f"{path}: feature {number} (counted from 0) is not a polygon and cannot be repaired "
            f"({shapely.is_valid_reason(part)}; {hopeless.size} such feature(s)); remove or correct it"
        )
    parts, feature = np.concatenate([parts[kept], new]), np.concatenate([feature[kept], new_feature])
    order = np.argsort(feature, kind="stable")
    return (parts[order], feature[order]), len(invalid), len(geometry) - len(np.unique(feature))


def _exploded(geometry: npt.NDArray[Any], feature: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The polygons and lines of geometries, extracted from collections; with the feature of each."""
    import shapely  # noqa: PLC0415

    parts, index = shapely.get_parts(geometry, return_index=True)
    while (shapely.get_type_id(parts) > _POLYGON).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        index = index[inner]
    good = np.isin(shapely.get_type_id(parts), (*_LINES, _POLYGON)) & ~shapely.is_empty(parts)
    return parts[good], feature[index[good]]


def _check_places(path: Path, parts: tuple[npt.NDArray[Any], npt.NDArray[Any]], *, geographic: bool) -> None:
    import shapely  # noqa: PLC0415

    geometry, feature = parts
    low_x, low_y, high_x, high_y = shapely.bounds(geometry).T
    with np.errstate(invalid="ignore"):
        known = np.isfinite([low_x, low_y, high_x, high_y]).all(axis=0)
        on_earth = (low_x >= -180.0) & (high_x <= 180.0) & (low_y >= -90.0) & (high_y <= 90.0)
    for good, what in (
        (known, "has a coordinate that is not finite"),
        (
            on_earth | (not geographic),
            f"reaches to ({{0:.10g}}, {{1:.10g}}), which is not a longitude and latitude; {CRS_OPTION}",
        ),
    ):
        bad = np.flatnonzero(~good)
        if bad.size:
            x, y = (max(ends, key=abs) for ends in ((low_x[bad[0]], high_x[bad[0]]), (low_y[bad[0]], high_y[bad[0]])))
            raise InputError(f"{path}: feature {feature[bad[0]]} (counted from 0) {what.format(x, y)}")


CRS_OPTION = "set its reference system with --occluders-crs, for example EPSG:32636"
_PARQUET = b"PAR1"


def read_geometries(path: Path, data: bytes) -> tuple[npt.NDArray[Any], str | None]:
    """(n,) shapely geometries of n features, None where a feature has none, and their reference system, if stated.

    Raises
    ------
    InputError
        when `data`, the content of the file at `path`, is of neither kind, or a feature is not a geometry.
    """
    return _geoparquet(path, data) if data.startswith(_PARQUET) else _geojson(path, data)


def _geojson(path: Path, data: bytes) -> tuple[npt.NDArray[Any], str | None]:
    """(n,) geometries, None where a feature has none, and the reference system."""
    import shapely  # noqa: PLC0415

    try:
        top = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: is neither GeoJSON in UTF-8 nor Parquet") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: is not JSON ({error.msg}), so it is not GeoJSON") from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply to be GeoJSON") from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{path}: is not GeoJSON: {error}") from None
    kind = top.get("type") if isinstance(top, Mapping) else None
    features = top.get("features") if kind == "FeatureCollection" else [top]
    if not isinstance(kind, str) or not isinstance(features, list):
        raise InputError(f"{path}: is JSON but not GeoJSON: no FeatureCollection, Feature or geometry")
    geometries: list[Any] = []
    for number, feature in enumerate(features):
        if not isinstance(feature, Mapping) or not isinstance(feature.get("type"), str):
            raise InputError(f"{path}: feature {number} (counted from 0) is not an object with a type")
        geometries.append(feature.get("geometry") if feature["type"] == "Feature" else feature)
    some = [number for number, value in enumerate(geometries) if value is not None]
    texts = [json.dumps(geometries[number]) for number in some]
    geometry = shapely.from_geojson(np.array(texts, dtype=object), on_invalid="ignore")
    for number, value, text in zip(some, geometry, texts, strict=True):
        if value is None:
            raise InputError(f"{path}: feature {number} (counted from 0) is not a geometry: {_reason(text)}")
    return _with_gaps(geometry, some, len(geometries)), _geojson_crs(path, top)


def _with_gaps(geometry: npt.NDArray[Any], numbers: list[int], count: int) -> npt.NDArray[Any]:
    """(count,) the geometries at their numbers, None elsewhere."""
    full = np.full(count, None, dtype=object)
    full[numbers] = geometry
    return full


def _reason(text: str) -> str:
    import shapely  # noqa: PLC0415

    try:
        shapely.from_geojson(text)
    except (shapely.errors.GEOSException, ValueError) as error:
        return str(error).splitlines()[0]
    return "it cannot be read"


def _geojson_crs(path: Path, top: Mapping[str, Any]) -> str:
    """The reference system of the member `crs`, which GeoJSON had before RFC 7946; otherwise longitude and latitude."""
    member = top.get("crs")
    if member is None:
        return GEOGRAPHIC
    properties = member.get("properties") if isinstance(member, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    if not isinstance(name, str):
        raise InputError(f"{path}: its member crs has no name; {CRS_OPTION}")
    return GEOGRAPHIC if name.upper().endswith("CRS84") else name


def _geoparquet(path: Path, data: bytes) -> tuple[npt.NDArray[Any], str | None]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        check_rows(path, file.metadata.num_rows, least_bits=8)
        known = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"null"))
        name = known["primary_column"]
        column = known["columns"][name]
        encoding, crs = column["encoding"], column.get("crs", GEOGRAPHIC)
        values = file.read(columns=[name]).column(name)
    except InputError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a readable Parquet file: {error}") from None
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError):
        raise InputError(
            f"{path}: is Parquet, but its metadata do not name a geometry column as GeoParquet does"
        ) from None
    if encoding != "WKB":
        raise InputError(f"{path}: its geometries are encoded as {encoding}; only WKB can be read")
    binary = values.cast(pa.large_binary()).to_pylist()
    some = [number for number, value in enumerate(binary) if value is not None]
    geometry = shapely.from_wkb(np.array([binary[number] for number in some], dtype=object), on_invalid="ignore")
    for number, value in zip(some, geometry, strict=True):
        if value is None:
            raise InputError(f"{path}: row {number} (counted from 0) is not a geometry in WKB")
    text = json.dumps(crs) if isinstance(crs, Mapping) else crs
    return _with_gaps(geometry, some, len(binary)), text
