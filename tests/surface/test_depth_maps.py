"""Depth maps from files, good ones and every kind of bad one."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relabel.errors import InputError
from relabel.reference.depth import stored_depth
from relabel.surface.depth_maps import MOST_PIXELS, read_depth
from tests.surface.scenes import bumpy
from tests.trees import depth_png


def png(width: int, height: int, data: bytes) -> bytes:
    """A 16-bit greyscale PNG whose header says what one likes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def decoded_or_refused(path: Path, content: bytes) -> np.ndarray | None:
    """The depths of a file of that content, or None after an error of ours that names the file."""
    path.write_bytes(content)
    try:
        return read_depth(path)
    except InputError as error:
        if not str(error).startswith(f"{path}: "):
            raise
        return None


class TestReadDepth:
    def test_all_values_come_back(self, tmp_path):
        """All 65,536 of them, high byte and low byte in their places."""
        depth = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
        got = read_depth(depth_png(tmp_path / "d.png", depth, size=(256, 256)))
        assert got.dtype == np.uint16
        assert got.flags.c_contiguous
        assert np.array_equal(got, depth)

    def test_the_shape_is_height_by_width(self, tmp_path):
        path = depth_png(tmp_path / "d.png", 1, size=(5, 3))
        assert read_depth(path, (5, 3)).shape == (3, 5)

    def test_a_wrong_size_is_named(self, tmp_path):
        path = depth_png(tmp_path / "d.png", 1, size=(5, 3))
        with pytest.raises(InputError, match=r"d\.png: is 5 × 3 pixels; expected 3 × 5"):
            read_depth(path, (3, 5))

    def test_pgm(self, tmp_path):
        """What ScanNet and 3RScan export: big-endian numbers after a line of text."""
        depth = np.array([[0, 1, 2000], [65535, 258, 32768]], np.uint16)
        (tmp_path / "d.pgm").write_bytes(b"P5\n3 2\n65535\n" + depth.astype(">u2").tobytes())
        got = read_depth(tmp_path / "d.pgm", (3, 2))
        assert got.dtype == np.uint16
        assert np.array_equal(got, depth)
        assert np.array_equal(stored_depth(str(tmp_path / "d.pgm"), (3, 2)), depth)

    @pytest.mark.parametrize("text", [b"P5\n1 1\n5000\n\x07\xd0", b"P2\n1 1\n65535\n2000\n"])
    def test_scaled_pgm(self, tmp_path, text):
        """Pillow scales to 65535, so that depths would be others."""
        (tmp_path / "d.pgm").write_bytes(text)
        with pytest.raises(InputError, match=r"d\.pgm: is a PGM as text, or one whose largest value is not 65535"):
            read_depth(tmp_path / "d.pgm")

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
    def test_other_pictures_are_refused(self, tmp_path, mode):
        """8 bits cannot hold millimetres, and colours are no depth."""
        Image.new(mode, (4, 4)).save(tmp_path / "d.png")
        with pytest.raises(InputError, match=r"d\.png: is stored as '.*'; a depth map has to be 16-bit greyscale"):
            read_depth(tmp_path / "d.png")

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"d\.png: does not exist"):
            read_depth(tmp_path / "d.png")

    def test_a_folder_is_no_depth_map(self, tmp_path):
        with pytest.raises(InputError, match="cannot be decoded"):
            read_depth(tmp_path)

    def test_every_truncation_is_named(self, tmp_path):
        """Cut anywhere, a file gives an error that names it: no traceback, and no picture with a blank half."""
        whole = depth_png(tmp_path / "whole.png", bumpy(np.random.default_rng(0), (16, 12)), size=(16, 12)).read_bytes()
        depth = read_depth(tmp_path / "whole.png")
        for length in range(len(whole)):
            got = decoded_or_refused(tmp_path / "cut.png", whole[:length])
            assert got is None or np.array_equal(got, depth)  # only what follows the data is missing

    def test_damage_is_refused_or_harmless(self, tmp_path):
        """A flipped byte gives an error of ours, or a picture."""
        whole = depth_png(tmp_path / "whole.png", bumpy(np.random.default_rng(0), (16, 12)), size=(16, 12)).read_bytes()
        for place in range(len(whole)):
            broken = bytearray(whole)
            broken[place] ^= 0xFF
            got = decoded_or_refused(tmp_path / "broken.png", bytes(broken))
            assert got is None or got.dtype == np.uint16

    def test_a_wrong_header_cannot_take_all_memory(self, tmp_path):
        """What a header promises is looked at before it is decoded."""
        (tmp_path / "big.png").write_bytes(png(2**13 + 1, MOST_PIXELS // 2**13, b""))
        with pytest.raises(InputError, match="too large for a depth map"):
            read_depth(tmp_path / "big.png")
        (tmp_path / "huge.png").write_bytes(png(2**30, 2**30, b""))
        with pytest.raises(InputError, match=r"huge\.png"):
            read_depth(tmp_path / "huge.png")

    @pytest.mark.parametrize("read", [read_depth, stored_depth])
    def test_a_tag_of_another_type(self, tmp_path, read):
        """A TIFF whose pixels begin at a fraction, by one byte that is another: Pillow has a TypeError for it."""
        path = tmp_path / "a.tif"
        Image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
        data = bytearray(path.read_bytes())
        strip_offsets = data.index(struct.pack("<HHI", 273, 4, 1))
        data[strip_offsets + 2] = 11  # from LONG to FLOAT
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.tif: "):
            read(path, (4, 4))

    def test_another_format_of_16_bits_will_do(self, tmp_path):
        depth = bumpy(np.random.default_rng(1))
        stream = io.BytesIO()
        Image.fromarray(depth).save(stream, format="TIFF")
        (tmp_path / "d.tif").write_bytes(stream.getvalue())
        assert np.array_equal(read_depth(tmp_path / "d.tif"), depth)
