"""Plain 16-bit PNGs are decoded as by Pillow; all others, damaged ones too, are left to it."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from relabel.errors import InputError
from relabel.surface import _png
from relabel.surface.depth_maps import MOST_PIXELS, read_depth

pytestmark = pytest.mark.kernels


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(rows: bytes, width: int, height: int, *, pieces: int = 1, extra: bytes = b"", kind: bytes = b"\x10\0\0\0\0"):
    """A PNG of these rows, each a filter and its bytes, whose compressed data is cut into pieces."""
    data = zlib.compress(rows)
    cuts = np.linspace(0, len(data), pieces + 1).astype(int).tolist()
    parts = b"".join(chunk(b"IDAT", data[a:b]) for a, b in itertools.pairwise(cuts))
    header = chunk(b"IHDR", struct.pack(">II", width, height) + kind)
    return b"\x89PNG\r\n\x1a\n" + header + extra + parts + chunk(b"IEND", b"")


def outcome(path: Path, monkeypatch: pytest.MonkeyPatch, *, by_pillow: bool) -> bytes | str:
    """The pixels that `read_depth` returns, or the message of its error."""
    with monkeypatch.context() as patched:
        if by_pillow:
            patched.setattr(_png, "decoded", lambda *_: None)
        try:
            return read_depth(path).tobytes()
        except InputError as error:
            return str(error)


@st.composite
def filtered(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """Rows of any bytes with any filters, their width and height."""
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    filters = draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    step = draw(st.sampled_from([1, 3, 255]))  # bytes that are alike leave ties to Paeth
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [bytes([kind]) + random.integers(0, step, 2 * width, np.uint8, True).tobytes() for kind in filters]
    return b"".join(rows), width, height


class TestDecoded:
    """relabel.surface._png.decoded"""

    @given(filtered(), st.integers(1, 4))
    def test_as_pillow(self, tmp_path_factory, image, pieces):
        """Whatever the filters, and however the data is cut."""
        rows, width, height = image
        content = png(rows, width, height, pieces=pieces)
        path = tmp_path_factory.getbasetemp() / "plain.png"
        path.write_bytes(content)
        got = _png.decoded(path, (width, height), MOST_PIXELS)
        expected = np.asarray(Image.open(io.BytesIO(content)))
        assert got is not None
        assert got.dtype == np.uint16
        assert np.array_equal(got, expected)

    @pytest.mark.parametrize(
        "content",
        [
            png(b"\5\0\1", 1, 1),
            png(b"\0\0\1", 1, 2),
            png(b"\0\0\1" * 2, 1, 1),
            png(b"\0\1", 1, 1, kind=b"\x08\0\0\0\0"),
            png(b"\0" + bytes(6), 1, 1, kind=b"\x10\2\0\0\0"),
            png(b"\0\1", 1, 1, kind=b"\x08\3\0\0\0", extra=chunk(b"PLTE", bytes(6))),
            png(b"\0\1\2" * 3, 1, 3, kind=b"\x10\0\0\0\1"),
            png(b"\0\0\1", 1, 1, extra=chunk(b"tEXt", b"a\0b")),
            png(b"\0\0\1", 1, 1, extra=chunk(b"pHYs", b"")),
            png(b"\0\0\1", 1, 1)[:-12],
            png(b"\0\0\1", 1, 1) + b"more",
            b"",
        ],
        ids=[
            "filter 5",
            "rows missing",
            "rows too many",
            "8 bits",
            "colours",
            "palette",
            "interlaced",
            "text",
            "a chunk without its content",
            "no end",
            "more after the end",
            "nothing",
        ],
    )
    def test_unusual(self, tmp_path, monkeypatch, content):
        """Ends as with Pillow alone, in pixels or in words."""
        path = tmp_path / "d.png"
        path.write_bytes(content)
        assert outcome(path, monkeypatch, by_pillow=False) == outcome(path, monkeypatch, by_pillow=True)

    def test_every_damage(self, tmp_path, monkeypatch):
        """Any byte turned over, any truncation: as with Pillow alone."""
        random = np.random.default_rng(0)
        depth = (1000 + np.cumsum(random.integers(-3, 4, (12, 8)), axis=1)).astype(np.uint16)
        stream = io.BytesIO()
        Image.fromarray(depth).save(stream, format="PNG")
        whole = stream.getvalue()
        path = tmp_path / "d.png"
        flipped = [whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :] for k in range(len(whole))]
        for content in flipped + [whole[:k] for k in range(len(whole))]:
            path.write_bytes(content)
            assert outcome(path, monkeypatch, by_pillow=False) == outcome(path, monkeypatch, by_pillow=True)

    def test_of_another_size(self, tmp_path):
        """Is left to who says so."""
        (tmp_path / "d.png").write_bytes(png(b"\0\0\1" * 2, 1, 2))
        assert _png.decoded(tmp_path / "d.png", (2, 1), MOST_PIXELS) is None
        assert _png.decoded(tmp_path / "d.png", (1, 2), 1) is None
        assert _png.decoded(tmp_path / "d.png", (1, 2), 2) is not None

    def test_bombs(self, tmp_path):
        """What would inflate to far more than its header says is not inflated farther, nor read to its end."""
        (tmp_path / "d.png").write_bytes(png(bytes(2**24), 1, 1))
        assert _png.decoded(tmp_path / "d.png", None, MOST_PIXELS) is None
        (tmp_path / "long.png").write_bytes(png(b"\0\0\1", 1, 1, extra=chunk(b"IDAT", bytes(2**20))))
        assert _png.decoded(tmp_path / "long.png", None, MOST_PIXELS) is None
