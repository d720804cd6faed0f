"""Croissant 1.0 metadata: JSON-LD by which programs and search engines know a dataset (mlcommons.org/croissant)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from relabel.publish.about import About, citation

CROISSANT = "croissant.json"
ENCODINGS = {
    ".h5": "application/x-hdf5",
    ".parquet": "application/x-parquet",
    ".svg": "image/svg+xml",
    ".md": "text/markdown",
    ".json": "application/json",
    ".html": "text/html",
}
_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
"""Terms of the Croissant vocabulary."""
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in _TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
_NOTES = {
    "query": "Key of the query image.",
    "database": "Key of the database image.",
    "value": "Degree of overlap ψ in (0, 1]; pairs that are not listed are negatives only where both cameras are ok.",
    "key": "Key of the image.",
    "side": "Whether the camera is a query, of the database, or both.",
    "status": "ok where the similarities of the camera are known.",
}


def metadata(about: About, files: Iterable[Mapping[str, Any]], tables: Mapping[str, Mapping[str, str]]) -> str:
    """The text of croissant.json.

    Parameters
    ----------
    about:
        with title and description filled in.
    files:
        path, bytes and sha256 of each, as `relabel.labelfile.provenance.describe` returns them.
    tables:
        for each Parquet file the type of each column, as `schema_of` returns them.
    """
    value: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.title,
        "description": about.description,
        "version": about.version,
        "keywords": ["visual place recognition", "image retrieval", "graded similarity labels"],
        "citeAs": citation(about),
    }
    if about.creators:
        value["creator"] = [{"@type": "sc:Person", "name": name} for name in about.creators]
    value |= {"license": about.license} if about.license else {}
    value |= {"url": about.url} if about.url else {}
    value |= {"datePublished": about.date} if about.date else {}
    value["distribution"] = [_file_object(file) for file in files]
    if tables:
        value["recordSet"] = [_record_set(name, columns) for name, columns in tables.items()]
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def schema_of(path: Path) -> dict[str, str]:
    """The Croissant type of each column of a Parquet file; columns of other types are left out."""
    import pyarrow.parquet  # noqa: PLC0415  only with tables
    from pyarrow import types  # noqa: PLC0415

    texts = (types.is_string, types.is_large_string, types.is_string_view, types.is_dictionary)
    kinds = (
        ("sc:Text", lambda t: any(is_text(t) for is_text in texts)),
        ("sc:Boolean", types.is_boolean),
        ("sc:Integer", types.is_integer),
        ("sc:Float", types.is_floating),
    )
    schema = pyarrow.parquet.read_schema(path)
    return {
        field.name: next(name for name, test in kinds if test(field.type))
        for field in schema
        if any(test(field.type) for _, test in kinds)
    }


def _file_object(file: Mapping[str, Any]) -> dict[str, Any]:
    name = str(file["path"])
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{file['bytes']} B",
        "encodingFormat": ENCODINGS.get(Path(name).suffix.lower(), "application/x-hdf5"),
        "sha256": file["sha256"],
    }


def _record_set(name: str, columns: Mapping[str, str]) -> dict[str, Any]:
    own = name.removesuffix(".parquet")
    fields = []
    for column, kind in columns.items():
        field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{own}/{column}", "name": column, "dataType": kind}
        field |= {"description": _NOTES[column]} if column in _NOTES else {}
        fields.append(field | {"source": {"fileObject": {"@id": name}, "extract": {"column": column}}})
    return {"@type": "cr:RecordSet", "@id": own, "name": own, "field": fields}
