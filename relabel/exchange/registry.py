"""The formats that labels are exported to and imported from; each is described once, by a `FormatSpec`.

The library, the command line and its help look here. To add a format to this package takes one module with its writer,
its reader or both, and one entry of `BUILT_IN`. Another distribution adds a format with an entry point of the group
``relabel.formats`` that loads to a `FormatSpec`::

    [project.entry-points."relabel.formats"]
    kapture = "relabel_kapture:SPEC"

Writers and readers are named as ``module:function`` and loaded when they are used, so that this module loads nothing.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from relabel.errors import MissingPackageError, OptionError
from relabel.plugins import specs_of_distributions

GROUP = "relabel.formats"
"""The group of entry points by which other distributions add formats."""

KeyRule = Literal["stem", "path"]
"""What a key is where an index names images: the stem of the file name, or the whole path."""


@dataclass(frozen=True)
class FormatSpec:
    """The description of one format, which has a writer, a reader or both.

    Attributes
    ----------
    name:
        as ``--to`` and ``relabel import`` take it.
    writer:
        ``module:function``, called as ``function(source, name, folder, **options)`` for each collection, with a
        `relabel.similarity.SimilaritySource`, its name, and a `relabel.exchange.folder.ExportFolder`, in which it
        claims all its files before it writes the first. It returns one sentence for each thing that the format cannot
        express. None if there is no export.
    export_summary:
        what is written and who reads it, one line of help.
    export_options:
        the keyword arguments that the writer takes, of those that `relabel.exchange.exporting.export` names.
    files:
        names of the files that are always written for each collection; ``{name}`` is the name of the collection as a
        part of a file name. By them, collections that would share a file are refused before anything is written, and
        so are existing files.
    writes_all:
        the writer is called once, as ``function(collections, folder, **options)``, with all sources by name.
    reader:
        ``module:function``, called as ``function(request, **options)`` with a `relabel.exchange.entries.ImportRequest`.
        It returns a `relabel.exchange.entries.ImportResult`. None if there is no import.
    import_summary:
        what is read and where its cameras come from, one line of help.
    import_options:
        the keyword arguments that the reader takes: ``dataset``, or none.
    camera_files:
        names of the files beside the input that describe its cameras if no others are given: those of the queries
        and of the database, or one of both. ``{name}`` is the name of the collection.
    keys:
        what a key is in an index, if no rule is given.
    one_set:
        pairs are within one set of cameras.
    chooses_pairs:
        instead of the ψ of all pairs, the export says which pairs are positives or are to be matched, and leaves out
        those that a collection excludes.
    """

    name: str
    writer: str | None = None
    export_summary: str = ""
    export_options: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    writes_all: bool = False
    reader: str | None = None
    import_summary: str = ""
    import_options: tuple[str, ...] = ()
    camera_files: tuple[str, ...] = ()
    keys: KeyRule = "stem"
    one_set: bool = False
    chooses_pairs: bool = False


_DENSE_OPTIONS = ("threshold", "image_path", "drop_unknown", "max_bytes", "gzip")

BUILT_IN: tuple[FormatSpec, ...] = (
    FormatSpec(
        "gcl",
        writer="relabel.exchange.gcl:write_gcl",
        export_summary="dense fov and sim with JSON indices, as GCL reads MSLS",
        export_options=_DENSE_OPTIONS,
        files=("{name}_gt.h5", "{name}/query.json", "{name}/database.json"),
        reader="relabel.exchange.gcl:read_gcl",
        import_summary="dense HDF5 (fov); names from --queries and --database (query.json, database.json), from "
        "--root, or from the folder CITY next to it",
        import_options=("dataset",),
        camera_files=("{name}/query.json", "{name}/database.json"),
    ),
    FormatSpec(
        "condensed",
        writer="relabel.exchange.gcl:write_condensed",
        export_summary="the upper triangle, as GCL reads 7Scenes and TB-Places",
        export_options=_DENSE_OPTIONS,
        files=("{name}_gt.h5", "{name}.json"),
        reader="relabel.exchange.gcl:read_condensed",
        import_summary="upper triangle, HDF5 (fov); names from --queries",
        import_options=("dataset",),
        camera_files=("{name}.json",),
        keys="path",
        one_set=True,
    ),
    FormatSpec(
        "npy",
        chooses_pairs=True,
        writer="relabel.exchange.positive_lists:write_npy",
        export_summary="dbImages, qImages, gt, qIdx, pIdx: OpenVPRLab, gsv-cities",
        export_options=("threshold", "within_m", "image_path", "drop_unknown", "drop_panoramas"),
        files=tuple(f"{{name}}_{part}.npy" for part in ("dbImages", "qImages", "gt", "qIdx", "pIdx")),
    ),
    FormatSpec(
        "msls-idx",
        chooses_pairs=True,
        writer="relabel.exchange.positive_lists:write_msls_idx",
        export_summary="qIdx, pIdx, nonNegIdx over all collections: mapillary_sls",
        export_options=("threshold", "image_path"),
        writes_all=True,
    ),
    FormatSpec(
        "deep-vg",
        chooses_pairs=True,
        writer="relabel.exchange.positive_lists:write_deep_vg",
        export_summary="soft and hard positives: deep-vg-benchmark",
        export_options=("threshold", "image_path"),
        files=(
            "{name}_database_paths.npy",
            "{name}_queries_paths.npy",
            "{name}_soft_positives_per_query.npy",
            "{name}_hard_positives_per_query.npy",
        ),
    ),
    FormatSpec(
        "pairs",
        chooses_pairs=True,
        writer="relabel.exchange.hloc:write_pairs",
        export_summary='text, "query database" per line: hloc; scores in a second file',
        export_options=("threshold", "top", "image_path"),
        files=("{name}-pairs.txt", "{name}-pairs-scores.txt"),
        reader="relabel.exchange.hloc:read_pairs",
        import_summary="text, query, database and score on each line",
    ),
    FormatSpec(
        "csv",
        writer="relabel.exchange.csv_parquet:write_csv",
        export_summary="the pairs and the cameras",
        files=("{name}.csv", "{name}.cameras.csv"),
        reader="relabel.exchange.csv_parquet:read_csv",
        import_summary="columns query, database, value",
        camera_files=("{name}.cameras.csv", "{name}.cameras.csv"),
    ),
    FormatSpec(
        "parquet",
        writer="relabel.exchange.csv_parquet:write_parquet",
        export_summary="the pairs and the cameras, with measure and parameters",
        files=("{name}.parquet", "{name}.cameras.parquet"),
        reader="relabel.exchange.csv_parquet:read_parquet",
        import_summary="columns query, database, value",
        camera_files=("{name}.cameras.parquet", "{name}.cameras.parquet"),
    ),
    FormatSpec(
        "npz",
        writer="relabel.exchange.npz:write_npz",
        export_summary="a SciPy matrix, with the cameras, measure and parameters",
        files=("{name}.npz",),
        reader="relabel.exchange.npz:read_npz",
        import_summary="a SciPy matrix; names in it, or from --queries and --database",
    ),
    FormatSpec(
        "geojson",
        writer="relabel.exchange.geojson:write_geojson",
        export_summary="cameras, fields of view and matches on maps: QGIS, kepler.gl",
        export_options=("queries", "threshold", "top"),
        files=("{name}-cameras.geojson", "{name}-fields-of-view.geojson"),
    ),
    FormatSpec(
        "pml",
        chooses_pairs=True,
        writer="relabel.exchange.pml:write_pml",
        export_summary="a1, p, a2, n: pytorch-metric-learning",
        export_options=("threshold", "seed"),
        files=("{name}-pml.npz",),
    ),
)
_BUILT_IN_BY_NAME = {spec.name: spec for spec in BUILT_IN}

ALIASES = {"hloc": "pairs"}
"""Other names by which people look for formats."""


def formats() -> dict[str, FormatSpec]:
    """All formats by name: those of this package, then those of other distributions."""
    return _BUILT_IN_BY_NAME | _of_distributions()


@functools.cache
def _of_distributions() -> dict[str, FormatSpec]:
    return specs_of_distributions(GROUP, FormatSpec, "format", _BUILT_IN_BY_NAME)


def export_formats() -> dict[str, FormatSpec]:
    """The formats that labels can be exported to, by name."""
    return {name: spec for name, spec in formats().items() if spec.writer is not None}


def import_formats() -> dict[str, FormatSpec]:
    """The formats that labels can be imported from, by name."""
    return {name: spec for name, spec in formats().items() if spec.reader is not None}


def export_format(name: str) -> FormatSpec:
    """The format of that name that labels can be exported to; otherwise an `OptionError` that lists them."""
    name = ALIASES.get(name, name)
    spec = _BUILT_IN_BY_NAME.get(name)  # those of other distributions are loaded only if needed
    return spec if spec is not None and spec.writer is not None else _known(name, export_formats())


def import_format(name: str) -> FormatSpec:
    """The format of that name that labels can be imported from; otherwise as `export_format`."""
    name = ALIASES.get(name, name)
    spec = _BUILT_IN_BY_NAME.get(name)
    return spec if spec is not None and spec.reader is not None else _known(name, import_formats())


def exports_with(option: str) -> list[str]:
    """Names of the formats whose exports take this option."""
    return [name for name, spec in export_formats().items() if option in spec.export_options]


def imports_with(option: str) -> list[str]:
    """Names of the formats whose imports take this option."""
    return [name for name, spec in import_formats().items() if option in spec.import_options]


def writer(spec: FormatSpec) -> Callable[..., Any]:
    """The writer of a format; a `MissingPackageError` if it cannot be loaded."""
    return _function(spec, spec.writer)


def reader(spec: FormatSpec) -> Callable[..., Any]:
    """The reader of a format; a `MissingPackageError` if it cannot be loaded."""
    return _function(spec, spec.reader)


def _known(name: str, specs: dict[str, FormatSpec]) -> FormatSpec:
    if name not in specs:
        raise OptionError(f"format {name!r} is not known; choose {', '.join(specs)}")
    return specs[name]


def _function(spec: FormatSpec, home: str | None) -> Callable[..., Any]:
    module, _, name = str(home).partition(":")
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise MissingPackageError(f"format {spec.name}: {home} cannot be loaded: {error}") from error
    return function
