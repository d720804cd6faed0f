"""What every reader of RGB-D data gives, so that one labelling job serves every data set; no depth map is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relabel.errors import InputError
from relabel.frames import Frames


@dataclass(frozen=True, eq=False)
class Scene:
    """Two sets of frames, one of them perhaps both, and what should be known about them.

    The cameras of both have the `extra` columns ``sequence`` (str) and ``frame`` (int64), the rank of a frame in time
    within its sequence.

    Attributes
    ----------
    query, database:
        the frames of the rows and of the columns; the same object for self pairs.
    files:
        every file that was read, and every depth map that is there to be decoded; a file of both sides once.
    params:
        what the `params` of the collection say about the frames besides the overlap's own.
    notes:
        what the user should know about the input, a sentence each.
    places:
        where each side was read from, for messages.
    hint:
        what to try when none of the frames of a side can be labelled.
    """

    query: Frames
    database: Frames
    files: tuple[Path, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    places: tuple[str, str] = ("queries", "database")
    hint: str = "every frame needs a depth map and a pose"

    def require_some(self) -> None:
        """Raise an `InputError` unless both sides have a frame that can be labelled, as far as is known by now."""
        for where, side, frames in zip(self.places, ("query", "database"), (self.query, self.database), strict=True):
            if len(frames) == 0:
                raise InputError(f"{where}: there is no frame, so there is no {side} frame to label")
            if not frames.cameras.ok.any():
                why = ", ".join(f"{count:,} {name}" for name, count in frames.cameras.status_counts().items())
                raise InputError(
                    f"{where}: none of the {len(frames):,} {side} frames can be labelled ({why}); {self.hint}"
                )
