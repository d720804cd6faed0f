"""Joining collections of several label files unchanged into one: the parts of a long job, or a merge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from relabel.atomic import replacing
from relabel.errors import InputError, LabelFileError, OptionError
from relabel.labelfile import hdf, header
from relabel.labelfile.collection import StoredCollection
from relabel.labelfile.completing import check_names, confirm, finish
from relabel.labelfile.hdf5_layout import copy_group
from relabel.labelfile.provenance import checked_provenance_texts, record_text
from relabel.labelfile.reader import LabelFile
from relabel.labelfile.remote import location
from relabel.labelfile.safe_h5file import Draft
from relabel.labelfile.schema import FORMAT_VERSION, MEMBERS, MOST, QUERIES, SHARDS_SUFFIX, is_shards_name
from relabel.labelfile.shard_writer import write_shards
from relabel.labelfile.writer import write_collection


def pack(
    path: str | os.PathLike[str],
    parts: Mapping[str, str | os.PathLike[str] | StoredCollection],
    *,
    provenance: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
    shard_pairs: int | None = None,
) -> Path:
    """Write a label file from collections of others, without computing anything again.

    Between files, compressed chunks are copied as they are; from and to folders of shards, rows are read and written
    again. The provenance is that of the files of all parts in the order of their names, then the given one, each
    record once.

    Parameters
    ----------
    path:
        the file to make, or the folder of shards, ``NAME.labels``; its own folder exists.
    parts:
        label files with a single collection, or collections, by the new name of the collection.
    provenance, overwrite:
        as for `write`.
    progress:
        called with the number of queries copied since the last call.
    shard_pairs:
        of a folder of shards: a shard ends before the row that would bring it above this number of stored pairs; by
        default 2²⁷, and at least 32 a database camera.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    MissingFileError, LabelFileError
        when a part is missing, is not a label file, is damaged, holds more than one collection, or has changed since
        it was opened.
    InputError, OutputExistsError, OutputError
        as for `write`.
    """
    target = Path(path)
    check_names(parts)
    own = [record_text(record) for record in provenance]
    if is_shards_name(target):
        return _in_shards(target, parts, own, overwrite=overwrite, progress=progress, shard_pairs=shard_pairs)
    if shard_pairs is not None:
        raise OptionError(f"{path}: pairs are cut into shards in a folder of shards only; name it NAME{SHARDS_SUFFIX}")
    # A dictionary keeps the order and drops repetitions.
    texts: dict[str, None] = {}
    digests: dict[str, str] = {}
    seen: set[tuple[Path, tuple[Any, ...] | None]] = set()
    with replacing(target, overwrite=overwrite) as private:
        with Draft(private, target) as draft:
            for name in sorted(parts):
                source = parts[name]
                file = source.path if isinstance(source, StoredCollection) else location(source)
                if file.is_dir():
                    stored = _opened(source)
                    if stored.nnz > MOST:
                        raise InputError(
                            f"{file}::{stored.name}: has {stored.nnz:,} pairs, but one file can hold at most {MOST:,} "
                            f"a collection; write a folder of shards, NAME{SHARDS_SUFFIX}"
                        )
                    texts |= dict.fromkeys(LabelFile(file).provenance_texts())
                    digests[name] = write_collection(draft, name, stored, None, progress)
                    continue
                identity = header.identity(file)
                # Header and history belong to a whole file, and many collections may come from one file.
                known = identity is not None and (file, identity) in seen
                with header.opened(file, known=known) as part:
                    group = _collection(part, source if isinstance(source, StoredCollection) else None)
                    digests[name] = hdf.attribute(group, "content_sha256", str)
                    rows = hdf.member(hdf.member(group, QUERIES, h5py.Group), "key", h5py.Dataset).shape[0]
                    if not known:
                        texts |= dict.fromkeys(checked_provenance_texts(part))
                        seen.add((file, identity))
                    _check_members(group)
                    with draft.writing():
                        copy_group(group, draft.file, name)
                if progress is not None:
                    progress(rows)
            with draft.writing():
                finish(draft.file, digests, list(texts | dict.fromkeys(own)))
        # A part may have been damaged since it was written, and copied chunks have not been decoded.
        sources = sorted({str(s.path if isinstance(s, StoredCollection) else s) for s in parts.values()})
        shown = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
        hint = f"find the damaged one with relabel validate --level content, and make it again: {shown}"
        confirm(private, target, "content", hint)
    return target


def _in_shards(
    target: Path,
    parts: Mapping[str, str | os.PathLike[str] | StoredCollection],
    own: Sequence[str],
    *,
    overwrite: bool,
    progress: Callable[[int], object] | None,
    shard_pairs: int | None,
) -> Path:
    stored = {name: _opened(parts[name]) for name in sorted(parts)}
    texts: dict[str, None] = {}
    for file in dict.fromkeys(collection.path for collection in stored.values()):
        texts |= dict.fromkeys(LabelFile(file).provenance_texts())
    return write_shards(
        target,
        stored,
        list(texts | dict.fromkeys(own)),
        overwrite=overwrite,
        progress=progress,
        shard_pairs=shard_pairs,
    )


def _opened(part: str | os.PathLike[str] | StoredCollection) -> StoredCollection:
    if isinstance(part, StoredCollection):
        return part
    (stored, *more) = LabelFile(part).collections()
    if more:
        raise LabelFileError(f"{part}: holds {1 + len(more)} collections; a part holds one")
    return stored


def _collection(part: Any, stored: StoredCollection | None) -> Any:
    if header.is_newer(part):
        raise LabelFileError(
            f"is of a newer minor version than {FORMAT_VERSION}, which cannot be repacked; update relabel"
        )
    if stored is not None:
        return stored.unchanged_group(part)
    names = hdf.collection_names(part)
    if len(names) != 1:
        raise LabelFileError(f"holds {len(names)} collections; a part holds one")
    return hdf.descend(part, names[0])


def _check_members(group: Any) -> None:
    """Raise unless every dataset can be read and no link leads elsewhere.

    HDF5 2.0 was seen to crash when it copies a damaged dataset, and copies links that are not hard as they are.
    """
    for where, fault in hdf.foreign_links(group):
        raise LabelFileError(f"{where}: {fault}")
    for side in MEMBERS:
        members = hdf.member(group, side, h5py.Group)
        for name in hdf.links(members):
            hdf.check_array(hdf.member(members, name, h5py.Dataset))
