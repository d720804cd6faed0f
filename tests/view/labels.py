"""Small label files for tests of the viewer, and what the independent reader makes of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from formats.read_label_file import Labels
from relabel.cameras import Cameras, Status
from relabel.labelfile import StoredCollection, open_collections, write
from relabel.similarity import Collection, Similarity

HOSTILE = (
    "folder/" * 60 + "<b>&\"'</b> é 日本.jpg",
    "</script><script>boom()</script>",
    "<img src=x onerror=boom()>",
)
"""Keys that are long, or would be markup."""


def copy_of(path: Path) -> Path:
    """A copy of a file, since a server of this process may read it: HDF5 opens no file with two ways of locking."""
    return Path(shutil.copyfile(path, path.with_name(f"copy-of-{path.name}")))


def best_first(path: Path, collection: str, query: str) -> tuple[list[str], list[float]]:
    """Keys and values of the matches of a query, best first, equal ones in the order of the database."""
    labels = Labels(copy_of(path), collection)
    psi = labels.row(labels.query["key"].tolist().index(query))
    if labels.attributes["self_pairs"]:
        psi[labels.query["key"].tolist().index(query)] = np.nan
    order = [column for column in np.argsort(-psi, kind="stable") if psi[column] > 0]
    return labels.database["key"][order].tolist(), psi[order].tolist()


def row_of_cameras(n: int, prefix: str = "k", **columns: Any) -> Cameras:
    """n cameras 10 m apart in a row to the east, which look east unless `columns` say otherwise."""
    at = np.column_stack([500_000.0 + 10.0 * np.arange(n), np.full(n, 4_000_000.0)])
    given = {"key": [f"{prefix}{i}" for i in range(n)], "position": at, "heading_deg": np.full(n, 90.0)} | columns
    return Cameras(**given)


def labels_of(
    query: Cameras, database: Cameras | None = None, psi: Any = None, *, params: dict[str, Any] | None = None
) -> Similarity:
    """The values `psi` (0 where nothing is stored) between cameras; without a database, of the queries themselves."""
    columns = query if database is None else database
    matrix = sparse.csr_array(
        np.zeros((len(query), len(columns))) if psi is None else np.asarray(psi), dtype=np.float32
    )
    collection = Collection(
        query=query,
        database=columns,
        query_extent=np.full(len(query), 1963.5),
        database_extent=np.full(len(columns), 1963.5),
        method="fov-sector",
        measure="iou",
        params={"fov_deg": 90.0, "radius_m": 50.0} if params is None else params,
        self_pairs=database is None,
    )
    return Similarity(collection, matrix)


def small_city(path: Path) -> list[StoredCollection]:
    """A file of a few collections: `town` with ties, an unknown and a query without a match; and the extremes."""
    town_psi = [[0.5, 0.9, 0.0, 0.5, 0.0, 0.25], [0.0, 0.1, 0.7, 0.0, 0.0, 0.7], [0.0] * 6]
    status = np.zeros(6, np.uint8)
    status[4] = Status.PANORAMA
    times = [{"time_s": 1.5 * np.arange(n)} for n in (3, 6)]
    query, database = row_of_cameras(3, "q", extra=times[0]), row_of_cameras(6, "d", status=status, extra=times[1])
    town = labels_of(query, database, town_psi)
    no_heading = np.full(3, Status.NO_HEADING)
    psi = [[0.0, 0.6, 0.00000213], [0.6, 0.0, 0.3], [0.00000213, 0.3, 0.0]]
    long = labels_of(row_of_cameras(3, key=[*HOSTILE[:2], "-dash"]), None, psi)
    nowhere = row_of_cameras(2, position=np.full((2, 2), np.nan))
    write(
        path,
        {
            "town": town,
            "long": long,
            "one": labels_of(row_of_cameras(1)),
            "no-pairs": labels_of(row_of_cameras(3), row_of_cameras(2, "d")),
            "unknown": labels_of(row_of_cameras(3, key=[*HOSTILE], status=no_heading), row_of_cameras(2, "d")),
            "nowhere": labels_of(nowhere, row_of_cameras(2, "d")),
            "empty": labels_of(row_of_cameras(0), row_of_cameras(2, "d")),
        },
    )
    return open_collections(path)


def other_city(path: Path) -> StoredCollection:
    """The town once more as a file of its own: database cameras in another order, one of them missing and one new."""
    status = np.zeros(6, np.uint8)
    keys = ["d5", "d3", "d2", "d1", "d0", "new"]
    # q0 had d0 0.5, d1 0.9, d3 0.5, d5 0.25; q1 had d1 0.1, d2 0.7, d5 0.7.
    psi = [[0.6, 0.45, 0.0, 0.9, 0.5, 0.3], [0.7, 0.0, 0.0, 0.1, 0.55, 0.0], [0.0] * 6]
    database = row_of_cameras(6, key=keys, status=status)
    write(path, {"town": labels_of(row_of_cameras(3, "q"), database, psi)})
    return open_collections(path)[0]
