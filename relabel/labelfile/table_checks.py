"""Checks of one camera table."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.cameras import Status
from relabel.labelfile import hdf, schema
from relabel.labelfile.digest import ArrayDigest, Record
from relabel.labelfile.findings import Report


class TableCheck:
    """The checks of the group ``queries`` or ``database`` of a collection.

    Attributes
    ----------
    length:
        number of cameras; None where it is not known.
    ok:
        (length,) which cameras are ok; None where it is not known.
    records:
        digest records of all columns, where content is checked.
    """

    def __init__(self, group: Any, report: Report, *, newer: bool, content: bool, posed: bool) -> None:
        self._group = group
        self._path = str(group.name)
        self._report = report
        self._newer = newer
        self._content = content
        self._posed = posed
        self.length: int | None = None
        self.ok: npt.NDArray[np.bool_] | None = None
        self.records: dict[str, Record] = {}

    def run(self) -> None:
        """Do all checks."""
        names = hdf.links(self._group)
        values: dict[str, npt.NDArray[Any]] = {}
        for column in schema.TABLE:
            if column.required or column.name in names:
                with self._report.attempt("structure", f"{self._path}/{column.name}"):
                    values[column.name] = self._column(column)
        for name in names:
            if name not in schema.COLUMNS:
                with self._report.attempt("structure", f"{self._path}/{name}"):
                    self._extra(name)
        self._check_keys(values.get("key"))
        self._check_status(values)
        for name, rule in (("heading_deg", "in [0, 360)"), ("extent", "0 or more and finite")):
            if name in values:
                x = values[name]
                with np.errstate(invalid="ignore"):
                    good = (x >= 0) & (x < 360) if name == "heading_deg" else (x >= 0) & np.isfinite(x)
                self._note_rows(name, ~good & ~np.isnan(x), f"{rule}, NaN where there is none", x)

    def _column(self, column: schema.Column) -> npt.NDArray[Any]:
        dataset = hdf.member(self._group, column.name, h5py.Dataset)
        hdf.check_array(dataset, column.dtype, (self.length, *column.tail))
        if self.length is None:
            self.length = int(dataset.shape[0])
        if column.name == "status":
            self._check_enum(dataset)
        return self._read(column.name, dataset)

    def _extra(self, name: str) -> None:
        with hdf.guarded(f"{self._path}/{name}"):
            dataset = self._group[name]
        if self._newer and isinstance(dataset, h5py.Group):
            return
        known = isinstance(dataset, h5py.Dataset) and hdf.type_name(dataset) is not None
        if not known or dataset.shape is None or dataset.shape[:1] != (self.length,):
            self._note(name, "is no column of this table: it has another length or a type that the format lacks")
            return
        hdf.check_array(dataset)
        self._read(name, dataset)

    def _read(self, name: str, dataset: Any) -> npt.NDArray[Any]:
        blocks = list(hdf.row_blocks(dataset))
        if self._content:
            digest = ArrayDigest(str(hdf.type_name(dataset)))
            for block in blocks:
                digest.update(block)
            self.records[name] = digest.record(dataset.shape)
        return np.concatenate(blocks) if blocks else hdf.read(dataset)

    def _check_enum(self, dataset: Any) -> None:
        names = h5py.check_enum_dtype(dataset.dtype) or {}
        wrong = {name for name, code in schema.STATUS_NAMES.items() if names.get(name) != code}
        wrong |= set() if self._newer else names.keys() - schema.STATUS_NAMES.keys()
        if wrong:
            known = ", ".join(f"{code} {name}" for name, code in schema.STATUS_NAMES.items())
            self._note("status", f"its enum differs at {', '.join(sorted(wrong))}; expected {known}")

    def _check_keys(self, keys: npt.NDArray[np.bytes_] | None) -> None:
        if keys is None:
            return
        with self._report.attempt("structure", f"{self._path}/key"):
            hdf.decode(keys, f"{self._path}/key")
        self._note_rows("key", keys == b"", "a name")
        values, rows, counts = np.unique(keys, return_index=True, return_counts=True)
        if len(values) < len(keys):
            twice = rows[counts > 1]
            first = keys[twice.min()].decode(errors="replace")
            self._note(
                "key", f"{len(twice)} key(s) stand in several rows, the first of them {first!r}; keys are unique"
            )

    def _check_status(self, values: dict[str, npt.NDArray[Any]]) -> None:
        status = values.get("status")
        if status is None:
            return
        self.ok = status == Status.OK
        if not self._newer:
            self._note_rows("status", status > max(Status), "a known status", status)
        if not self._posed:
            return
        missing = {}
        if "position" in values:
            missing["position"] = ~np.isfinite(values["position"][:, :2]).all(axis=1)
        if "pose" in values:
            missing["pose"] = ~np.isfinite(values["pose"]).all(axis=(1, 2))
        elif "heading_deg" in values:
            missing["heading_deg"] = np.isnan(values["heading_deg"])
        for name, rows in missing.items():
            if len(rows) == len(self.ok):
                self._note_rows(name, rows & self.ok, "a finite value, because its status is ok")

    def _note_rows(
        self, name: str, bad: npt.NDArray[np.bool_], expected: str, values: npt.NDArray[Any] | None = None
    ) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            value = "" if values is None else f" ({values[row]})"
            count = int(np.count_nonzero(bad))
            self._note(name, f"{count} row(s) lack {expected}; the first is row {row}{value} (counted from 0)")

    def _note(self, name: str, message: str) -> None:
        self._report.note("structure", f"{self._path}/{name}", message)
