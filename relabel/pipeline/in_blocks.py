"""A job whose collections are made in blocks of queries, wherever these are computed.

This process reads the datasets, one after the other, and cuts them into blocks that carry all that they depend on; each
is computed and written by itself, and they are joined when all are there. What cannot be cut is made in one piece.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from relabel.errors import (
    FailedPartsError,
    LabelFileError,
    MissingFileError,
    MissingPackageError,
    OptionError,
    OutputInUseError,
    RelabelError,
)
from relabel.labelfile import LabelFile, is_shards_name, pack, validate, write
from relabel.labelfile.writer import write_temporary
from relabel.pipeline import one_part
from relabel.pipeline.blocks import (
    Block,
    Cut,
    Joined,
    Outline,
    Span,
    block_step,
    cut_into_blocks,
    read_outline,
    write_outline,
)
from relabel.pipeline.executors import Executor
from relabel.pipeline.one_part import AuditPolicy, PartResult, Prepared
from relabel.pipeline.parts import Bar, Part, Progress
from relabel.pipeline.parts_folder import PartsFolder, Piece
from relabel.similarity import SimilaritySource

if TYPE_CHECKING:
    from relabel.pipeline.frame_blocks import FrameBlocks
    from relabel.pipeline.surface_part import SurfacePart

log = logging.getLogger(__name__)


class Share(NamedTuple):
    """The parts of a job that one of several runs makes: each `total`-th, from number `number` on, counted from 1."""

    number: int
    total: int

    def has(self, part: int) -> bool:
        """Whether a part, counted from 0, is among them."""
        return part % self.total == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def claim(self) -> str:
        """What a run claims that makes it."""
        return f"part {self}"

    @classmethod
    def of_claim(cls, name: str) -> Share | None:
        """The share that a run has claimed by this name; None where that is the name of a collection."""
        match = re.fullmatch(r"part ([0-9]+)/([0-9]+)", name)
        return None if match is None else cls(int(match[1]), int(match[2]))


def raise_failures(failures: dict[str, Exception], count: int) -> None:
    """Raise a `FailedPartsError` that names the parts that failed, and why, unless there is none; `count` are all."""
    if not failures:
        return
    lines = [_failed(name, error) for name, error in failures.items()]
    first = next(iter(failures.values()))
    raise FailedPartsError(f"{len(failures)} of {count} parts failed: {'; '.join(lines)}") from first


def log_failure(name: str, error: Exception) -> None:
    """Say at once that a part failed; the job goes on."""
    log.info("failed: %s; the other parts go on", _failed(name, error))


def _failed(name: str, error: Exception) -> str:
    text = str(error) if isinstance(error, RelabelError) else f"{type(error).__name__}: {error}".rstrip(": ")
    return text if text.startswith(name) else f"{name}: {text}"


def stops_job(error: Exception) -> bool:
    """Whether an error is of the whole job and not of a part, so that other parts need not be tried."""
    return isinstance(error, OptionError | MissingPackageError | OutputInUseError)


class _BlockWork(NamedTuple):
    """A block to be computed and written."""

    piece: Piece
    block: Block
    step: dict[str, Any]

    def run(self, threads: int | None) -> PartResult | None:
        source = self.block.source(threads)
        write_temporary(self.piece.file, self.piece.collection, source, provenance=[self.step], threads=threads)
        return None


class _WholeWork(NamedTuple):
    """A collection that cannot be cut, to be read, computed and written."""

    piece: Piece
    part: Part
    policy: AuditPolicy
    resume: bool

    def run(self, threads: int | None) -> PartResult | None:
        options: dict[str, Any] = {"overwrite": True, "resume": self.resume, "threads": threads, "bar": None}
        return one_part.make(self.part, self.piece.file, self.policy, **options, quiet=True)


_Work = _BlockWork | _WholeWork


def _compute(work: _Work, threads: int | None) -> PartResult | None:
    return work.run(threads)


@dataclass
class BlocksJob:
    """The work of a job in blocks.

    Parameters
    ----------
    parts:
        the collections to be.
    folder:
        where parts are kept.
    place:
        where they are computed.
    policy:
        what follows from the audit.
    resume:
        keep what an earlier run made from the same inputs.
    threads:
        of all local processes together.
    share:
        the parts that this run makes; None for all.
    is_shared:
        says whether other runs are at work on the same job.
    block_rows:
        queries of a block, on average; None for the default.
    bar:
        makes a progress bar.
    """

    parts: Sequence[Part]
    folder: PartsFolder
    place: Executor
    policy: AuditPolicy
    resume: bool
    threads: int | None
    share: Share | None
    is_shared: Any
    block_rows: int | None
    bar: Bar | None
    results: dict[str, PartResult] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    count: int = 0
    """parts so far"""
    decoded: dict[str, Prepared] = field(default_factory=dict)
    """collections whose depth maps have been decoded"""
    _only: bool = False
    """whether there is a single part as far as is known, whose error is that of the job"""

    def run(self) -> tuple[PartResult, ...]:
        """Compute all parts that are not there; what became of each collection.

        Raises
        ------
        FailedPartsError
            when some failed; all others are there.
        RelabelError
            as far as it is not of one part alone.
        """
        self._only = len(self.parts) == 1
        frames = self._frames_decoded()
        with closing(self.place.run(_compute, self._work(), self.threads)) as ready:
            for (work,), result, error in ready:
                name = str(work.piece)
                if error is not None:
                    if stops_job(error):
                        raise error
                    self._failed(name, error)
                elif result is not None:
                    self.results[result.name] = result
                    result.audit.log(result.name, allow=self.policy.allow)
                    result.log()
                else:
                    log.debug("%s: written to %s", name, work.piece.file)
                    if self._progress is not None:
                        self._progress(cast("Span", work.piece.span).rows)
        if frames is not None and not self.failures and not self.is_shared():
            self.folder.remove_frames(kept=frames.used)
        raise_failures(self.failures, self.count)
        return tuple(self.results[part.name] for part in self.parts if part.name in self.results)

    def _frames_decoded(self) -> FrameBlocks | None:
        """Decode the depth maps of all collections that are labelled by surface; None where there are none."""
        parts = [part for part in self.parts if getattr(part, "of_frames", False)]
        if not parts:
            return None
        from relabel.pipeline.frame_blocks import FrameBlocks  # noqa: PLC0415  loads surface/
        from relabel.pipeline.surface_part import AVERAGE_FRAMES  # noqa: PLC0415

        average = AVERAGE_FRAMES if self.block_rows is None else self.block_rows
        begin = 0.0 if self.share is None else (self.share.number - 1) / self.share.total
        frames = FrameBlocks(self.folder, self.place, self.threads, self.resume, average, begin)
        for part in parts:
            with self._failures_of(part):
                bar = self._bar_of_parts()
                prepared = one_part.prepare(part, self.policy, threads=self.threads, bar=bar)
                if self.resume and one_part.fault_of(self.folder.file(part.name), prepared.step) is None:
                    self._keep(part, prepared)
                else:
                    self.decoded[part.name] = frames.decoded(cast("SurfacePart", part), prepared, bar)
        return frames

    def _bar_of_parts(self) -> Bar | None:
        """What draws the progress of one part after the other."""
        return self.bar if len(self.parts) == 1 or self.place.is_local else None

    def _keep(self, part: Part, prepared: Prepared) -> None:
        """Keep a collection that an earlier run made in one piece."""
        opened, step = prepared
        result = PartResult(part.name, kept=True, notes=opened.notes, audit=opened.audit, step=step)
        result.log()
        self.results[part.name] = result

    @contextmanager
    def _failures_of(self, part: Part) -> Iterator[None]:
        """What is wrong with a part stops that part, unless it stops the whole job."""
        try:
            yield
        except Exception as error:
            if stops_job(error) or not isinstance(error, RelabelError | MemoryError) or len(self.parts) == 1:
                raise
            self._failed(part.name, error)

    _progress: Progress | None = None

    def _failed(self, name: str, error: Exception) -> None:
        if self._only:
            raise error
        log_failure(name, error)
        self.failures[name] = error

    def _work(self) -> Iterator[tuple[_Work]]:
        with ExitStack() as bars:
            for part in self.parts:
                of_frames = getattr(part, "of_frames", False)
                if not of_frames and not getattr(part, "in_blocks", False):
                    if self._is_mine():
                        piece = Piece(part.name, None, self.folder.file(part.name))
                        yield (_WholeWork(piece, part, self.policy, self.resume),)
                    continue
                if not of_frames or part.name in self.decoded:
                    with self._failures_of(part):
                        if of_frames:
                            prepared = self.decoded.pop(part.name)
                        else:
                            bar = self._bar_of_parts()
                            prepared = one_part.prepare(
                                part, self.policy, threads=self.threads, bar=bar, for_blocks=True
                            )
                        if self.bar is not None and len(self.parts) == 1:
                            rows = prepared.opened.source.collection.shape[0]
                            self._progress = bars.enter_context(self.bar(part.name, rows))
                        yield from self._blocks(part, prepared)
                        continue
                self.count += 1  # it failed, or was made in one piece before

    def _is_mine(self) -> bool:
        self.count += 1
        return self.share is None or self.share.has(self.count - 1)

    def _blocks(self, part: Part, prepared: Prepared) -> Iterator[tuple[_Work]]:
        """The blocks of a collection that have to be computed."""
        opened, step = prepared
        name, file = part.name, self.folder.file(part.name)
        fault = one_part.fault_of(file, step) if self.resume else ""
        is_there = fault is None
        if not is_there:
            file.unlink(missing_ok=True)  # of other inputs, or not to be kept
        cut = cast("Cut", opened.cut)
        for note in opened.notes:
            log.info("%s", note)
        # Cut twice: it is recorded what there is to be before anything is computed, and blocks are too large to keep.
        keys = opened.source.collection.query.key
        average = opened.average_rows if self.block_rows is None else self.block_rows
        blocks = list(cut_into_blocks(keys, cut, average, opened.unmet))
        self._only &= len(blocks) == 1
        self._record(name, prepared, [span for span, _ in blocks])
        kept = 0
        again: list[str] = []
        for span, make in blocks:
            if not self._is_mine() or is_there:
                continue
            piece = Piece(name, span, self.folder.block(name, span))
            own_step = block_step(step, span)
            fault = one_part.fault_of(piece.file, own_step) if self.resume else ""
            if fault is None:
                kept += 1
                if self._progress is not None:
                    self._progress(span.rows)
                continue
            if fault:
                again.append(f"{piece}: computed again, since the part of an earlier run {fault}")
                log.info("%s", again[-1])
            yield (_BlockWork(piece, make(), own_step),)
        if kept:
            log.info("%s: %d of %d parts are kept from an earlier run with the same inputs", name, kept, len(blocks))
        notes = (*opened.notes, *again)
        result = PartResult(
            name,
            kept=is_there,
            notes=notes,
            audit=opened.audit,
            step=step,
            blocks=len(blocks),
            blocks_kept=len(blocks) if is_there else kept,
        )
        result.log_kept()
        self.results[name] = result

    def _record(self, name: str, prepared: Prepared, blocks: Sequence[Span]) -> None:
        """Write the outline of a collection, unless it is there as it would be; remove what is not of it any more."""
        path = self.folder.outline(name)
        with suppress(MissingFileError, LabelFileError):
            outline = read_outline(path)
            is_same = one_part.first_difference(outline.step, prepared.step) is None and outline.spans == tuple(blocks)
            if is_same and validate(path).valid:
                return
            if not is_same and self.is_shared():
                raise OutputInUseError(
                    f"{path}: was made from other inputs by a run that is still at work on the same job; let it "
                    "finish, or make the inputs the same on all machines"
                )
        opened = prepared.opened
        options = {"extents_in_blocks": opened.unmet is not None}
        write_outline(path, name, opened.source.collection, prepared.step, blocks, **options)
        removed = self.folder.remove_old_blocks(name, blocks)
        if removed:
            log.info("%s: %d parts of an earlier run are of other queries and were removed", name, removed)


def join(folder: PartsFolder, output: Path, *, overwrite: bool, threads: int | None, keep: bool) -> None:
    """Write the file of a job whose parts are all there.

    The bytes are those of a job that made each collection in one piece. With `keep`, blocks stay where they are.

    Raises
    ------
    OutputError, OutputExistsError
        as `relabel.labelfile.pack`; also when a part is not that of the job.
    """
    outlines: dict[str, Outline] = {}
    for name in folder.names:
        if not folder.file(name).exists():
            outlines[name] = read_outline(folder.outline(name))
    if is_shards_name(output):
        _write_shards(folder, outlines, output, overwrite=overwrite, threads=threads)
        return
    if len(folder.names) == 1:
        # Written and not packed: what HDF5 copies lies elsewhere in the file.
        (name,) = folder.names
        if outlines:
            _write_joined(folder, name, outlines[name], output, overwrite=overwrite, threads=threads)
        else:
            labels = LabelFile(folder.file(name))
            steps = labels.provenance()
            write(output, {name: labels[name]}, provenance=steps, overwrite=overwrite, threads=threads)
        return
    for name, outline in outlines.items():
        _write_joined(folder, name, outline, folder.file(name), overwrite=True, threads=threads)
        if not keep:
            folder.remove_blocks(name)
    pack(output, {name: folder.file(name) for name in folder.names}, overwrite=overwrite)
    if keep:
        for name in folder.names:
            if folder.outline(name).exists():
                folder.file(name).unlink()


def _write_shards(
    folder: PartsFolder, outlines: dict[str, Outline], output: Path, *, overwrite: bool, threads: int | None
) -> None:
    """Write all collections to a folder of shards at once, since one file of its own may not hold one of them."""
    sources: dict[str, SimilaritySource] = {}
    steps: list[Mapping[str, Any]] = []
    for name in sorted(folder.names):
        if name in outlines:
            sources[name] = _joined(folder, name, outlines[name])
            steps.append(outlines[name].step)
        else:
            labels = LabelFile(folder.file(name))
            sources[name] = labels[name]
            steps += labels.provenance()
    write(output, sources, provenance=steps, overwrite=overwrite, threads=threads)


def finished(result: PartResult, output: Path) -> PartResult:
    """What became of a collection that has been joined in `output`; warns where it holds no pair."""
    if not result.without_pairs:
        result = replace(result, without_pairs=one_part.without_pairs(output, result.name))
        result.log_without_pairs()
    return result


def _write_joined(
    folder: PartsFolder, name: str, outline: Outline, path: Path, *, overwrite: bool, threads: int | None
) -> None:
    write(path, {name: _joined(folder, name, outline)}, provenance=[outline.step], overwrite=overwrite, threads=threads)
    log.debug("%s: %d blocks joined in %s", name, len(outline.spans), path)


def _joined(folder: PartsFolder, name: str, outline: Outline) -> Joined:
    joined = Joined(outline, [folder.block(name, span) for span in outline.spans])
    if outline.extents_in_blocks:
        from relabel.pipeline import occluders  # noqa: PLC0415  loads fov/

        log.info("%s: %s", name, occluders.hidden_in(outline.stored.collection, joined.collection))
    return joined
