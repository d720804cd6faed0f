"""Findings of a validation, and the checks of a collection and of its camera tables that report them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, starmap
from typing import Any, Literal, get_args

import h5py
import numpy as np
import numpy.typing as npt

from relabel.cameras import Status, surely_unique
from relabel.errors import LabelFileError, OptionError, RemoteError
from relabel.exclusion import SEQUENCE, TIME, Exclusion
from relabel.labelfile import hdf, schema
from relabel.labelfile.collection import row_ranges
from relabel.labelfile.digest import ArrayDigest, Record, collection_digest
from relabel.labelfile.hdf import brief
from relabel.labelfile.pair_rules import Fault, RowChecks, Symmetry
from relabel.measures import MEASURES, UNKNOWN
from relabel.similarity import RowBlock

Level = Literal["header", "structure", "content"]
Severity = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = get_args(Level)
_LARGE_FILE = 1 << 28  # bytes, whose tables of cameras may take hundreds of MB each


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file, or odd about it."""

    level: Level
    """the validation level of the check"""
    severity: Severity
    path: str
    """where in the file"""
    message: str

    def to_json(self) -> dict[str, str]:
        """The finding as a JSON object."""
        return {"level": self.level, "severity": self.severity, "path": self.path, "message": self.message}


@dataclass(frozen=True)
class Report:
    """All findings of a validation."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)

    def note(self, level: Level, path: str, message: str, severity: Severity = "error") -> None:
        """Add a finding; a message that begins with the path loses it."""
        message = message.removeprefix(f"{path}: ").removeprefix(f"{path}, ")
        finding = Finding(level, severity, path, message)
        if finding not in self.findings:  # two checks may come upon the same thing
            self.findings.append(finding)

    @contextmanager
    def attempt(self, level: Level, path: str) -> Iterator[None]:
        """A check whose own failure is a finding, so that the checks behind it still run."""
        try:
            yield
        except RemoteError:  # says nothing of the file
            raise
        except LabelFileError as error:
            self.note(level, path, str(error))
        except Exception as error:  # a damaged file can break a check in ways that nobody foresaw
            self.note(level, path, f"cannot be checked ({brief(error)}); the file is damaged")


class CollectionCheck:
    """The checks of one collection, with every finding noted in a report.

    Parameters
    ----------
    file:
        the open h5py file.
    name:
        the collection's name.
    report:
        where findings go.
    content:
        also compare digests and look for asymmetry.
    newer:
        the file has a newer minor version, whose methods and statuses need not be known.
    """

    def __init__(self, file: Any, name: str, report: Report, *, content: bool, newer: bool) -> None:
        self._group = hdf.descend(file, name)
        self._path = f"/{name}"
        self._report = report
        self._content = content
        self._newer = newer
        self._records: dict[str, Record] = {}

    def run(self) -> str:
        """Do all checks; the digest that the collection carries, empty where it has none."""
        before = len(self._report.findings)
        attributes = self._attributes()
        tables = self._tables(
            self_pairs=bool(attributes.get("self_pairs")), posed=attributes.get("method") != schema.IMPORTED
        )
        self._exclusion(attributes.get("params"), self_pairs=bool(attributes.get("self_pairs")))
        with self._report.attempt("structure", f"{self._path}/{schema.SIMILARITY}"):
            self._pairs(attributes, tables)
        with self._report.attempt("structure", self._path):
            for name in hdf.collection_names(self._group):
                self._note(f"{self._path}/{name}", f"is inside collection {self._path[1:]!r}, where no reader looks")
        stored: str = ""
        with self._report.attempt("structure", self._path):
            stored = hdf.attribute(self._group, "content_sha256", str)
            if not schema.SHA256.fullmatch(stored):
                self._note(self._path, f"content_sha256 is {stored!r}; expected 64 hexadecimal digits")
        # With parts missing or unreadable the digest cannot fit, which would say nothing new.
        if self._content and len(self._report.findings) == before:
            with self._report.attempt("content", self._path):
                if collection_digest(attributes, self._records) != stored:
                    self._report.note(
                        "content",
                        self._path,
                        "content_sha256 does not match the content; cameras, parameters or values were changed after "
                        "writing",
                    )
        return stored

    def _note(self, path: str, message: str) -> None:
        self._report.note("structure", path, message)

    def _attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        for name, kind in schema.ATTRIBUTES.items():
            with self._report.attempt("structure", self._path):
                attributes[name] = hdf.attribute(self._group, name, kind)
        for fault in attribute_faults(attributes, newer=self._newer):
            self._note(self._path, fault)
        return attributes

    def _tables(self, *, self_pairs: bool, posed: bool) -> dict[str, TableCheck]:
        if not self_pairs:
            return self._checked((schema.QUERIES, schema.DATABASE), posed=posed)
        tables = self._checked((schema.QUERIES,), posed=posed)
        if schema.QUERIES not in tables:
            return self._checked((schema.DATABASE,), posed=posed)
        with self._report.attempt("structure", f"{self._path}/{schema.DATABASE}"):
            group = hdf.member(self._group, schema.DATABASE, h5py.Group)
            with hdf.guarded(group.name):
                same = group == self._group[schema.QUERIES]
            if not same:
                self._note(group.name, "has to be a hard link to queries, since self_pairs is 1")
            tables[schema.DATABASE] = tables[schema.QUERIES]
        return tables

    def _checked(self, sides: Sequence[str], *, posed: bool) -> dict[str, TableCheck]:
        """The checks of the tables that could be done; findings come in the order of the sides.

        They are done at the same time, except of a large file, where that would take more memory than all else.
        """
        reports = [Report() for _ in sides]
        done: dict[str, TableCheck] = {}

        def check(side: str, report: Report) -> None:
            with report.attempt("structure", f"{self._path}/{side}"):
                group = hdf.member(self._group, side, h5py.Group)
                table = TableCheck(group, report, newer=self._newer, content=self._content, posed=posed)
                table.run()
                done[side] = table

        at_once = 1 if self._group.file.id.get_filesize() > _LARGE_FILE else len(sides)
        with ThreadPoolExecutor(at_once, thread_name_prefix="relabel-check") as pool:
            list(pool.map(check, sides, reports))
        for report in reports:
            for finding in report.findings:
                self._report.note(finding.level, finding.path, finding.message, finding.severity)
        for side, table in done.items():
            self._records |= {f"{side}/{name}": record for name, record in table.records.items()}
        return done

    def _exclusion(self, params: str | None, *, self_pairs: bool) -> None:
        """That the rule by which pairs are excluded is one, and that the cameras have the columns that it needs."""
        try:
            rule = Exclusion.from_params(json.loads(params or "{}"))
        except OptionError as error:
            self._note(self._path, f"params: {error}")
            return
        except (ValueError, TypeError, RecursionError):
            return  # noted as no JSON object
        groups: list[h5py.Group] = []
        for side in (schema.QUERIES,) if self_pairs else (schema.QUERIES, schema.DATABASE):
            with self._report.attempt("structure", f"{self._path}/{side}"):
                groups.append(hdf.member(self._group, side, h5py.Group))
        compared = rule.columns
        if TIME in compared and all(SEQUENCE in group for group in groups):
            compared = (SEQUENCE, TIME)
        for name in compared:
            with self._report.attempt("structure", self._path):
                self._compared(name, groups, f"by which params excludes {rule}")

    def _compared(self, name: str, groups: Sequence[h5py.Group], why: str) -> None:
        """That a column by which cameras are compared is there, and of one kind on both sides."""
        kinds, wanted = ("Siuf", "text or number") if name == SEQUENCE else ("iuf", "number")
        is_text = set()
        for group in groups:
            if name not in group:
                self._note(group.name, f"has no column {name!r}, {why}")
                continue
            column = hdf.member(group, name, h5py.Dataset)
            if column.ndim != 1 or column.dtype.kind not in kinds:
                self._note(column.name, f"does not hold one {wanted} a camera, {why}")
            else:
                is_text.add(column.dtype.kind == "S")
        if len(is_text) > 1:
            self._note(self._path, f"the column {name!r} is text on one side and numbers on the other, {why}")

    def _pairs(self, attributes: Mapping[str, Any], tables: Mapping[str, TableCheck]) -> None:
        group = hdf.member(self._group, schema.SIMILARITY, h5py.Group)
        for name, expected in schema.ENCODING.items():
            with self._report.attempt("structure", group.name):
                value = hdf.attribute(group, name, str)
                if value != expected:
                    self._note(group.name, f"attribute {name!r} is {value!r}; expected {expected!r}")
        shape = _shape(group)
        for side, length in zip((schema.QUERIES, schema.DATABASE), shape, strict=True):
            if side in tables and tables[side].length not in (None, length):
                self._note(group.name, f"attribute 'shape' is {shape}, but {side} has {tables[side].length} cameras")
        arrays = {}
        for name, dtype in schema.ARRAYS.items():
            with self._report.attempt("structure", f"{group.name}/{name}"):
                dataset = hdf.member(group, name, h5py.Dataset)
                hdf.check_array(dataset, dtype, (shape[0] + 1 if name == "indptr" else None,))
                arrays[name] = dataset
        if len(arrays) < len(schema.ARRAYS):
            return
        if shape[0] >= hdf.LARGE_BYTES // 4 and not (schema.QUERIES in tables and tables[schema.QUERIES].has_keys):
            return  # so many rows are not believed without their keys
        indptr = hdf.read(arrays["indptr"]).astype(np.int64)  # differences of damaged int32 numbers could overflow
        nnz = int(arrays["data"].shape[0])
        if attributes.get("nnz", nnz) != nnz:
            self._note(self._path, f"attribute 'nnz' is {attributes['nnz']}, but {nnz} values are stored")
        if arrays["indices"].shape[0] != nnz:
            self._note(group.name, f"indices has {arrays['indices'].shape[0]} entries, data has {nnz}")
        elif indptr[0] != 0 or indptr[-1] != nnz or (np.diff(indptr) < 0).any():
            self._note(f"{group.name}/indptr", f"does not rise from 0 to {nnz} without falling")
        elif (longest := int(np.diff(indptr).max(initial=0))) > shape[1]:
            self._note(f"{group.name}/indptr", f"gives a row {longest:,} pairs, but there are {shape[1]:,} columns")
        else:
            self._entries(attributes, tables, shape, arrays, indptr)

    def _entries(
        self,
        attributes: Mapping[str, Any],
        tables: Mapping[str, TableCheck],
        shape: tuple[int, int],
        arrays: Mapping[str, Any],
        indptr: npt.NDArray[np.int64],
    ) -> None:
        """Stream the pairs once, through the rules, the digests and the test of symmetry."""
        ok = [_ok(tables.get(side), n) for side, n in zip((schema.QUERIES, schema.DATABASE), shape, strict=True)]
        least = attributes.get("min_value", 0.0)
        rules = RowChecks(
            *ok, min_value=least if 0.0 <= least < 1.0 else 0.0, self_pairs=bool(attributes.get("self_pairs"))
        )
        symmetry = (
            Symmetry(shape[0]) if self._content and attributes.get("symmetric") and shape[0] == shape[1] else None
        )
        running = {name: ArrayDigest(dtype) for name, dtype in schema.ARRAYS.items()}
        running["indptr"].update(indptr.astype("<i4"))
        by_rule: dict[str, Fault] = {}
        for block in _read_ahead(arrays, indptr):
            for fault in rules.faults(block):
                known = by_rule.get(fault.rule)
                by_rule[fault.rule] = fault if known is None else known._replace(entries=known.entries + fault.entries)
            if symmetry is not None and not by_rule:
                symmetry.add(block)
            if self._content:
                running["indices"].update(block.indices)
                running["data"].update(block.data)
        where = f"{self._path}/{schema.SIMILARITY}"
        for fault in by_rule.values():
            self._note(where, str(fault))
        if symmetry is not None and not by_rule and len(unbalanced := symmetry.unbalanced()):
            rows = ", ".join(str(row) for row in unbalanced[:2])
            self._report.note(
                "content",
                where,
                f"is not symmetric: the rows of {len(unbalanced)} camera(s) differ from their columns, "
                f"among them row(s) {rows} (counted from 0)",
            )
        for name, digest in running.items():
            self._records[f"{schema.SIMILARITY}/{name}"] = digest.record(arrays[name].shape)


def _read_ahead(arrays: Mapping[str, Any], indptr: npt.NDArray[np.int64]) -> Iterator[RowBlock]:
    """All rows in blocks; while one is being checked, threads read the next."""
    with ThreadPoolExecutor(2, thread_name_prefix="relabel-check") as pool:

        def submit(first: int, last: int) -> tuple[int, int, list[Future[npt.NDArray[Any]]]]:
            part = slice(int(indptr[first]), int(indptr[last]))
            return first, last, [pool.submit(hdf.read, arrays[name], part) for name in ("indices", "data")]

        ranges = row_ranges(indptr, 0, len(indptr) - 1)
        coming = deque(starmap(submit, islice(ranges, 1)))
        while coming:
            coming.extend(starmap(submit, islice(ranges, 1)))
            first, last, reading = coming.popleft()
            indices, data = (part.result() for part in reading)
            yield RowBlock(first, np.diff(indptr[first : last + 1]), indices, data)


def attribute_faults(attributes: Mapping[str, Any], *, newer: bool) -> list[str]:
    """What is wrong with the attributes of a collection, as far as they are there."""
    faults = []
    method, measure, params = (attributes.get(name) for name in ("method", "measure", "params"))
    if method is not None and method not in schema.METHODS and not newer:
        faults.append(f"method is {method!r}; known are {', '.join(schema.METHODS)}")
    if measure == UNKNOWN and method not in (None, schema.IMPORTED):
        faults.append(f"measure is {UNKNOWN!r}, which only labels of method {schema.IMPORTED!r} may have")
    elif measure is not None and measure not in (*MEASURES, UNKNOWN):
        faults.append(f"measure is {measure!r}; known are {', '.join(MEASURES)}")
    if params is not None:
        try:
            if not isinstance(json.loads(params), dict):
                faults.append("params is not a JSON object")
        except (ValueError, RecursionError) as error:
            faults.append(f"params is not JSON: {error}")
    if not 0.0 <= attributes.get("min_value", 0.0) < 1.0:
        faults.append(f"min_value is {attributes['min_value']}; it has to be in [0, 1)")
    faults += [
        f"{name} is {attributes[name]}; it has to be 0 or 1"
        for name in ("symmetric", "self_pairs")
        if attributes.get(name, 0) not in (0, 1)
    ]
    if {"symmetric", "self_pairs"} <= attributes.keys() and measure in (*MEASURES, UNKNOWN):
        expected = int(attributes["self_pairs"] == 1 and measure in ("iou", "dice"))
        if attributes["symmetric"] != expected:
            faults.append(
                f"symmetric is {attributes['symmetric']}, but with self_pairs {attributes['self_pairs']} and measure "
                f"{measure!r} it has to be {expected}"
            )
    return faults


def _shape(group: Any) -> tuple[int, int]:
    with hdf.guarded(f"{group.name}, attribute 'shape'"):
        handle = group.attrs.get_id("shape")
        if handle.shape == (2,) and handle.dtype == np.dtype("<i8"):
            rows, columns = (int(n) for n in group.attrs["shape"])
            if min(rows, columns) >= 0:
                return rows, columns
    raise LabelFileError(f"{group.name}: attribute 'shape' is not two int64 numbers, queries and database cameras")


def _ok(table: TableCheck | None, length: int) -> npt.NDArray[np.bool_]:
    """Which cameras are ok; all of them where the table itself could not be read."""
    if table is None or table.ok is None or len(table.ok) != length:
        # A length from an attribute has no storage behind it, so it is not trusted with memory.
        return np.broadcast_to(np.True_, length)
    return table.ok


class TableCheck:
    """The checks of the group ``queries`` or ``database`` of a collection.

    Attributes
    ----------
    length:
        number of cameras; None where it is not known.
    has_keys:
        whether their keys could be read, which vouch for the memory of the other columns.
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
        self.has_keys = False
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
        further = []
        for name in names:
            if name not in schema.COLUMNS:
                with self._report.attempt("structure", f"{self._path}/{name}"):
                    further += self._further(name)
        with self._report.attempt("structure", self._path):
            hdf.check_further(further)
        self._check_keys(values.get("key"))
        self._check_status(values)
        for name, rule in (("heading_deg", "in [0, 360)"), ("extent", "0 or more and finite")):
            if name in values:
                x = values[name]
                with np.errstate(invalid="ignore"):
                    good = (x >= 0) & (x < 360) if name == "heading_deg" else (x >= 0) & np.isfinite(x)
                self._note_rows(name, ~good & ~np.isnan(x), f"have a value that is not {rule}, nor NaN for none", x)

    def _column(self, column: schema.TableColumn) -> npt.NDArray[Any]:
        dataset = hdf.member(self._group, column.name, h5py.Dataset)
        hdf.check_array(dataset, column.dtype, (self.length, *column.tail))
        if column.name == "key":
            hdf.check_keys(dataset)
            self.has_keys = True
        elif not self.has_keys and hdf.in_memory(dataset) > hdf.LARGE_BYTES:
            raise LabelFileError("is not checked, because the keys cannot be read")
        if self.length is None:
            self.length = int(dataset.shape[0])
        if column.name == "status":
            self._check_enum(dataset)
        return self._read(column.name, dataset)

    def _further(self, name: str) -> list[Any]:
        """The further column of that name, its content hashed, in a list; an empty one where it is none."""
        with hdf.guarded(f"{self._path}/{name}"):
            dataset = self._group[name]
        if self._newer and isinstance(dataset, h5py.Group):
            return []
        known = isinstance(dataset, h5py.Dataset) and hdf.type_name(dataset) is not None
        if not known or dataset.shape is None or dataset.shape[:1] != (self.length,):
            self._note(name, "is not a column of this table: its length differs, or the format does not have its type")
            return []
        hdf.check_array(dataset)
        for _ in self._hashed_blocks(name, dataset):
            pass
        return [dataset]

    def _read(self, name: str, dataset: Any) -> npt.NDArray[Any]:
        values, stop = np.empty(dataset.shape, dataset.dtype), 0
        for block in self._hashed_blocks(name, dataset):
            start, stop = stop, stop + len(block)
            values[start:stop] = block
        return values

    def _hashed_blocks(self, name: str, dataset: Any) -> Iterator[npt.NDArray[Any]]:
        digest = ArrayDigest(str(hdf.type_name(dataset)))
        for block in hdf.row_blocks(dataset):
            if self._content:
                digest.update(block)
            yield block
        if self._content:
            self.records[name] = digest.record(dataset.shape)

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
            hdf.check_text(keys, f"{self._path}/key")
        self._note_rows("key", keys == b"", "have an empty key")
        if surely_unique(keys):
            return
        values, rows, counts = np.unique(keys, return_index=True, return_counts=True)
        if len(values) < len(keys):
            twice = rows[counts > 1]
            first = keys[twice.min()].decode(errors="replace")
            self._note("key", f"{len(twice)} key(s) occur in several rows, the first {first!r}; keys have to be unique")

    def _check_status(self, values: dict[str, npt.NDArray[Any]]) -> None:
        status = values.get("status")
        if status is None:
            return
        self.ok = status == Status.OK
        if not self._newer:
            self._note_rows("status", status > max(Status), "have an unknown status", status)
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
                self._note_rows(name, rows & self.ok, "have no finite value, although the camera is ok")

    def _note_rows(
        self, name: str, bad: npt.NDArray[np.bool_], fault: str, values: npt.NDArray[Any] | None = None
    ) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            value = "" if values is None else f" ({values[row]})"
            count = int(np.count_nonzero(bad))
            self._note(name, f"{count} row(s) {fault}; the first is row {row}{value} (counted from 0)")

    def _note(self, name: str, message: str) -> None:
        self._report.note("structure", f"{self._path}/{name}", message)
