"""Label files at URLs: a path whose files are read in blocks, when they are needed, and kept in memory.

HDF5 asks for many small pieces. Blocks that were fetched stay in memory for all readers of the same file in this
process, and sequential reads fetch more and more at a time.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import io
import logging
import os
import re
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from relabel.errors import LabelFileError, MissingPackageError, RemoteError
from relabel.labelfile import url_sources
from relabel.labelfile.schema import MANIFEST

BLOCK_BYTES = 1 << 17
_MOST_AHEAD = 32  # blocks in one request
_MOST_BLOCKS = 256  # of a file in memory
_MOST_FILES = 64
_ASK_AGAIN_S = 60.0  # whether the file is still the same
_ATTEMPTS = 3
_PATIENCE_S = 10.0  # after which it is said what is waited for
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.", re.IGNORECASE)
_CHAINED = re.compile(r"::[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_FOLDER = ".labels"
_NOTHING = "\0"  # between two slashes, which `Path` would take for one

log = logging.getLogger(__name__)


def location(path: str | os.PathLike[str]) -> Path:
    """The path of a label file or of a folder of shards, on a disk or at a URL such as ``https://…`` or ``s3://…``.

    Raises
    ------
    LabelFileError
        when it is a URL that cannot be that of a label file.
    """
    text = os.fspath(path)
    if isinstance(path, RemotePath):
        return path
    if not _URL.match(text):
        return Path(path)
    if _CHAINED.search(text):
        raise LabelFileError(f"{text}: is a file inside another one, which cannot be read in parts; unpack it first")
    parts = urlsplit(text)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise LabelFileError(f"{text}: is on another machine, {parts.netloc}; file:/// is this one")
        return Path(unquote(text.partition("://")[2].removeprefix(parts.netloc)))
    address, mark, query = text.partition("?")
    protocol, _, path = address.partition("://")
    steps = [step or _NOTHING for step in path.rstrip("/").split("/")]
    return RemotePath(f"{protocol}://{'/'.join(steps)}{mark}{query.replace('/', '%2F')}")


class RemotePath(PosixPath):
    """The URL of a label file, with the part of the interface of `Path` that reading needs; `location` makes them.

    A folder of shards is known by its name, ``NAME.labels``, since not every server lists folders. The query string
    is sent with every request for its files, and is not part of its name, which is published.
    """

    def __str__(self) -> str:
        protocol, *rest = self.parts
        return f"{protocol}//{'/'.join('' if step == _NOTHING else step for step in rest)}"

    def __truediv__(self, key: str | os.PathLike[str]) -> RemotePath:
        address, mark, query = super().__str__().partition("?")
        return RemotePath(f"{address}/{os.fspath(key)}{mark}{query}")

    @property
    def name(self) -> str:
        """The name of the file, without what may be a password."""
        return super().name.partition("?")[0]

    def __fspath__(self) -> str:
        return str(self)

    def open(self, *_arguments: Any, **_options: Any) -> Any:
        """A binary stream.

        Raises
        ------
        FileNotFoundError
            when there is no such file.
        LabelFileError
            when it cannot be reached, or cannot be read in pieces.
        """
        return _Stream(_file(self))

    def stat(self, **_options: Any) -> os.stat_result:
        """Its size; errors as of `open`, with its path."""
        try:
            size = _file(self).size
        except LabelFileError as error:
            raise type(error)(f"{self}: {error}") from None
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, size, 0, 0, 0))

    def is_dir(self, **_options: Any) -> bool:
        """Whether it is a folder of shards."""
        return self.name.endswith(_FOLDER)

    def is_file(self, **_options: Any) -> bool:
        """Whether there is such a file."""
        return not self.is_dir() and self.exists()

    def is_symlink(self) -> bool:
        """No server tells."""
        return False

    def exists(self, **_options: Any) -> bool:
        """Whether there is such a file or folder; errors as of `stat`. In a URL, two colons are no part of a name."""
        if "::" in str(self):
            return False
        try:
            (self / MANIFEST if self.is_dir() else self).stat()
        except FileNotFoundError:
            return False
        return True


def identity(path: RemotePath) -> tuple[Any, ...] | None:
    """A value that changes with the content of the file, updated once a minute; None if there is no such file."""
    try:
        return _file(path).identity
    except (FileNotFoundError, LabelFileError) as error:
        _refused[str(path)] = error  # for the next attempt to open it, which then need not wait again
        return None


def has_changed(folder: Path) -> bool:
    """Whether the manifest of a remote folder of shards has changed; the whole folder is then read anew."""
    manifest = folder / MANIFEST
    if not isinstance(manifest, RemotePath):
        return False
    before = _files.get((os.getpid(), str(manifest)))
    forget(folder)
    return before is not None and identity(manifest) not in (None, before.identity)


def forget(path: Path) -> None:
    """Ask anew for a remote file, or for all files of a remote folder, when they are read next."""
    if isinstance(path, RemotePath):
        address = str(path).partition("?")[0]
        with _files_lock:
            for process, url in list(_files):
                if f"{url.partition('?')[0]}/".startswith(f"{address}/"):
                    _files.pop((process, url), None)


def fault(path: Path) -> LabelFileError | None:
    """Why the last read of a file failed, if not because of its content; returned only once."""
    if not isinstance(path, RemotePath):
        return None
    file = _files.get((os.getpid(), str(path)))
    if file is None or file.fault is None:
        return None
    error, file.fault = file.fault, None
    _files.pop((os.getpid(), str(path)), None)  # what comes next asks anew
    return error


@contextmanager
def uncollected(path: Path) -> Iterator[None]:
    """A context for all work of HDF5 on a file: if it is remote, garbage collection is off meanwhile.

    HDF5 waits for bytes while it holds h5py's global lock, and fsspec fetches them in another thread. If that thread
    happened to collect an object of h5py, it would wait for the lock: a deadlock.
    """
    global _at_work, _was_enabled  # noqa: PLW0603  garbage is that of the whole process
    if not isinstance(path, RemotePath):
        yield
        return
    with _files_lock:
        if not _at_work:
            _was_enabled = gc.isenabled()
            gc.disable()
        _at_work += 1
    try:
        yield
    finally:
        with _files_lock:
            _at_work -= 1
            if not _at_work and _was_enabled:
                gc.enable()


def described(path: RemotePath) -> dict[str, Any]:
    """Name, size and digest, as `provenance.describe` gives them; all of it is read."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while data := stream.read(1 << 22):
            digest.update(data)
            size += len(data)
    name = f"{path.parent.name}/{path.name}" if path.parent.is_dir() else path.name
    return {"path": name, "bytes": size, "sha256": digest.hexdigest()}


class _Stream(io.RawIOBase):
    """A position in a remote file."""

    def __init__(self, file: _RemoteFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._file.read(self._position, self._position + len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


class _RemoteFile:
    """An open remote file and the blocks of it that are in memory."""

    def __init__(self, path: RemotePath) -> None:
        self._url = str(path)
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._following, self._ahead = -1, 1
        self.fault: LabelFileError | None = None
        self.asked = time.monotonic()
        self._source = self._tried(lambda: url_sources.source(self._url))
        head, version = self._tried(lambda: self._source.open(BLOCK_BYTES))
        self.size = version.size
        self.identity = (self._url, *version)
        if head:
            self._blocks[0] = head

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, fewer at the end of the file."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        with self._lock:
            pieces = []
            for block in range(first, last + 1):
                if block not in self._blocks:
                    self._fetch(block, last)
                self._blocks.move_to_end(block)
                pieces.append(self._blocks[block])
            while len(self._blocks) > _MOST_BLOCKS:
                self._blocks.popitem(last=False)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return data[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def _fetch(self, block: int, wanted: int) -> None:
        """Fetch a block, the missing ones up to `wanted`, and more where the one before was just fetched."""
        self._ahead = min(2 * self._ahead, _MOST_AHEAD) if block == self._following else 1
        end = block + 1
        stop = min(max(wanted + 1, block + self._ahead), block + _MOST_AHEAD, -(-self.size // BLOCK_BYTES))
        while end < stop and end not in self._blocks:
            end += 1
        self._following = end
        first, last = block * BLOCK_BYTES, min(end * BLOCK_BYTES, self.size)
        try:
            data = self._tried(lambda: self._source.piece(first, last))
        except FileNotFoundError:
            self.fault = RemoteError("is not there any more; fetch it again")
            raise self.fault from None
        except LabelFileError as error:
            self.fault = error
            raise
        for number in range(block, end):
            at = (number - block) * BLOCK_BYTES
            self._blocks[number] = data[at : at + BLOCK_BYTES]

    def _tried(self, ask: Callable[[], Any]) -> Any:
        """The result of `ask`, which is called again if the network fails."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with _announced(self._url):
                    return ask()
            except (LabelFileError, MissingPackageError):
                raise
            except Exception as raised:  # each file system raises its own
                if isinstance(raised, FileNotFoundError):
                    raise
                status = _status(raised)
                if status in (404, 410):
                    raise FileNotFoundError from None
                if attempt == _ATTEMPTS or (status is not None and status < 500) or isinstance(raised, ValueError):
                    raise _explained(raised, status) from None
                log.info("%s: attempt %d of %d: %s", self._url, attempt, _ATTEMPTS, _explained(raised, status))
                time.sleep(0.1 * attempt)
        raise AssertionError


@contextmanager
def _announced(url: str) -> Iterator[None]:
    """A context for a request: warn if there is no answer for a long time."""
    timer = threading.Timer(_PATIENCE_S, log.warning, ["%s: no answer yet; waiting for the server", url])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_files: OrderedDict[tuple[int, str], _RemoteFile] = OrderedDict()
_refused: dict[str, Exception] = {}
_files_lock = threading.Lock()
_at_work, _was_enabled = 0, True


def _file(path: RemotePath) -> _RemoteFile:
    """The open file of a path in this process; a forked process has connections of its own."""
    key = os.getpid(), str(path)
    known = _files.get(key)
    if known is not None and time.monotonic() - known.asked < _ASK_AGAIN_S:
        return known
    if (refused := _refused.pop(str(path), None)) is not None:
        raise refused
    try:
        opened = _RemoteFile(path)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path)) from None
    if known is not None and known.identity == opened.identity:
        known.asked = opened.asked
        return known
    with _files_lock:
        _files[key] = opened
        while len(_files) > _MOST_FILES:
            _files.popitem(last=False)
    return opened


def _status(error: Exception) -> int | None:
    """The status that a web server answered with, as aiohttp and httpx keep it."""
    status = getattr(error, "status", getattr(getattr(error, "response", None), "status_code", None))
    return status if isinstance(status, int) else None


_BROKEN_OFF = ("ClientPayloadError", "ServerDisconnectedError", "ConnectionResetError", "ClientOSError")


def _explained(error: BaseException, status: int | None) -> RemoteError:
    """An error of a file system in words."""
    if status in (401, 403):
        return RemoteError(f"the server refuses it (status {status}); check the address and your credentials")
    if status == 412 or type(error).__name__ == "FileExpired":
        return RemoteError("has changed on the server since it was opened; open it again")
    if type(error).__name__ == "TooManyRedirects":
        return RemoteError("the server redirects in a circle; check the address")
    if status is not None:
        return RemoteError(f"the server answers with status {status}; try again later")
    if isinstance(error, TimeoutError):
        return RemoteError(f"no answer within {url_sources.SILENT_S:g} s; check the network and try again")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if type(error).__name__ in _BROKEN_OFF:
        return RemoteError(f"the connection broke off ({reason}); try again")
    return RemoteError(f"cannot be reached ({reason}); check the address and the network")
