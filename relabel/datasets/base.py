"""What every reader of posed street pictures gives, so that one labelling job serves every data set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError
from relabel.frames import Frames


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


S = TypeVar("S", Street, Scene)
S_co = TypeVar("S_co", Street, Scene, covariant=True)


class ReaderOf(Protocol[S_co]):
    """One pair of sets of cameras, or of frames, to be read."""

    @property
    def command(self) -> str:
        """The command that reads it, for the provenance: ``relabel msls``."""
        ...

    @property
    def name(self) -> str:
        """The name of the collection."""
        ...

    @property
    def root(self) -> Path:
        """The folder that input paths are told relative to."""
        ...

    def parameters(self) -> dict[str, Any]:
        """All that the cameras depend on besides the files, as JSON values; paths relative to `root`."""
        ...

    def read(self) -> S_co:
        """Read and check the files; depth maps are only looked for."""
        ...


Reader: TypeAlias = ReaderOf[Street]
SceneReader: TypeAlias = ReaderOf[Scene]


@dataclass(frozen=True)
class Around(Generic[S]):
    """What is put around a reader, and goes by its name."""

    reader: ReaderOf[S]

    @property
    def command(self) -> str:
        """The command that reads it."""
        return self.reader.command

    @property
    def name(self) -> str:
        """The name of the collection."""
        return self.reader.name

    @property
    def root(self) -> Path:
        """The folder that input paths are told relative to."""
        return self.reader.root


def common_root(paths: Iterable[Path]) -> Path:
    """The innermost folder that holds all of the files and folders; the working folder as ``.`` where it is that.

    Raises
    ------
    InputError
        when that is the top of the file system or the folder of all homes: paths from there name machine and user.
    """
    given = list(paths)
    root = Path(os.path.commonpath([_absolute(path).parent for path in given]))
    homes = Path(os.path.expanduser("~")).parent  # noqa: PTH111  Path.home() fails where there is none
    if len({_absolute(path).parent for path in given}) > 1 and root in (Path(root.anchor), homes):
        raise InputError(
            f"{' and '.join(map(str, dict.fromkeys(given)))} have no folder in common but {root}, and the label file "
            "would tell where they lie on this machine; put them, or links to them, into one folder"
        )
    return Path() if root == _absolute(Path()) else root


def told_from(path: Path, root: Path) -> str:
    """The path of a file or folder relative to `root`, with ``/`` between its parts."""
    return Path(os.path.relpath(_absolute(path), _absolute(root))).as_posix()


def lies_in(path: Path, root: Path) -> bool:
    """Whether the path leads into `root` by its name; links are not followed."""
    return _absolute(path).is_relative_to(_absolute(root))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links out of the root
