"""Damages label files in many ways and says what reading them gave; run by test_fuzz.py in a process of its own.

    python -m tests.labelfile.fuzz_child FOLDER FIRST LAST STEP

`FOLDER` gets one file at a time. Every case has a number, from which alone follows what is damaged and how. For each a
line ``> NUMBER`` says that it begins, and a line of JSON what came of it; a case without that line killed the process.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from relabel.cameras import Cameras
from relabel.devices import process_peak_bytes
from relabel.errors import LabelFileError, RelabelError
from relabel.labelfile import LabelFile, pack, provenance, validate, write
from relabel.report import info
from relabel.report.stats import statistics
from relabel.similarity import Similarity
from tests.labelfile.damage import lay_out_as_of_old
from tests.similarities import similarity

MOST_MEMORY = 2 << 30  # address space beyond what the process has when it starts
MOST_GROWN = 256 << 20  # resident; far more than any case needs


def imported() -> Similarity:
    """Labels by others: OK cameras without a place, an unknown measure, further columns, poses, shapes and ranges."""
    plain = similarity(20, 17, seed=5, faults=False, min_value=0.0)
    n, m = plain.shape
    rng = np.random.default_rng(5)
    query = Cameras(
        key=[f"päth/{i}/🚗.jpg" for i in range(n)],
        position=np.where(rng.random((n, 3)) < 0.3, np.nan, rng.normal(size=(n, 3))),
        heading_deg=np.where(rng.random(n) < 0.5, np.nan, 90.0),
        fov_deg=rng.uniform(50, 90, n),
        radius_m=np.full(n, 40.0),
        pose=rng.normal(size=(n, 4, 4)),
        posed=False,
        extra={
            "night": rng.random(n) < 0.5,
            "sequence": np.array([f"s{i // 4}" for i in range(n)]),
            "frame": np.arange(n),
            "velocity": rng.normal(size=(n, 3)).astype("f4"),
        },
    )
    database = Cameras(key=[f"d{i}" for i in range(m)], position=np.full((m, 2), np.nan), posed=False)
    fields = {"query_extent": np.full(n, np.nan), "database_extent": np.full(m, np.nan)}
    collection = replace(
        plain.collection, query=query, database=database, method="imported", measure="unknown", params={}, **fields
    )
    return Similarity(collection, plain.matrix)


KINDS = ("city", "self", "imported", "several", "chunks")
WEIGHTS = (8, 8, 6, 1, 2)  # the last two take longer
LAYOUTS = ("as written", "old")


def contents() -> list[dict[str, Similarity]]:
    """What the files of `KINDS` hold."""
    return [
        {"amman": similarity(12, 15, seed=4)},
        {"rooms/chess/train": similarity(30, self_pairs=True, density=0.7, seed=1)},
        {"gcl": imported()},
        {"a/1": similarity(3, 4, seed=1), "a/2": similarity(5, self_pairs=True, seed=2), "b": similarity(0, 3)},
        {"large": similarity(260, 330, seed=3, density=0.8)},
    ]


MARKS = tuple(b"TREE SNOD HEAP OHDR OCHK FRHP FHDB FHIB BTHD BTLF BTIN FAHD FADB EAHD EAIB EASB EADB".split())
"""the signatures of tables of groups, heaps, trees and arrays of chunks, old ones and new ones"""


class Original:
    """A valid file, what it says, and where in it the fragile bytes are."""

    def __init__(self, path: Path, content: Mapping[str, Similarity], records: int, layout: str) -> None:
        history = [provenance.step("test", {"step": i, "note": "ü"}) for i in range(records)]
        write(path, content, provenance=history, overwrite=True)
        if layout == "old":
            lay_out_as_of_old(path)
        self.data = path.read_bytes()
        self.expected = digest_of(sorted(content.items()), history)
        stored = np.zeros(len(self.data), bool)
        with h5py.File(path) as file:
            for start, size in _stored_ranges(file):
                stored[start : start + size] = True
        used = np.frombuffer(self.data, np.uint8) != 0
        self.chunks = np.flatnonzero(stored)
        self.structure = np.flatnonzero(~stored & used)
        self.nodes = [at for mark in MARKS for at in _occurrences(self.data, mark) if not stored[at]]
        with h5py.File(path) as file:
            self.headers = sorted({0, *_header_addresses(file)})


def _stored_ranges(file: h5py.File) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []

    def visit(_: str, node: Any) -> None:
        if not isinstance(node, h5py.Dataset):
            return
        if node.chunks:
            chunks = (node.id.get_chunk_info(i) for i in range(node.id.get_num_chunks()))
            found.extend((chunk.byte_offset, chunk.size) for chunk in chunks)
        elif node.id.get_offset() is not None:
            found.append((node.id.get_offset(), node.id.get_storage_size()))

    file.visititems(visit)
    return found


def _header_addresses(file: h5py.File) -> list[int]:
    found: list[int] = []
    file.visititems(lambda _, node: found.append(int(h5py.h5o.get_info(node.id).addr)))
    return found


def _occurrences(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


@cache
def originals(folder: Path) -> list[Original]:
    """The files of `KINDS` in each of `LAYOUTS`, with 0 to 12 records of provenance."""
    return [
        Original(folder / f"{name}.h5", content, records, layout)
        for layout in LAYOUTS
        for name, content, records in zip(KINDS, contents(), (1, 0, 2, 12, 1), strict=True)
    ]


ODD_NUMBERS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)


DAMAGE = {
    "flip": 25,
    "flips": 10,
    "byte": 10,
    "number": 25,
    "run": 6,
    "zero": 5,
    "cut": 4,
    "remove": 3,
    "insert": 3,
    "copy": 8,
    "swap": 3,
    "splice": 3,
}
"""What is done to a file, and how often."""


def position(file: Original, rng: random.Random) -> int:
    """A place to damage, more often one that the HDF5 library interprets."""
    choice = rng.random()
    if choice < 0.3:
        return int(rng.choice(file.structure))
    if choice < 0.45:
        return min(rng.choice(file.headers) + rng.randrange(160), len(file.data) - 1)
    if choice < 0.6:
        return min(rng.choice(file.nodes) + rng.randrange(120), len(file.data) - 1)
    if choice < 0.75:
        return rng.randrange(min(4096, len(file.data)))
    if choice < 0.9:
        return int(rng.choice(file.chunks))
    return rng.randrange(len(file.data))


def damaged(file: Original, others: list[Original], rng: random.Random) -> tuple[str, bytes]:
    """The bytes of a file with some damage, and what it is called."""
    data = bytearray(file.data)
    end = len(data)
    at = position(file, rng)
    length = min(rng.choice((1, 2, 4, 8, 16, 64, 512, 4096)), end - at)
    (how,) = rng.choices(tuple(DAMAGE), tuple(DAMAGE.values()))
    if how in ("flip", "flips"):
        for place in (at, *(position(file, rng) for _ in range(rng.randrange(1, 6) if how == "flips" else 0))):
            data[place] ^= 1 << rng.randrange(8)
    elif how == "byte":
        data[at] = rng.choice((0, 1, data[at] + 1 & 255, data[at] - 1 & 255, 127, 128, 255))
    elif how == "number":
        width = rng.choice((1, 2, 4, 8))
        at -= at % width
        old = int.from_bytes(data[at : at + width], "little")
        places = (*file.headers, *file.nodes, end, end - 1)
        number = rng.choice((*ODD_NUMBERS, old + 1, old - 1, 2 * old, *rng.sample(places, 4)))
        data[at : at + width] = (number % 256**width).to_bytes(width, "little")[: end - at]
    elif how == "run":
        data[at : at + length] = rng.randbytes(length)
    elif how == "zero":
        data[at : at + length] = bytes(length)
    elif how == "cut":
        del data[at:]
    elif how == "remove":
        del data[at : at + length]
    elif how == "insert":
        data[at:at] = rng.randbytes(length)
    elif how == "copy":
        source = position(file, rng)
        piece = file.data[source : source + length]
        data[at : at + len(piece)] = piece
    elif how == "swap":
        other = position(file, rng)
        a, b = data[at : at + length], data[other : other + length]
        width = min(len(a), len(b))
        data[at : at + width], data[other : other + width] = b[:width], a[:width]
    else:
        foreign = rng.choice(others).data
        data = data[:at] + foreign[min(at, len(foreign)) :] if rng.random() < 0.5 else foreign[:at] + data[at:]
    return how, bytes(data)


def digest_of(content: list[tuple[str, Any]], history: list[dict[str, Any]]) -> str:
    """A hash of all that collections say, stored ones or such in memory, taken from the objects a user gets."""
    found = hashlib.sha256(json.dumps(history, sort_keys=True).encode())

    def add(*values: Any) -> None:
        for value in values:
            if value is not None and not isinstance(value, np.ndarray):
                found.update(repr(value).encode())
            elif value is not None:
                kind = "U" if value.dtype.kind == "U" else value.dtype.str
                found.update(f"{kind} {value.shape}".encode())
                found.update(repr(value.tolist()).encode() if kind == "U" else np.ascontiguousarray(value).tobytes())
            found.update(b";")

    for name, source in content:
        c = source.collection
        add(name, c.method, c.measure, json.dumps(c.params, sort_keys=True), c.crs, struct.pack(">d", c.min_value))
        add(c.self_pairs, c.symmetric, c.shape)
        for side, extent in ((c.query, c.query_extent), (c.database, c.database_extent)):
            add(side.key, side.status, side.position, side.heading_deg, side.fov_deg, side.radius_m, side.pose, extent)
            for column in sorted(side.extra):
                add(column, side.extra[column])
        indptr, indices, data = [np.zeros(1, np.int64)], [], []
        for block in source.blocks():
            indptr.append(block.counts)
            indices.append(block.indices)
            data.append(block.data)
        add(np.cumsum(np.concatenate(indptr)))
        for values, kind in ((indices, "<i4"), (data, "<f4")):
            add(np.concatenate([np.empty(0, kind), *values]).astype(kind))
    return found.hexdigest()


def read_all(path: Path, seed: int) -> str:
    """The digest of a file's content; some of it is read in other ways too, which have to agree."""
    labels = LabelFile(path)
    content = [(name, labels[name]) for name in labels]
    found = digest_of(content, labels.provenance())
    for _, stored in content:
        if seed % 3 == 0:
            statistics(stored)
        elif seed % 3 == 1 and stored.shape[0]:
            matrix, number = stored.to_scipy(), seed % stored.shape[0]
            keys, values = stored.row(number)
            row = matrix[[number]].data
            assert len(keys) == len(values) == len(row)
            assert np.array_equal(values, np.sort(row)[::-1], equal_nan=True)
    if seed % 3 == 2:
        info.describe(labels)
    return found


def numbered(folder: Path, number: int) -> tuple[random.Random, Original, str, bytes]:
    """A case by its number: random numbers for more, the file as it was, what is done to it, and the bytes then."""
    rng = random.Random(number)
    files = originals(folder)
    (file,) = rng.choices(files, WEIGHTS * len(LAYOUTS))
    return rng, file, *damaged(file, files, rng)


def run_case(folder: Path, number: int) -> dict[str, Any]:
    """What validation and reading say about one damaged file, and what of it must not be."""
    rng, file, how, data = numbered(folder, number)
    files = originals(folder)
    path = folder / "damaged.h5"
    path.write_bytes(data)
    grown = process_peak_bytes()
    faults: list[str] = []
    valid, same, error = False, False, ""
    try:
        report = validate(path, "content")
        valid = report.valid
        error = next((f"{f.path}: {f.message}" for f in report.findings if f.severity == "error"), "")
    except Exception as raised:
        faults.append(f"validate raised {raised!r}")
    # A file that was found out is read now and then, to see that nothing but our errors comes of it.
    if valid or rng.random() < 0.2:
        try:
            same = read_all(path, number) in {known.expected for known in files}
        except LabelFileError as raised:
            if str(path) not in str(raised):
                faults.append(f"the error does not name the file: {raised}")
            if valid:
                faults.append(f"valid, but reading raised {raised!r}")
        except Exception as raised:
            faults.append(f"reading raised {raised!r}")
        else:
            if valid and not same:
                faults.append("valid, but what was read differs")
    if rng.random() < 0.03:
        try:
            pack(folder / "packed.h5", {"a": path}, overwrite=True)
        except RelabelError:
            pass
        except Exception as raised:
            faults.append(f"packing raised {raised!r}")
    grown = process_peak_bytes() - grown
    if grown > MOST_GROWN:
        faults.append(f"memory grew by {grown >> 20} MiB")
    layout, kind = divmod(files.index(file), len(KINDS))
    described = {"number": number, "kind": KINDS[kind], "layout": LAYOUTS[layout], "how": how}
    return described | {"valid": valid, "same": same, "error": error, "faults": faults}


def main() -> None:
    """Run the cases of the command line."""
    folder, numbers = Path(sys.argv[1]), range(*map(int, sys.argv[2:5]))
    originals(folder)
    statm = Path("/proc/self/statm")
    if statm.exists():  # elsewhere nothing says how much address space is taken, nor does a limit to it hold
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY,) * 2)
    for number in numbers:
        sys.stdout.write(f"> {number}\n")
        sys.stdout.flush()
        sys.stdout.write(json.dumps(run_case(folder, number)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
