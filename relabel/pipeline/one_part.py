"""One part of a job: read and audited, computed and written, or kept from an earlier run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from relabel.audit.findings import EMPTY, AuditReport, refuse_warnings
from relabel.errors import LabelFileError, MissingFileError
from relabel.labelfile import LabelFile, provenance, validate, write
from relabel.pipeline.computed_ahead import ComputedAhead
from relabel.pipeline.no_pairs import explanation
from relabel.pipeline.parts import Bar, Opened, Part
from relabel.similarity import SimilaritySource

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditPolicy:
    """What follows from the findings of the audit, which does not show in the file."""

    strict: bool = False
    """warnings are errors"""
    allow: frozenset[str] = frozenset()
    """codes of findings that are accepted"""


@dataclass(frozen=True)
class PartResult:
    """What became of one collection of a job."""

    name: str
    kept: bool
    """an earlier run had made it already"""
    notes: tuple[str, ...] = ()
    audit: AuditReport = EMPTY
    step: Mapping[str, Any] = field(default_factory=dict)
    """the provenance record of the collection"""
    without_pairs: str = ""
    """why it holds no pair, empty where it holds some"""
    blocks: int = 0
    """how many blocks of queries it was cut into; 0 where it was made in one piece"""
    blocks_kept: int = 0
    """how many of them an earlier run had made already"""

    def log(self) -> None:
        """Say what the user should know."""
        for note in self.notes:
            log.info("%s", note)
        self.log_kept()
        self.log_without_pairs()

    def log_without_pairs(self) -> None:
        """Warn of a collection without a single pair."""
        if self.without_pairs:
            log.warning("%s: %s", self.name, self.without_pairs)

    def log_kept(self) -> None:
        """Say so where it is of an earlier run."""
        if self.kept:
            log.info("%s: kept from an earlier run with the same input and parameters", self.name)


class Prepared(NamedTuple):
    """A part whose dataset has been read and audited, and the record of what makes its collection."""

    opened: Opened
    step: dict[str, Any]


def prepare(
    part: Part,
    policy: AuditPolicy,
    *,
    threads: int | None,
    bar: Bar | None = None,
    quiet: bool = False,
    memory_bytes: int | None = None,
    for_blocks: bool = False,
) -> Prepared:
    """Read and audit a part; with `quiet`, what the audit found is left to the caller to be said.

    With `for_blocks`, a part that can be cut into blocks is only prepared for that.
    """
    options: dict[str, Any] = {"for_blocks": True} if for_blocks else {}
    log.debug("%s: read from %s", part.name, part.root)
    with bar(f"{part.name}: reading the dataset", None) if bar is not None else nullcontext():
        opened = part.open(threads=threads, memory_bytes=memory_bytes, **options)
    if not quiet:
        opened.audit.log(part.name, allow=policy.allow)
    if policy.strict:
        refuse_warnings([(part.name, opened.audit)], allow=policy.allow)
    if opened.announcement:
        log.warning("%s: %s", part.name, opened.announcement)
    inputs = provenance.describe(part.root, opened.files, threads, outside=True, by_folder=opened.thousands)
    step = provenance.step(part.command, part.parameters(), inputs)
    step["findings"] = [finding.to_json() for finding in opened.audit.findings]
    return Prepared(opened, step)


def make(
    part: Part,
    path: Path,
    policy: AuditPolicy,
    *,
    overwrite: bool,
    resume: bool,
    threads: int | None,
    bar: Bar | None,
    quiet: bool = False,
    memory_bytes: int | None = None,
) -> PartResult:
    """Audit, compute and write a collection in one piece."""
    opened, step = prepare(part, policy, threads=threads, bar=bar, quiet=quiet, memory_bytes=memory_bytes)
    notes = opened.notes
    if resume:
        fault = fault_of(path, step)
        if fault is None:
            why = without_pairs(path, part.name, opened.source)
            return PartResult(part.name, kept=True, notes=notes, audit=opened.audit, step=step, without_pairs=why)
        if fault:
            notes += (f"{part.name}: computed again, since the part of an earlier run {fault}",)
    if (preparation := opened.preparation) is not None:
        title = f"{part.name}: {preparation.what}"
        with bar(title, preparation.total) if bar is not None else nullcontext() as progress:
            notes += preparation.run(progress)
    queries, database = opened.source.collection.shape
    log.debug("%s: ψ of %s queries and %s database cameras", part.name, f"{queries:,}", f"{database:,}")
    with bar(part.name, queries) if bar is not None else nullcontext() as progress:
        write(
            path,
            {part.name: ComputedAhead(opened.source) if opened.computed_ahead else opened.source},
            provenance=[step],
            overwrite=overwrite,
            progress=progress,
            threads=threads,
        )
    log.debug("%s: written to %s", part.name, path)
    why = without_pairs(path, part.name, opened.source)
    return PartResult(part.name, kept=False, notes=notes, audit=opened.audit, step=step, without_pairs=why)


def without_pairs(path: Path, name: str, source: SimilaritySource | None = None) -> str:
    """Why the collection of this name in a file that was written holds no pair; empty where it holds some.

    `source` is what it was written from, where that is at hand.
    """
    stored = LabelFile(path)[name]
    return "" if stored.nnz else explanation((stored if source is None else source).collection)


def fault_of(path: Path, step: Mapping[str, Any]) -> str | None:
    """Why the part of an earlier run cannot be kept, in words; none where there is none, None where it can."""
    try:
        if not validate(path).valid:
            return "is damaged"
        records = LabelFile(path).provenance()
    except MissingFileError:
        return ""
    except LabelFileError:
        return "is damaged"
    return first_difference(records[0], step) if len(records) == 1 else f"has {len(records)} records of provenance"


def first_difference(record: Mapping[str, Any], step: Mapping[str, Any]) -> str | None:
    """What shows that a part was not made by this very step, whatever the versions of the libraries."""
    for name in ("software", "command"):
        if record.get(name) != step[name]:
            return f"was made by {record.get(name)!r} and not {step[name]!r}"
    before, now = record.get("parameters", {}), step["parameters"]
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            return f"has {name} {before.get(name)!r} and not {now.get(name)!r}"
    return None if record.get("inputs") == step["inputs"] else "was made from other inputs"
