"""Run a labelling job: its parts, wherever they are computed, then one file out of them.

A job of one collection writes its file at once, and one of several collections writes each to a file of its own in a
`PartsFolder` and packs them when all are there; or collections are made in blocks of queries, see
`relabel.pipeline.in_blocks`. The bytes are the same. What an earlier run finished is kept if it was made from the same
inputs with the same parameters by the same version, so an interrupted job resumes where it stopped. As long as a run
lives, it has a claim on the output.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from relabel.audit.codes import checked_codes
from relabel.claims import claimed
from relabel.errors import InputError, LabelFileError, MissingFileError, OptionError, OutputError
from relabel.labelfile import LabelFile, StoredCollection, check_output, is_shards_name, pack
from relabel.labelfile.completing import check_names
from relabel.pipeline import in_blocks, one_part
from relabel.pipeline.executors import parse
from relabel.pipeline.in_blocks import BlocksJob, Share, raise_failures, stops_job
from relabel.pipeline.one_part import AuditPolicy, PartResult
from relabel.pipeline.parts import Bar, Part
from relabel.pipeline.parts_folder import PartsFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobResult:
    """What a job did.

    Attributes
    ----------
    path:
        the file that it wrote; of a run that makes a share of the parts, their folder.
    parts:
        what became of each collection.
    """

    path: Path
    parts: tuple[PartResult, ...]


def label(
    parts: Sequence[Part],
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = True,
    executor: str | concurrent.futures.Executor = "local",
    threads: int | None = None,
    bar: Bar | None = None,
    strict: bool = False,
    allow: Collection[str] = (),
    share: tuple[int, int] | None = None,
    keep_parts: bool = False,
    block_rows: int | None = None,
    memory_bytes: int | None = None,
) -> JobResult:
    """Compute all parts and write them to one label file.

    Parameters
    ----------
    parts:
        at least one, with names of their own.
    output:
        the file to write, or the folder of shards, ``NAME.labels``.
    overwrite:
        replace `output` if it is there.
    resume:
        keep the parts of an earlier run that match.
    executor:
        ``local``, ``processes``, ``processes:N``, ``dask:ADDRESS``, or an object with the interface of
        `concurrent.futures.Executor`, whose workers see the same files: where parts are computed. It does not show in
        the file. Anything but ``local`` gets the collections in blocks of queries.
    threads:
        threads to compute with, over all local processes together; None for all.
    bar:
        makes a progress bar over the queries of a part, and before it one while its dataset is read and one over its
        depth maps; used by the local executor, and for a single collection by all.
    strict:
        whether a warning of the audit of a part, which is made before the part is computed, is an error.
    allow:
        codes of findings that are accepted.
    share:
        make only part number i, i + n, i + 2n, … of the parts, for (i, n) with 1 ≤ i ≤ n, and do not pack them: n runs
        on machines that share a folder make all. Afterwards, `relabel.pipeline.packing.pack_parts` packs them.
    keep_parts:
        make collections in blocks and leave their folder, for a run with more cameras to go on from.
    block_rows:
        queries of a block, on average; None for `relabel.pipeline.blocks.AVERAGE_ROWS`.
    memory_bytes:
        the most that this process may take, resident, Python and all: collections that would take more are refused
        before any is computed. Only for a job that is made in this process, in one piece a collection.

    Raises
    ------
    InputError
        when there is no part, or a name is repeated or cannot be that of a collection.
    AuditError
        when the audit of a part has a warning that is not accepted, and `strict` was asked for.
    OptionError
        when a code is not known, there is no such share, or a collection takes more than `memory_bytes`.
    OutputInUseError
        when another run is writing the same output; says who.
    OutputExistsError
        when `output` exists and `overwrite` is False, or there is something among the parts that is not of this job.
    FailedPartsError
        when some of several parts failed; the others were finished and are kept.
    RelabelError
        with what else is wrong; the target is then as it was, and finished parts are kept.
    """
    _check_parts(parts)
    output = Path(output)
    target = check_output(output, overwrite=overwrite or share is not None)
    if not output.is_symlink():
        target = output  # as messages name it
    place = parse(executor)
    own_share = None if share is None else Share(*share)
    if own_share is not None and not 1 <= own_share.number <= own_share.total:
        raise OptionError(f"part {own_share} does not exist; parts are numbered from 1/N to N/N")
    policy = AuditPolicy(strict, checked_codes(allow))
    names = [part.name for part in parts]
    divided = not place.is_local or own_share is not None or keep_parts or block_rows is not None
    if memory_bytes is not None:
        if divided:
            raise OptionError("memory_bytes=… bounds this process; it does not go with parts that are made elsewhere")
        for part in parts if len(parts) > 1 else ():
            part.open(threads=threads, memory_bytes=memory_bytes)
    divided = divided or (resume and PartsFolder(target, names).has_blocks())
    if not divided and len(parts) == 1:
        with claimed(target, job=_job_id(parts), beside=is_shards_name(target)):
            options = {"overwrite": overwrite, "resume": False, "threads": threads, "bar": bar}
            options["memory_bytes"] = memory_bytes
            result = one_part.make(parts[0], output, policy, **options)  # type: ignore[arg-type]
            result.log()
            return JobResult(output, (result,))
    claimed_parts = names if own_share is None else [own_share.claim]
    job_id = _job_id(parts, own_share)
    with claimed(target, claimed_parts, job=job_id, beside=is_shards_name(target)) as claim:
        folder = PartsFolder(target, names, claim.is_shared)
        with folder:
            if divided:
                with place.kept() as kept:
                    job = BlocksJob(
                        parts, folder, kept, policy, resume, threads, own_share, claim.is_shared, block_rows, bar
                    )
                    results = job.run()
                if own_share is not None:
                    return JobResult(folder.path, results)
                claim.make_exclusive()
                in_blocks.join(folder, output, overwrite=overwrite, threads=threads, keep=keep_parts)
                results = tuple(in_blocks.finished(result, output) for result in results)
            else:
                results = _all(
                    parts, folder, policy, resume=resume, threads=threads, bar=bar, memory_bytes=memory_bytes
                )
                claim.make_exclusive()
                whole = {result.name: _part(result, folder.file(result.name)) for result in results}
                pack(output, whole, overwrite=overwrite)
        if not keep_parts:
            folder.remove()
        return JobResult(output, results)


def _check_parts(parts: Sequence[Part]) -> None:
    names = [part.name for part in parts]
    check_names(dict.fromkeys(names))
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{', '.join(map(repr, repeated))}: given more than once; a file holds each collection once")


def _job_id(parts: Sequence[Part], share: Share | None = None) -> str:
    """The same for all runs that make parts of the same job, and no others; shares of one job are of one size."""
    described = sorted(
        json.dumps([part.name, part.command, part.parameters()], sort_keys=True, default=str) for part in parts
    )
    if share is not None:
        described.append(f"in {share.total} shares")
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
        difference = one_part.first_difference(records[0], result.step)
    if difference is not None:
        raise OutputError(
            f"{path}: is a part of another job: it {difference}; check what else writes there, and run the same "
            "command again"
        )
    return labels[result.name]


def _all(
    parts: Sequence[Part],
    folder: PartsFolder,
    policy: AuditPolicy,
    *,
    resume: bool,
    threads: int | None,
    bar: Bar | None,
    memory_bytes: int | None,
) -> tuple[PartResult, ...]:
    """Make each collection in one piece; one that fails does not keep the others from being made."""
    results, failures = [], dict[str, Exception]()
    for part in parts:
        try:
            result = one_part.make(
                part,
                folder.file(part.name),
                policy,
                overwrite=True,
                resume=resume,
                threads=threads,
                bar=bar,
                memory_bytes=memory_bytes,
            )
        except Exception as error:
            if stops_job(error):
                raise
            in_blocks.log_failure(part.name, error)
            failures[part.name] = error
            continue
        result.log()
        results.append(result)
    raise_failures(failures, len(parts))
    return tuple(results)
