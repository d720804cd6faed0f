"""Frames that are known are not decoded again, and never taken for others."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from relabel import Frames, surface
from relabel.surface import frame_cache
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import FrameBricks, Voxeliser
from tests.surface.scenes import bumpy, scene
from tests.trees import depth_png

PARAMS = SurfaceParams("surface", 0.05, 0.03, 1)


class CountingDecoder:
    """Decodes, and remembers what it was asked for."""

    def __init__(self, frames: Frames, params=PARAMS) -> None:
        self.frames, self.params, self.asked = frames, params, []

    def __call__(self, rows: list[int]) -> Iterator[FrameBricks]:
        self.asked += rows
        return map(Voxeliser(self.frames, self.params).voxelise, rows)

    def bricks(self, cache: frame_cache.FrameCache, rows: list[int]) -> list[FrameBricks]:
        return list(cache.bricks(self.frames, self.params, rows, self))


def same(one: FrameBricks, other: FrameBricks) -> bool:
    return np.array_equal(one.code, other.code) and np.array_equal(one.word, other.word) and one[2:] == other[2:]


class TestFrameCache:
    """relabel.surface.frame_cache.FrameCache"""

    def test_once_each(self, tmp_path: Path) -> None:
        """Frames of an earlier call are not decoded; the others are, and come in the order of the rows."""
        cache, decoder = frame_cache.FrameCache(), CountingDecoder(scene(tmp_path, 4, 0))
        decoder.bricks(cache, [1, 3])
        found = decoder.bricks(cache, [0, 1, 2, 3])
        assert decoder.asked == [1, 3, 0, 2]
        assert all(map(same, found, map(Voxeliser(decoder.frames, PARAMS).voxelise, range(4))))

    def test_whatever_changes_counts(self, tmp_path: Path) -> None:
        """Another stride, unit, kind of depth, pose or intrinsics, or another file of the same name, is another."""
        cache, frames = frame_cache.FrameCache(), scene(tmp_path, 2, 0)
        CountingDecoder(frames).bricks(cache, [0])
        moved = frames.cameras.pose + np.eye(4)[:, 3:] * 0.5
        for other, params in (
            (frames, replace(PARAMS, stride=2)),
            (frames, replace(PARAMS, farthest_m=1.0)),
            (replace(frames, unit_m=0.002), PARAMS),
            (replace(frames, invalid=(0,)), PARAMS),
            (replace(frames, depth_is="ray"), PARAMS),
            (replace(frames, intrinsics=frames.intrinsics * 1.01), PARAMS),
            (replace(frames, cameras=replace(frames.cameras, pose=moved)), PARAMS),
        ):
            decoder = CountingDecoder(other, params)
            assert same(decoder.bricks(cache, [0])[0], Voxeliser(other, params).voxelise(0))
            assert decoder.asked == [0]
        depth_png(Path(frames.depth[0]), bumpy(np.random.default_rng(9)), size=(32, 24))
        decoder = CountingDecoder(frames)
        assert same(decoder.bricks(cache, [0])[0], Voxeliser(frames, PARAMS).voxelise(0))
        assert decoder.asked == [0]

    def test_bounded(self, tmp_path: Path) -> None:
        """The oldest goes where there is no more room, though the call that pushes it out still has it."""
        frames = scene(tmp_path, 4, 0)
        one = CountingDecoder(frames).bricks(frame_cache.FrameCache(), [0])[0]
        cache = frame_cache.FrameCache(one.code.nbytes + one.word.nbytes + 1000, 0)
        decoder = CountingDecoder(frames)
        decoder.bricks(cache, [0])
        assert len(decoder.bricks(cache, [1, 0])) == 2
        assert decoder.asked == [0, 1]
        nothing = frame_cache.FrameCache(0, 0)
        for _ in range(2):
            decoder.bricks(nothing, [3])
        assert decoder.asked == [0, 1, 3, 3]

    def test_on_disk(self, tmp_path: Path) -> None:
        """What memory has no room for is read back as it was, bad frames too, and is not decoded again."""
        frames = scene(tmp_path, 5, 0)
        Path(frames.depth[2]).write_bytes(b"none")
        cache, decoder = frame_cache.FrameCache(0), CountingDecoder(frames)
        expected = list(map(Voxeliser(frames, PARAMS).voxelise, range(5)))
        decoder.bricks(cache, [3, 2, 0])
        for _ in range(2):
            assert all(map(same, decoder.bricks(cache, [0, 1, 2, 3, 4]), expected))
        assert decoder.asked == [3, 2, 0, 1, 4]

    def test_limit(self, tmp_path: Path) -> None:
        """What is in memory beyond a new limit goes to disk, and a limit is never raised."""
        cache, decoder = frame_cache.FrameCache(), CountingDecoder(scene(tmp_path, 3, 0))
        expected = decoder.bricks(cache, [0, 1, 2])
        cache.limit(0)
        cache.limit(2**20)
        assert cache.most_bytes == 0
        assert all(map(same, decoder.bricks(cache, [0, 1, 2]), expected))
        assert decoder.asked == [0, 1, 2]

    def test_a_disk_without_room(self, tmp_path: Path, monkeypatch) -> None:
        """Frames are decoded again, whether the file is at its limit, cannot be made or cannot be written."""
        frames = scene(tmp_path, 2, 0)
        expected = list(map(Voxeliser(frames, PARAMS).voxelise, range(2)))
        room = 16 * len(expected[0].code)

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "no space")

        for fault, cache, again in (
            (None, frame_cache.FrameCache(0, room), [1]),
            ("pwrite", frame_cache.FrameCache(0), [0, 1]),
        ):
            decoder = CountingDecoder(frames)
            with monkeypatch.context() as patched:
                if fault is not None:
                    patched.setattr(os, fault, full)
                decoder.bricks(cache, [0, 1])
            assert all(map(same, decoder.bricks(cache, [0, 1]), expected))
            assert decoder.asked == [0, 1, *again]

    def test_a_file_that_is_gone(self, tmp_path: Path) -> None:
        """Is asked for each time."""
        frames = scene(tmp_path, 1, 0)
        Path(frames.depth[0]).unlink()
        cache, decoder = frame_cache.FrameCache(), CountingDecoder(frames)
        for _ in range(2):
            assert decoder.bricks(cache, [0])[0].fault is not None
        assert decoder.asked == [0, 0]

    def test_two_collections_decode_a_frame_once(self, tmp_path: Path, monkeypatch) -> None:
        """The database of the second is the first; the result is what it is without a cache."""
        monkeypatch.setattr(frame_cache, "CACHE", frame_cache.FrameCache())
        decoded: list[int] = []
        frame = Voxeliser.voxelise
        monkeypatch.setattr(Voxeliser, "voxelise", lambda self, row: (decoded.append(row), frame(self, row))[1])
        train, test = scene(tmp_path, 3, 0, prefix="train"), scene(tmp_path, 2, 1, prefix="test")
        surface.overlap(train, train, voxel_m=0.05, stride=1)
        psi = surface.overlap(test, train, voxel_m=0.05, stride=1).matrix.toarray()
        assert len(decoded) == 5
        monkeypatch.setattr(frame_cache, "CACHE", frame_cache.FrameCache(0, 0))
        np.testing.assert_array_equal(surface.overlap(test, train, voxel_m=0.05, stride=1).matrix.toarray(), psi)
