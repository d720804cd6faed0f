"""The result of every dataset reader, so that one labelling job serves every dataset: two sets of cameras or frames.

A reader is a small value that says what to read: it can be sent to other processes, and restored from its
`parameters` in the provenance of a label file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

from relabel.cameras import Cameras, FloatArray, Status
from relabel.datasets.doubts import Doubt
from relabel.datasets.fillers import Filler
from relabel.display import Displayed, Layer, Summary, counted, parameters, several
from relabel.errors import InputError, NotFoundError, OptionError
from relabel.frames import Frames

SideT = TypeVar("SideT", Cameras, Frames)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class QueryAndDatabase(Displayed, Generic[SideT]):
    """Queries and database, as cameras or frames, possibly the same set, and notes about them.

    Attributes
    ----------
    query, database:
        the cameras or frames of rows and columns; the same object for self pairs.
    files:
        every file that was read, and every depth map to decode; a file of both sides once.
    params:
        the `params` of the collection about the input, such as the source of the headings and counts of their faults.
    notes:
        what the user should know about the input, one sentence each.
    fillers:
        filler values for unknown ones, which the reader has replaced.
    doubts:
        observations that may make labels wrong; the audit reports them as warnings.
    sources:
        where each side was read from, for messages.
    hint:
        what to try if nothing of a side can be labelled.
    """

    ITEM: ClassVar[str] = "row"
    ITEMS: ClassVar[str] = "cameras"

    query: SideT
    database: SideT
    files: tuple[Path, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fillers: tuple[Filler, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    sources: tuple[str, str] = ("queries", "database")
    hint: str = ""

    def _summary(self) -> Summary:
        same = self.query is self.database
        database = "the queries themselves" if same else counted(cameras_in(self.database).status_counts())
        return Summary(
            f"{type(self).__name__}: {len(self.query):,} × {len(self.database):,} {self.ITEMS}",
            [
                ("query", counted(cameras_in(self.query).status_counts())),
                ("database", database),
                ("files", f"{len(self.files):,}"),
                ("params", parameters(self.params)),
                *(("note", note) for note in self.notes),
                *(("doubt", doubt.seen) for doubt in self.doubts),
            ],
        )

    def _layers(self) -> Sequence[Layer]:
        query = Layer("query", cameras_in(self.query).position)
        same = self.query is self.database
        return (query,) if same else (query, Layer("database", cameras_in(self.database).position))

    def require_some(self) -> None:
        """Raise an `InputError` unless both sides have something that can be labelled, as far as known."""
        singular = self.ITEMS.removesuffix("s")
        for source, name, side in zip(self.sources, ("query", "database"), (self.query, self.database), strict=True):
            if len(side) == 0:
                raise InputError(f"{source}: there is no {self.ITEM}, so there is no {name} {singular} to label")
            cameras = cameras_in(side)
            if not cameras.ok.any():
                why = ", ".join(f"{count:,} {status}" for status, count in cameras.status_counts().items())
                raise InputError(
                    f"{source}: none of the {len(side):,} {name} {self.ITEMS} can be labelled ({why}); {self.hint}"
                )


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CameraSets(QueryAndDatabase[Cameras]):
    """Two sets of cameras to be labelled by fields of view.

    Attributes
    ----------
    geographic:
        (n, 2) longitude and latitude in degrees on WGS 84 of the queries and of the database, if cameras are to be
        compared on the earth rather than on the map of their positions; otherwise None. Headings are then from true
        north.
    """

    hint: str = "check where the headings and positions come from"
    geographic: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FrameSets(QueryAndDatabase[Frames]):
    """Two sets of frames to be labelled by surface; no depth map is opened.

    The cameras of both have the `extra` columns ``sequence`` (str) and ``frame`` (int64), the rank of a frame in time
    within its sequence.

    Attributes
    ----------
    remedies:
        remedies for findings of the audit in this dataset, by code, if its command lacks an option that others have;
        ``{unit}`` stands for metres of a stored step, ``{size:g}`` for a factor of the image size.
    """

    ITEM: ClassVar[str] = "frame"
    ITEMS: ClassVar[str] = "frames"

    hint: str = "every frame needs a depth map and a pose"
    remedies: Mapping[str, str] = field(default_factory=dict)


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
        """Everything that the cameras depend on besides the files, as JSON values; paths relative to `root`.

        The `name` is among them as ``collection``: `relabel verify --root` finds the record of a collection by it.
        """
        ...

    def read(self) -> Sets_co:
        """Read and check the files; of depth maps, only check that they exist."""
        ...


CameraReader: TypeAlias = ReaderOf[CameraSets]
FrameReader: TypeAlias = ReaderOf[FrameSets]


@dataclass(frozen=True)
class ReaderWrapper(Generic[Sets]):
    """A reader wrapped around another one, with the name, the root and the command of the latter."""

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


def cameras_in(side: Cameras | Frames) -> Cameras:
    """The cameras of one side of a dataset, which may be cameras or frames."""
    return side.cameras if isinstance(side, Frames) else side


@dataclass(frozen=True)
class InputReport:
    """Counts of observations while a dataset was read, which subclasses name. Two of a kind can be added."""

    def __add__(self, other: Self) -> Self:
        return type(self)(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def heading_params(params: Mapping[str, Any], faults: Mapping[str, int]) -> dict[str, Any]:
    """The `params` of a collection, with the counts of faulty headings under ``heading_faults`` if there are any."""
    return {**params, "heading_faults": dict(faults)} if faults else dict(params)


def fault_notes(faults: Mapping[str, int], texts: Mapping[str, tuple[str, str]]) -> list[str]:
    """A note for each fault in `texts`, in that order; the texts are for one and for several."""
    return [several(faults[name], *text) for name, text in texts.items() if name in faults]


def position_notes(query: Cameras, database: Cameras) -> list[str]:
    """A note for each side with cameras without a position."""
    notes = []
    for side, cameras in (("query", query), ("database", database)):
        missing = int((cameras.status == Status.NO_POSITION).sum())
        if missing:
            notes.append(f"{missing:,} of {len(cameras):,} {side} cameras have no position")
    return notes


def named_parts(
    available: Mapping[str, Path], names: str, root: Path | str, *, option: str, noun: str
) -> dict[str, Path]:
    """The parts of a dataset that an option names, separated by commas; each once, in the order of the names.

    Parameters
    ----------
    available:
        all parts by name, with the file or folder of each.
    names:
        the value of the option.
    root:
        the root of the dataset, for messages.
    option, noun:
        the option, and the noun for a part, for messages: ``--scenes`` and ``scene``.

    Raises
    ------
    OptionError
        if nothing is named.
    NotFoundError
        when there is no such part; the message lists those that exist.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    there = ", ".join(available)
    if not wanted:
        raise OptionError(f"{option} {names!r} names no {noun}; there are {there}")
    for name in wanted:
        if name not in available:
            raise NotFoundError(f"{root}: there is no {noun} {name!r}; there are {there}")
    return {name: available[name] for name in wanted}


def unreadable(path: Path, error: OSError) -> InputError:
    """The error for a file that cannot be read, in plain words."""
    reason = error.strerror or type(error).__name__
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        reason = f"it is a link to {path.readlink()}, which is not there"
    return InputError(f"{path}: cannot be read ({reason}); check that the file is there and readable")


def common_root(paths: Iterable[Path]) -> Path:
    """The innermost folder that holds all of the files and folders; the working folder is ``.``.

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
            f"{' and '.join(map(str, dict.fromkeys(inputs)))} have no common folder except {root}, so the label file "
            "would reveal where they are on this machine; put them, or links to them, into one folder"
        )
    return Path() if root == _absolute(Path()) else root


def relative_path(path: Path, root: Path) -> str:
    """The path of a file or folder relative to `root`, with ``/`` between its parts."""
    return Path(os.path.relpath(_absolute(path), _absolute(root))).as_posix()


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths are of one file or folder, however they are written."""
    try:
        return a == b or a.samefile(b)
    except OSError:
        return False


def is_inside(path: Path, root: Path) -> bool:
    """Whether the path leads into `root` by its name; links are not followed."""
    return _absolute(path).is_relative_to(_absolute(root))


def leads_out(path: str) -> bool:
    """Whether a recorded path leads out of the folder that it is joined to."""
    parts = PurePath(path)
    return parts.is_absolute() or ".." in parts.parts


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links out of the root
