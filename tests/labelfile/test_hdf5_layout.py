"""What the files that relabel writes are built of, and that a copy into one holds all that was in the original."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from relabel.errors import LabelFileError
from relabel.labelfile import LabelFile, hdf5_layout, pack, provenance, validate, write
from tests.labelfile import damage
from tests.similarities import similarity

OLD_MARKS = (b"TREE", b"SNOD", b"HEAP")  # structures without checksums


def content() -> dict[str, Any]:
    return {"amman": similarity(120, 150, seed=1, density=0.9), "room/a/train": similarity(9, self_pairs=True)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of more members and attributes than HDF5 keeps in one header."""
    records = [provenance.step("test", {"step": i}) for i in range(10)]
    return write(tmp_path / "a.h5", content(), provenance=records)


def with_time_stamps(data: bytes) -> list[int]:
    """Where the headers of objects lie that have room for times, by the fifth bit of their flags."""
    places = [at for at in range(len(data)) if data.startswith(b"OHDR", at)]
    assert places
    return [at for at in places if data[at + 5] & 0x20]


def everything(group: Any) -> dict[str, Any]:
    """Type and value of every dataset and attribute below a group, by path; hard links by the path they repeat."""
    described: dict[str, Any] = {}
    names: dict[int, str] = {}

    def attributes(name: str, node: Any) -> None:
        for key in node.attrs:
            stored = node.attrs.get_id(key)
            described[f"{name}@{key}"] = stored.dtype, stored.shape, str(np.asarray(node.attrs[key]).tolist())

    def walk(name: str, node: Any) -> None:
        address = h5py.h5o.get_info(node.id).addr
        if address in names:
            described[name] = names[address]
            return
        names[address] = name
        attributes(name, node)
        if isinstance(node, h5py.Group):
            described[name] = "group"
            for child in sorted(node):
                walk(f"{name}/{child}", node[child])
        elif isinstance(node, h5py.Dataset):
            values = None if node.shape is None else str(node[()].tolist())
            filters = node.compression, node.shuffle, node.fletcher32
            described[name] = node.dtype, node.shape, node.chunks, node.maxshape, filters, values
        else:
            described[name] = node.dtype

    walk("", group)
    return described


class TestNewFiles:
    def test_structures_have_checksums(self, path: Path, tmp_path: Path) -> None:
        """Written or packed, a file is of the structures of HDF5 1.10, and of those of before in no place."""
        packed = pack(tmp_path / "b.h5", {"one": LabelFile(path)["amman"]})
        for file in (path, packed):
            data = file.read_bytes()
            assert data[8] == 3  # the version of the superblock
            assert [mark for mark in OLD_MARKS if mark in data] == []

    def test_no_time_stamps(self, path: Path, tmp_path: Path) -> None:
        """Not even where a part has some, nor in groups that are made on the way to another."""
        assert with_time_stamps(path.read_bytes()) == []
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            # The low-level call sets no property, and so takes the default of HDF5.
            h5py.h5g.create(file["amman"].id, b"notes")
            file["amman/notes"].create_dataset("x", data=np.arange(3), track_times=True)
        assert with_time_stamps(path.read_bytes())
        packed = pack(tmp_path / "b.h5", {"deep/down/one": LabelFile(path)["amman"]})
        assert "notes" in h5py.File(packed)["deep/down/one"]
        assert with_time_stamps(packed.read_bytes()) == []

    def test_damage_is_noticed_by_hdf5(self, path: Path, tmp_path: Path) -> None:
        """A flipped bit outside the chunks makes plain h5py raise, or changes nothing that it reads."""
        data = path.read_bytes()
        chunks = np.zeros(len(data), bool)

        def visit(_: str, node: Any) -> None:
            for i in range(node.id.get_num_chunks() if isinstance(node, h5py.Dataset) and node.chunks else 0):
                chunk = node.id.get_chunk_info(i)
                chunks[chunk.byte_offset : chunk.byte_offset + chunk.size] = True

        def read(file: Path) -> str:
            with h5py.File(file) as opened:
                parts = [everything(opened[name]) for name in content()]
            return hashlib.sha256(repr(parts).encode()).hexdigest()

        with h5py.File(path) as file:
            file.visititems(visit)
        known, bad = read(path), tmp_path / "bad.h5"
        rng = random.Random(1)
        noticed = 0
        for at in rng.sample(np.flatnonzero(~chunks).tolist(), 150):
            changed = bytearray(data)
            changed[at] ^= 1 << rng.randrange(8)
            bad.write_bytes(changed)
            try:
                assert read(bad) == known, at
            except (OSError, RuntimeError, KeyError, ValueError):
                noticed += 1
        assert noticed > 50


class TestCopies:
    def test_from_another_layout(self, path: Path, tmp_path: Path) -> None:
        """A part of another program gets the structures of this one, and the bytes do not tell which it had."""
        new = pack(tmp_path / "new.h5", {"x": LabelFile(path)["amman"]}).read_bytes()
        damage.lay_out_as_of_old(path)
        data = path.read_bytes()
        assert data[8] == 0
        assert all(mark in data for mark in OLD_MARKS)
        assert validate(path).valid
        assert pack(tmp_path / "old.h5", {"x": LabelFile(path)["amman"]}).read_bytes() == new

    def test_what_the_format_does_not_know(self, path: Path, tmp_path: Path) -> None:
        """Further groups, datasets and attributes of any kind are in the copy as they were, and so are hard links."""
        with h5py.File(path, "r+") as file:
            group = file["amman"]
            notes = group.create_group("notes/more")
            notes.attrs["words"] = ["a", "bcd"]
            notes.attrs["nothing"] = h5py.Empty("f4")
            notes.attrs["kind"] = np.array(1, h5py.enum_dtype({"a": 0, "b": 1}, "u1"))
            notes["again"] = group["queries/key"]
            notes["up"] = group["notes"]
            notes["type"] = np.dtype([("x", "<f4"), ("y", ">i2")])
            notes.create_dataset("of a named type", data=np.ones(3, notes["type"].dtype), dtype=notes["type"])
            notes.create_dataset("text", data=["a", "bcd", "é"], dtype=h5py.string_dtype())
            notes["text"].attrs["words"] = "é"
            notes.create_dataset("empty", data=h5py.Empty("i4"))
            notes.create_dataset("number", data=np.float32(3))
            notes.create_dataset("none", shape=(0, 3), maxshape=(None, 3), chunks=(5, 3), dtype=">i4")
            notes.create_dataset("lzf", data=np.arange(60).reshape(20, 3), chunks=(7, 2), compression="lzf")
            notes["lzf"].attrs["unit"] = "m"
            notes.create_dataset("wide", data=np.arange(4 << 20, dtype="u2").reshape(-1, 4))
            partial = notes.create_dataset("unfiltered", shape=(8,), chunks=(4,), dtype="<i4", compression="gzip")
            partial.id.write_direct_chunk((0,), np.arange(4, dtype="<i4").tobytes(), filter_mask=1)
            partial[4:] = 5
            known = everything(group)
        assert known["/notes/more/unfiltered"][-1] == "[0, 1, 2, 3, 5, 5, 5, 5]"
        packed = pack(tmp_path / "b.h5", {"x": LabelFile(path)["amman"]})
        with h5py.File(packed) as file:
            assert everything(file["x"]) == known

    @pytest.mark.parametrize("name", ["notes", "queries/key"])
    def test_what_cannot_be_read(self, name: str, path: Path, tmp_path: Path) -> None:
        """Damage in a part, where no other check looks, is an error that names the place, and nothing is written."""
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            group = file["amman"] if name != "notes" else file["amman"].create_group("notes")
            if name == "notes":
                group.create_dataset("x", data=np.arange(9), track_times=False)
            where = h5py.h5o.get_info(file[f"amman/{name}" + ("/x" if name == "notes" else "")].id).addr
        stored = LabelFile(path)["amman"]
        data = bytearray(path.read_bytes())
        data[where + 20] ^= 4
        path.write_bytes(data)
        with pytest.raises(LabelFileError, match=rf"a\.h5: /amman/{name}.* cannot be read"):
            pack(tmp_path / "b.h5", {"x": stored})
        assert not (tmp_path / "b.h5").exists()

    def test_group_paths(self) -> None:
        """Groups on the way are made once."""
        import io

        with hdf5_layout.new_file(io.BytesIO()) as file:
            hdf5_layout.new_group(file, "a/b")
            hdf5_layout.new_group(file, "a/c")
            assert sorted(file["a"]) == ["b", "c"]
