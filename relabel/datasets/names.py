"""Pictures whose names tell where they were taken and which way they face: the `@` convention.

So are SF-XL and everything that VPR-datasets-downloader and the programs around it have written. What a name holds, see
`relabel.datasets.at_names`; where names come from, see `relabel.datasets.names_list`.

Headings are kept modulo 360: 0 and 360, which both occur, are one. MSLS trees in this convention have lost their
compass; `join_msls` brings it back from the original metadata.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.datasets.at_names import AtNames, parse
from relabel.datasets.names_frame import frame
from relabel.datasets.names_join import Compass, read_compass
from relabel.datasets.names_list import NameList, read_names
from relabel.errors import InputError
from relabel.geometry.projection import project

__all__ = ["Names", "NamesReport", "read"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NamesReport:
    """What was found out about the names, both sides together; all counts are rows.

    Attributes
    ----------
    rows:
        all rows; those of self pairs once.
    wrapped:
        rows whose heading was outside [0, 360) and was reduced modulo 360.
    missing:
        rows without a heading.
    joined, not_joined:
        with `join_msls`, rows whose pano_id is in the MSLS tree and rows whose is not.
    panoramas:
        with `join_msls`, rows that the tree says are panoramas.
    """

    rows: int = 0
    wrapped: int = 0
    missing: int = 0
    joined: int = 0
    not_joined: int = 0
    panoramas: int = 0

    def __add__(self, other: NamesReport) -> NamesReport:
        return NamesReport(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Names:
    """The cameras of two lists of names, or of one twice.

    Attributes
    ----------
    query, database:
        cameras in the order of the lists, the same object for self pairs. `extra` holds, where any name fills them,
        ``lon_deg``, ``lat_deg`` (float64), ``pano_id``, ``tile``, ``timestamp`` and ``note`` (str).
    files:
        every file that was read.
    report:
        what was found out about the names.
    notes:
        what the user should know about the frame of the positions.
    geographic:
        None, or where the names are in several UTM zones, the (n, 2) longitudes and latitudes in degrees of the queries
        and of the database, which are to be compared on the earth; `position` is then a map that shows all of them.
    """

    query: Cameras
    database: Cameras
    files: tuple[Path, ...]
    report: NamesReport
    notes: tuple[str, ...]
    geographic: tuple[FloatArray, FloatArray] | None


def read(queries: Path | str, database: Path | str | None = None, *, join_msls: Path | str | None = None) -> Names:
    """The cameras of queries and database.

    A row is `NO_HEADING` where its name has none, `NO_POSITION` where east or north is nan.

    Parameters
    ----------
    queries, database:
        folders, text lists or ``.npy`` lists of `@` names; the same path twice, or no database, gives self pairs.
    join_msls:
        an MSLS tree. The name's pano_id is looked up in the raw.csv of all its cities; where it is there, the heading
        is its `ca`, and a panorama gets that status. Nothing else is taken from it.

    Raises
    ------
    MissingFileError, DatasetNotFoundError
        when a list or the MSLS tree is not there.
    InputError
        when a list or a name in it cannot be read, a name is repeated, positions are in several frames that nothing
        connects, or no pano_id is in the MSLS tree.
    """
    paths = [Path(queries)]
    if database is not None and not _same(Path(queries), Path(database)):
        paths.append(Path(database))
    lists = [read_names(path) for path in paths]
    parsed = [parse(names.names, names.place) for names in lists]
    found = frame(tuple(zip(lists, parsed, strict=True)))
    files = [file for names in lists for file in names.files]
    compass = None
    if join_msls is not None:
        compass = read_compass(Path(join_msls))
        files += _joinable(compass, lists, parsed, Path(join_msls))
    positions = [at.position for at in parsed]
    if found.geographic is not None:
        positions = [project(degrees[:, 0], degrees[:, 1], found.crs) for degrees in found.geographic]
    sides = [
        _cameras(names, at, position, found.crs, compass)
        for names, at, position in zip(lists, parsed, positions, strict=True)
    ]
    (query, report), *others = sides
    for _, more in others:
        report += more
    return Names(
        query,
        others[0][0] if others else query,
        tuple(dict.fromkeys(files)),
        report,
        found.notes,
        None if found.geographic is None else (found.geographic[0], found.geographic[-1]),
    )


def _same(a: Path, b: Path) -> bool:
    try:
        return a == b or a.samefile(b)
    except OSError:
        return False


def _joinable(compass: Compass, lists: list[NameList], parsed: list[AtNames], root: Path) -> list[Path]:
    """The files of the MSLS tree that have a row of these names."""
    files: list[Path] = []
    for names, at in zip(lists, parsed, strict=True):
        if "pano_id" not in at.texts:
            raise InputError(f"{names.path}: no name has a pano_id, which is the key to join with {root}")
        rows = compass.rows(at.texts["pano_id"])
        if (rows < 0).all():
            raise InputError(
                f"{names.path}: none of the {len(names):,} names has a pano_id that is in {root} "
                f"({len(compass.key):,} keys; here {str(at.texts['pano_id'][0])!r}); are these pictures of MSLS, and "
                "are their cities in the tree?"
            )
        files += compass.used(rows)
    return files


def _cameras(
    names: NameList, at: AtNames, position: FloatArray, crs: str, compass: Compass | None
) -> tuple[Cameras, NamesReport]:
    heading = at.heading_deg.copy()
    status = np.zeros(len(at), np.uint8)
    counts = {"rows": len(at)}
    if compass is not None:
        rows = compass.rows(at.texts["pano_id"])
        there = rows >= 0
        heading[there] = compass.heading_deg[rows[there]]
        status[there] = np.where(compass.panorama[rows[there]], Status.PANORAMA, Status.OK)
        counts |= {"joined": int(there.sum()), "not_joined": int((~there).sum())}
        counts["panoramas"] = int((status == Status.PANORAMA).sum())
    finite = np.isfinite(heading)
    counts["wrapped"] = int((finite & ((heading < 0.0) | (heading >= 360.0))).sum())
    counts["missing"] = int((~finite).sum())
    extra: dict[str, npt.NDArray[Any]] = dict(at.texts)
    if np.isfinite(at.lat_deg).any():
        extra |= {"lon_deg": at.lon_deg, "lat_deg": at.lat_deg}
    key = np.array(names.names, dtype=np.str_)
    cameras = Cameras(key, position, heading_deg=heading, status=status, crs=crs, extra=extra)
    return cameras, NamesReport(**counts)
