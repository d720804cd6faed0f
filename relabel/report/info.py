"""Summary of a label file, and the matches of one of its queries, as values and as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from relabel.cameras import Cameras, Status
from relabel.display import parameters
from relabel.errors import OptionError
from relabel.geometry.earth import points
from relabel.geometry.headings import difference_deg
from relabel.keys import rows_of
from relabel.labelfile import LabelFile, StoredCollection
from relabel.report.text_table import table


def describe(labels: LabelFile) -> dict[str, Any]:
    """What `relabel info --json` prints: the format, and of every collection all but its values.

    Raises
    ------
    LabelFileError
        when the file holds no collection, or one that cannot be read.
    """
    return {
        "format": "relabel.labels",
        "format_version": labels.format_version,
        "collections": [_describe(stored) for stored in labels.collections()],
    }


def _describe(stored: StoredCollection) -> dict[str, Any]:
    return {
        "name": stored.name,
        "method": stored.method,
        "measure": stored.measure,
        "shape": list(stored.shape),
        "nnz": stored.nnz,
        "min_value": stored.min_value,
        "symmetric": stored.symmetric,
        "self_pairs": stored.self_pairs,
        "params": dict(stored.params),
        "status": {"queries": stored.query.status_counts(), "database": stored.database.status_counts()},
    }


def info_text(summary: dict[str, Any]) -> list[str]:
    """The summary of `describe` as a table, one line per collection, with their parameters below."""
    collections = summary["collections"]
    noun = "collection" if len(collections) == 1 else "collections"
    lines = [f"{summary['format']} {summary['format_version']}, {len(collections)} {noun}"]
    rows = [["collection", "method", "measure", "queries", "database", "pairs", "a query", "min ψ", ""]]
    for c in collections:
        n_query, n_database = c["shape"]
        rows.append(
            [
                c["name"],
                c["method"],
                c["measure"],
                _ok_of(c["status"]["queries"], n_query),
                _ok_of(c["status"]["database"], n_database),
                f"{c['nnz']:,}",
                f"{c['nnz'] / n_query:.1f}" if n_query else "-",
                f"{c['min_value']:g}",
                "self" if c["self_pairs"] else "",
            ]
        )
    lines += ["", *table(rows, right=(3, 4, 5, 6, 7)), ""]
    for c in collections:
        lines.append(f"{c['name']}: {parameters(c['params']) if c['params'] else 'no parameters'}")
        lines += [
            f"{c['name']}: {side} not labelled (similarity unknown): {_others(counts)}"
            for side, counts in c["status"].items()
            if _others(counts)
        ]
    return lines


def _ok_of(counts: dict[str, int], total: int) -> str:
    ok = counts.get("ok", 0)
    return f"{total:,}" if ok == total else f"{ok:,} of {total:,}"


def _others(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if name != "ok")


@dataclass(frozen=True)
class Match:
    """One database camera whose view overlaps with that of a query."""

    key: str
    value: float
    distance_m: float
    """horizontal; NaN where a position is missing"""
    heading_difference_deg: float
    """in [0, 180]; NaN where a heading is missing"""


@dataclass(frozen=True)
class Row:
    """A query and its matches, best first."""

    key: str
    status: Status
    stored: int
    """matches in the file, of which `matches` may be the first few"""
    matches: tuple[Match, ...]

    def to_json(self) -> dict[str, Any]:
        """What `relabel row --json` prints."""
        return {"key": self.key, "matches": [{"key": m.key, "value": m.value} for m in self.matches]}


def row(stored: StoredCollection, key: str, *, top: int | None = None) -> Row:
    """The matches of the query `key`, best first, all of them or the `top` best.

    Values are the shortest decimal numbers that round to the stored float32.

    Raises
    ------
    OptionError
        when `top` is less than one.
    NotFoundError
        when no query has this key.
    """
    if top is not None and top < 1:
        raise OptionError(f"top is {top}; it has to be one or more")
    keys, values = stored.row(key)
    query, database = stored.query, stored.database
    at = int(rows_of(query.key, np.array([key]))[0])
    columns = _rows_of(database, [str(k) for k in keys[:top]])
    query_at, database_at = (points(side, stored.params) for side in (query, database))
    distance = np.linalg.norm(database_at[columns] - query_at[at], axis=1)
    apart = np.abs(difference_deg(database.heading_deg[columns], query.heading_deg[at]))
    matches = tuple(
        Match(str(k), float(str(np.float32(v))), float(d), float(a))
        for k, v, d, a in zip(keys, values, distance, apart, strict=False)
    )
    return Row(key, Status(int(query.status[at])), len(keys), matches)


def _rows_of(cameras: Cameras, keys: list[str]) -> np.ndarray[Any, np.dtype[np.intp]]:
    return rows_of(cameras.key, np.array(keys, np.str_)).astype(np.intp)


def row_text(row: Row) -> list[str]:
    """A query and its matches as a table."""
    shown = f", the best {len(row.matches)}" if len(row.matches) < row.stored else ""
    lines = [f"{row.key}: {row.stored:,} {'match' if row.stored == 1 else 'matches'}{shown}"]
    if row.matches:
        rows = [["ψ", "distance", "turned", "key"]]
        rows += [
            [f"{m.value:.4f}", _unit(m.distance_m, "m", 1), _unit(m.heading_difference_deg, "°", 0), m.key]
            for m in row.matches
        ]
        lines += table(rows, right=(0, 1, 2))
    return lines


def _unit(value: float, unit: str, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f} {unit}".replace(" °", "°")
