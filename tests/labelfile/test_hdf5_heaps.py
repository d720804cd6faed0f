from __future__ import annotations

import struct
from pathlib import Path

import h5py
import pytest

from relabel.errors import LabelFileError
from relabel.labelfile import LabelFile, _hdf5_guards, pack, provenance, validate, write
from relabel.labelfile.header import identity
from tests.labelfile.damage import lay_out_as_of_old
from tests.similarities import similarity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of another program, with groups of few and of many members."""
    records = [provenance.step("test", {"step": i}) for i in range(40)]
    content = {f"room {i}/train": similarity(3, 3) for i in range(12)}
    return lay_out_as_of_old(write(tmp_path / "a.h5", content, provenance=records))


def found(path: Path) -> list[int]:
    with path.open("rb") as file:
        return sorted(_hdf5_guards._GroupWalk(file).heaps(56))


def marks(data: bytes) -> list[int]:
    return [i for i in range(len(data)) if data.startswith(b"HEAP", i)]


def pieces(data: bytes, heap: int) -> tuple[int, int]:
    """The first free piece of a heap and where in the file it lies."""
    _, piece, start = struct.unpack_from("<QQQ", data, heap + 8)
    return piece, start + piece


class TestHeapFault:
    def test_every_heap_is_looked_at(self, path: Path, tmp_path: Path) -> None:
        """Those of all groups, in files as written and as packed."""
        packed = pack(tmp_path / "b.h5", {"one": write(tmp_path / "c.h5", {"x/y": similarity()})})
        for file in (path, packed):
            assert found(file) == marks(file.read_bytes())
            assert _hdf5_guards.heap_fault(file, identity(file)) is None

    def test_endless_lists(self, path: Path) -> None:
        """A free piece that is followed by itself is found in whatever group it is; HDF5 2.0 would never end."""
        data = path.read_bytes()
        changed = 0
        for heap in found(path):
            piece, at = pieces(data, heap)
            if piece == 1:
                continue
            path.write_bytes(data[:at] + struct.pack("<Q", piece) + data[at + 8 :])
            (finding,) = validate(path).findings
            assert f"the free list of the heap at byte {heap} has no end" in finding.message
            with pytest.raises(LabelFileError, match="has no end"):
                LabelFile(path)
            changed += 1
        assert changed > 12

    def test_lists_that_lead_nowhere(self, path: Path) -> None:
        """Pieces outside the heap or the file are left to HDF5, which refuses them."""
        data = path.read_bytes()
        piece, at = pieces(data, found(path)[0])
        for following in (2**40, 2**63, 2**64 - 1):
            path.write_bytes(data[:at] + struct.pack("<Q", following) + data[at + 8 :])
            assert _hdf5_guards.heap_fault(path, identity(path)) is None
            assert not validate(path).valid
        assert piece > 1

    @pytest.mark.parametrize("libver", ["v108", "latest"])
    def test_newer_files(self, libver: str, tmp_path: Path) -> None:
        """Files of newer formats have no such heaps."""
        with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
            file.create_group("a/b")
        assert _hdf5_guards.heap_fault(tmp_path / "a.h5", identity(tmp_path / "a.h5")) is None

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        """Whoever opens the file says so."""
        assert _hdf5_guards.heap_fault(tmp_path / "a.h5", (0,)) is None

    def test_any_bytes(self, path: Path) -> None:
        """A file that ends anywhere, or goes on with zeros, stops the walk and raises nothing."""
        data = path.read_bytes()
        for size in range(0, len(data), len(data) // 60):
            for rest in (b"", bytes(200), b"\xff" * 200):
                path.write_bytes(data[:size] + rest)
                _hdf5_guards.heap_fault(path, identity(path))
