"""What every dataset reader gives, so that one labelling job serves every dataset: two sets of cameras, or of frames.

A reader is a small value that says what to read: it goes to other processes, and its `parameters` lead back to it from
the provenance of a label file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError
from relabel.frames import Frames

Side = TypeVar("Side", Cameras, Frames)


@dataclass(frozen=True, eq=False, kw_only=True)
class QueryAndDatabase(Generic[Side]):
    """Two sets of cameras or frames, one of them perhaps both, and what should be known about them.

    Attributes
    ----------
    query, database:
        those of the rows and of the columns; the same object for self pairs.
    files:
        every file that was read, and every depth map that is there to be decoded; a file of both sides once.
    params:
        what the `params` of the collection say about the input besides the overlap's own, such as where the headings
        come from and what was wrong with them.
    notes:
        what the user should know about the input, a sentence each.
    sources:
        where each side was read from, for messages.
    hint:
        what to try when nothing of a side can be labelled.
    """

    ITEM: ClassVar[str] = "row"
    ITEMS: ClassVar[str] = "cameras"

    query: Side
    database: Side
    files: tuple[Path, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sources: tuple[str, str] = ("queries", "database")
    hint: str = ""

    def require_some(self) -> None:
        """Raise an `InputError` unless both sides have something that can be labelled, as far as is known by now."""
        singular = self.ITEMS.removesuffix("s")
        for source, name, side in zip(self.sources, ("query", "database"), (self.query, self.database), strict=True):
            if len(side) == 0:
                raise InputError(f"{source}: there is no {self.ITEM}, so there is no {name} {singular} to label")
            cameras = side.cameras if isinstance(side, Frames) else side
            if not cameras.ok.any():
                why = ", ".join(f"{count:,} {status}" for status, count in cameras.status_counts().items())
                raise InputError(
                    f"{source}: none of the {len(side):,} {name} {self.ITEMS} can be labelled ({why}); {self.hint}"
                )


@dataclass(frozen=True, eq=False, kw_only=True)
class CameraSets(QueryAndDatabase[Cameras]):
    """Two sets of cameras to be labelled by fields of view.

    Attributes
    ----------
    geographic:
        (n, 2) longitude and latitude in degrees on WGS 84 of the queries and of the database, where cameras are to be
        compared on the earth rather than on the map of their positions; else None. Headings are then from true north.
    """

    hint: str = "check where the headings and positions come from"
    geographic: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameSets(QueryAndDatabase[Frames]):
    """Two sets of frames to be labelled by surface; no depth map is opened.

    The cameras of both have the `extra` columns ``sequence`` (str) and ``frame`` (int64), the rank of a frame in time
    within its sequence.
    """

    ITEM: ClassVar[str] = "frame"
    ITEMS: ClassVar[str] = "frames"

    hint: str = "every frame needs a depth map and a pose"


Sets = TypeVar("Sets", CameraSets, FrameSets)
Sets_co = TypeVar("Sets_co", CameraSets, FrameSets, covariant=True)


class ReaderOf(Protocol[Sets_co]):
    """Two sets of cameras, or of frames, to be read as one collection."""

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
        """The folder that input paths are recorded relative to."""
        ...

    def parameters(self) -> dict[str, Any]:
        """All that the cameras depend on besides the files, as JSON values; paths relative to `root`."""
        ...

    def read(self) -> Sets_co:
        """Read and check the files; depth maps are only looked for."""
        ...


CameraReader: TypeAlias = ReaderOf[CameraSets]
FrameReader: TypeAlias = ReaderOf[FrameSets]


@dataclass(frozen=True)
class ReaderWrapper(Generic[Sets]):
    """What is put around a reader, and has its name."""

    reader: ReaderOf[Sets]

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
        """The folder that input paths are recorded relative to."""
        return self.reader.root


def common_root(paths: Iterable[Path]) -> Path:
    """The innermost folder that holds all of the files and folders; the working folder as ``.`` where it is that.

    Provenance names all inputs relative to one folder, so that no record names a machine.

    Raises
    ------
    InputError
        when that is the top of the file system or the folder of all homes: paths from there name machine and user.
    """
    inputs = list(paths)
    root = Path(os.path.commonpath([_absolute(path).parent for path in inputs]))
    homes = Path(os.path.expanduser("~")).parent  # noqa: PTH111  Path.home() fails where there is none
    if len({_absolute(path).parent for path in inputs}) > 1 and root in (Path(root.anchor), homes):
        raise InputError(
            f"{' and '.join(map(str, dict.fromkeys(inputs)))} have no folder in common but {root}, and the label file "
            "would tell where they lie on this machine; put them, or links to them, into one folder"
        )
    return Path() if root == _absolute(Path()) else root


def relative_path(path: Path, root: Path) -> str:
    """The path of a file or folder relative to `root`, with ``/`` between its parts."""
    return Path(os.path.relpath(_absolute(path), _absolute(root))).as_posix()


def is_inside(path: Path, root: Path) -> bool:
    """Whether the path leads into `root` by its name; links are not followed."""
    return _absolute(path).is_relative_to(_absolute(root))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links out of the root
