"""The oracle of surface overlap: against loops over points, against Open3D, and on walls whose overlap is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, MissingPackageError, OptionError
from relabel.frames import Frames
from relabel.measures import MEASURES
from relabel.reference.surface import frame_points, pair_overlap, thinned
from relabel.reference.voxels import voxels

INTRINSICS = (40.0, 50.0, 15.5, 12.0)
SIZE = (32, 24)


def shift(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """A pose that looks along z from there."""
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def turned(degrees: float) -> np.ndarray:
    """A pose at the origin, turned about the vertical."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    pose = np.eye(4)
    pose[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    return pose


def frames(folder: Path, maps: list[np.ndarray], poses: list[np.ndarray], **fields: Any) -> Frames:
    """Frames of depth maps in millimetres, (h, w) each."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, steps in enumerate(maps):
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(steps.astype(np.uint16)).save(paths[-1])
    pose = np.array(poses, dtype=float).reshape(-1, 4, 4)
    cameras = Cameras(key=[f"f{i}" for i in range(len(paths))], position=pose[:, :3, 3], pose=pose)
    return Frames(cameras, paths, **({"intrinsics": INTRINSICS} | fields))


def flat(millimetres: int) -> np.ndarray:
    """A wall across the view."""
    return np.full(SIZE[::-1], millimetres)


def bumpy(seed: int, n: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Depth maps and poses of n frames of about the same place, with holes."""
    rng = np.random.default_rng(seed)
    maps = [rng.integers(900, 1300, SIZE[::-1]) * (rng.random(SIZE[::-1]) > 0.2) for _ in range(n)]
    return maps, [turned(a) @ shift(*rng.uniform(-0.1, 0.1, 3)) for a in rng.uniform(-20.0, 20.0, n)]


def all_pairs(n: int, m: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The row and column numbers of all pairs."""
    rows, columns = np.mgrid[:n, : n if m is None else m]
    return rows.ravel(), columns.ravel()


def by_loops(a: np.ndarray, b: np.ndarray, tolerance: float) -> tuple[int, int]:
    """How many points of each have one of the other within the tolerance, from all distances."""
    apart = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    return int((apart.min(axis=1) <= tolerance).sum()), int((apart.min(axis=0) <= tolerance).sum())


class TestFramePoints:
    """relabel.reference.surface.frame_points"""

    def test_a_pixel_by_hand(self, tmp_path: Path) -> None:
        """One pixel of depth 2 m, seen from a turned camera that stands elsewhere."""
        steps = np.zeros(SIZE[::-1], int)
        steps[20, 30] = 2000
        pose = shift(1.0, 2.0, 3.0) @ turned(90.0)
        (point,) = frame_points(frames(tmp_path, [steps], [pose]), 0)
        x, y = (30 - 15.5) / 40.0 * 2.0, (20 - 12.0) / 50.0 * 2.0
        assert point == pytest.approx([1.0 + 2.0, 2.0 + y, 3.0 - x])

    def test_along_the_ray(self, tmp_path: Path) -> None:
        """A ray length of 2 m is 2 m from the camera, on the line of the pixel."""
        steps = np.zeros(SIZE[::-1], int)
        steps[20, 30] = 2000
        (point,) = frame_points(frames(tmp_path, [steps], [np.eye(4)], depth_is="ray"), 0)
        assert np.linalg.norm(point) == pytest.approx(2.0)
        assert point[:2] / point[2] == pytest.approx([(30 - 15.5) / 40.0, (20 - 12.0) / 50.0])
        (place,) = voxels(frames(tmp_path, [steps], [np.eye(4)], depth_is="ray"), 0, 0.001)
        assert place == pytest.approx(np.floor(point / 0.001), abs=1)

    def test_stride_takes_multiples(self, tmp_path: Path) -> None:
        """Of rows and of columns."""
        steps = np.arange(1, 1 + SIZE[0] * SIZE[1]).reshape(SIZE[::-1])
        seen = frame_points(frames(tmp_path, [steps], [np.eye(4)]), 0, stride=3)
        assert np.rint(seen[:, 2] * 1000).astype(int).tolist() == steps[::3, ::3].ravel().tolist()

    def test_invalid_and_out_of_range(self, tmp_path: Path) -> None:
        """Invalid steps are left out wherever they are in range; both ends of the range are in it."""
        steps = flat(0)
        steps[0, :7] = [0, 65535, 500, 1000, 1001, 2000, 2001]
        some = frames(tmp_path, [steps], [np.eye(4)])

        def depths(**how: float) -> list[float]:
            return np.rint(frame_points(some, 0, **how)[:, 2] * 1000).tolist()

        assert depths() == [500, 1000, 1001, 2000, 2001]
        assert depths(nearest_m=1.0) == [1000, 1001, 2000, 2001]
        assert depths(nearest_m=1.0, farthest_m=2.0) == [1000, 1001, 2000]

    def test_unit_and_intrinsics_of_each_frame(self, tmp_path: Path) -> None:
        """Steps of 0.2 mm, and a focal length for each camera."""
        steps = flat(0)
        steps[12, 16] = 5000
        intrinsics = [(40.0, 50.0, 15.5, 12.0), (10.0, 50.0, 15.5, 12.0)]
        some = frames(tmp_path, [steps, steps], [np.eye(4)] * 2, intrinsics=intrinsics, unit_m=1 / 5000)
        assert frame_points(some, 0)[0] == pytest.approx([0.5 / 40, 0.0, 1.0])
        assert frame_points(some, 1)[0] == pytest.approx([0.5 / 10, 0.0, 1.0])

    @pytest.mark.parametrize(
        ("spoil", "text"),
        [
            (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot|not a readable depth map"),
            (lambda path: path.write_text("no picture"), "not a readable depth map "),
            (lambda path: path.unlink(), "not a readable depth map "),
            (lambda path: Image.new("L", SIZE).save(path), "mode L; a depth map is a PNG of 16-bit"),
            (lambda path: Image.new("RGB", SIZE).save(path), "mode RGB; a depth map is a PNG of 16-bit"),
            (lambda path: Image.new("I;16", (9, 7)).save(path), "9 × 7 pixels; expected 32 × 24"),
        ],
    )
    def test_a_depth_map_that_cannot_be_used(self, tmp_path: Path, spoil: Any, text: str) -> None:
        """The file is named, and what is wrong with it."""
        some = frames(tmp_path, [flat(1000)], [np.eye(4)], size=SIZE)
        spoil(tmp_path / "0.png")
        with pytest.raises(InputError, match=text) as caught:
            frame_points(some, 0)
        assert str(tmp_path / "0.png") in str(caught.value)


class TestThinned:
    """relabel.reference.surface.thinned"""

    @given(
        st.lists(st.tuples(*[st.floats(-3.0, 3.0)] * 3), max_size=60),
        st.sampled_from([0.02, 0.3, 1.0]),
    )
    def test_against_a_dictionary(self, points: list[tuple[float, float, float]], cell_m: float) -> None:
        """One point for each cell that has any, and it is the mean of those in it."""
        cells: dict[tuple[float, ...], list[tuple[float, float, float]]] = {}
        for point in points:
            cells.setdefault(tuple(math.floor(x / cell_m) for x in point), []).append(point)
        expected = sorted(tuple(np.mean(inside, axis=0)) for inside in cells.values())
        found = sorted(tuple(point) for point in thinned(np.array(points).reshape(-1, 3), cell_m))
        assert np.array(found) == pytest.approx(np.array(expected))

    def test_far_from_the_origin(self) -> None:
        """Coordinates as large as those of a map do not mix up the cells."""
        points = np.array([[5e5, 4e6, 0.0], [5e5 + 0.019, 4e6, 0.0], [5e5 + 0.021, 4e6, 0.0]]) + 0.0005
        assert len(thinned(points)) == 2


class TestPairOverlap:
    """relabel.reference.surface.pair_overlap"""

    @pytest.mark.parametrize("measure", MEASURES)
    def test_against_all_distances(self, tmp_path: Path, measure: str) -> None:
        """The counts of shared points are those that all distances give, and so are the measures."""
        some = frames(tmp_path, *bumpy(1))
        rows, columns = all_pairs(5)
        found = pair_overlap(some, some, rows, columns, measure=measure)
        clouds = [thinned(frame_points(some, row)) for row in range(5)]
        for psi, i, j in zip(found, rows, columns, strict=True):
            common = sum(by_loops(clouds[i], clouds[j], 0.05)) / 2
            a, b = len(clouds[i]), len(clouds[j])
            expected = {"iou": common / (a + b - common), "overlap": min(1.0, common / a), "dice": 2 * common / (a + b)}
            assert psi == pytest.approx(expected[measure], abs=1e-12)
        assert len(set(found.tolist())) > 5

    def test_with_itself_is_one(self, tmp_path: Path) -> None:
        """Every point has itself."""
        some = frames(tmp_path, *bumpy(2))
        rows = np.arange(5)
        for measure in MEASURES:
            assert pair_overlap(some, some, rows, rows, measure=measure).tolist() == [1.0] * 5

    def test_symmetric(self, tmp_path: Path) -> None:
        """To the bit, for iou and dice; the same frames given as two sides give the same."""
        some, again = frames(tmp_path, *bumpy(3)), frames(tmp_path, *bumpy(3))
        rows, columns = all_pairs(5)
        for measure in ("iou", "dice"):
            forth, back, sides = (
                pair_overlap(*how, measure=measure)
                for how in ((some, some, rows, columns), (some, some, columns, rows), (some, again, rows, columns))
            )
            assert forth.tolist() == back.tolist() == sides.tolist()

    @pytest.mark.parametrize("shift_px", [0, 8, 16, 24, 32])
    def test_a_wall_by_hand(self, tmp_path: Path, shift_px: int) -> None:
        """Two views of a wall that are moved by whole pixels share the columns that both see."""
        # A pixel is 4 cm of the wall: cells of 2 cm keep each, and within 1 cm there is only itself.
        some = frames(
            tmp_path, [flat(1000), flat(1000)], [np.eye(4), shift(0.04 * shift_px)], intrinsics=(25.0, 25.0, 15.5, 12.0)
        )
        (psi,) = pair_overlap(some, some, np.array([0]), np.array([1]), tolerance_m=0.01)
        common = SIZE[0] - shift_px
        assert psi == pytest.approx(common / (2 * SIZE[0] - common))

    def test_the_tolerance(self, tmp_path: Path) -> None:
        """Two parallel walls are one surface when they are no farther apart than the tolerance."""
        some = frames(tmp_path, [flat(1000), flat(1030)], [np.eye(4)] * 2, intrinsics=(25.0, 25.0, 15.5, 12.0))
        zero, one = np.array([0]), np.array([1])
        assert pair_overlap(some, some, zero, one, tolerance_m=0.029)[0] == 0.0
        assert pair_overlap(some, some, zero, one, tolerance_m=0.05)[0] > 0.9

    def test_nothing_in_common_and_nothing_seen(self, tmp_path: Path, open3d: Any) -> None:
        """Frames that look away from each other share nothing; what one with no valid depth shares is not known."""
        some = frames(tmp_path, [flat(1000), flat(1000), flat(0)], [np.eye(4), turned(180.0), np.eye(4)])
        rows, columns = all_pairs(3)
        for backend in ("kdtree", "open3d"):
            psi = pair_overlap(some, some, rows, columns, backend=backend).reshape(3, 3)
            assert psi[:2, :2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
            assert np.isnan(psi[2]).all()
            assert np.isnan(psi[:, 2]).all()

    def test_unknown_is_not_zero(self, tmp_path: Path) -> None:
        """A frame without a pose or a depth map gives NaN, and its depth map is not asked for."""
        maps, poses = bumpy(4, 3)
        poses[1] = np.full((4, 4), np.nan)
        some = frames(tmp_path, maps, poses)
        none = Frames(some.cameras, ["", "", some.depth[2]], INTRINSICS)
        assert none.cameras.status.tolist() == [Status.BAD_DEPTH, Status.NO_POSITION, Status.OK]
        psi = pair_overlap(none, none, *all_pairs(3)).reshape(3, 3)
        assert np.isnan(psi).tolist() == [[True, True, True], [True, True, True], [True, True, False]]

    def test_no_pairs(self, tmp_path: Path) -> None:
        """None asked for, none given."""
        some = frames(tmp_path, [], [])
        assert pair_overlap(some, some, np.empty(0, int), np.empty(0, int)).shape == (0,)

    def test_unknown_backend(self, tmp_path: Path) -> None:
        """The two that there are are named."""
        some = frames(tmp_path, *bumpy(5, 2))
        with pytest.raises(OptionError, match="choose kdtree, open3d"):
            pair_overlap(some, some, *all_pairs(2), backend="faiss")

    def test_without_open3d(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """How to get it is said."""
        monkeypatch.setitem(__import__("sys").modules, "open3d", None)
        some = frames(tmp_path, *bumpy(5, 2))
        with pytest.raises(MissingPackageError, match=r"pip install 'relabel-vpr\[open3d\]'"):
            pair_overlap(some, some, *all_pairs(2), backend="open3d")

    @given(st.integers(0, 10_000), st.sampled_from([0.01, 0.03, 0.05, 0.2]), st.integers(1, 4))
    def test_open3d_agrees(
        self, tmp_path_factory: pytest.TempPathFactory, open3d: Any, seed: int, tolerance_m: float, stride: int
    ) -> None:
        """The neighbours that Open3D finds are those of SciPy: the same ψ."""
        some = frames(tmp_path_factory.mktemp("frames"), *bumpy(seed, 3))
        both = [
            pair_overlap(some, some, *all_pairs(3), tolerance_m=tolerance_m, stride=stride, backend=backend)
            for backend in ("kdtree", "open3d")
        ]
        assert both[0].tolist() == both[1].tolist()

    @pytest.mark.real_data
    def test_open3d_agrees_on_real_frames(self, real_data: Path, open3d: Any) -> None:
        """A kitchen, one pair in a hundred of a few frames."""
        paths = sorted((real_data / "7scenes" / "redkitchen" / "seq-01").glob("*.depth.png"))[::12]
        pose = np.array([np.loadtxt(str(path).replace(".depth.png", ".pose.txt")) for path in paths])
        cameras = Cameras(key=[path.name for path in paths], position=pose[:, :3, 3], pose=pose)
        kitchen = Frames(cameras, [str(p) for p in paths], (585.0, 585.0, 320.0, 240.0), size=(640, 480))
        rows, columns = all_pairs(len(paths))
        both = [
            pair_overlap(kitchen, kitchen, rows[::9], columns[::9], stride=4, backend=backend)
            for backend in ("kdtree", "open3d")
        ]
        assert both[0].tolist() == both[1].tolist()
        assert 0.05 < both[0].mean() < 0.9
