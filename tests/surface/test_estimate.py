"""What a surface overlap would take, told before it is computed."""

from __future__ import annotations

import numpy as np
import pytest

from relabel import surface
from relabel.errors import InputError
from relabel.similarity import gather
from relabel.surface import voxelise
from relabel.surface.estimate import SAMPLE
from relabel.surface.params import SurfaceParams
from tests.surface.scenes import SIZE, frames, scene
from tests.trees import depth_png


class TestPlan:
    def test_counts_frames_and_pairs(self, tmp_path):
        """Those with a pose; self pairs in both directions, without the diagonal."""
        query, database = scene(tmp_path, 9, 1, prefix="q"), scene(tmp_path, 12, 2, prefix="d")
        both = surface.plan(query, database, SurfaceParams(voxel_m=0.05))
        assert (both.frames, both.pairs) == (19, 88)
        own = surface.plan(query, query, SurfaceParams(voxel_m=0.05))
        assert (own.frames, own.pairs) == (8, 56)
        for plan in (both, own):
            assert 0.0 < plan.decoding_seconds < plan.seconds < 60.0
            assert plan.memory_bytes > 2**20
            assert plan.output_bytes > 0
            assert plan.voxels > 10.0

    def test_few_frames_are_decoded(self, tmp_path, monkeypatch):
        """A scene of ten thousand frames, of which a dozen are looked at."""
        read: list[str] = []
        original = voxelise.read_depth
        monkeypatch.setattr(voxelise, "read_depth", lambda path, size: (read.append(path), original(path, size))[1])
        path = depth_png(tmp_path / "d.png", 1000, size=SIZE)
        many = frames([path] * 10_000, np.tile(np.eye(4), (10_000, 1, 1)))
        plan = surface.plan(many, many, SurfaceParams(voxel_m=0.05))
        assert len(read) == SAMPLE
        assert plan.frames == 10_000
        assert plan.pairs == 10_000 * 9_999
        assert plan.output_bytes > plan.pairs

    def test_pairs_that_are_stored(self, tmp_path):
        """All of a sample that is the whole, by their values and `min_value`; what is stored takes room."""
        query, database = scene(tmp_path, 6, 1, prefix="q"), scene(tmp_path, 7, 2, prefix="d")
        sizes = []
        for measure, min_value in (("iou", 0.0), ("overlap", 0.3), ("dice", 0.3)):
            params = SurfaceParams(voxel_m=0.05, stride=1, measure=measure, min_value=min_value)
            plan = surface.plan(query, database, params)
            assert plan.stored_pairs == gather(surface.source(query, database, params)).matrix.nnz
            sizes.append((plan.stored_pairs, plan.output_bytes))
        assert sorted(sizes) == sorted(sizes, key=lambda pair: pair[1])
        assert len(set(sizes)) > 1

    def test_the_stride_that_would_be_used(self, tmp_path):
        path = depth_png(tmp_path / "d.png", 1200, size=SIZE)
        one = frames([path], np.eye(4)[None])
        assert surface.plan(one, one, SurfaceParams(voxel_m=0.05)).stride == 1
        assert surface.plan(one, one, SurfaceParams(tolerance_m=0.1, voxel_m=0.1)).stride == 2
        assert surface.plan(one, one, SurfaceParams(voxel_m=0.05, stride=1)).stride == 1

    def test_no_depth_map_can_be_used(self, tmp_path):
        one = frames([tmp_path / "none.png"], np.eye(4)[None])
        with pytest.raises(InputError, match=r"none\.png: does not exist"):
            surface.plan(one, one)

    def test_nothing_to_decode(self, tmp_path):
        """No frames, or none with a pose: nothing to do, told as such."""
        for lost in (frames([], np.empty((0, 4, 4))), frames([tmp_path / "d.png"], np.full((1, 4, 4), np.nan))):
            plan = surface.plan(lost, lost)
            assert (plan.frames, plan.pairs, plan.seconds) == (0, 0, 0.0)
