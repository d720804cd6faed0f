"""Headings of an MSLS tree for copies of it that lost theirs: joined by the Mapillary key, the pano_id of `@` names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.datasets import msls_tree, tables
from relabel.errors import DatasetNotFoundError, InputError

FloatArray = npt.NDArray[np.float64]

_COLUMNS: dict[str, tables.Kind] = {"key": "text", "ca": "float", "pano": "bool"}


@dataclass(frozen=True, eq=False)
class Compass:
    """The compass angles of all pictures of an MSLS tree.

    Attributes
    ----------
    key:
        (n,) Mapillary keys, unique.
    heading_deg:
        (n,) `ca` as the files have it, NaN where there is none.
    panorama:
        (n,) bool.
    file:
        (n,) which of `files` a row is from.
    files:
        every raw.csv of the tree.
    """

    key: npt.NDArray[np.str_]
    heading_deg: FloatArray
    panorama: npt.NDArray[np.bool_]
    file: npt.NDArray[np.int64]
    files: tuple[Path, ...]

    def rows(self, pano_id: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
        """(m,) the row of each key, -1 where the tree has none, as for an empty one."""
        return tables.rows_of(self.key, pano_id)

    def used(self, rows: npt.NDArray[np.int64]) -> tuple[Path, ...]:
        """The files that the rows are from."""
        return tuple(self.files[i] for i in np.unique(self.file[rows[rows >= 0]]))


def read_compass(root: Path) -> Compass:
    """The compass angles of all cities under `root`, from their raw.csv alone.

    Raises
    ------
    DatasetNotFoundError
        when there is no MSLS tree, or no raw.csv in it.
    InputError
        when a raw.csv cannot be read, or a key stands in two of them with different angles.
    """
    tree = msls_tree.find(root)
    paths = [city.path / side / "raw.csv" for city in tree.cities for side in msls_tree.SIDES]
    files = tuple(path for path in paths if path.is_file())
    if not files:
        raise DatasetNotFoundError(
            f"{root}: none of its {len(tree.cities)} cities has a raw.csv, which holds the compass angles (ca); take "
            "the original metadata of MSLS"
        )
    found = [tables.read(path, _COLUMNS) for path in files]
    for path, table in zip(files, found, strict=True):
        tables.check_keys(path, table, "key")
    key = np.concatenate([table["key"] for table in found])
    heading = np.concatenate([table["ca"] for table in found])
    panorama = np.concatenate([table["pano"] for table in found])
    file = np.repeat(np.arange(len(files)), [len(table["key"]) for table in found])
    order = np.argsort(key, kind="stable")
    same = np.append(False, key[order[1:]] == key[order[:-1]])
    for second in np.flatnonzero(same):
        a, b = order[second - 1], order[second]
        if panorama[a] != panorama[b] or not np.array_equal(heading[a], heading[b], equal_nan=True):
            raise InputError(
                f"key {str(key[a])!r} stands in {files[file[a]]} and {files[file[b]]} with different values; "
                "a picture is in one city only: remove the copy that is wrong"
            )
    rows = np.sort(order[~same])
    return Compass(key[rows], heading[rows], panorama[rows], file[rows], files)
