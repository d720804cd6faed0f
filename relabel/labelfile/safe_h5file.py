"""Writing an HDF5 file although the disk may fill up, and the user may press Ctrl-C at any moment.

The HDF5 library (2.0) does not survive a failed write: it loses the error while it frees an object, cannot close the
file, and crashes the process later. So it never sees one: it writes through `_Disk`, which keeps the first error and
from then on only pretends to write, and no signal handler raises an exception while the library is working.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relabel.atomic import output_errors
from relabel.labelfile.hdf5_layout import new_file
from relabel.stopping import signals_deferred


class Draft:
    """A new HDF5 file, to be used inside `with`, where `file` is the h5py file.

    Parameters
    ----------
    private:
        the path to make; it must not exist.
    target:
        the path that errors name.
    """

    def __init__(self, private: Path, target: Path) -> None:
        self._target = target
        with output_errors(target):
            self._disk = _Disk(private)
        try:
            with self.writing():
                self.file: Any = new_file(self._disk)
        except BaseException:
            self._disk.close()
            raise

    def __enter__(self) -> Draft:  # noqa: PYI034  not meant to be subclassed
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        try:
            if error is None:
                with self.writing():
                    self.file.close()
            else:
                self._disk.abandon()
                with suppress(Exception), signals_deferred():  # the first error is the one to report
                    self.file.close()
        finally:
            self._disk.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A context for every call that changes the file: signals wait, and errors of the disk become `OutputError`."""
        with output_errors(self._target):
            with signals_deferred():
                yield
            self._disk.raise_error()


class _Disk(io.RawIOBase):
    """A file that never fails: it keeps the first error, and discards everything written after it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("x+b", buffering=0)
        self._position = 0
        self._end = 0
        self._error: OSError | None = None
        self._abandoned = False

    def abandon(self) -> None:
        """Write nothing from now on."""
        self._abandoned = True

    def raise_error(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        if hasattr(self, "_file"):  # the garbage collector also closes one whose file could not be opened
            self._file.close()
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = b""
        with suppress(OSError):
            data = os.pread(self._file.fileno(), len(view), self._position)
        view[:] = data.ljust(len(view), b"\0")
        self._position += len(view)
        return len(view)

    def write(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and not (self._error or self._abandoned):
            try:
                done += os.pwrite(self._file.fileno(), view[done:], self._position + done)
            except OSError as error:
                self._error = error
        self._position += len(view)
        self._end = max(self._end, self._position)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self._end = self._position if size is None else size
        if not (self._error or self._abandoned):
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self._error = error
        return self._end
