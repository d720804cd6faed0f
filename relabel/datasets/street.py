"""What every reader of posed street pictures gives, so that one labelling job serves every data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError


@dataclass(frozen=True, eq=False)
class Street:
    """Two sets of cameras, one of them perhaps both, and what should be known about them.

    Attributes
    ----------
    query, database:
        the cameras of the rows and of the columns; the same object for self pairs.
    files:
        every file that was read.
    params:
        what the `params` of the collection say about the cameras besides the overlap's own: where the headings come
        from and what was wrong with them.
    notes:
        what the user should know about the input, a sentence each.
    places:
        where each side was read from, for messages.
    hint:
        what to try when none of the cameras of a side can be labelled.
    geographic:
        (n, 2) longitude and latitude in degrees on WGS 84 of the queries and of the database, where cameras are to be
        compared on the earth rather than on the map of their positions; else None. Headings are then from true north.
    """

    query: Cameras
    database: Cameras
    files: tuple[Path, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    places: tuple[str, str] = ("queries", "database")
    hint: str = "check where the headings and positions come from"
    geographic: tuple[FloatArray, FloatArray] | None = None

    def require_some(self) -> None:
        """Raise an `InputError` unless both sides have a camera that can be labelled."""
        for where, side, cameras in zip(self.places, ("query", "database"), (self.query, self.database), strict=True):
            if len(cameras) == 0:
                raise InputError(f"{where}: there is no row, so there is no {side} camera to label")
            if not cameras.ok.any():
                why = ", ".join(f"{count:,} {name}" for name, count in cameras.status_counts().items())
                raise InputError(
                    f"{where}: none of the {len(cameras):,} {side} cameras can be labelled ({why}); {self.hint}"
                )
