"""Files that break version 1.0 in one way each, and what a validator has to find in each of them.

They are made from two small files, `CITY` of two sides and `ROOM` of self pairs, whose datasets are contiguous. A
fault is a change of the open file, or of the bytes. Where something other than a digest is to be found, the digests fit
the changed content wherever a validator would look at them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from formats.golden.places import pairs, street
from formats.golden.recipe_v1_0 import RECORD, city, written
from formats.golden.surgery import Change, attribute, in_type, move, plain, put, replace, seal, seal_file, text
from relabel.cameras import Status
from relabel.similarity import Collection, Similarity

CITY, ROOM = "city", "room"
SECTOR = {"shape": "sector", "fov_deg": 90.0, "radius_m": 50.0}


class Broken(NamedTuple):
    """A broken file: its fault, and the one finding that it gives."""

    change: Change
    level: str
    path: str
    message: str
    """part of the message"""
    base: str = CITY
    sealed: bool = False
    """whether digests are made to fit after the change"""


def bases() -> dict[str, dict[str, Similarity]]:
    """What the files hold before they are broken."""
    query = street([(f"q{k}", "market", 30.0 * k, Status.OK) for k in range(3)] + [("q3", "hill", 0.0, Status.MASKED)])
    database = street(
        [(f"d{k}", "market", 30.0 * k, Status.OK) for k in range(3)] + [("d3", "hill", 0.0, Status.MASKED)]
    )
    extents = [np.full(4, 2000.0), np.full(4, 2000.0)]
    made: dict[str, dict[str, Similarity]] = {}
    for name, sides, fields in (
        (CITY, (query, database), {"min_value": 0.1}),
        (ROOM, (query, query), {"self_pairs": True}),
    ):
        collection = Collection(*sides, *extents, method="fov-sector", measure="iou", params=SECTOR, **fields)
        made[name] = {name: Similarity(collection, pairs(*sides, lambda i, j: (3 - abs(i - j)) / (3 + abs(i - j))))}
    return made


def record(**changes: Any) -> Change:
    """Change keys of the provenance record; None drops one."""
    values = {name: value for name, value in (RECORD | changes).items() if value is not None}
    return replace("provenance/0000", text(json.dumps(values, sort_keys=True, separators=(",", ":"))))


def source(**changes: Any) -> Change:
    """Change keys of the record's one input."""
    return record(inputs=[RECORD["inputs"][0] | changes])


def soft_link(file: Any) -> None:
    """Reach the values through a soft link."""
    del file["city/similarity/data"]
    file["values"] = file["city/database/extent"]
    file["city/similarity/data"] = h5py.SoftLink("/values")


def beside(link: Any) -> Change:
    """Put a link beside the collection, where no reader looks."""

    def change(file: Any) -> None:
        file["other"] = link

    return change


def elsewhere(file: Any) -> None:
    """Keep the values in another file."""
    del file["city/queries/extent"]
    file.create_dataset("city/queries/extent", (4,), "<f8", external=[("extent.raw", 0, 32)], track_times=False)


def unwritten(file: Any) -> None:
    """Declare a dataset and write none of it."""
    del file["city/queries/extent"]
    file.create_dataset("city/queries/extent", (4,), "<f8", track_times=False)


def own_database(file: Any) -> None:
    """Keep the database of self pairs as a copy instead of a link."""
    del file["room/database"]
    file.copy("room/queries", "room/database")


def inner(file: Any) -> None:
    """Put a collection inside another."""
    file.copy("city", "copy")
    file.move("copy", "city/inner")


def malformed(file: Any) -> None:
    """Put something else in the place of a collection's digest."""
    file["city"].attrs["content_sha256"] = text("abc")
    seal_file(file)


def two(file: Any) -> None:
    """Say that queries and database are the same with a number that is neither yes nor no."""
    file["room"].attrs["self_pairs"] = np.uint8(2)
    file["room"].attrs["symmetric"] = np.uint8(0)


def swap(file: Any) -> None:
    """Turn the first row's columns round."""
    file["city/similarity/indices"][0:2] = [1, 0]


def text_and_numbers(file: Any) -> None:
    """Exclude by sequences that are names of the queries and numbers of the database."""
    replace("city/queries/sequence", np.full(4, b"7", h5py.string_dtype("utf-8", 1)))(file)
    replace("city/database/sequence", np.full(4, 7))(file)
    attribute("city", "params", '{"other_sequence":true}')(file)


def other_enum(file: Any) -> None:
    """Give the statuses other names."""
    status = file["city/queries/status"][()]
    members = {f"s{known.value}": known.value for known in Status}
    replace("city/queries/status", status, h5py.enum_dtype(members, basetype="u1"))(file)


def fewer_rows(file: Any) -> None:
    """Leave a row out of the matrix, but not out of its shape."""
    replace("city/similarity/indptr", file["city/similarity/indptr"][:-1])(file)


S, C, H = "structure", "content", "header"
Q, M = "/city/queries", "/city/similarity"
NOT_FINITE = "have no finite value, although the camera is ok"
UNFIT = "content_sha256 does not match"

FILES: dict[str, Broken] = {
    # The file: section 1
    "format-missing": Broken(attribute("/", "format", None), H, "/", "is HDF5, but not a label file"),
    "format-other": Broken(attribute("/", "format", "cooler"), H, "/", "is 'cooler'; a label file has"),
    "version-no-number": Broken(attribute("/", "format_version", "one"), H, "/", "expected one like 1.0", sealed=True),
    "version-0": Broken(attribute("/", "format_version", "0.9"), H, "/", "never published", sealed=True),
    "version-newer-major": Broken(attribute("/", "format_version", "2.0"), H, "/", "is of format version 2.0, but"),
    "complete-missing": Broken(attribute("/", "complete", None), H, "/", "'complete': is missing"),
    "complete-0": Broken(attribute("/", "complete", np.uint8(0)), H, "/", "was not written completely"),
    "provenance-missing": Broken(replace("provenance", None), S, "/provenance", "the group is missing"),
    "provenance-gap": Broken(move("provenance/0000", "provenance/0001"), S, "/provenance", "not numbered from 0000"),
    "provenance-numbers": Broken(replace("provenance/0000", 3), S, "/provenance", "expected utf-8"),
    "no-collection": Broken(replace("city", None), S, "/", "holds no collection", sealed=True),
    "name-with-separator": Broken(move("city", "ci::ty"), S, "/ci::ty", "the name of the collection", sealed=True),
    "collection-inside": Broken(inner, S, "/city/inner", "is inside collection"),
    "method-unknown": Broken(attribute("city", "method", "magic"), S, "/city", "method is 'magic'"),
    "measure-other": Broken(attribute("city", "measure", "jaccard"), S, "/city", "measure is 'jaccard'"),
    "measure-missing": Broken(attribute("city", "measure", None), S, "/city", "'measure': is missing"),
    "measure-unknown-of-fov": Broken(attribute("city", "measure", "unknown"), S, "/city", "measure is 'unknown', whi"),
    "params-no-json": Broken(attribute("city", "params", "{"), S, "/city", "params is not JSON"),
    "params-list": Broken(attribute("city", "params", "[]"), S, "/city", "params is not a JSON object"),
    "excluded-by-two-rules": Broken(
        attribute("city", "params", '{"min_frame_gap":2,"other_sequence":true}'), S, "/city", "are given; choose one"
    ),
    "excluded-by-no-gap": Broken(
        attribute("city", "params", '{"min_frame_gap":0}'), S, "/city", "min_frame_gap is 0; it has to be"
    ),
    "excluded-without-column": Broken(
        attribute("room", "params", '{"other_sequence":true}'), S, "/room/queries", "has no column 'sequence'", ROOM
    ),
    "excluded-by-text-and-numbers": Broken(
        text_and_numbers, S, "/city", "'sequence' is text on one side and numbers on the other"
    ),
    "min-value-negative": Broken(attribute("city", "min_value", -0.5), S, "/city", "min_value is -0.5; it has to be"),
    "symmetric-of-two-sides": Broken(attribute("city", "symmetric", np.uint8(1)), S, "/city", "symmetric is 1, but"),
    "self-pairs-2": Broken(two, S, "/room", "self_pairs is 2; it has to be 0 or 1", ROOM),
    "nnz": Broken(attribute("city", "nnz", np.int64(3)), S, "/city", "attribute 'nnz' is 3"),
    "digest-malformed": Broken(malformed, S, "/city", "expected 64 hexadecimal"),
    "queries-missing": Broken(replace("city/queries", None), S, Q, "the group is missing"),
    "database-not-a-link": Broken(own_database, S, "/room/database", "has to be a hard link to queries", ROOM),
    "column-missing": Broken(replace("city/queries/extent", None), S, f"{Q}/extent", "the dataset is missing"),
    "column-length": Broken(replace("city/queries/fov_deg", np.zeros(3)), S, f"{Q}/fov_deg", "expected (4)"),
    "column-type": Broken(in_type("city/queries/extent", "<f4"), S, f"{Q}/extent", "expected float64"),
    "column-complex": Broken(
        replace("city/queries/x", np.zeros(4, "<c8")), S, f"{Q}/x", "is not a column of this table"
    ),
    "column-unwritten": Broken(unwritten, S, f"{Q}/extent", "only 0 bytes are stored"),
    "column-in-another-file": Broken(elsewhere, S, f"{Q}/extent", "keeps its values in another file"),
    "position-2d": Broken(replace("city/queries/position", np.zeros((4, 2))), S, f"{Q}/position", "expected (4, 3)"),
    "pose-3x4": Broken(replace("city/queries/pose", np.zeros((4, 3, 4))), S, f"{Q}/pose", "expected (4, 4, 4)"),
    "key-twice": Broken(put("city/queries/key", 1, b"q0"), S, f"{Q}/key", "occur in several rows, the first"),
    "key-empty": Broken(put("city/queries/key", 1, b""), S, f"{Q}/key", "have an empty key; the first is row 1"),
    "key-not-utf8": Broken(put("city/queries/key", 1, b"\xff\xfe"), S, f"{Q}/key", "cannot be read"),
    "key-variable-length": Broken(
        replace("city/queries/key", ["q0", "q1", "q2", "q3"], h5py.string_dtype()), S, f"{Q}/key", "expected utf-8"
    ),
    "heading-360": Broken(put("city/queries/heading_deg", 3, 360.0), S, f"{Q}/heading_deg", "is not in [0, 360)"),
    "extent-negative": Broken(put("city/queries/extent", 0, -1.0), S, f"{Q}/extent", "is not 0 or more and finite"),
    "encoding": Broken(attribute(M, "encoding-type", "csc_matrix"), S, M, "'encoding-type' is 'csc_matrix'"),
    "shape-other": Broken(attribute(M, "shape", np.array([4, 5])), S, M, "database has 4 cameras"),
    "shape-text": Broken(attribute(M, "shape", "4 x 4"), S, M, "is not two int64 numbers"),
    "data-missing": Broken(replace("city/similarity/data", None), S, f"{M}/data", "the dataset is missing"),
    "data-soft-link": Broken(soft_link, S, f"{M}/data", "is a soft link to '/values'"),
    "soft-link": Broken(beside(h5py.SoftLink("/city")), S, "/other", "is a soft link to '/city'"),
    "external-link": Broken(beside(h5py.ExternalLink("a.h5", "/city")), S, "/other", "is an external link to"),
    "data-float64": Broken(in_type("city/similarity/data", "<f8"), S, f"{M}/data", "expected float32"),
    "data-big-endian": Broken(in_type("city/similarity/data", ">f4"), S, f"{M}/data", "expected float32, little"),
    "indices-int64": Broken(in_type("city/similarity/indices", "<i8"), S, f"{M}/indices", "expected int32"),
    "indices-fewer": Broken(replace("city/similarity/indices", np.zeros(3, "<i4")), S, M, "indices has 3 entries"),
    "indices-unsorted": Broken(swap, S, M, "out of order or repeated"),
    "indices-twice": Broken(put("city/similarity/indices", 1, 0), S, M, "out of order or repeated"),
    "indices-outside": Broken(put("city/similarity/indices", -1, 4), S, M, "have a column outside [0, 4)"),
    "indptr-int64": Broken(in_type("city/similarity/indptr", "<i8"), S, f"{M}/indptr", "expected int32"),
    "indptr-short": Broken(fewer_rows, S, f"{M}/indptr", "has shape (4,); expected (5)"),
    "indptr-starts-late": Broken(put("city/similarity/indptr", 0, 1), S, f"{M}/indptr", "does not rise from 0"),
    "indptr-falls": Broken(put("city/similarity/indptr", 2, 0), S, f"{M}/indptr", "does not rise from 0"),
    "indptr-ends-early": Broken(put("city/similarity/indptr", -1, 8), S, f"{M}/indptr", "does not rise from 0"),
    # What an absent pair means: section 2
    "status-unknown": Broken(put("city/queries/status", 3, 9), S, f"{Q}/status", "have an unknown status"),
    "status-enum": Broken(other_enum, S, f"{Q}/status", "its enum differs at"),
    "status-no-enum": Broken(in_type("city/queries/status", "u1"), S, f"{Q}/status", "its enum differs at"),
    "ok-without-position": Broken(put("city/queries/position", (0, 0), np.nan), S, f"{Q}/position", NOT_FINITE),
    "ok-without-heading": Broken(put("city/queries/heading_deg", 0, np.nan), S, f"{Q}/heading_deg", NOT_FINITE),
    "ok-without-pose": Broken(replace("city/queries/pose", np.full((4, 4, 4), np.nan)), S, f"{Q}/pose", NOT_FINITE),
    "pair-of-masked": Broken(put("city/similarity/indices", 2, 3), S, M, "have a camera whose status is not ok"),
    "value-nan": Broken(put("city/similarity/data", 0, np.nan), S, M, "have a value that is not finite"),
    "value-infinite": Broken(put("city/similarity/data", 0, np.inf), S, M, "have a value that is not finite"),
    "value-zero": Broken(put("room/similarity/data", 0, 0.0), S, "/room/similarity", "have a value outside", ROOM),
    "value-negative": Broken(put("city/similarity/data", 0, -0.5), S, M, "have a value outside"),
    "value-above-1": Broken(put("city/similarity/data", 0, 1.5), S, M, "have a value outside"),
    "value-min-value": Broken(put("city/similarity/data", 0, 0.1), S, M, "have a value outside (0.1"),
    "diagonal": Broken(put("room/similarity/indices", 0, 0), S, "/room/similarity", "pair a camera with itself", ROOM),
    "asymmetric": Broken(
        put("room/similarity/data", 0, 0.75), C, "/room/similarity", "is not symmetric", ROOM, sealed=True
    ),
    # Provenance: section 5
    "record-no-json": Broken(replace("provenance/0000", text("{")), C, "/provenance/0000", "is not JSON", sealed=True),
    "record-list": Broken(
        replace("provenance/0000", text("[]")), C, "/provenance/0000", "is not a JSON object", sealed=True
    ),
    "record-no-software": Broken(record(software=None), C, "/provenance/0000", "software is missing", sealed=True),
    "record-time": Broken(record(time="yesterday"), C, "/provenance/0000", "time is not", sealed=True),
    "input-absolute": Broken(source(path="/data/raw.csv"), C, "/provenance/0000", "has the path", sealed=True),
    "input-outside": Broken(source(path="../raw.csv"), C, "/provenance/0000", "has the path", sealed=True),
    "input-bytes": Broken(source(bytes=-1), C, "/provenance/0000", "has bytes -1", sealed=True),
    "input-sha256": Broken(source(sha256="abc"), C, "/provenance/0000", "has sha256 'abc'", sealed=True),
    # Digests: section 6
    "digest-of-collection": Broken(put("city/similarity/data", 0, 0.75), C, "/city", f"{UNFIT} the content"),
    "digest-of-file": Broken(
        attribute("/", "writer", "somebody 1"), C, "/", f"{UNFIT} the writer, the names and digests"
    ),
}

Bytes = tuple[Callable[[bytes], bytes], str, str, str]

WHOLE: dict[str, Bytes] = {
    "text": (lambda _: b"key,similarity\nq0,1\n", H, "/", "is a text file"),
    "truncated": (lambda data: data[: len(data) * 2 // 3], H, "/", "is truncated or damaged"),
}


def damaged(folder: Path) -> tuple[str, str, str]:
    """One byte of a compressed chunk is another; its checksum tells."""
    path = written(folder / "chunk-damaged.h5", city())
    with h5py.File(path) as file:
        chunk = file["amman/similarity/data"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(data)
    return S, "/amman/similarity", "/amman/similarity/data: cannot be read"


def make(folder: Path) -> dict[str, dict[str, str]]:
    """Write all broken files into a folder; the one finding that each has to give."""
    found = {"chunk-damaged": damaged(folder)}
    with tempfile.TemporaryDirectory() as place:
        for name, sources in bases().items():
            plain(written(Path(place) / "written.h5", sources), Path(place) / f"{name}.h5")
        for name, broken in FILES.items():
            path = Path(shutil.copyfile(Path(place) / f"{broken.base}.h5", folder / f"{name}.h5"))
            with h5py.File(path, "r+") as file:
                broken.change(file)
                if broken.sealed:
                    seal(file)
            found[name] = (broken.level, broken.path, broken.message)
        for name, (change, *finding) in WHOLE.items():
            (folder / f"{name}.h5").write_bytes(change((Path(place) / f"{CITY}.h5").read_bytes()))
            found[name] = tuple(finding)
    return {f"{name}.h5": dict(zip(("level", "path", "message"), found[name], strict=True)) for name in sorted(found)}
