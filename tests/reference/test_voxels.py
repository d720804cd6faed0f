"""The slow definition against a slower one: python sets of voxel tuples."""

from __future__ import annotations

import numpy as np
import pytest

from relabel.cameras import Status
from relabel.errors import InputError
from relabel.measures import MEASURES
from relabel.reference.voxels import pair_overlap, voxels
from relabel.surface.params import METHODS
from tests.surface.scenes import SIZE, frames, scene, shared
from tests.trees import depth_png


class TestPairOverlap:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("measure", MEASURES)
    def test_equals_sets_of_tuples(self, tmp_path, method, measure):
        query, database = scene(tmp_path, 3, 1, prefix="q"), scene(tmp_path, 4, 2, prefix="d")
        sets = [
            [{tuple(voxel) for voxel in voxels(side, k, 0.05, 2).tolist()} for k in range(len(side))]
            for side in (query, database)
        ]
        a, b = shared(*sets, method)
        rows, columns = np.indices(a.shape).reshape(2, -1)
        common = (a + b) / 2
        sizes = np.array([len(one) for one in sets[0]])[:, None], np.array([len(one) for one in sets[1]])[None]
        whole = {"iou": sizes[0] + sizes[1] - common, "overlap": sizes[0] + 0 * common, "dice": sum(sizes) / 2}[measure]
        got = pair_overlap(query, database, rows, columns, method=method, measure=measure, voxel_m=0.05, stride=2)
        np.testing.assert_allclose(got.reshape(a.shape), np.minimum(common / whole, 1.0), rtol=1e-15)

    def test_one_point(self, tmp_path):
        """Worked out by hand: pixel (1, 0) at 2 m, moved by a metre."""
        depth = np.zeros((2, 3), np.uint16)
        depth[0, 1] = 2000
        pose = np.eye(4)[None].copy()
        pose[0, :3, 3] = (1.0, 0.0, 0.0)
        one = frames([depth_png(tmp_path / "d.png", depth, size=(3, 2))], pose, intrinsics=(10.0, 10.0, 0.0, 1.0))
        assert voxels(one, 0, 0.07).tolist() == [[17, -3, 28]]  # x 1.2, y -0.2, z 2.0

    def test_unknown_pairs(self, tmp_path):
        """A frame without a pose, and one that sees nothing, have no ψ."""
        paths = [depth_png(tmp_path / f"{k}.png", depth, size=SIZE) for k, depth in enumerate((1000, 1000, 0))]
        pose = np.tile(np.eye(4), (3, 1, 1))
        pose[1] = np.nan
        some = frames(paths, pose)
        assert some.cameras.status[1] == Status.NO_POSE
        got = pair_overlap(some, some, np.array([0, 0, 0]), np.array([0, 1, 2]), voxel_m=0.05)
        assert got.tolist() == pytest.approx([1.0, np.nan, np.nan], nan_ok=True)

    def test_bad_depth_maps(self, tmp_path):
        """Errors that name the file."""
        rows = np.array([0])
        (tmp_path / "text.png").write_text("no picture")
        depth_png(tmp_path / "small.png", 1000, size=(4, 4))
        unreadable = "is not a readable depth map "
        for name, why in (("text.png", unreadable), ("none.png", unreadable), ("small.png", "is 4 × 4 pixels")):
            one = frames([tmp_path / name], np.eye(4)[None], size=SIZE)
            with pytest.raises(InputError, match=rf"{name}: {why}"):
                pair_overlap(one, one, rows, rows, voxel_m=0.05)
        far = np.eye(4)[None].copy()
        far[0, 0, 3] = 1e9
        one = frames([depth_png(tmp_path / "d.png", 1000, size=SIZE)], far)
        with pytest.raises(InputError, match="too far from the origin"):
            pair_overlap(one, one, rows, rows, voxel_m=0.05)
