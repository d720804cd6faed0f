"""The checks of a folder of shards: the manifest, each shard by itself, and faults that only the whole shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relabel.errors import LabelFileError, MissingFileError, RemoteError
from relabel.labelfile import header, manifest
from relabel.labelfile.checks import LEVELS, Finding, Report, attribute_faults
from relabel.labelfile.digest import sha256_of
from relabel.labelfile.file_check import check_file, check_provenance
from relabel.labelfile.manifest import Entry, Manifest, Shard
from relabel.labelfile.pair_rules import Symmetry
from relabel.labelfile.schema import FORMAT_VERSION, MAJOR, MANIFEST, MINOR, parse_version
from relabel.labelfile.shards import ShardedCollection, check_shard, check_stored

_CONTENT = LEVELS.index("content")


def check_folder(folder: Path, report: Report, deepest: int) -> None:
    """Note all faults of a folder of shards, up to the level of that number in `LEVELS`."""
    if not (folder / MANIFEST).exists():
        report.note("header", "/", manifest.NO_MANIFEST)
        return
    read: Manifest | None = None
    with report.attempt("header", MANIFEST):
        members = manifest.members(manifest.read_text(folder))
        if deepest == 0:
            return
        read, faults = manifest.contents(members)
        for fault in faults:
            report.note("structure", MANIFEST, fault)
    if read is None:
        return
    newer = (parse_version(read.format_version) or (MAJOR, MINOR)) > (MAJOR, MINOR)
    if newer:
        text = f"is of a newer minor version than {FORMAT_VERSION}; what that version added was not checked"
        report.note("structure", MANIFEST, text, "warning")
    for name, entry in read.collections.items():
        before = len(report.findings)
        for fault in attribute_faults(entry.attributes, newer=newer):
            report.note("structure", MANIFEST, f"collection {name!r}: {fault}")
        for shard in entry.shards:
            _check_shard(folder, name, entry, shard, report, deepest)
        # Missing or damaged shards would show in the whole again, which would say nothing new.
        if all(finding.severity != "error" for finding in report.findings[before:]):
            _check_whole(folder, name, entry, report, deepest)
    if deepest == _CONTENT:
        check_provenance(read.provenance, report, MANIFEST)
        with report.attempt("content", MANIFEST):
            read.check_digest()


def _check_shard(folder: Path, name: str, entry: Entry, shard: Shard, report: Report, deepest: int) -> None:
    own = Report()
    path, read = folder / shard.path, False
    with own.attempt("structure", str(path)):
        try:
            check_stored(folder, shard)
            read = True
            check_file(path, own, deepest)
        except MissingFileError as error:
            own.note("structure", str(path), str(error))
    if own.valid:
        with own.attempt("structure", str(path)), header.opened(path) as file:
            check_shard(file, name, entry, shard)
    if deepest == _CONTENT and read:
        with header.naming(path):
            if sha256_of(path) != shard.sha256:
                own.note("content", str(path), f"its bytes are not those whose sha256 {MANIFEST} gives")
    for finding in own.findings:
        if finding.path == "/provenance" and finding.severity == "warning":
            continue  # the manifest has the records
        where = shard.path + finding.path if finding.path.startswith("/") and finding.path != str(path) else shard.path
        report.findings.append(Finding(finding.level, finding.severity, where, finding.message))


def _check_whole(folder: Path, name: str, entry: Entry, report: Report, deepest: int) -> None:
    where = f"{MANIFEST}/{name}"
    with report.attempt("structure", where):
        stored = ShardedCollection(folder, name, entry)
        keys = stored.key_bytes[0]
        if (repeated := len(keys) - len(np.unique(keys))) > 0:
            report.note(
                "structure", where, f"{repeated} key(s) of queries are in several shards; keys have to be unique"
            )
        databases = stored.databases()
        first_name, first = next(databases)
        for other_name, other in databases:
            if other != first:
                report.note("structure", other_name, f"its database is not that of {first_name}; it is the same in all")
        if not entry.attributes["self_pairs"] and deepest < _CONTENT:
            return
        symmetry = Symmetry(len(stored)) if stored.symmetric and deepest == _CONTENT else None
        for block in stored.hashed_blocks():
            if symmetry is not None:
                symmetry.add(block)
        if deepest < _CONTENT:
            return
        try:
            stored.check_content()
        except RemoteError:
            raise
        except LabelFileError:
            report.note(
                "content",
                where,
                "content_sha256 does not match the content, although every shard by itself is as listed: attributes, "
                "digest or order of the shards were changed in the manifest after writing; fetch or make it again",
            )
        if symmetry is not None and len(unbalanced := symmetry.unbalanced()):
            rows = ", ".join(str(row) for row in unbalanced[:2])
            text = f"is not symmetric: the rows of {len(unbalanced)} camera(s) differ from their columns, among them"
            report.note("content", where, f"{text} row(s) {rows} (counted from 0)")
