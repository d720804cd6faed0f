"""The manifest of a folder of shards: the files of each collection, and what each of them holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relabel.errors import FormatTooNewError, InputError, LabelFileError
from relabel.input_files import check_regular
from relabel.labelfile.digest import file_digest
from relabel.labelfile.hdf import brief
from relabel.labelfile.schema import (
    ATTRIBUTES,
    FORMAT_VERSION,
    MAJOR,
    MANIFEST,
    MOST,
    SHA256,
    SHARDS_FORMAT,
    name_fault,
    nesting_fault,
    parse_version,
)

_MOST_BYTES = 1 << 26  # of a manifest: that of a hundred thousand shards takes a third
_MOST_PAIRS = 1 << 62
_NAME_BYTES = 255
NO_MANIFEST = f"is a folder without {MANIFEST}; name a label file, or a folder of shards"
_SHARED = ("crs", "measure", "method", "min_value", "params")


@dataclass(frozen=True)
class Shard:
    """One file of a folder, with a block of consecutive rows of one collection."""

    path: str
    """its name in the folder"""
    bytes: int
    sha256: str
    """of the file"""
    content_sha256: str
    """the digest that the file itself states"""
    rows: tuple[int, int]
    """the first of its rows in the whole collection, and the one after its last"""
    nnz: int
    """its pairs in the whole: all that it stores, except for those of a camera with itself in self pairs"""

    def to_json(self) -> dict[str, Any]:
        """As it is written in the manifest."""
        return {**vars(self), "rows": list(self.rows)}


@dataclass(frozen=True)
class Entry:
    """One collection of a folder."""

    attributes: Mapping[str, Any]
    """as those of a group in a label file, see `schema.ATTRIBUTES`"""
    shape: tuple[int, int]
    content_sha256: str
    shards: tuple[Shard, ...]

    def to_json(self) -> dict[str, Any]:
        """As it is written in the manifest."""
        return {
            "attributes": dict(self.attributes),
            "shape": list(self.shape),
            "content_sha256": self.content_sha256,
            "shards": [shard.to_json() for shard in self.shards],
        }

    def shard_attributes(self) -> dict[str, Any]:
        """The attributes that all of its shards have, whatever rows they hold."""
        return {**{name: self.attributes[name] for name in _SHARED}, "symmetric": 0, "self_pairs": 0}


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``."""

    writer: str
    collections: Mapping[str, Entry]
    provenance: Sequence[str]
    """the JSON text of each record"""
    format_version: str = FORMAT_VERSION
    content_sha256: str = ""
    """that of a label file with this version, writer, provenance and these collections"""

    def digest(self) -> str:
        """The right `content_sha256`."""
        digests = {name: entry.content_sha256 for name, entry in self.collections.items()}
        return file_digest(self.format_version, self.writer, digests, self.provenance)

    def check_digest(self) -> None:
        """Raise a `LabelFileError` unless `content_sha256` fits."""
        if self.digest() != self.content_sha256:
            raise LabelFileError(
                "content_sha256 does not match the writer, the names and digests of the collections, and the "
                "provenance, so one of them was damaged or changed after writing; write or fetch the folder again"
            )

    def text(self) -> str:
        """The same text for the same content; its digest is computed."""
        value = {
            "format": SHARDS_FORMAT,
            "format_version": self.format_version,
            "writer": self.writer,
            "content_sha256": self.digest(),
            "collections": {name: entry.to_json() for name, entry in self.collections.items()},
            "provenance": list(self.provenance),
        }
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def load(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises
    ------
    FormatTooNewError
        when it is of a newer major version.
    LabelFileError
        when there is none, or it does not follow the format; the message begins with its path.
    """
    path = folder / MANIFEST
    try:
        manifest, faults = contents(members(read_text(folder)))
    except LabelFileError as error:
        where = folder if str(error) == NO_MANIFEST else path
        raise type(error)(f"{where}: {error}") from None
    if manifest is None:
        raise LabelFileError(f"{path}: {faults[0]}; relabel validate lists all errors")
    return manifest


def read_text(folder: Path) -> str:
    """The text of the manifest of a folder; errors as of `load`, without its path."""
    path = folder / MANIFEST
    try:
        check_regular(path)
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except InputError as error:
        raise LabelFileError(str(error).removeprefix(f"{path}: ")) from None
    except FileNotFoundError:
        raise LabelFileError(NO_MANIFEST) from None
    except OSError as error:
        raise LabelFileError(f"cannot be opened: {error.strerror or error}") from None
    if len(data) > _MOST_BYTES:
        raise LabelFileError(f"has more than {_MOST_BYTES:,} bytes; no manifest is so large")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LabelFileError("is not UTF-8 text; write or fetch the folder again") from None


def members(text: str) -> dict[str, Any]:
    """The JSON object that a manifest of a known version is; errors as of `load`, without its path."""
    try:
        value = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise LabelFileError(f"is not JSON ({brief(error)}); write or fetch the folder again") from None
    if not isinstance(value, dict) or value.get("format") != SHARDS_FORMAT:
        raise LabelFileError(f"is not the manifest of a label file in shards, whose format is {SHARDS_FORMAT!r}")
    version = value.get("format_version")
    parsed = parse_version(version) if isinstance(version, str) else None
    if parsed is None:
        raise LabelFileError(f"format_version is {version!r:.60}; expected one like 1.0")
    if parsed[0] > MAJOR:
        raise FormatTooNewError(
            f"is of format version {version}, but this version of relabel reads {FORMAT_VERSION}: update relabel"
        )
    if parsed[0] < MAJOR:
        raise LabelFileError(f"is of format version {version}, which was never published")
    return value


def contents(members: Mapping[str, Any]) -> tuple[Manifest | None, list[str]]:
    """The content of a manifest, None if it has faults; and all of its faults."""
    return _Parser(members).run()


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is given twice")
    return members


@dataclass
class _Parser:
    """Parses a manifest, and notes all faults."""

    value: Mapping[str, Any]
    faults: list[str] = field(default_factory=list)

    def run(self) -> tuple[Manifest | None, list[str]]:
        """The manifest and all faults."""
        value = self.value
        writer, digest, records = (value.get(name) for name in ("writer", "content_sha256", "provenance"))
        if not _is_text(writer):
            self.note("writer is not text")
        if not _is_digest(digest):
            self.note("content_sha256 is not 64 hexadecimal digits")
        if not isinstance(records, list) or not all(map(_is_text, records)):
            self.note("provenance is not a list of texts, each a record as JSON")
        collections = value.get("collections")
        if not isinstance(collections, dict) or not collections:
            self.note("collections is not an object with one member or more")
            return None, self.faults
        entries = {}
        for name in sorted(collections):
            if fault := name_fault(name):
                self.note(f"the name {name!r} of a collection {fault}")
            entry = self.entry(f"collection {name!r}", collections[name])
            if entry is not None:
                entries[name] = entry
        if fault := nesting_fault(entries):
            self.note(fault)
        files = [shard.path for entry in entries.values() for shard in entry.shards]
        for path in sorted({path for path in files if files.count(path) > 1} if len(set(files)) < len(files) else ()):
            self.note(f"names the shard {path!r} more than once")
        if self.faults:
            return None, self.faults
        assert isinstance(writer, str)
        assert isinstance(records, list)
        return Manifest(writer, entries, records, str(value["format_version"]), str(digest)), self.faults

    def note(self, text: str) -> None:
        """Add a fault."""
        self.faults.append(text)

    def entry(self, where: str, value: object) -> Entry | None:
        """One collection; None if it has a fault."""
        before = len(self.faults)
        if not isinstance(value, dict):
            self.note(f"{where} is not an object")
            return None
        attributes, shape, shards = (value.get(name) for name in ("attributes", "shape", "shards"))
        if not _is_digest(value.get("content_sha256")):
            self.note(f"{where}: content_sha256 is not 64 hexadecimal digits")
        kept = dict(self.attributes(where, attributes))
        if not (isinstance(shape, list) and len(shape) == 2 and all(_is_count(n, MOST) for n in shape)):
            self.note(f"{where}: shape is not two whole numbers from 0 to {MOST:,}")
        elif kept.get("self_pairs") and shape[0] != shape[1]:
            self.note(f"{where}: shape is {shape}, but self_pairs says that both sides are the same cameras")
        if not isinstance(shards, list) or not shards:
            self.note(f"{where}: shards is not a list of one or more")
            return None
        pieces = [self.shard(f"{where}, shard {i} (counted from 0)", shard) for i, shard in enumerate(shards)]
        if len(self.faults) > before:
            return None
        found = tuple(piece for piece in pieces if piece is not None)
        assert isinstance(shape, list)
        end = 0
        for shard in found:
            first, last = shard.rows
            if first != end or last < first or (last == first and (len(found) > 1 or shape[0])):
                self.note(f"{where}: {shard.path} has rows {first} to {last}, where rows from {end} on are due")
                return None
            end = last
        if end != shape[0]:
            self.note(f"{where}: its shards end with row {end}, but there are {shape[0]} rows")
        elif (total := sum(shard.nnz for shard in found)) != kept["nnz"]:
            self.note(f"{where}: nnz is {kept['nnz']}, but those of its shards add up to {total}")
        return Entry(kept, (shape[0], shape[1]), str(value["content_sha256"]), found)

    def attributes(self, where: str, value: object) -> Iterator[tuple[str, Any]]:
        """The attributes of the format, by name."""
        if not isinstance(value, dict):
            self.note(f"{where}: attributes is not an object")
            return
        for name, kind in ATTRIBUTES.items():
            found = value.get(name)
            if kind is str and _is_text(found):
                yield name, found
            elif kind is float and isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 1:
                yield name, float(found)
            elif kind is int and _is_count(found, _MOST_PAIRS if name == "nnz" else 1):
                yield name, found
            else:
                self.note(f"{where}: attribute {name!r} is {found!r:.60}, which it cannot be")

    def shard(self, where: str, value: object) -> Shard | None:
        """One shard; None if it has a fault."""
        before = len(self.faults)
        if not isinstance(value, dict):
            self.note(f"{where} is not an object")
            return None
        path, rows = value.get("path"), value.get("rows")
        if not isinstance(path, str) or (fault := path_fault(path)):
            why = "is not text" if not isinstance(path, str) else fault
            self.note(f"{where}: path {path!r:.200} {why}")
        for name, most in (("bytes", _MOST_PAIRS), ("nnz", MOST)):
            if not _is_count(value.get(name), most):
                self.note(f"{where}: {name} is {value.get(name)!r:.60}; expected a whole number from 0 to {most:,}")
        for name in ("sha256", "content_sha256"):
            if not _is_digest(value.get(name)):
                self.note(f"{where}: {name} is not 64 hexadecimal digits")
        if not (isinstance(rows, list) and len(rows) == 2 and all(_is_count(row, MOST) for row in rows)):
            self.note(f"{where}: rows is {rows!r:.60}; expected the first row and the one after the last")
        if len(self.faults) > before:
            return None
        assert isinstance(rows, list)
        fields = {name: value[name] for name in ("path", "bytes", "sha256", "content_sha256", "nnz")}
        return Shard(rows=(rows[0], rows[1]), **fields)


def path_fault(path: str) -> str | None:
    """Why `path` cannot be that of a shard, which is beside the manifest; None if it can."""
    if "/" in path or "\\" in path or path in ("", ".", ".."):
        return "is not the name of a file in the folder of the manifest"
    if path == MANIFEST or path.startswith("."):
        return "cannot be the name of a shard"
    if len(path.encode("utf-8", "surrogatepass")) > _NAME_BYTES:
        return f"has more than {_NAME_BYTES} bytes, which no file system allows"
    return None if path.isprintable() else "holds characters that are not printable"


def _is_text(value: object) -> bool:
    """Whether it is text that UTF-8 can encode: JSON may hold half of a surrogate pair, which it cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
