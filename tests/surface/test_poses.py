"""How far poses are from rigid motions."""

from __future__ import annotations

import numpy as np
import pytest

from relabel.surface.poses import RIGID, rigid_deviation
from tests.surface.scenes import turned


class TestDeviation:
    def test_rotations_are_rigid(self):
        """To rounding, in any direction and anywhere."""
        rng = np.random.default_rng(0)
        pose = np.tile(np.eye(4), (50, 1, 1))
        pose[:, :3, :3] = [turned(*rng.uniform(-4, 4, 2)) for _ in range(50)]
        pose[:, :3, 3] = rng.normal(0, 1e4, (50, 3))
        assert rigid_deviation(pose).max() < 1e-12

    @pytest.mark.parametrize("scale", [0.9, 0.999, 1.001, 2.0])
    def test_a_scale_shows_squared(self, scale):
        pose = np.eye(4)[None].copy()
        pose[0, :3, :3] *= scale
        assert rigid_deviation(pose)[0] == pytest.approx(abs(scale**2 - 1))

    def test_what_real_files_hold_is_rigid_enough(self):
        """Rotations off by 4e-4, as four digits of a file make them."""
        rng = np.random.default_rng(1)
        pose = np.eye(4)[None] + np.pad(rng.uniform(-2e-4, 2e-4, (1, 3, 3)), ((0, 0), (0, 1), (0, 1)))
        assert 0 < rigid_deviation(pose)[0] < RIGID

    @pytest.mark.parametrize(
        "rotation", [np.diag([1.0, 1.0, -1.0]), np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), 1e200)]
    )
    def test_no_rotation_at_all(self, rotation):
        """Reflections, nothing, and numbers that are none are infinitely far."""
        pose = np.eye(4)[None].copy()
        pose[0, :3, :3] = rotation
        assert rigid_deviation(pose)[0] == np.inf

    def test_the_last_row(self):
        pose = np.eye(4)[None].copy()
        pose[0, 3] = (0.0, 0.1, 0.0, 1.0)
        assert rigid_deviation(pose)[0] == pytest.approx(0.1)

    def test_no_poses(self):
        assert rigid_deviation(np.empty((0, 4, 4))).shape == (0,)
