"""Status and packing of the folder of parts of a job, without the dataset or the command."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from relabel.atomic import being_made
from relabel.claims import Run, claimed, living_runs
from relabel.errors import InputError, LabelFileError, MissingFileError
from relabel.labelfile import LabelFile, is_shards_name
from relabel.pipeline import in_blocks, one_part
from relabel.pipeline.blocks import block_step, read_outline
from relabel.pipeline.in_blocks import Share
from relabel.pipeline.parts_folder import PartsFolder, Piece

log = logging.getLogger(__name__)

State = Literal["done", "computing", "waiting", "missing"]
_SHOWN = 5  # parts that an error lists


@dataclass(frozen=True)
class PartStatus:
    """The state of a part.

    Attributes
    ----------
    piece:
        the block, or the whole collection.
    state:
        ``done``; ``computing``, right now; ``waiting`` for a run that lives and has claimed it; ``missing``.
    by:
        the run that computes it, or is going to.
    fault:
        why an existing file does not count.
    """

    piece: Piece
    state: State
    by: Run | None = None
    fault: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        span = self.piece.span
        rows = {} if span is None else {"first_row": span.first_row, "rows": span.rows}
        run = {} if self.by is None else {"by": self.by.to_json()}
        return {
            "collection": self.piece.collection,
            **rows,
            "state": self.state,
            **run,
            **({"fault": self.fault} if self.fault else {}),
        }


@dataclass(frozen=True)
class JobStatus:
    """The state of a job: its folder, its parts, and the runs that are working on it."""

    folder: Path
    parts: tuple[PartStatus, ...]
    runs: tuple[Run, ...]

    def count(self, state: State) -> int:
        """The number of parts in a state."""
        return Counter(part.state for part in self.parts)[state]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        states: tuple[State, ...] = ("done", "computing", "waiting", "missing")
        return {
            "folder": str(self.folder),
            "parts": {"all": len(self.parts), **{state: self.count(state) for state in states}},
            "runs": [run.to_json() for run in self.runs],
            "missing": [part.to_json() for part in self.parts if part.state != "done"],
        }


def status(path: str | os.PathLike[str]) -> JobStatus:
    """The state of the job whose parts are in a folder; nothing is changed.

    Raises
    ------
    MissingFileError, InputError
        when it is not a folder of parts.
    """
    folder = PartsFolder.existing(Path(path))
    runs = tuple(living_runs(folder.target, beside=is_shards_name(folder.target)))
    made = being_made(folder.path)
    parts: list[PartStatus] = []
    for name in folder.names:
        for piece, fault in _checked(folder, name):
            by = next((run for run in runs if _has(run, piece, len(parts))), None)
            if fault is None:
                parts.append(PartStatus(piece, "done"))
            elif piece.file.name in made:
                parts.append(PartStatus(piece, "computing", by, fault))
            else:
                parts.append(PartStatus(piece, "missing" if by is None else "waiting", by, fault))
    return JobStatus(folder.path, tuple(parts), runs)


def pack_parts(
    path: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False, threads: int | None = None
) -> Path:
    """Pack the parts of a job into its label file, which has the same bytes as from a single run; the parts stay.

    Parameters
    ----------
    path:
        the folder, ``NAME.parts``.
    output:
        the label file to write, or the folder of shards, ``NAME.labels``.
    overwrite:
        replace the output if it exists.
    threads:
        number of threads that compress; None for all.

    Raises
    ------
    InputError
        when parts are missing, or were made from other inputs than the others; the message names them.
    OutputInUseError
        when a run is still at work on them.
    MissingFileError, OutputError, OutputExistsError
        when there is no such folder, or the file cannot be written.
    """
    folder, target = PartsFolder.existing(Path(path)), Path(output)
    with claimed(folder.target, beside=is_shards_name(folder.target)):
        parts = status(path).parts
        wrong = [part for part in parts if part.state != "done"]
        if wrong:
            lines = [f"{part.piece}{f' ({part.fault})' if part.fault else ''}" for part in wrong[:_SHOWN]]
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise InputError(
                f"{folder.path}: {len(wrong)} of {len(parts)} parts are missing: {'; '.join(lines)}{more}; run the "
                "labelling command for them again, with the share that they belong to or without one"
            )
        in_blocks.join(folder, target, overwrite=overwrite, threads=threads, keep=True)
    labels = LabelFile(target)
    for name in labels:
        if why := one_part.without_pairs(target, name):
            log.warning("%s: %s", name, why)
    return target


def _has(run: Run, piece: Piece, number: int) -> bool:
    """Whether a run has claimed a part, given by its number in the whole job, counted from 0."""
    shares = [share for name in run.parts or () if (share := Share.of_claim(name)) is not None]
    return run.parts is None or piece.collection in run.parts or any(share.has(number) for share in shares)


def _checked(folder: PartsFolder, name: str) -> list[tuple[Piece, str | None]]:
    """The pieces of a collection, each with the fault of its file: None if it has none, empty if it is missing."""
    try:
        pieces = folder.pieces(name)
        outline = None if pieces[0].span is None else read_outline(folder.outline(name))
    except LabelFileError:
        return [(Piece(name, None, folder.outline(name)), "its outline is damaged")]
    checked: list[tuple[Piece, str | None]] = []
    for piece in pieces:
        fault: str | None
        try:
            records = LabelFile(piece.file).provenance()
        except MissingFileError:
            fault = ""
        except LabelFileError:
            fault = "is damaged"
        else:
            fault = None
            if piece.span is not None and outline is not None:
                fault = one_part.first_difference(records[0], block_step(outline.step, piece.span))
        checked.append((piece, fault))
    return checked
