"""The folder in which a job of several parts keeps finished parts until they are packed.

``o.h5.parts/`` holds ``job.json``, which names the collections of the job, and for each collection a label file, or its
outline and a label file for each of its blocks (see `relabel.pipeline.blocks`). Anything else in the folder is
foreign: it stops the job before anything is computed, and is never removed.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from relabel.atomic import abandoned_folders, output_errors, remove_folders, replacing, target_of_private
from relabel.clutter import is_clutter
from relabel.errors import InputError, LabelFileError, MissingFileError, OutputExistsError
from relabel.input_files import check_regular
from relabel.pipeline.blocks import Span, read_outline

log = logging.getLogger(__name__)

ENDING = ".parts"
_JOB, _SOFTWARE = "job.json", "relabel"
# In the names of collections, a percent sign is escaped.
_FILE = re.compile(r"(.+?)(?:(?:%outline|%block-[0-9a-f]{16})?\.h5|%frames-[0-9a-f]{16}\.npz)", re.DOTALL)


class Piece(NamedTuple):
    """A label file that exists or is to be made: a block of a collection, or a whole collection."""

    collection: str
    span: Span | None
    """the span of a block; None for a whole collection"""
    file: Path

    def __str__(self) -> str:
        return self.collection if self.span is None else f"{self.collection}, {self.span}"


class PartsFolder:
    """The parts of the job that makes `target`; to be used inside ``with``, under a claim on `target`.

    If the ``with`` block fails, finished parts are kept, with a message; if there are none, the folder is removed.

    Parameters
    ----------
    target:
        the file that the parts are packed into.
    names:
        the names of all collections of the job.
    is_shared:
        says whether other runs are working on parts of the same job, so that nothing may be removed.
    """

    def __init__(self, target: Path, names: Sequence[str], is_shared: Callable[[], bool] = lambda: False) -> None:
        self.path = target.with_name(f"{target.name}{ENDING}")
        self.names = tuple(names)
        self._is_shared = is_shared

    @classmethod
    def existing(cls, path: Path) -> PartsFolder:
        """The folder at `path`, of the job that made it.

        Raises
        ------
        MissingFileError, InputError
            when there is none.
        """
        if not path.is_dir():
            raise MissingFileError(f"{path}: there is no such folder of parts")
        names = _names(path / _JOB)
        if names is None or path.suffix != ENDING:
            raise InputError(f"{path}: is not a folder of parts, which ends in {ENDING} and holds {_JOB}")
        return cls(path.with_suffix(""), names)

    @property
    def target(self) -> Path:
        """The file that the parts are packed into."""
        return self.path.with_suffix("")

    def file(self, name: str) -> Path:
        """The label file of a whole collection."""
        return self.path / file_name(name)

    def outline(self, name: str) -> Path:
        """The outline of a collection that is made in blocks."""
        return self.path / f"{_stem(name)}%outline.h5"

    def block(self, name: str, span: Span) -> Path:
        """The label file of a block of a collection."""
        return self.path / f"{_stem(name)}%block-{span.name}.h5"

    def frames(self, name: str, digest: str) -> Path:
        """The file of the voxels of some frames of a collection, by the digest of what they depend on."""
        return self.path / f"{_stem(name)}%frames-{digest[:16]}.npz"

    def remove_frames(self, kept: Collection[Path] = ()) -> None:
        """Remove the voxels of frames, except for some files."""
        for name in self.names:
            for file in self._frame_files(name):
                if file not in kept:
                    file.unlink(missing_ok=True)

    def has_blocks(self) -> bool:
        """Whether an earlier run has started a collection of this job in blocks."""
        begun = (self.outline(name).exists() or self._frame_files(name) for name in self.names)
        return self.path.is_dir() and any(begun)

    def pieces(self, name: str) -> list[Piece]:
        """The pieces of a collection, as far as they are known: itself, if it is whole or not started, or its blocks.

        Raises
        ------
        LabelFileError
            when its outline is damaged.
        """
        whole = Piece(name, None, self.file(name))
        if whole.file.exists():
            return [whole]
        try:
            blocks = read_outline(self.outline(name)).spans
        except MissingFileError:
            return [whole]
        return [Piece(name, span, self.block(name, span)) for span in blocks]

    def remove_old_blocks(self, name: str, blocks: Sequence[Span]) -> int:
        """Remove the files of blocks that a collection no longer has; their number."""
        kept = {self.block(name, span) for span in blocks}
        old = [file for file in self._blocks(name) if file not in kept]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)

    def remove_blocks(self, name: str) -> None:
        """Remove outline and blocks of a collection that has its own file."""
        self.remove_old_blocks(name, ())
        self.outline(name).unlink(missing_ok=True)

    def _blocks(self, name: str) -> list[Path]:
        return self._files(name, "%block-")

    def _frame_files(self, name: str) -> list[Path]:
        return self._files(name, "%frames-")

    def _files(self, name: str, kind: str) -> list[Path]:
        begin = f"{_stem(name)}{kind}"
        return [e for e in sorted(self.path.iterdir()) if e.name.startswith(begin) and collection_of(e.name) == name]

    def __enter__(self) -> PartsFolder:  # noqa: PYI034  not meant to be subclassed
        """Create the folder, or take it over from an earlier run.

        Raises
        ------
        OutputExistsError
            when there is something in it that does not belong to this job, or `path` is a file.
        OutputError
            when it cannot be written.
        """
        with output_errors(self.path):
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise OutputExistsError(
                    f"{self.path}: is not a folder, but the parts of this job need one; move it away"
                )
            is_new = not self.path.exists()
            self.path.mkdir(exist_ok=True)
            try:
                self._refuse_others()
                with replacing(self.path / _JOB, overwrite=True) as private:
                    record = {"software": _SOFTWARE, "parts": list(self.names)}
                    private.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
            except BaseException:
                if is_new:
                    with suppress(OSError):
                        self.path.rmdir()
                raise
        return self

    def _refuse_others(self) -> None:
        job = self.path / _JOB
        earlier = _names(job)
        if job.is_symlink() or (earlier is None and os.path.lexists(job)):
            raise self._foreign(job)
        for entry in self._others(earlier or ()):
            raise self._foreign(entry)
        for entry in self._entries():
            if entry.name != _JOB and collection_of(entry.name) not in self.names:
                raise OutputExistsError(
                    f"{entry}: is a part of another job on the same output, which was stopped; finish that job by its "
                    "own command, remove the part, or choose another output"
                )

    def _foreign(self, entry: Path) -> OutputExistsError:
        return OutputExistsError(
            f"{entry}: was not made by a job that writes {self.target.name}, so it is left alone; move it away, or "
            "choose another output"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            return
        finished, count = self.progress()
        if finished:
            log.info("%d of %d parts are kept in %s; the same command resumes from there", finished, count, self.path)
        elif not self._is_shared():
            self.remove()

    def progress(self) -> tuple[int, int]:
        """The number of finished parts, and the number of all parts as far as known."""
        finished = count = 0
        for name in self.names:
            with suppress(LabelFileError):
                pieces = self.pieces(name)
                count += len(pieces)
                finished += sum(piece.file.exists() for piece in pieces)
        return finished, count

    def remove(self) -> None:
        """Remove the parts, and the folder if nothing else is in it; the result is complete even if that fails."""
        try:
            others = self._others(self.names)
            ours = [entry for entry in self._entries() if entry not in others and entry.name != _JOB]
            for file in ours:
                file.unlink(missing_ok=True)
            made = {target: _JOB if target == _JOB else collection_of(target) for target in self._private_targets()}
            targets = [target for target, name in made.items() if name == _JOB or name in self.names]
            remove_folders(abandoned_folders(self.path, *targets))
            if others := self._others(self.names):
                log.warning("%s: does not belong to this job, so the folder is kept", ", ".join(map(str, others)))
                return
            # Last: as long as anything is there, it says which job the folder belongs to.
            (self.path / _JOB).unlink(missing_ok=True)
            self.path.rmdir()
        except OSError as error:
            log.warning("%s: is no longer needed, but cannot be removed: %s", self.path, error.strerror or error)

    def _private_targets(self) -> set[str]:
        return {target for entry in self.path.iterdir() if (target := target_of_private(entry.name)) is not None}

    def _entries(self) -> list[Path]:
        """The content of the folder, sorted, without files of the operating system and unfinished or abandoned ones."""
        return sorted(
            entry
            for entry in self.path.iterdir()
            if not is_clutter(entry.name)
            and (private := target_of_private(entry.name)) != _JOB
            and collection_of(private) not in self.names
        )

    def _others(self, names: Sequence[str]) -> list[Path]:
        """The entries that do not belong to a job with these collections; links never do."""
        return [
            entry
            for entry in self._entries()
            if entry.name != _JOB and (entry.is_symlink() or collection_of(entry.name) not in names)
        ]


def file_name(part: str) -> str:
    """The unique name of the file of a part: redkitchen/train becomes redkitchen%2Ftrain.h5."""
    return f"{_stem(part)}.h5"


def _stem(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F")


def collection_of(file: str | None) -> str | None:
    """The collection that a file of this name is a part of; None for another name."""
    match = _FILE.fullmatch(file or "")
    return None if match is None else match[1].replace("%2F", "/").replace("%25", "%")


def _names(job: Path) -> list[str] | None:
    """The names of the collections that an earlier run has recorded; None without such a record."""
    try:
        check_regular(job)
        record = json.loads(job.read_text(encoding="utf-8"))
        return [str(name) for name in record["parts"]] if record["software"] == _SOFTWARE else None
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
