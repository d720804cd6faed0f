"""Parts: the units a labelling job is made of, one collection each, that know how to be read and computed.

A part is a small value that can be sent to another process; it opens its dataset only where it is computed. Parts of
both kinds of label are made here from readers, and the modules that compute a kind are loaded only for that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from relabel.audit.findings import EMPTY, AuditReport
from relabel.display import byte_size, duration
from relabel.errors import OptionError
from relabel.labelfile.schema import MOST, SHARDS_SUFFIX
from relabel.similarity import SimilaritySource

Progress = Callable[[int], object]
Bar = Callable[[str, int | None], AbstractContextManager[Progress]]
"""Called with the name of a part and the size of its work, None where it is not known; returns what is called with the
size of each step done."""


class Preparation(NamedTuple):
    """Work on the files of a part that takes its time, to be done once before its overlap is computed."""

    what: str
    """what is worked on, such as ``depth maps``"""
    total: int
    """how many there are"""
    run: Callable[[Progress | None], tuple[str, ...]]
    """does it, and returns what the user should know about the outcome"""


class Opened(NamedTuple):
    """A part whose dataset has been read: ready to be computed."""

    source: SimilaritySource
    files: tuple[Path, ...]
    """every file that was read, or will be by the preparation"""
    notes: tuple[str, ...]
    """what the user should know about the input"""
    preparation: Preparation | None = None
    """None where the overlap can be computed at once"""
    audit: AuditReport = EMPTY
    """what the audit of the input found"""
    announcement: str = ""
    """what the user should know before it is computed"""
    thousands: bool = False
    """whether there are so many files that those of a folder are recorded together, see `provenance.describe`"""
    cut: Callable[[int, int], Any] | None = None
    """the block of some of its rows, see `relabel.pipeline.blocks`; None where it cannot be cut, or not yet"""
    unmet: Any = None
    """of a source whose extents only its blocks know: `relabel.pipeline.blocks.Unmet`"""
    average_rows: int | None = None
    """rows of a block, on average; None: as many as it takes elsewhere"""
    computed_ahead: bool = False
    """whether rows may be computed in a thread while those before are written"""


@dataclass(frozen=True)
class Estimate:
    """The size of one part, known before it is computed.

    Attributes
    ----------
    name:
        of the collection.
    queries, database:
        rows of either side; those that can be labelled follow in `labelled_queries` and `labelled_database`.
    candidates:
        pairs that have to be computed: for fields of view counted, for surface those that the plan does not rule out.
    output_bytes, memory_bytes:
        rough size of the file and peak memory.
    frames:
        depth maps to decode; None where there are none.
    seconds:
        roughly what the whole run takes on this machine, as busy as it is now; of depth maps, what decoding and all
        pairs take.
    audit:
        what the audit of the input found.
    notes:
        what the user should know about the input.
    parts:
        how many parts a job that makes it in blocks has of it.
    """

    name: str
    queries: int
    database: int
    labelled_queries: int
    labelled_database: int
    candidates: int
    output_bytes: int
    memory_bytes: int
    frames: int | None = None
    seconds: float | None = None
    audit: AuditReport = EMPTY
    notes: tuple[str, ...] = ()
    parts: int = 1

    def to_json(self) -> dict[str, Any]:
        """All that is known but for the notes, as JSON values."""
        sizes = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("audit", "notes")
        }
        return {**{name: value for name, value in sizes.items() if value is not None}, **self.audit.to_json()}


class Part(Protocol):
    """One collection to be."""

    @property
    def name(self) -> str:
        """The name of the collection."""
        ...

    @property
    def root(self) -> Path:
        """The folder that input paths are recorded relative to."""
        ...

    @property
    def command(self) -> str:
        """The command that makes it, for the provenance."""
        ...

    def parameters(self) -> dict[str, Any]:
        """All that the result depends on besides the files."""
        ...

    def open(
        self, *, threads: int | None = None, progress: Progress | None = None, memory_bytes: int | None = None
    ) -> Opened:
        """Read the dataset, and prepare the overlap without computing it.

        With `memory_bytes`, so that the whole process takes no more; an `OptionError` where that cannot be.
        """
        ...

    def estimate(self, *, threads: int | None = None) -> Estimate:
        """Read the dataset and estimate what the part would take, without computing any overlap."""
        ...


def not_enough(name: str, what: str, memory_bytes: int, needed_bytes: int) -> OptionError:
    """The error of a part that cannot be made in so much memory."""
    return OptionError(
        f"{name}: memory_bytes=… allows {byte_size(memory_bytes)}, but {what} need about {byte_size(needed_bytes)}; "
        "nothing was computed. Allow as much, or label fewer at a time"
    )


def very_many_pairs(pairs: float, queries: int, min_value: float, output_bytes: int, seconds: float, fewer: str) -> str:
    """What is said of a part with very many pairs before it is computed; `fewer` says what to do against it."""
    text = (
        f"about {pairs:,.0f} pairs have ψ above {min_value:g}, {pairs / queries:,.0f} for each query: expect a file of "
        f"about {byte_size(output_bytes)}, in about {duration(seconds)}. {fewer}"
    )
    if pairs > MOST:
        text += f". One file holds at most {MOST:,}: name the output NAME{SHARDS_SUFFIX} to write a folder of shards"
    return text


def estimates(parts: Iterable[Part], *, threads: int | None = None) -> list[Estimate]:
    """What each part would take; of depth maps only a few are decoded."""
    return [part.estimate(threads=threads) for part in parts]
