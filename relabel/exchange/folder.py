"""The folder that an export goes to: all its files are checked before the first is written, each appears whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.atomic import check_target, output_errors, replacing
from relabel.errors import OutputExistsError


class ExportFolder:
    """Where files are written, and which have been.

    Parameters
    ----------
    path:
        the folder; it is made where it is missing.
    overwrite:
        whether files that are there may be replaced.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self.overwrite = overwrite
        self.written: list[Path] = []

    def claim(self, names: Iterable[str], *, replaceable: bool = True) -> None:
        """Make the folders of the named files and raise unless all files may be written.

        Raises
        ------
        OutputExistsError
            when one is there and may not be replaced; not `replaceable` are files that --force must not touch either.
        OutputError
            when a folder cannot be made or written.
        """
        for name in names:
            target = self.path / name
            with output_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            if not replaceable and target.exists():
                raise OutputExistsError(
                    f"{target}: exists already, and is not replaced since it may be the dataset's own; choose another "
                    "folder"
                )
            check_target(target, overwrite=self.overwrite)

    @contextmanager
    def file(self, name: str, *, replaceable: bool = True) -> Iterator[Path]:
        """A private path that becomes the file of that name when the block ends well."""
        target = self.path / name
        with replacing(target, overwrite=self.overwrite and replaceable) as private, output_errors(target):
            yield private
        self.written.append(target)

    def write_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """One array as ``.npy``; arrays of objects are pickled, which their consumers expect."""
        with self.file(name) as private, private.open("wb") as file:
            np.save(file, without_metadata(array), allow_pickle=array.dtype == object)

    def write_json(self, name: str, value: Any) -> None:
        """One JSON value."""
        with self.file(name) as private:
            private.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def without_metadata(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array without what h5py notes in the type of an enum or a text, which ``.npy`` cannot hold."""
    return array if array.dtype.metadata is None else array.astype(array.dtype.str)


def file_name(collection: str) -> str:
    """The name of a collection as a part of a file name: redkitchen/train becomes redkitchen-train."""
    return collection.replace("/", "-")
