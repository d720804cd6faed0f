"""The cameras of an evaluation, city by city: from a label file, from an MSLS tree, or from two lists of `@` names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.datasets import csv_columns
from relabel.datasets.base import CameraSets, FrameSets
from relabel.datasets.msls import city as msls
from relabel.datasets.msls.spec import SUBTASKS
from relabel.datasets.registry import select_paths
from relabel.errors import InputError, OptionError
from relabel.geometry.earth import FRAME, GEODESIC, with_lon_lat
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Place:
    """One city or scene, whose queries have their positives in its own database.

    Attributes
    ----------
    name:
        of the collection or city.
    query, database:
        all of its cameras.
    params:
        the parameters of the collection, which say how distances are measured.
    stored:
        the graded labels, whose rows and columns these cameras are; None where there are none.
    self_pairs:
        whether the database is the queries.
    query_in, database_in:
        (n,) which cameras take part at all, for example in a subtask; None for all.
    """

    name: str
    query: Cameras
    database: Cameras
    params: dict[str, Any] = field(default_factory=dict)
    stored: StoredCollection | None = None
    self_pairs: bool = False
    query_in: BoolArray | None = None
    database_in: BoolArray | None = None


def of_labels(collections: Sequence[StoredCollection]) -> list[Place]:
    """One place per collection.

    Parameters
    ----------
    collections:
        of one label file or of several.
    """
    return [Place(c.name, c.query, c.database, c.params, c, c.self_pairs) for c in collections]


def of_paths(paths: Sequence[Path], *, dataset_name: str | None = None, cities: str | None = None) -> list[Place]:
    """The cameras of a dataset, without labels: one place for each collection that its labelling command would make.

    Parameters
    ----------
    paths:
        the top folder of a dataset, or queries and database; see `relabel.datasets.registry.select_paths`. Two paths
        are one place, which has the name of the dataset.
    dataset_name:
        the dataset; None recognises it by its files.
    cities:
        of an MSLS tree; ``val`` is what the field validates on.

    Raises
    ------
    RelabelError
        as `select_paths` and the readers of the dataset do.
    """
    spec, selection = select_paths(paths, dataset_name=dataset_name, cities=cities)
    names = [spec.name] if len(paths) > 1 else [reader.name for reader in selection.readers]
    return [of_sets(name, reader.read()) for name, reader in zip(names, selection.readers, strict=True)]


def of_sets(name: str, sets: CameraSets | FrameSets) -> Place:
    """Queries and database of a dataset as one place, without labels."""
    if isinstance(sets, FrameSets):
        query, database = sets.query.cameras, sets.database.cameras
        return Place(name, query, database, self_pairs=sets.query is sets.database)
    query, database, params = sets.query, sets.database, dict[str, Any]()
    self_pairs = query is database
    if sets.geographic is not None:
        params[FRAME] = GEODESIC
        query, database = (
            with_lon_lat(side, degrees) for side, degrees in zip((query, database), sets.geographic, strict=True)
        )
    return Place(name, query, query if self_pairs else database, params, self_pairs=self_pairs)


def in_subtask(places: Sequence[Place], root: Path | str, subtask: str) -> list[Place]:
    """The same places with the cameras of a subtask of MSLS only.

    Parameters
    ----------
    places:
        cities of MSLS, by name.
    root:
        the MSLS tree; ``subtask_index.csv`` of both sides of each city is read.
    subtask:
        one of `relabel.datasets.msls.spec.SUBTASKS`.

    Raises
    ------
    OptionError
        when there is no such subtask.
    NotFoundError, InputError
        when the tree lacks a city, or a table cannot be read or lacks a camera.
    """
    if subtask not in SUBTASKS:
        raise OptionError(f"subtask is {subtask!r}; it is one of {', '.join(SUBTASKS)}")
    tree = msls.find(root)
    chosen = []
    for place in places:
        folder = tree[place.name].path
        sides = [
            _members(folder / side / "subtask_index.csv", cameras, subtask)
            for side, cameras in (("query", place.query), ("database", place.database))
        ]
        chosen.append(replace(place, query_in=sides[0], database_in=sides[1]))
    return chosen


def _members(path: Path, cameras: Cameras, subtask: str) -> BoolArray:
    table = csv_columns.read(path, {"key": "text", subtask: "bool"})
    csv_columns.check_keys(path, table, "key")
    rows = rows_of(table["key"], cameras.key)
    if (rows < 0).any():
        key = str(cameras.key[int(np.argmax(rows < 0))])
        raise InputError(
            f"{path}: has no row of key {key!r} ({int((rows < 0).sum()):,} of {len(cameras):,} cameras have none); "
            "use the file from the same download as the others"
        )
    inside: BoolArray = table[subtask][rows]
    return inside
