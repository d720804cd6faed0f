"""Bytes of a file at a URL: exactly those asked for, all of one version of the file.

The answer of a web server is compared with the request: bytes from the wrong place would make a sound file look
damaged, so a server or proxy at fault is named as such. Files on the Hugging Face Hub are read by HTTP as well, since
the Hub's own file system reads whatever version is there. All other kinds of URL are read as fsspec reads them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol

from relabel.errors import LabelFileError, MissingPackageError, RemoteError
from relabel.optional import install, package

CONNECT_S, SILENT_S = 20.0, 30.0
_HTTP = ("http://", "https://")
_HUB = "hf"
_CONDITIONAL = {"s3", "s3a"}  # whose file system asks for the version that was opened
_VERSION_KEYS = (
    "ETag", "etag", "md5Hash", "sha", "generation", "VersionId", "LastModified", "last_modified", "updated", "modified",
    "modify", "mtime", "last_write_time", "created",
)  # fmt: skip
_PART = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SIZE = re.compile(r"bytes \*/(\d+)")
_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416


class Version(NamedTuple):
    """What distinguishes versions of a file."""

    size: int
    etag: str | None
    modified: str | None

    def fits(self, other: Version) -> bool:
        """Whether both may be of the same file."""
        if self.etag and other.etag:
            return self.size == other.size and self.etag == other.etag
        both = self.modified and other.modified
        return self.size == other.size and (not both or self.modified == other.modified)


class Source(Protocol):
    """The source of the bytes of a file."""

    def open(self, size: int) -> tuple[bytes, Version]:
        """The version that the file has now, and up to `size` bytes from its beginning on, if they came with it."""

    def piece(self, first: int, stop: int) -> bytes:
        """The bytes from `first` up to `stop`, which are in the file, of the version that was opened.

        Raises
        ------
        FileNotFoundError
            when the file is not there.
        RemoteError
            when there is another version of it, when it cannot be read in parts, or the server is at fault.
        Exception
            whatever fsspec or aiohttp raises when the file cannot be reached.
        """


def source(url: str) -> Source:
    """The source of a URL; errors as of `Source.piece`, and a `MissingPackageError` that says what to install."""
    fsspec = package("fsspec", f"{url}: reading from a URL", install("fsspec"))
    if url.lower().startswith(_HTTP):
        return _Http(fsspec, url, {})
    try:
        # Two colons, which fsspec takes for a file inside another one, are here before the name of a collection.
        system, name = fsspec.core.url_to_fs(url.replace("::", "%3A%3A"))
    except ImportError as error:
        raise MissingPackageError(f"{url}: reading it needs another package: {error}") from None
    if _HUB in _protocols(system):
        utils = package("huggingface_hub.utils", f"{url}: reading from the Hub", "pip install huggingface_hub")
        return _Http(fsspec, system.url(name), utils.build_hf_headers(token=system.token))
    return _Other(system, name)


class _Http:
    """A file on a web server."""

    def __init__(self, fsspec: Any, url: str, headers: dict[str, str]) -> None:
        aiohttp = package("aiohttp", f"{url}: reading from a URL", install("fsspec"))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
        self._system, self._url = fsspec.core.url_to_fs(url.replace("::", "%3A%3A"), client_kwargs={"timeout": timeout})
        self._sync = fsspec.asyn.sync
        self._headers = headers
        self._opened: Version | None = None

    def open(self, size: int) -> tuple[bytes, Version]:
        self._opened = None
        data, self._opened = self._part(0, size)
        return data, self._opened

    def piece(self, first: int, stop: int) -> bytes:
        data, _ = self._part(first, stop)
        return data

    def _part(self, first: int, stop: int) -> tuple[bytes, Version]:
        fetched: tuple[bytes, Version] = self._sync(
            self._system.loop, _part, self._system, self._url, (first, stop), self._opened, self._headers
        )
        return fetched


class _Other:
    """A file of any other file system of fsspec."""

    def __init__(self, system: Any, name: str) -> None:
        self._system, self._name = system, name
        self._stream: Any = None
        self._opened: Version | None = None

    def open(self, size: int) -> tuple[bytes, Version]:
        del size
        self._opened = self._version()
        self._stream = self._system.open(self._name, "rb", cache_type="none")
        if not self._stream.seekable():
            raise _not_in_parts()
        return b"", self._opened

    def piece(self, first: int, stop: int) -> bytes:
        self._stream.seek(first)
        data: bytes = self._stream.read(stop - first)
        if not _CONDITIONAL & _protocols(self._system) and self._version() != self._opened:
            raise _changed()
        if len(data) != stop - first:
            raise _fault(f"asked for {stop - first:,} bytes from byte {first:,} on, it sent {len(data):,}")
        return data

    def _version(self) -> Version:
        self._system.invalidate_cache(self._name)  # some keep listings for as long as the process runs
        info = self._system.info(self._name)
        if info.get("type", "file") != "file":
            raise LabelFileError("is a folder; name a label file, or a folder of shards, NAME.labels")
        if info.get("size") is None:
            raise _not_in_parts()
        return Version(int(info["size"]), repr([info.get(key) for key in _VERSION_KEYS]), None)


def _protocols(system: Any) -> set[str]:
    return {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)


async def _part(
    system: Any, url: str, span: tuple[int, int], opened: Version | None, headers: dict[str, str]
) -> tuple[bytes, Version]:
    """Bytes of a file from the first of a span up to the second, or to the end of the file; and its version.

    Parameters
    ----------
    system:
        fsspec's file system of HTTP, which holds the session and what its configuration adds to each request.
    opened:
        the version that the file has to have; None for any.

    Raises
    ------
    RemoteError
        when the server does not send parts of files, sends other bytes than those, or has another version.
    Exception
        whatever aiohttp raises for statuses that are errors, and for a connection that fails.
    """
    data, version = await _answer(system, url, span, opened, headers)
    end = min(span[1], version.size)
    while span[0] + len(data) < end:  # a server may send fewer bytes, as long as it says so
        more, _ = await _answer(system, url, (span[0] + len(data), end), version, headers)
        data += more
    return data, version


async def _answer(
    system: Any, url: str, span: tuple[int, int], opened: Version | None, headers: dict[str, str]
) -> tuple[bytes, Version]:
    """Like `_part`, from one request: at least one byte of the span, unless the file is empty."""
    first, stop = span
    options = dict(system.kwargs)
    asked = {
        **options.pop("headers", {}),
        **headers,
        "Range": f"bytes={first}-{stop - 1}",
        "Accept-Encoding": "identity",  # parts of a compressed file are of no use
    }
    session = await system.set_session()
    async with session.get(system.encode_url(url), headers=asked, **options) as answer:
        if answer.status == _NOT_SATISFIABLE:
            return b"", _empty(answer, span, opened)
        answer.raise_for_status()
        if answer.status == _OK:
            return await _whole(answer, span, opened)
        stop, version = _announced(answer, span, opened)
        data = await _at_most(answer, stop - first)
        if len(data) != stop - first:
            sent = "more" if len(data) > stop - first else f"{len(data):,}"
            raise _fault(f"it announced {stop - first:,} bytes from byte {first:,} on, and sent {sent}")
        return data, version


def _announced(answer: Any, span: tuple[int, int], opened: Version | None) -> tuple[int, Version]:
    """The end of the part that an answer with status 206 announces, whose start is checked; and its version."""
    if answer.status != _PARTIAL:
        raise _fault(f"it answers a request for bytes with status {answer.status}")
    encoding = answer.headers.get("Content-Encoding", "")
    if encoding not in ("identity", ""):
        raise _fault(f"it sends parts of a compressed copy ({encoding}), which was not asked for")
    sent = _PART.fullmatch(answer.headers.get("Content-Range", ""))
    if sent is None:
        raise _fault("it sends a part of the file without saying which (Content-Range)")
    if sent[3] == "*" and opened is None:
        raise _fault("it does not say how large the file is (Content-Range)")
    version = _version(answer, opened.size if opened is not None and sent[3] == "*" else int(sent[3]))
    _check_version(version, opened)
    (first, stop), start, end = span, int(sent[1]), int(sent[2]) + 1
    stop = min(stop, version.size)
    if start != first or not first < end <= stop:
        raise _fault(f"asked for bytes {first:,} to {stop - 1:,}, it sent {start:,} to {end - 1:,}")
    return end, version


def _empty(answer: Any, span: tuple[int, int], opened: Version | None) -> Version:
    """The version of an empty file, the only valid reason for status 416."""
    size = _SIZE.fullmatch(answer.headers.get("Content-Range", ""))
    version = _version(answer, int(size[1]) if size else 0)
    _check_version(version, opened)
    if version.size:
        raise _fault(f"it refuses bytes {span[0]:,} to {span[1] - 1:,} of a file of {version.size:,} bytes")
    return version


async def _whole(answer: Any, span: tuple[int, int], opened: Version | None) -> tuple[bytes, Version]:
    """The content of an answer with the whole file, if that is no longer than the span."""
    data = await _at_most(answer, span[1]) if span[0] == 0 else None
    if data is None or len(data) > span[1]:
        raise _not_in_parts(answer.headers.get("Content-Type", ""))
    version = _version(answer, len(data))
    _check_version(version, opened)
    return data, version


async def _at_most(answer: Any, size: int) -> bytes:
    """The body of an answer, or one byte more than `size` of it."""
    pieces, missing = [], size + 1
    while missing and (piece := await answer.content.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _version(answer: Any, size: int) -> Version:
    return Version(size, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))


def _check_version(version: Version, opened: Version | None) -> None:
    if opened is not None and not version.fits(opened):
        raise _changed()


def _fault(what: str) -> RemoteError:
    return RemoteError(
        f"the server is at fault, not the file: {what}; try again, or download the file and read it from disk"
    )


def _changed() -> RemoteError:
    """The error if the server has another version of the file."""
    return RemoteError("has changed on the server since it was opened; open it again")


def _not_in_parts(kind: str = "") -> RemoteError:
    """The error if a server sends whole files only; `kind` is the media type of its answer."""
    if kind.partition(";")[0].strip() == "text/html":
        return RemoteError("the server sends a web page, not a label file; check the address")
    return RemoteError("the server does not send parts of a file (range requests); download it and read it from disk")
