"""Geometries of GeoJSON and GeoParquet files, as they stand there."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError
from relabel.geometry.projection import GEOGRAPHIC

CRS_OPTION = "tell with --occluders-crs what its coordinates are, for example EPSG:32636"
_PARQUET = b"PAR1"


def geometries(path: Path, data: bytes) -> tuple[npt.NDArray[Any], str | None]:
    """(n,) shapely geometries of n features, None where a feature has none, and their reference system, if it is told.

    Raises
    ------
    InputError
        when `data`, the content of the file at `path`, is of neither kind, or a feature is no geometry.
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
        raise InputError(f"{path}: is nested too deep to be GeoJSON") from None
    kind = top.get("type") if isinstance(top, Mapping) else None
    features = top.get("features") if kind == "FeatureCollection" else [top]
    if not isinstance(kind, str) or not isinstance(features, list):
        raise InputError(f"{path}: is JSON but not GeoJSON: no FeatureCollection, Feature or geometry")
    found: list[Any] = []
    for number, feature in enumerate(features):
        if not isinstance(feature, Mapping) or not isinstance(feature.get("type"), str):
            raise InputError(f"{path}: feature {number} (counted from 0) is not an object with a type")
        found.append(feature.get("geometry") if feature["type"] == "Feature" else feature)
    some = [number for number, value in enumerate(found) if value is not None]
    texts = [json.dumps(found[number]) for number in some]
    geometry = shapely.from_geojson(np.array(texts, dtype=object), on_invalid="ignore")
    for number, value, text in zip(some, geometry, texts, strict=True):
        if value is None:
            raise InputError(f"{path}: feature {number} (counted from 0) is no geometry: {_reason(text)}")
    return _placed(geometry, some, len(found)), _geojson_crs(path, top)


def _placed(geometry: npt.NDArray[Any], places: list[int], count: int) -> npt.NDArray[Any]:
    full = np.full(count, None, dtype=object)
    full[places] = geometry
    return full


def _reason(text: str) -> str:
    import shapely  # noqa: PLC0415

    try:
        shapely.from_geojson(text)
    except (shapely.errors.GEOSException, ValueError) as error:
        return str(error).splitlines()[0]
    return "it cannot be read"


def _geojson_crs(path: Path, top: Mapping[str, Any]) -> str:
    """What the member `crs` names, as GeoJSON had it before RFC 7946; else longitude and latitude."""
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
        known = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"null"))
        name = known["primary_column"]
        column = known["columns"][name]
        encoding, crs = column["encoding"], column.get("crs", GEOGRAPHIC)
        values = file.read(columns=[name]).column(name)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a Parquet file that can be read: {error}") from None
    except (TypeError, KeyError, ValueError, AttributeError):
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
            raise InputError(f"{path}: row {number} (counted from 0) is no geometry in WKB")
    text = json.dumps(crs) if isinstance(crs, Mapping) else crs
    return _placed(geometry, some, len(binary)), text
