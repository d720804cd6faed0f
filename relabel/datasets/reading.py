"""What readers have in common.

A reader is a small value that says what to read: it goes to other processes, and its `parameters` lead back to it from
the provenance of a label file. What it reads is a `Street` or a `Scene`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from relabel.datasets.scene import Scene
from relabel.datasets.street import Street

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
