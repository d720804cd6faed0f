"""Labels as the tables and matrices of other libraries.

Every function takes any `SimilaritySource`: a collection of a label file, one in another measure, or a `Similarity`.
Collections of label files have them as methods, too. Only pairs that are stored are given, those of self pairs in both
directions and without the diagonal: an absent pair of two ok cameras has a ψ of at most `min_value`, and one with a
camera that is not ok is unknown, which the ``status`` of the cameras tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.display import fields_text
from relabel.errors import InputError, OptionError
from relabel.measures import check_number
from relabel.optional import package
from relabel.similarity import RowBlock, SimilaritySource, gather

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    import pyarrow as pa
    import torch

SideName = Literal["query", "database"]

METADATA = b"relabel"
"""The key of the JSON in the schema metadata of an Arrow table: measure, method, parameters and the like."""

_BATCH = 1 << 20  # pairs of an Arrow batch: each of its columns of keys stays far below the 2 GiB of one array
_BOTH = "both"


class Pairs(NamedTuple):
    """Stored pairs, by query and within a query by the order of the database."""

    query: npt.NDArray[np.str_]
    """(m,) str, keys of queries"""
    database: npt.NDArray[np.str_]
    """(m,) str, keys of database cameras"""
    value: npt.NDArray[np.float32]
    """(m,) float32, ψ"""

    def __repr__(self) -> str:
        return fields_text(self)


class AsTables:
    """The functions of this module as methods of a source."""

    __slots__ = ()

    def pairs(self: SimilaritySource, min: float = 0.0) -> Pairs:  # noqa: A002
        """The stored pairs with a ψ of at least `min` as NumPy arrays; see `relabel.tables.pairs`."""
        return pairs(self, min)

    def cameras(self: SimilaritySource, side: SideName | None = None) -> pa.Table:
        """The cameras with every column as an Arrow table; see `relabel.tables.cameras`."""
        return cameras(self, side)

    def to_arrow(self: SimilaritySource, min: float = 0.0) -> pa.Table:  # noqa: A002
        """The stored pairs with a ψ of at least `min` as an Arrow table; see `relabel.tables.to_arrow`."""
        return to_arrow(self, min)

    def to_pandas(self: SimilaritySource, min: float = 0.0) -> pd.DataFrame:  # noqa: A002
        """The stored pairs with a ψ of at least `min` as a data frame; see `relabel.tables.to_pandas`."""
        return to_pandas(self, min)

    def to_anndata(self: SimilaritySource) -> anndata.AnnData:
        """The whole as annotated data; see `relabel.tables.to_anndata`."""
        return to_anndata(self)

    def to_torch_sparse(self: SimilaritySource) -> torch.Tensor:
        """All values as a sparse torch tensor; see `relabel.tables.to_torch_sparse`."""
        return to_torch_sparse(self)


def pairs(source: SimilaritySource, min: float = 0.0) -> Pairs:  # noqa: A002
    """The stored pairs with a ψ of at least `min`, compared as float32.

    Raises
    ------
    OptionError
        when `min` is not in [0, 1].
    LabelFileError
        when the file is damaged.
    """
    rows, columns, values = _entries(source, min)
    c = source.collection
    return Pairs(c.query.key[rows], c.database.key[columns], values)


def to_arrow(source: SimilaritySource, min: float = 0.0) -> pa.Table:  # noqa: A002
    """The stored pairs as an Arrow table, which Polars (``from_arrow``) and DuckDB read directly.

    Columns are ``query`` and ``database`` (string) and ``value`` (float), as ``relabel export --to parquet`` writes
    them and ``relabel import`` reads them. The schema metadata has, under ``relabel``, `collection_facts` as JSON.

    Parameters
    ----------
    source:
        the labels.
    min:
        only pairs with a ψ of at least this, compared as float32.

    Raises
    ------
    OptionError
        when `min` is not in [0, 1].
    LabelFileError
        when the file is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415  slow to load

    return pa.Table.from_batches(arrow_batches(source, min), schema=arrow_schema(source))


def arrow_schema(source: SimilaritySource) -> pa.Schema:
    """The schema of `to_arrow`."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    fields = [pa.field("query", pa.string()), pa.field("database", pa.string()), pa.field("value", pa.float32())]
    return pa.schema(fields, metadata={METADATA: facts_text(source).encode()})


def arrow_batches(source: SimilaritySource, min: float = 0.0) -> Iterator[pa.RecordBatch]:  # noqa: A002
    """The rows of `to_arrow` in batches of at most about a million, which need not be in memory all at once."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    c, schema = source.collection, arrow_schema(source)
    queries, database = (pa.array(cameras.key, pa.string()) for cameras in (c.query, c.database))
    for block in source.blocks():
        rows, columns, values = _at_least(block, _checked(min))
        for start in range(0, len(rows), _BATCH):
            part = slice(start, start + _BATCH)
            arrays = [queries.take(pa.array(rows[part])), database.take(pa.array(columns[part])), values[part]]
            yield pa.record_batch([*arrays[:2], pa.array(arrays[2])], schema=schema)


def to_pandas(source: SimilaritySource, min: float = 0.0) -> pd.DataFrame:  # noqa: A002
    """The stored pairs as a data frame with the columns ``query``, ``database`` (str) and ``value`` (float32).

    Its ``attrs`` are `collection_facts`.

    Raises
    ------
    MissingPackageError
        when pandas is not installed.
    OptionError, LabelFileError
        as for `to_arrow`.
    """
    library = package("pandas", "to_pandas", "pip install pandas")
    rows, columns, values = _entries(source, min)
    c = source.collection
    # Arrays of objects share the texts: 8 bytes a pair in place of the whole key.
    keys = [cameras.key.astype(object)[at] for cameras, at in ((c.query, rows), (c.database, columns))]
    frame: pd.DataFrame = library.DataFrame({"query": keys[0], "database": keys[1], "value": values})
    frame.attrs.update(collection_facts(source))
    return frame


def to_torch_sparse(source: SimilaritySource) -> torch.Tensor:
    """All values as a coalesced sparse COO tensor (queries × database), float32, on the CPU.

    Raises
    ------
    MissingPackageError
        when torch is not installed.
    LabelFileError
        when the file is damaged.
    """
    library = package("torch", "to_torch_sparse", "pip install 'relabel-vpr[torch]'")
    rows, columns, values = _entries(source, 0.0)
    indices = library.from_numpy(np.stack([rows, columns]))
    shape = source.collection.shape
    # Pairs are in order and none is there twice, as the format demands; torch checks that before it relies on it.
    tensor: torch.Tensor = library.sparse_coo_tensor(
        indices, library.from_numpy(values), shape, is_coalesced=True, check_invariants=True
    )
    return tensor


def to_anndata(source: SimilaritySource) -> anndata.AnnData:
    """The whole as annotated data: ``X`` the matrix, ``obs`` the queries and ``var`` the database, indexed by key.

    Columns with several numbers per camera (``position``, ``pose`` and the like) are in ``obsm`` and ``varm``, and
    ``uns["relabel"]`` is the JSON of `collection_facts`. A zero of ``X`` is no negative where a ``status`` is not
    ``ok``: that pair is unknown.

    Raises
    ------
    MissingPackageError
        when anndata is not installed.
    LabelFileError
        when the file is damaged.
    """
    library = package("anndata", "to_anndata", "pip install anndata")
    from scipy import sparse  # noqa: PLC0415  slow to load

    c = source.collection
    matrix = gather(source).matrix
    (obs, obsm), (var, varm) = (
        _annotations(cameras, extent)
        for cameras, extent in ((c.query, c.query_extent), (c.database, c.database_extent))
    )
    data: anndata.AnnData = library.AnnData(
        sparse.csr_matrix(matrix), obs=obs, var=var, obsm=obsm, varm=varm, uns={"relabel": facts_text(source)}
    )
    return data


def cameras(source: SimilaritySource, side: SideName | None = None) -> pa.Table:
    """The cameras as an Arrow table with every column, one row per camera in the order of the file.

    Columns: ``key``; ``side``, which is query, database, or both where the database is the queries; ``status`` by
    name; ``east``, ``north`` and ``up`` in metres; ``heading_deg``; ``extent``; ``fov_deg`` and ``radius_m`` where
    cameras differ; ``pose`` as four lists of four; and all further columns, those of several values a camera as lists.
    A further column that has the name of one of these is called ``extra_NAME``. A number that is not known is NaN, and
    a further column that one side alone has is null for the other. The metadata is that of `to_arrow`.

    Parameters
    ----------
    source:
        the labels.
    side:
        ``query`` or ``database`` for those of one side; None for all, those that are on both sides once.

    Raises
    ------
    OptionError
        when the side is neither.
    InputError
        when a further column has another type on the other side, or one that Arrow has not.
    LabelFileError
        when the file is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415  slow to load

    c = source.collection
    sides = {"query": (c.query, c.query_extent), "database": (c.database, c.database_extent)}
    if side is not None and side not in sides:
        raise OptionError(f"side is {side!r}; it is query, database, or None for both")
    name = _BOTH if c.self_pairs else None
    chosen = [side] if side is not None else ["query"] if c.self_pairs else list(sides)
    parts = [_side_table(name or chosen_side, *sides[chosen_side]) for chosen_side in chosen]
    for column in sorted(set(parts[0].column_names) & set(parts[-1].column_names)):
        kinds = [part.schema.field(column).type for part in parts]
        if kinds[0] != kinds[-1]:
            raise InputError(
                f"column {column!r} is {kinds[0]} of the queries and {kinds[-1]} of the database; choose the cameras "
                "of one side"
            )
    table = pa.concat_tables(parts, promote_options="default")
    for column in ("up", "fov_deg", "radius_m"):
        if column in table.column_names:
            at = table.column_names.index(column)
            table = table.set_column(at, column, table.column(column).fill_null(np.nan))
    return table.replace_schema_metadata(arrow_schema(source).metadata)


def collection_facts(source: SimilaritySource) -> dict[str, Any]:
    """All of a collection that is neither camera nor pair, as JSON values."""
    c = source.collection
    return {
        "method": c.method,
        "measure": c.measure,
        "params": dict(c.params),
        "crs": c.crs,
        "min_value": c.min_value,
        "self_pairs": c.self_pairs,
        "shape": list(c.shape),
        "content_sha256": getattr(source, "content_sha256", None),
    }


def facts_text(source: SimilaritySource) -> str:
    """The JSON text of `collection_facts`."""
    return json.dumps(collection_facts(source), ensure_ascii=False, sort_keys=True, default=_plain)


def status_names(cameras: Cameras) -> npt.NDArray[np.str_]:
    """(n,) str, the status of each camera by name."""
    names: npt.NDArray[np.str_] = np.array([status.label for status in Status])[cameras.status]
    return names


def _camera_columns(cameras: Cameras, extent: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    """All columns of cameras by name but for their keys; positions are one column."""
    columns: dict[str, npt.NDArray[Any]] = {
        "status": status_names(cameras),
        "position": cameras.position,
        "heading_deg": cameras.heading_deg,
        "extent": extent,
    }
    for name in ("fov_deg", "radius_m", "pose"):
        value = getattr(cameras, name)
        if value is not None:
            columns[name] = value
    return columns


def _with_extra(columns: dict[str, npt.NDArray[Any]], taken: set[str], cameras: Cameras) -> dict[str, npt.NDArray[Any]]:
    """The columns with the further ones, of which those whose name is taken are renamed."""
    names = taken | set(columns) | {"key", "side", "fov_deg", "radius_m", "pose"}
    for name in sorted(cameras.extra):
        free = name
        while free in names or (free != name and free in cameras.extra):
            free = f"extra_{free}"
        names.add(free)
        columns[free] = cameras.extra[name]
    return columns


def _side_table(side: str, cameras: Cameras, extent: npt.NDArray[np.float64]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415  slow to load

    known = _camera_columns(cameras, extent)
    position = known.pop("position")
    columns = {"key": cameras.key, "side": np.full(len(cameras), side), "status": known.pop("status")}
    columns |= {axis: position[:, i] for i, axis in enumerate(("east", "north", "up")[: position.shape[1]])}
    columns = _with_extra(columns | known, {"east", "north", "up"}, cameras)
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = _arrow_column(column)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(f"column {name!r} cannot be stored in an Arrow table: {error}") from None
    return pa.table(arrays)


def _arrow_column(column: npt.NDArray[Any]) -> Any:
    """An Arrow array with one item, or nested lists of fixed size, a camera."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    flat = column.reshape(-1)
    kind = pa.string() if flat.dtype.kind == "U" else None
    array = pa.array(flat.astype(flat.dtype.newbyteorder("="), copy=False), kind)
    for size in reversed(column.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


def _annotations(cameras: Cameras, extent: npt.NDArray[np.float64]) -> tuple[pd.DataFrame, dict[str, npt.NDArray[Any]]]:
    """The columns of one value a camera as a data frame indexed by key, and those of several by name."""
    library = package("pandas", "to_anndata", "pip install pandas")
    columns = _with_extra(_camera_columns(cameras, extent), set(), cameras)
    one = {name: column for name, column in columns.items() if column.ndim == 1}
    frame: pd.DataFrame = library.DataFrame(
        {
            name: column.astype(object if column.dtype.kind == "U" else column.dtype.newbyteorder("="), copy=False)
            for name, column in one.items()
        },
        index=library.Index(cameras.key.astype(object), dtype=object),
    )
    return frame, {name: column for name, column in columns.items() if name not in one}


def _entries(
    source: SimilaritySource, least: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Row, column and value of each stored pair with a value of at least `least`."""
    _checked(least)
    parts = [_at_least(block, least) for block in source.blocks()]
    rows, columns, values = (list(part) for part in zip(*parts, strict=True)) if parts else ([], [], [])
    return (
        np.concatenate([np.empty(0, np.int64), *rows]),
        np.concatenate([np.empty(0, np.int64), *columns]).astype(np.int64),
        np.concatenate([np.empty(0, np.float32), *values]),
    )


def _at_least(block: RowBlock, least: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Any]:
    kept = block.data >= np.float32(least) if least > 0.0 else slice(None)
    return block.rows[kept], block.indices[kept], block.data[kept]


def _checked(least: float) -> float:
    check_number("min", least)
    if not 0.0 <= least <= 1.0:
        raise OptionError(f"min is {least!r}; it is a ψ from 0 to 1")
    return least


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)
