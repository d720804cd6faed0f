"""What readers of streets and readers of scenes have in common, for what is put around either."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeVar

from relabel.datasets.scene import Scene
from relabel.datasets.street import Street

S = TypeVar("S", Street, Scene)
S_co = TypeVar("S_co", Street, Scene, covariant=True)


class ReaderOf(Protocol[S_co]):
    """A `Reader` or a `SceneReader`: what they have in common."""

    @property
    def command(self) -> str:
        """The command that reads it."""
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
        """All that the cameras depend on besides the files."""
        ...

    def read(self) -> S_co:
        """Read and check the files."""
        ...
