"""How a file was made: one JSON record per step, with nothing that identifies a machine or a person.

A record has the keys

- ``software``: ``{"name": ..., "version": ...}``,
- ``command``: what was run, a function or a subcommand,
- ``parameters``: an object of JSON values,
- ``libraries``: versions by name,
- ``inputs``: a list of ``{"path": ..., "bytes": ..., "sha256": ...}`` with paths relative to the dataset's root; many
  files of one folder may share one entry, see `grouped_by_folder`,
- ``time``: UTC in ISO 8601, only where the environment fixes it through ``SOURCE_DATE_EPOCH``,
- ``findings``: those of the audit of a labelling command's inputs, see `relabel.audit.findings`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from relabel._version import __version__
from relabel.cores import available_cores
from relabel.errors import InputError, LabelFileError, MissingFileError, OptionError
from relabel.input_files import check_regular
from relabel.labelfile import hdf
from relabel.labelfile.digest import file_digest
from relabel.labelfile.schema import PROVENANCE, SHA256, UTF8, canonical_json
from relabel.source_date import source_date

LIBRARIES = ("h5py", "numba", "numpy", "pyproj", "scipy")

_READ_BYTES = 1 << 20
_MOST_THREADS = 8  # more do not make a disk faster
_TASK = 16  # files that a thread reads at a time
_KEPT = 1 << 17  # digests
_SETTLED_NS = 2_000_000_000
_LISTED = 8  # up to this many files of one folder and extension have an entry each
_ENDING = re.compile(r"(\.[A-Za-z][^.]*)+\Z")
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|\+00:00)")


def step(
    command: str, parameters: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]] = (), *, software: str = "relabel"
) -> dict[str, Any]:
    """The record of one step, done now with this version of relabel.

    Parameters
    ----------
    command:
        what was run, without paths, for example ``relabel msls``.
    parameters:
        everything that the result depends on, as JSON values.
    inputs:
        the result of `describe` for the files that were read.
    software:
        the name of the program.

    Returns
    -------
    dict
        a record as described above, ready for `write`.

    Raises
    ------
    InputError
        when a parameter has no JSON form, or an input is not a result of `describe`.
    OptionError
        when ``SOURCE_DATE_EPOCH`` is not a number of seconds.
    """
    record: dict[str, Any] = {
        "software": {"name": software, "version": __version__},
        "command": command,
        "parameters": dict(parameters),
        "libraries": dict(_versions(LIBRARIES)),
        "inputs": [dict(entry) for entry in inputs],
    }
    time = source_date()
    if time is not None:
        record["time"] = time.isoformat()
    record_text(record)
    return record


def describe(
    root: Path,
    files: Iterable[Path],
    threads: int | None = None,
    *,
    outside: bool = False,
    by_folder: bool = False,
    progress: Callable[[int], object] | None = None,
) -> list[dict[str, Any]]:
    """Path, size and digest of input files.

    Parameters
    ----------
    root:
        the folder that the paths are relative to.
    files:
        files below `root`; each is listed once.
    threads:
        how many files to read at a time; None takes all that this process may run on, at most 8.
    outside:
        list a file elsewhere by its name, with as many of its folders as make the name unique, instead of refusing
        it.
    by_folder:
        give more than eight files of a folder with the same extension one common entry, see `grouped_by_folder`.
    progress:
        called with the number of files done since the last call; each distinct file counts once.

    Returns
    -------
    list of dict
        ``path`` (relative, with ``/``), ``bytes`` and ``sha256`` (hexadecimal), sorted by path.

    Raises
    ------
    InputError
        when a file is outside `root` and `outside` is False, or cannot be read.
    MissingFileError
        when a file is not there.
    """
    if threads is not None and threads < 1:
        raise OptionError(f"threads is {threads}; at least one is needed")
    # Plain text: as Path objects, the names of a hundred thousand files cost more than reading the files.
    base = os.path.join(os.path.abspath(root), "")  # noqa: PTH100, PTH118  resolve() would follow links out of the root
    by_path: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    for file in map(os.fspath, files):
        path = os.path.abspath(file)  # noqa: PTH100
        if path.startswith(base):
            by_path[path.removeprefix(base)] = file
        elif outside:
            elsewhere[path] = file
        else:
            raise InputError(f"{file}: is outside {root}, so it has no path relative to it")
    for path in sorted(elsewhere, key=Path):
        parts = Path(path).parts[1:]
        tails = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
        by_path[next(tail for tail in [*tails, f"outside/{tails[-1]}"] if tail not in by_path)] = elsewhere[path]
    paths = sorted(by_path)
    tasks = [paths[k : k + _TASK] for k in range(0, len(paths), _TASK)]
    count = threads or min(_MOST_THREADS, available_cores())
    with ThreadPoolExecutor(count, thread_name_prefix="relabel-sha256") as pool:
        read = pool.map(lambda some: [{"path": path, **_read(by_path[path])} for path in some], tasks)
        entries = []
        for some in read:
            entries += some
            if progress is not None:
                progress(len(some))
    return grouped_by_folder(entries) if by_folder else entries


def grouped_by_folder(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same files, but more than eight of a folder with the same extension share one entry.

    Its ``path`` is that of the folder with ``*`` and the extension, such as ``seq-01/*.depth.png``, ``bytes`` is the
    sum, and ``sha256`` the digest of the output of ``sha256sum`` for the files in the order of their names: lines of
    digest, two spaces and name. With thousands of depth maps, one entry each would be larger than the labels.

    Parameters
    ----------
    entries:
        as `describe` makes them for single files.

    Returns
    -------
    list of dict
        entries of the same form, sorted by path.
    """
    folders: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        path = PurePosixPath(entry["path"])
        # sha256sum escapes such names.
        common = entry["path"] if set("\\\n\r") & set(path.name) else f"{path.with_name('*')}{_ending(path.name)}"
        folders.setdefault(common, []).append(entry)
    grouped = []
    for common, alike in folders.items():
        if len(alike) <= _LISTED:
            grouped += [dict(entry) for entry in alike]
            continue
        lines = sorted((PurePosixPath(entry["path"]).name.encode(), entry["sha256"].encode()) for entry in alike)
        digest = hashlib.sha256(b"".join(b"%s  %s\n" % (sha256, name) for name, sha256 in lines)).hexdigest()
        grouped.append({"path": common, "bytes": sum(entry["bytes"] for entry in alike), "sha256": digest})
    return sorted(grouped, key=lambda entry: str(entry["path"]))


def _ending(name: str) -> str:
    """``.depth.png`` of ``frame-000000.depth.png``, and ``.png`` of ``1305031102.160407.png``."""
    match = _ENDING.search(name, 1)
    return "" if match is None else match.group()


def _read(file: str) -> dict[str, Any]:
    check_regular(file)
    try:
        state = os.stat(file)  # noqa: PTH116
        changed = max(state.st_mtime_ns, state.st_ctime_ns)
        # Clocks of file systems are coarse: a file may change again and keep its time.
        settled = time.time_ns() - changed > _SETTLED_NS
        key = (file, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        size, digest = _digest(*key) if settled else _digest.__wrapped__(*key)
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no longer exists") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None
    return {"bytes": size, "sha256": digest}


@lru_cache(maxsize=_KEPT)
def _digest(file: str, _device: int, _inode: int, likely: int, _modified: int, _changed: int) -> tuple[int, str]:
    """Size and SHA-256 of a file, computed once if several collections of a job are made from it."""
    digest, size = hashlib.sha256(), 0
    with open(file, "rb", buffering=0) as stream:  # noqa: PTH123
        while data := stream.read(min(_READ_BYTES, likely + 1)):
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()


def record_text(record: Mapping[str, Any]) -> str:
    """The canonical JSON of a record.

    Raises
    ------
    InputError
        when the record is not as described above.
    """
    problems = record_problems(record)
    if problems:
        raise InputError(f"provenance: {problems[0]}; make records with relabel.labelfile.provenance.step")
    return canonical_json(record, "provenance")


def record_problems(record: object) -> list[str]:
    """All faults of a record; keys other than those above are allowed."""
    if not isinstance(record, Mapping):
        return ["the record is not a JSON object"]
    problems = [
        f"{name} is missing or not {what}"
        for name, kind, what in (
            ("software", Mapping, "an object"),
            ("command", str, "text"),
            ("parameters", Mapping, "an object"),
            ("libraries", Mapping, "an object"),
            ("inputs", list | tuple, "a list"),
        )
        if not isinstance(record.get(name), kind)
    ]
    software, libraries, inputs = (record.get(name) for name in ("software", "libraries", "inputs"))
    if isinstance(software, Mapping) and not all(isinstance(software.get(key), str) for key in ("name", "version")):
        problems.append("software has no name and version")
    if isinstance(libraries, Mapping) and not all(isinstance(version, str) for version in libraries.values()):
        problems.append("libraries holds a version that is not text")
    if "time" in record and not _is_utc(record["time"]):
        problems.append("time is not UTC in ISO 8601, such as 2024-05-01T12:00:00+00:00")
    if isinstance(inputs, list | tuple):
        problems += [f"input {i} {fault}" for i, entry in enumerate(inputs) if (fault := _input_fault(entry))]
    return problems


def _is_utc(time: object) -> bool:
    return isinstance(time, str) and _UTC.fullmatch(time) is not None


def _input_fault(entry: object) -> str | None:
    if not isinstance(entry, Mapping):
        return "is not an object"
    path, size, digest = (entry.get(name) for name in ("path", "bytes", "sha256"))
    if not isinstance(path, str) or not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return f"has the path {path!r}; expected one relative to the root of the dataset"
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return f"({path}) has bytes {size!r}; expected a whole number"
    if not isinstance(digest, str) or not SHA256.fullmatch(digest):
        return f"({path}) has sha256 {digest!r}; expected 64 hexadecimal digits"
    return None


def collection_record(name: str, records: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record of the step that made the collection of this name; None if there is none."""
    for record in records:
        if name in {record["parameters"].get(parameter) for parameter in ("collection", "city")}:
            return record
    return None


@cache
def _versions(libraries: tuple[str, ...]) -> Mapping[str, str]:
    # Always the same names, imported or not: the record must not depend on other modules that the process has loaded.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  slow to load

    versions = {"python": platform.python_version(), "hdf5": str(h5py.version.hdf5_version)}
    for name in libraries:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def checked_provenance_texts(file: Any) -> list[str]:
    """Like `provenance_texts`, but the digest of the file, which covers them, is checked.

    Raises
    ------
    LabelFileError
        also when the digest does not match.
    """
    texts = provenance_texts(file)
    digests = {
        name: hdf.attribute(hdf.descend(file, name), "content_sha256", str) for name in hdf.collection_names(file)
    }
    version, writer, stored = (
        hdf.attribute(file, name, str) for name in ("format_version", "writer", "content_sha256")
    )
    if file_digest(version, writer, digests, texts) != stored:
        raise LabelFileError(
            "/: content_sha256 does not match the writer, the names and digests of the collections, and the "
            "provenance, so one of "
            "them was damaged or changed after writing; write or fetch the file again"
        )
    return texts


def provenance_texts(file: Any) -> list[str]:
    """The JSON text of every step, in order.

    Raises
    ------
    LabelFileError
        when the records are not numbered from 0000 on, or one is not a UTF-8 string.
    """
    group = hdf.member(file, PROVENANCE, h5py.Group)
    names = hdf.links(group)
    expected = [f"{number:04d}" for number in range(len(names))]
    if names != expected:
        raise LabelFileError(f"/{PROVENANCE}: the records are not numbered from 0000 on without gaps")
    texts = []
    for name in names:
        dataset = hdf.member(group, name, h5py.Dataset)
        hdf.check_array(dataset, UTF8, ())
        with hdf.guarded(dataset.name):
            texts.append(bytes(dataset[()]).decode())
    return texts
