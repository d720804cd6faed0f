"""Run a labelling job: its parts, wherever they are computed, then one file out of them.

A job of one part writes its file at once. A job of several writes each to a file of its own in a `PartsFolder` and
packs them when all are there. What an earlier run finished is kept if it was made from the same bytes with the same
parameters by the same version, so an interrupted job resumes where it stopped. As long as a run lives, it has a claim
on the output.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relabel.atomic import check_target
from relabel.audit.codes import checked_codes
from relabel.audit.findings import EMPTY, AuditReport, refuse_warnings
from relabel.claims import claimed
from relabel.errors import InputError, LabelFileError, MissingFileError, OutputError
from relabel.labelfile import LabelFile, StoredCollection, pack, provenance, validate, write
from relabel.labelfile.writer import check_names
from relabel.pipeline.executors import Executor, parse
from relabel.pipeline.no_pairs import explanation
from relabel.pipeline.parts import Bar, Opened, Part
from relabel.pipeline.parts_folder import PartsFolder

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
    """What became of one part."""

    name: str
    kept: bool
    """an earlier run had made it already"""
    notes: tuple[str, ...] = ()
    audit: AuditReport = EMPTY
    step: Mapping[str, Any] = field(default_factory=dict)
    """the provenance record of the part"""
    without_pairs: str = ""
    """why it holds no pair, empty where it holds some"""


@dataclass(frozen=True)
class JobResult:
    """What a job did: the file that it wrote, and what became of each part."""

    path: Path
    parts: tuple[PartResult, ...]


def label(
    parts: Sequence[Part],
    output: Path,
    *,
    overwrite: bool = False,
    resume: bool = True,
    executor: str = "local",
    threads: int | None = None,
    bar: Bar | None = None,
    strict: bool = False,
    allow: Collection[str] = (),
) -> JobResult:
    """Compute all parts and write them to one label file.

    Parameters
    ----------
    parts:
        at least one, with names of their own.
    output:
        the file to write.
    overwrite:
        replace `output` if it is there.
    resume:
        keep the parts of an earlier run that match.
    executor:
        ``local``, ``processes``, ``processes:N`` or ``dask:ADDRESS``: where parts are computed. It does not show in
        the file. A job of one part is always computed in this process; a warning says so.
    threads:
        threads to compute with, over all local processes together; None for all.
    bar:
        makes a progress bar over the queries of a part, and one over its depth maps before; used by the local
        executor.
    strict:
        whether a warning of the audit of a part, which is made before the part is computed, is an error.
    allow:
        codes of findings that are accepted.

    Raises
    ------
    InputError
        when there is no part, or a name is repeated or cannot be that of a collection.
    AuditError
        when the audit of a part has a warning that is not accepted, and `strict` was asked for.
    OptionError
        when a code is not known.
    OutputInUseError
        when another run is writing the same output; says who.
    OutputExistsError
        when `output` exists and `overwrite` is False, or there is something among the parts that is not of this job.
    RelabelError
        with what else is wrong; the target is then as it was, and finished parts are kept.
    """
    _check_parts(parts)
    target = check_target(output, overwrite=overwrite)
    if not output.is_symlink():
        target = output  # as messages name it
    place = parse(executor)
    policy = AuditPolicy(strict, checked_codes(allow))
    names = [part.name for part in parts]
    with claimed(target, names if len(parts) > 1 else None, job=_job_id(parts)) as claim:
        if len(parts) == 1:
            if not place.is_local:
                log.warning(
                    "executor %r is not used: it distributes the parts of a job, and this job has only one part, %s; "
                    "it is computed in this process",
                    *(executor, names[0]),
                )
            result = _make(parts[0], output, policy, overwrite=overwrite, resume=False, threads=threads, bar=bar)
            _log(result)
            return JobResult(output, (result,))
        folder = PartsFolder(target, names)
        with folder:
            paths = {name: folder.file(name) for name in names}
            results = _all(parts, paths, place, policy, resume=resume, threads=threads, bar=bar)
            claim.make_exclusive()
            pack(output, {result.name: _part(result, paths[result.name]) for result in results}, overwrite=overwrite)
        folder.remove()
        return JobResult(output, results)


def _check_parts(parts: Sequence[Part]) -> None:
    names = [part.name for part in parts]
    check_names(dict.fromkeys(names))
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{', '.join(map(repr, repeated))}: given more than once; a file holds each collection once")


def _job_id(parts: Sequence[Part]) -> str:
    """The same for all runs that make parts of the same job, and no others."""
    described = sorted(
        json.dumps([part.name, part.command, part.parameters()], sort_keys=True, default=str) for part in parts
    )
    return hashlib.sha256("\n".join(described).encode()).hexdigest()


def _part(result: PartResult, path: Path) -> StoredCollection:
    """The collection of a finished part, of which packing makes sure that it stays the same.

    Raises
    ------
    OutputError
        when the file is not the one that this job made or kept.
    """
    try:
        labels = LabelFile(path)
        records = labels.provenance()
        difference = f"holds the collections {', '.join(labels)}" if list(labels) != [result.name] else None
    except (MissingFileError, LabelFileError) as error:
        raise OutputError(f"{path}: was changed since this job made it ({error}); run the same command again") from None
    if difference is None and len(records) != 1:
        difference = f"has {len(records)} records of provenance"
    elif difference is None:
        difference = _first_difference(records[0], result.step)
    if difference is not None:
        raise OutputError(
            f"{path}: is a part of another job: it {difference}; check what else writes there, and run the same "
            "command again"
        )
    return labels[result.name]


def _first_difference(record: Mapping[str, Any], step: Mapping[str, Any]) -> str | None:
    """What shows that a part was not made by this very step, whatever the versions of the libraries."""
    for name in ("software", "command"):
        if record.get(name) != step[name]:
            return f"was made by {record.get(name)!r} and not {step[name]!r}"
    before, now = record.get("parameters", {}), step["parameters"]
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            return f"has {name} {before.get(name)!r} and not {now.get(name)!r}"
    return None if record.get("inputs") == step["inputs"] else "was made from other inputs"


def _all(
    parts: Sequence[Part],
    paths: dict[str, Path],
    executor: Executor,
    policy: AuditPolicy,
    *,
    resume: bool,
    threads: int | None,
    bar: Bar | None,
) -> tuple[PartResult, ...]:
    if executor.is_local:
        results = []
        for part in parts:
            result = _make(part, paths[part.name], policy, overwrite=True, resume=resume, threads=threads, bar=bar)
            _log(result)
            results.append(result)
        return tuple(results)
    tasks = [(part, paths[part.name], policy, resume) for part in parts]
    by_name = {}
    with closing(executor.run(_make_elsewhere, tasks, threads)) as ready:
        for result in ready:
            result.audit.log(result.name, allow=policy.allow)
            _log(result)
            by_name[result.name] = result
    return tuple(by_name[part.name] for part in parts)


def _make_elsewhere(
    part: Part,
    path: Path,
    policy: AuditPolicy,
    resume: bool,  # noqa: FBT001 - sent as a tuple
    threads: int | None,
) -> PartResult:
    return _make(part, path, policy, overwrite=True, resume=resume, threads=threads, bar=None, quiet=True)


def _make(
    part: Part,
    path: Path,
    policy: AuditPolicy,
    *,
    overwrite: bool,
    resume: bool,
    threads: int | None,
    bar: Bar | None,
    quiet: bool = False,
) -> PartResult:
    """Audit, compute and write a part; with `quiet`, what the audit found is left to the caller to be said."""
    log.debug("%s: read from %s", part.name, part.root)
    opened = part.open(threads=threads)
    if not quiet:
        opened.audit.log(part.name, allow=policy.allow)
    if policy.strict:
        refuse_warnings([(part.name, opened.audit)], allow=policy.allow)
    inputs = provenance.describe(part.root, opened.files, threads, outside=True, by_folder=opened.thousands)
    step = provenance.step(part.command, part.parameters(), inputs)
    step["findings"] = [finding.to_json() for finding in opened.audit.findings]
    notes = opened.notes
    if resume:
        fault = _fault(path, step)
        if fault is None:
            why = _without_pairs(path, part.name, opened)
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
            {part.name: opened.source},
            provenance=[step],
            overwrite=overwrite,
            progress=progress,
            threads=threads,
        )
    log.debug("%s: written to %s", part.name, path)
    why = _without_pairs(path, part.name, opened)
    return PartResult(part.name, kept=False, notes=notes, audit=opened.audit, step=step, without_pairs=why)


def _without_pairs(path: Path, name: str, opened: Opened) -> str:
    """Why the collection of this name in a file that was written holds no pair; empty where it holds some."""
    return "" if LabelFile(path)[name].nnz else explanation(opened.source.collection)


def _fault(path: Path, step: Mapping[str, Any]) -> str | None:
    """Why the part of an earlier run cannot be kept, in words; none where there is none, None where it can."""
    try:
        if not validate(path).valid:
            return "is damaged"
        records = LabelFile(path).provenance()
    except MissingFileError:
        return ""
    return _first_difference(records[0], step) if len(records) == 1 else f"has {len(records)} records of provenance"


def _log(result: PartResult) -> None:
    for note in result.notes:
        log.info("%s", note)
    if result.kept:
        log.info("%s: kept from an earlier run with the same input and parameters", result.name)
    if result.without_pairs:
        log.warning("%s: %s", result.name, result.without_pairs)
