"""Run a labelling job: its parts, wherever they are computed, then one file out of them.

A job of one part writes its file at once. A job of several writes `NAME.h5.parts/<collection>.h5`, each atomically, and
packs them when all are there. What an earlier run finished is kept if it was made from the same bytes with the same
parameters by the same version, so that an interrupted job goes on where it was.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.atomic import check_target, output_errors
from relabel.audit.codes import checked_codes
from relabel.audit.findings import EMPTY, AuditReport, refuse_warnings
from relabel.errors import InputError, MissingFileError
from relabel.labelfile import LabelFile, pack, provenance, validate, write
from relabel.labelfile.writer import check_names
from relabel.pipeline.executors import Executor, parse
from relabel.pipeline.parts import Bar, Part

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
        the file. A job of one part is always computed in this process.
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
    RelabelError
        with what else is wrong; the target is then as it was, and finished parts are kept.
    """
    _check_parts(parts)
    check_target(output, overwrite=overwrite)
    place = parse(executor)
    policy = AuditPolicy(strict, checked_codes(allow))
    if len(parts) == 1:
        result = _make(parts[0], output, policy, overwrite=overwrite, resume=False, threads=threads, bar=bar)
        _log(result)
        return JobResult(output, (result,))
    folder = output.with_name(f"{output.name}.parts")
    paths = {part.name: folder / f"{part.name}.h5" for part in parts}
    with output_errors(folder):
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
    try:
        results = _all(parts, paths, place, policy, resume=resume, threads=threads, bar=bar)
        pack(output, paths, overwrite=overwrite)
    except BaseException:
        finished = sum(path.exists() for path in paths.values())
        if finished:
            log.info("%d of %d parts are kept in %s; the same command goes on from there", finished, len(parts), folder)
        else:
            _remove_empty(folder)
        raise
    _remove(folder)
    return JobResult(output, results)


def _check_parts(parts: Sequence[Part]) -> None:
    names = [part.name for part in parts]
    check_names(dict.fromkeys(names))
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{', '.join(map(repr, repeated))}: given more than once; a collection is made once a file")


def _remove(folder: Path) -> None:
    """Remove the parts of a job that is done; the result is complete even if that fails."""
    away = folder.with_name(f"{folder.name}.done")
    try:
        # Renamed first, so that a removal that is cut short never looks like parts to keep.
        shutil.rmtree(away, ignore_errors=True)
        folder.rename(away)
        shutil.rmtree(away)
    except OSError as error:
        log.warning("%s: is not needed any more, but cannot be removed: %s", folder, error.strerror or error)


def _remove_empty(folder: Path) -> None:
    for inner in [*sorted(folder.rglob("*"), reverse=True), folder]:
        with suppress(OSError):  # neither empty nor a folder
            inner.rmdir()


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
    opened = part.open(threads=threads)
    if not quiet:
        opened.audit.log(part.name, allow=policy.allow)
    if policy.strict:
        refuse_warnings([(part.name, opened.audit)], allow=policy.allow)
    inputs = provenance.describe(part.root, opened.files, threads, outside=True, by_folder=opened.thousands)
    step = provenance.step(part.command, part.parameters(), inputs)
    step["findings"] = [finding.to_json() for finding in opened.audit.findings]
    if resume and _made_by(path, step):
        return PartResult(part.name, kept=True, notes=opened.notes, audit=opened.audit)
    notes = opened.notes
    if (preparation := opened.preparation) is not None:
        title = f"{part.name}: {preparation.what}"
        with bar(title, preparation.total) if bar is not None else nullcontext() as progress:
            notes += preparation.run(progress)
    queries = opened.source.collection.shape[0]
    with bar(part.name, queries) if bar is not None else nullcontext() as progress:
        write(
            path,
            {part.name: opened.source},
            provenance=[step],
            overwrite=overwrite,
            progress=progress,
            threads=threads,
        )
    return PartResult(part.name, kept=False, notes=notes, audit=opened.audit)


def _made_by(path: Path, step: dict[str, Any]) -> bool:
    """Whether the file at `path` is valid and was made by this very step, whatever the versions of the libraries."""
    same = ("software", "command", "parameters", "inputs")
    try:
        if not validate(path).valid:
            return False
        records = LabelFile(path).provenance()
    except MissingFileError:
        return False
    return len(records) == 1 and all(records[0].get(name) == step[name] for name in same)


def _log(result: PartResult) -> None:
    for note in result.notes:
        log.info("%s", note)
    if result.kept:
        log.info("%s: kept from an earlier run with the same input and parameters", result.name)
