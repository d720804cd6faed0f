"""From a depth map to bricks, against the definition in numpy, operation by operation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relabel.frames import Frames
from relabel.reference import voxels as reference
from relabel.surface import _project
from relabel.surface.occupancy import LIMIT, voxel_key, words_of_keys
from tests.surface.scenes import INTRINSICS, SIZE, bumpy, frames, turned
from tests.trees import depth_png

VALID = np.ones(2**16, np.uint8)
VALID[[0, 65535]] = 0


def bricks(depth, *, stride=1, unit=0.001, valid=VALID, intrinsics=INTRINSICS, pose=None, edge=0.03, rays=False):
    """Codes and words by the kernels, sorted by code, and what they tell."""
    pose = np.eye(4) if pose is None else pose
    rows, columns = (-(-length // stride) for length in depth.shape)
    out = np.empty((3, rows * columns), np.int32)
    extremes = np.full(2, -1, np.int64)
    count = _project.points(depth, stride, unit, valid, np.array(intrinsics), pose, edge, out, extremes, rays or None)
    code, word = _project.bricks(out, count, extremes)
    order = np.argsort(code)
    return code[order], word[order], extremes


def expected(depth, *, stride=1, unit=0.001, intrinsics=INTRINSICS, pose=None, edge=0.03, rays=False):
    """The same by numpy, which fuses nothing."""
    pose = np.eye(4) if pose is None else pose
    fx, fy, cx, cy = intrinsics
    v, u = np.meshgrid(np.arange(0, depth.shape[0], stride), np.arange(0, depth.shape[1], stride), indexing="ij")
    stored = depth[v, u]
    seen = (stored != 0) & (stored != 65535)
    right, down = (u[seen] - cx) / fx, (v[seen] - cy) / fy
    z = stored[seen] * unit
    if rays:
        z = z / np.sqrt((right * right + down * down) + 1.0)
    x, y = right * z, down * z
    at = [np.floor((((r[0] * x + r[1] * y) + r[2] * z) + r[3]) / edge).astype(np.int64) for r in pose[:3]]
    return words_of_keys(np.unique(voxel_key(*at)))


def random_pose(rng: np.random.Generator) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = turned(*rng.uniform(-3, 3, 2)) @ turned(*rng.uniform(-3, 3, 2))
    pose[:3, 3] = rng.normal(0, 5, 3)
    return pose


@pytest.mark.kernels
class TestPointsAndBricks:
    @pytest.mark.parametrize("stride", [1, 2, 3, 5, 100])
    @pytest.mark.parametrize("edge", [0.01, 0.0275, 0.05, 0.3])
    @pytest.mark.parametrize("rays", [False, True])
    def test_equals_numpy(self, stride, edge, rays):
        """The very same voxels, in any pose: each operation rounds as numpy's does."""
        rng = np.random.default_rng(stride)
        for _ in range(3):
            depth, pose = bumpy(rng), random_pose(rng)
            code, word, extremes = bricks(depth, stride=stride, edge=edge, pose=pose, rays=rays)
            want_code, want_word = expected(depth, stride=stride, edge=edge, pose=pose, rays=rays)
            assert np.array_equal(code, want_code)
            assert np.array_equal(word, want_word)
            used = depth[::stride, ::stride]
            assert extremes.tolist() == [int(np.where(used == 65535, 0, used).max()), 0]

    @given(
        arrays(np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 65535)),
        st.integers(0, 2**32 - 1),
        st.sampled_from([0.001, 0.0002, 0.01]),
    )
    @settings(max_examples=80, deadline=None)
    def test_equals_numpy_whatever_the_depths(self, depth, seed, unit):
        """Depths up to 655 m, so that boxes become too large and bricks are sorted instead."""
        pose = random_pose(np.random.default_rng(seed))
        code, word, extremes = bricks(depth, unit=unit, pose=pose)
        want_code, want_word = expected(depth, unit=unit, pose=pose)
        assert extremes[1] == 0
        assert np.array_equal(code, want_code)
        assert np.array_equal(word, want_word)

    def test_a_wild_depth_takes_the_other_way(self):
        """One point 650 m away: the bricks are sorted, and the others are those that they were."""
        rng = np.random.default_rng(5)
        near = bumpy(rng)
        near[0, 0] = 0
        far = near.copy()
        far[0, 0] = 65000
        pose = random_pose(rng)
        code, word, _ = bricks(far, unit=0.01, pose=pose, edge=0.05)
        want_code, want_word = expected(far, unit=0.01, pose=pose, edge=0.05)
        assert np.array_equal(code, want_code)
        assert np.array_equal(word, want_word)
        assert set(bricks(near, unit=0.01, pose=pose, edge=0.05)[0]) <= set(code)

    @pytest.mark.parametrize("depth", [np.zeros((3, 4)), np.full((3, 4), 65535), np.empty((0, 4)), np.empty((3, 0))])
    def test_nothing_valid_is_nothing(self, depth):
        code, word, extremes = bricks(depth.astype(np.uint16))
        assert len(code) == len(word) == 0
        assert extremes.tolist() == [0, 0]

    @pytest.mark.parametrize("axis", [0, 1, 2])
    @pytest.mark.parametrize("away", [1e300, -1e300, 1e9, (LIMIT + 60) * 0.03, -(LIMIT + 60) * 0.03])
    def test_too_far_from_the_origin_is_told(self, axis, away):
        """No voxel wraps around to another place."""
        pose = np.eye(4)
        pose[axis, 3] = away
        code, word, extremes = bricks(np.full((3, 4), 1000, np.uint16), pose=pose)
        assert extremes[1] == _project.OUTSIDE
        assert len(code) == len(word) == 0

    @pytest.mark.parametrize("ends", [(0, 0), (LIMIT - 1, 1), (-LIMIT, 1)])
    def test_the_last_voxels_have_numbers(self, ends):
        """At both ends of the range the number is right, and one further there is none."""
        end, _ = ends
        pose = np.eye(4)
        pose[:3, 3] = end + 0.5
        one = np.full((1, 1), 1, np.uint16)  # a thousandth ahead, in the middle
        code, word, extremes = bricks(one, pose=pose, edge=1.0, intrinsics=(1.0, 1.0, 0.0, 0.0))
        key = voxel_key(*(np.array([end]) for _ in range(3)))
        want_code, want_word = words_of_keys(key)
        assert extremes[1] == 0
        assert code.tolist() == want_code.tolist()
        assert word.tolist() == want_word.tolist()

    def test_equals_the_reference(self, tmp_path):
        """The slow version that `relabel verify` uses finds the same voxels from the file."""
        rng = np.random.default_rng(9)
        depth, pose = bumpy(rng), random_pose(rng)
        one: Frames = frames([depth_png(tmp_path / "d.png", depth, size=SIZE)], pose[None])
        found = reference.voxels(one, 0, 0.03, 2)
        want_code, want_word = words_of_keys(np.sort(voxel_key(*found.T)))
        code, word, _ = bricks(depth, stride=2, pose=pose)
        assert np.array_equal(code, want_code)
        assert np.array_equal(word, want_word)
