"""A label file at a glance, and the matches of one of its queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relabel.cameras import Cameras, Status
from relabel.errors import OptionError
from relabel.geometry.earth import points
from relabel.geometry.headings import difference_deg
from relabel.labelfile import LabelFile, StoredCollection


def describe(labels: LabelFile) -> dict[str, Any]:
    """What `relabel info --json` prints: the format, and of every collection all but its values."""
    return {
        "format": "relabel.labels",
        "format_version": labels.format_version,
        "collections": [_describe(labels[name]) for name in labels],
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


@dataclass(frozen=True)
class Match:
    """One camera that shares some view with a query."""

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

    Values are the shortest decimal numbers that stand for the stored float32.

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
    at = int(np.flatnonzero(query.key == key)[0])
    columns = _positions(database, [str(k) for k in keys[:top]])
    query_at, database_at = (points(side, stored.params) for side in (query, database))
    distance = np.linalg.norm(database_at[columns] - query_at[at], axis=1)
    apart = np.abs(difference_deg(database.heading_deg[columns], query.heading_deg[at]))
    matches = tuple(
        Match(str(k), float(str(np.float32(v))), float(d), float(a))
        for k, v, d, a in zip(keys, values, distance, apart, strict=False)
    )
    return Row(key, Status(int(query.status[at])), len(keys), matches)


def _positions(cameras: Cameras, keys: list[str]) -> np.ndarray[Any, np.dtype[np.intp]]:
    wanted = set(keys)
    found = {str(k): i for i, k in enumerate(cameras.key) if k in wanted}
    return np.array([found[k] for k in keys], dtype=np.intp)
