from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from relabel.errors import MissingFileError, OptionError, RelabelError
from relabel.labelfile import Finding, LabelFile, Report, pack, provenance, validate, write
from relabel.labelfile.schema import stored_text, utf8_type
from relabel.similarity import Similarity
from tests.labelfile.sources import assert_same, errors
from tests.similarities import similarity

Change = Callable[[h5py.File], Any]

A = similarity(12, 15, seed=4)
SELF = similarity(9, self_pairs=True, density=0.6, faults=False)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid file with an ordinary and a self-paired collection."""
    path = tmp_path_factory.mktemp("valid") / "labels.h5"
    return write(path, {"amman": A, "room/train": SELF}, provenance=[provenance.step("test", {"a": 1})])


@pytest.fixture
def path(valid: Path, tmp_path: Path) -> Path:
    """A copy of the valid file, to be damaged."""
    return Path(shutil.copy(valid, tmp_path / "labels.h5"))


def put(name: str, at: Any, value: Any) -> Change:
    """Change values of a dataset in place."""

    def change(file: h5py.File) -> None:
        file[name][at] = value

    return change


def replace(name: str, value: Any, dtype: Any = None) -> Change:
    """Put another dataset in the place of one."""

    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file.create_dataset(name, data=value, dtype=dtype)

    return change


def attribute(node: str, name: str, value: Any) -> Change:
    """Change or drop an attribute."""

    def change(file: h5py.File) -> None:
        if value is None:
            del file[node].attrs[name]
        else:
            file[node].attrs[name] = stored_text(value) if isinstance(value, str) else value

    return change


def link(name: str, target: Any) -> Change:
    """Put a link in the place of a node."""

    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = file[target] if isinstance(target, str) else target

    return change


PAIR = int(np.flatnonzero(np.diff(A.matrix.indptr) > 1)[0])
FIRST = int(A.matrix.indptr[PAIR])
BAD_CAMERA = int(np.flatnonzero(~A.collection.database.ok)[0])
OK_QUERY = int(np.flatnonzero(A.collection.query.ok)[0])

STRUCTURE: list[tuple[str, Change, str]] = [
    ("nan value", put("amman/similarity/data", 0, np.nan), "value that is not finite"),
    ("value of 0", put("amman/similarity/data", 0, 0.0), "value outside"),
    ("value above 1", put("amman/similarity/data", 2, 1.5), "value outside"),
    ("unsorted", put("amman/similarity/indices", FIRST, 14), "out of order or repeated"),
    ("repeated", put("amman/similarity/indices", FIRST + 1, A.matrix.indices[FIRST]), "out of order or repeated"),
    ("out of range", put("amman/similarity/indices", 0, 15), r"column outside \[0, 15\)"),
    ("negative column", put("amman/similarity/indices", 0, -1), "column outside"),
    ("camera that is not ok", put("amman/similarity/indices", FIRST, BAD_CAMERA), "status is not ok"),
    ("diagonal", put("room/train/similarity/indices", 0, 0), "pair a camera with itself"),
    ("indptr starts late", put("amman/similarity/indptr", 0, 1), "does not rise from 0"),
    ("indptr falls", put("amman/similarity/indptr", 11, 0), "does not rise from 0"),
    ("indptr ends early", put("amman/similarity/indptr", 12, A.matrix.nnz - 1), "does not rise from 0"),
    ("short indptr", replace("amman/similarity/indptr", np.zeros(5, "i4")), r"shape \(5,\); expected \(13\)"),
    ("indptr of 64 bits", replace("amman/similarity/indptr", A.matrix.indptr.astype("i8")), "expected int32"),
    ("big-endian", replace("amman/similarity/indptr", A.matrix.indptr.astype(">i4")), "expected int32, little-endian"),
    ("data of 64 bits", replace("amman/similarity/data", A.matrix.data.astype("f8")), "expected float32"),
    ("fewer columns", replace("amman/similarity/indices", A.matrix.indices[:-1]), "indices has .* data has"),
    ("no data", replace("amman/similarity/data", None), "data: the dataset is missing|the dataset is missing"),
    ("group for data", lambda f: (replace("amman/similarity/data", None)(f), f.create_group("amman/similarity/data")),
     "is not a dataset"),
    ("soft link", link("amman/similarity/data", h5py.SoftLink("/amman/similarity/indices")), "is a soft link"),
    ("dangling soft link", link("amman/weather", h5py.SoftLink("/nowhere")), "is a soft link to '/nowhere'"),
    ("external link", link("room/train/queries/extra", h5py.ExternalLink("a.h5", "/x")), "external link to '/x' of"),
    ("other shape", attribute("amman/similarity", "shape", np.array([12, 16])), "database has 15 cameras"),
    ("shape of text", attribute("amman/similarity", "shape", "12"), "is not two int64 numbers"),
    ("huge shape", attribute("amman/similarity", "shape", np.array([2**62, 2**62])), "queries has 12 cameras"),
    ("encoding", attribute("amman/similarity", "encoding-type", "csc_matrix"), "'encoding-type' is 'csc_matrix'"),
    ("no encoding", attribute("amman/similarity", "encoding-version", None), "'encoding-version': is missing"),
    ("nnz", attribute("amman", "nnz", 3), "attribute 'nnz' is 3"),
    ("method", attribute("amman", "method", "magic"), "method is 'magic'"),
    ("measure", attribute("amman", "measure", "jaccard"), "measure is 'jaccard'"),
    ("no measure", attribute("amman", "measure", None), "'measure': is missing"),
    ("params", attribute("amman", "params", "{"), "params is not JSON"),
    ("params list", attribute("amman", "params", "[]"), "params is not a JSON object"),
    ("min_value", attribute("amman", "min_value", 1.0), r"min_value is 1.0; it has to be in \[0, 1\)"),
    ("min_value nan", attribute("amman", "min_value", np.nan), "min_value is nan"),
    ("symmetric", attribute("amman", "symmetric", np.uint8(1)), "symmetric is 1, but with self_pairs 0"),
    ("self_pairs", attribute("amman", "self_pairs", np.uint8(2)), "self_pairs is 2; it has to be 0 or 1"),
    ("digest", attribute("amman", "content_sha256", "abc"), "expected 64 hexadecimal digits"),
    ("own database", lambda f: (f.copy("room/train/queries", "copy"), link("room/train/database", "copy")(f)),
     "has to be a hard link to queries"),
    ("no queries", replace("amman/queries", None), "the group is missing"),
    ("repeated key", put("amman/queries/key", 1, b"q0000"), r"1 key\(s\) occur in several rows.*'q0000'"),
    ("empty key", put("amman/queries/key", 1, b""), r"1 row\(s\) have an empty key; the first is row 1"),
    ("key not utf-8", put("amman/queries/key", 1, b"\xff\xfe"), "cannot be read .*codec can't decode"),
    ("key of numbers", replace("amman/queries/key", np.arange(12)), "has type int64; expected utf-8"),
    ("key of any length", replace("amman/queries/key", ["a"] * 12, h5py.string_dtype()), "expected utf-8"),
    ("unknown status", put("amman/queries/status", 2, 9), r"have an unknown status; the first is row 2 \(9\)"),
    ("status without names", replace("amman/queries/status", A.collection.query.status), "its enum differs at"),
    ("status as int64", replace("amman/queries/status", np.zeros(12, "i8")), "expected uint8"),
    ("heading 360", put("amman/queries/heading_deg", 3, 360.0), r"that is not in \[0, 360\).*row 3 \(360.0\)"),
    ("no heading", put("amman/queries/heading_deg", OK_QUERY, np.nan), "have no finite value, although the camera"),
    ("position", put("amman/database/position", (slice(None), 0), np.inf), "have no finite value, although"),
    ("pose", replace("amman/queries/pose", np.full((12, 4, 4), np.nan)), "have no finite value, although"),
    ("pose shape", replace("amman/queries/pose", np.zeros((12, 3, 4))), r"expected \(12, 4, 4\)"),
    ("extent", put("amman/queries/extent", 0, -1.0), "that is not 0 or more and finite"),
    ("column length", replace("amman/queries/fov_deg", np.zeros(3)), r"expected \(12\)"),
    ("odd column", replace("amman/queries/extra", np.zeros(3)), "is not a column of this table"),
    ("column type", replace("amman/queries/extra", np.zeros(12, "c8")), "is not a column of this table"),
    ("nothing stored", lambda f: (replace("amman/queries/extent", None)(f),
                                  f.create_dataset("amman/queries/extent", (12,), "f8")), "only 0 bytes are stored"),
    ("values in another file", lambda f: (replace("amman/queries/extent", None)(f),
        f.create_dataset("amman/queries/extent", (12,), "f8", external=[("x.raw", 0, 96)])), "in another file"),
    ("huge column", lambda f: (replace("amman/similarity/data", None)(f),
        f.create_dataset("amman/similarity/data", (2**50,), "f4", chunks=(2**20,), compression="gzip")),
     r"data.*bytes are stored|bytes are stored"),
    ("no collection", lambda f: (replace("amman", None)(f), replace("room", None)(f)), "holds no collection"),
    ("member missing", replace("amman/similarity", None), "the group is missing"),
    ("name", lambda f: f.move("amman", "am::man"), "separates the file from the collection"),
    ("provenance gap", lambda f: f.move("provenance/0000", "provenance/0002"), "not numbered from 0000"),
    ("no provenance", replace("provenance", None), "the group is missing"),
    ("provenance of numbers", replace("provenance/0000", 3), "expected utf-8"),
]  # fmt: skip

CONTENT: list[tuple[str, Change, str]] = [
    ("other value", put("amman/similarity/data", 0, 0.987654), "content_sha256 does not match the content"),
    ("other key", put("amman/queries/key", 0, b"x"), "content_sha256 does not match the content"),
    ("other position", put("amman/database/position", (0, 2), 3.0), "content_sha256 does not match the content"),
    ("other params", attribute("amman", "params", '{"fov_deg":91.0}'), "content_sha256 does not match the content"),
    ("other crs", attribute("amman", "crs", "EPSG:1"), "content_sha256 does not match the content"),
    ("further column", replace("amman/queries/extra", np.zeros(12)), "content_sha256 does not match the content"),
    ("lost column", lambda f: f.move("amman", "berlin"), "does not match the writer, the names and digests"),
    ("other writer", attribute("/", "writer", "relabel 9"), "does not match the writer, the names and digests"),
    ("asymmetric value", put("room/train/similarity/data", 0, 0.123), r"not symmetric: the rows of 2 camera\(s\)"),
    ("not json", replace("provenance/0000", np.array(b"{", utf8_type(1))), "is not JSON"),
    ("not a record", replace("provenance/0000", np.array(b"{}", utf8_type(2))), "software is missing or not an object"),
    ("lost provenance", replace("provenance/0000", None), "does not match the writer, the names and digests"),
]


class TestValidate:
    def test_a_valid_file(self, valid: Path) -> None:
        """A file as written has no findings at any level."""
        for level in ("header", "structure", "content"):
            assert validate(valid, level) == Report([])
        assert validate(valid).valid

    def test_a_file_without_history(self, tmp_path: Path) -> None:
        """That nothing says how a file was made is a warning, which leaves it valid."""
        report = validate(write(tmp_path / "a.h5", {"a": A}))
        assert report.valid
        (finding,) = report.findings
        assert (finding.level, finding.severity, finding.path) == ("content", "warning", "/provenance")
        assert list(finding.to_json()) == ["level", "severity", "path", "message"]

    @pytest.mark.parametrize(("change", "match"), [case[1:] for case in STRUCTURE], ids=[case[0] for case in STRUCTURE])
    def test_structure(self, path: Path, change: Change, match: str) -> None:
        """Whatever breaks the structure is found at that level, and not by the header alone."""
        self.found(path, change, match, "structure", "header")

    @pytest.mark.parametrize(("change", "match"), [case[1:] for case in CONTENT], ids=[case[0] for case in CONTENT])
    def test_content(self, path: Path, change: Change, match: str) -> None:
        """What keeps the structure but changes the content is found by the digests, symmetry or the record's schema."""
        self.found(path, change, match, "content", "structure")

    def found(self, path: Path, change: Change, match: str, level: str, above: str) -> None:
        with h5py.File(path, "r+") as file:
            change(file)
        assert errors(validate(path, above)) == []
        report = validate(path)
        assert not report.valid
        hits = [f for f in report.findings if Match(match) == f.message]
        assert hits, errors(report)
        assert {f.level for f in hits} == {level}
        if level == "structure":
            assert [f for f in validate(path, level).findings if f.level == level] == [
                f for f in report.findings if f.level == level
            ]

    def test_all_findings_are_listed(self, path: Path) -> None:
        """Faults in both collections, in cameras, pairs and history are all found in one go."""
        with h5py.File(path, "r+") as file:
            for change in (
                put("amman/similarity/data", slice(0, 3), np.nan),
                put("amman/similarity/indices", 4, 99),
                put("amman/queries/key", slice(0, 2), b"twice"),
                attribute("amman", "method", "magic"),
                put("room/train/queries/extent", 0, np.inf),
                replace("provenance/0000", np.array(b"{}", utf8_type(2))),
                attribute("/", "writer", None),
            ):
                change(file)
        found = errors(validate(path))
        for part in (
            "/: attribute 'writer': is missing",
            "/amman: method is 'magic'",
            "/amman/queries/key: 1 key(s)",
            "/amman/similarity: 3 stored pair(s) have a value that is not finite",
            "/amman/similarity: 1 stored pair(s) have a column outside",
            "/room/train/queries/extent: 1 row(s)",
            "/provenance/0000: command is missing",
        ):
            assert any(part in line for line in found), (part, found)

    def test_findings_of_many_blocks_are_one(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Entries that break the same rule are counted over the whole collection."""
        monkeypatch.setattr("relabel.labelfile.collection._BLOCK_ENTRIES", 4)
        with h5py.File(path, "r+") as file:
            file["amman/similarity/data"][:] = np.nan
        (finding,) = validate(path, "structure").findings
        assert f"{A.matrix.nnz} stored pair(s) have a value that is not finite" in finding.message

    @pytest.mark.parametrize("content", [b"", b"hello\n", b"\0\1\2", b"\x89HDF\r\n\x1a\n" + b"\0" * 99])
    def test_other_files(self, tmp_path: Path, content: bytes) -> None:
        """What is no HDF5 file has one finding in its header."""
        (tmp_path / "a.h5").write_bytes(content)
        (finding,) = validate(tmp_path / "a.h5").findings
        assert (finding.level, finding.severity, finding.path) == ("header", "error", "/")

    def test_a_folder(self, tmp_path: Path) -> None:
        """A folder is not valid."""
        assert errors(validate(tmp_path)) == [
            "/: is a folder without manifest.json; name a label file, or a folder of shards"
        ]

    def test_foreign_hdf5(self, tmp_path: Path) -> None:
        """Of HDF5 of another kind nothing more is said than that."""
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["queries"] = 3
        (line,) = errors(validate(tmp_path / "a.h5"))
        assert "is HDF5, but not a label file" in line

    def test_versions(self, path: Path) -> None:
        """A newer major is an error with both versions, a newer minor a warning, and its novelties are no errors."""
        with h5py.File(path, "r+") as file:
            file.attrs["format_version"] = stored_text("2.0")
        (finding,) = validate(path).findings
        assert (finding.level, finding.severity) == ("header", "error")
        assert "2.0, but this version of relabel reads 1.0" in finding.message
        with h5py.File(path, "r+") as file:
            file.attrs["format_version"] = stored_text("1.4")
            file["amman/queries/status"][int(np.flatnonzero(~A.collection.query.ok)[0])] = 77
            file["amman"].attrs["method"] = stored_text("new")
        report = validate(path, "structure")
        assert report.valid, errors(report)
        assert [f.severity for f in report.findings] == ["warning"]

    def test_incomplete(self, path: Path) -> None:
        """A file that was not finished is found by its header."""
        with h5py.File(path, "r+") as file:
            file.attrs["complete"] = np.uint8(0)
        (line,) = errors(validate(path, "header"))
        assert "was not written completely" in line

    def test_cycles(self, path: Path) -> None:
        """Groups that contain themselves do not trap the search for collections."""
        with h5py.File(path, "r+") as file:
            file["room/again"] = file["room"]
            file["root"] = file["/"]
        assert validate(path).valid

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there cannot be valid or not."""
        with pytest.raises(MissingFileError, match=r"a\.h5: there is no such file"):
            validate(tmp_path / "a.h5")

    def test_levels(self, valid: Path) -> None:
        """An unknown level lists the known ones."""
        with pytest.raises(OptionError, match="level 'deep' is not known; choose header, structure, content"):
            validate(valid, "deep")

    def test_what_nobody_foresaw(self, valid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A check that fails itself is a finding, and the others go on."""

        def broken(*_: Any) -> None:
            raise ZeroDivisionError("oh")

        monkeypatch.setattr("relabel.labelfile.pair_rules.RowChecks.faults", broken)
        assert errors(validate(valid)) == [
            "/amman/similarity: cannot be checked (oh); the file is damaged",
            "/room/train/similarity: cannot be checked (oh); the file is damaged",
        ]

    @pytest.mark.parametrize("seed", range(4))
    def test_flipped_bits(self, valid: Path, tmp_path: Path, seed: int) -> None:
        """A file with one flipped bit is either found out, or says exactly what it said before."""
        original = valid.read_bytes()
        # Half of the flips where something is written, since most of a small file is empty space.
        rng = random.Random(seed)
        used = [i for i, byte in enumerate(original) if byte]
        for turn in range(20):
            position, bit = rng.choice(used) if turn % 2 else rng.randrange(len(original)), rng.randrange(8)
            data = bytearray(original)
            data[position] ^= 1 << bit
            (tmp_path / "flipped.h5").write_bytes(data)
            if validate(tmp_path / "flipped.h5").valid:
                assert said(tmp_path / "flipped.h5") == (["amman", "room/train"], LabelFile(valid).provenance())
            else:
                try:
                    said(tmp_path / "flipped.h5", compare=False)
                except RelabelError as error:
                    assert str(tmp_path / "flipped.h5") in str(error)  # noqa: PT017

    @pytest.mark.parametrize("count", range(40))
    def test_truncated(self, valid: Path, tmp_path: Path, count: int) -> None:
        """A file is not valid when any number of bytes is missing at its end."""
        data = valid.read_bytes()
        (tmp_path / "short.h5").write_bytes(data[: len(data) * count // 40 or 1])
        assert not validate(tmp_path / "short.h5").valid

    def test_packed_files(self, tmp_path: Path) -> None:
        """A file of packed parts is valid."""
        part = write(tmp_path / "a.h5", {"x": A}, provenance=[provenance.step("x", {})])
        assert validate(pack(tmp_path / "b.h5", {"y": part})) == Report([])


class Match(str):
    """A pattern that equals the texts in which it is found."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        import re

        return re.search(self, str(other)) is not None


def said(path: Path, *, compare: bool = True) -> tuple[list[str], list[dict[str, Any]]]:
    """Names and history of a file, whose collections are compared with what was written."""
    labels = LabelFile(path)
    sources: dict[str, Similarity] = {"amman": A, "room/train": SELF}
    for name in labels:
        found = labels[name].to_similarity()
        if compare:
            assert_same(found, sources[name])
    return list(labels), labels.provenance()


class TestFinding:
    def test_is_a_value(self) -> None:
        """Two equal findings are equal."""
        assert Finding("header", "error", "/", "x") == Finding("header", "error", "/", "x")
