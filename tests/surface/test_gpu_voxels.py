"""Voxels of depth maps by torch: the same as by the kernels for the CPU, to the last one, and as sets tell them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from relabel.datasets.seven_scenes.scene import readers
from relabel.errors import OptionError
from relabel.surface import _project, gpu_voxels
from relabel.surface.cpu_counter import BitsetCounter
from relabel.surface.device_memory import Budget
from relabel.surface.gpu_counter import torch_counter
from relabel.surface.gpu_voxels import BATCH, PIXEL_BYTES, ProjectedBricks, Projection, project, voxelise_in_batches
from relabel.surface.occupancy import LIMIT, OccupancyBuilder, voxel_key, words_of_keys
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import Voxeliser, map_in_order
from tests.surface.scenes import SIZE, bumpy, frames, scene
from tests.trees import depth_png

VALID = np.ones(65536, np.uint8)
VALID[[0, 65535]] = 0
PLENTY = 2**26

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("one_torch_thread")]


def depth_maps(frames: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """Walls with noise and holes."""
    random = np.random.default_rng(seed)
    depth = 2000 + 400 * np.sin(np.arange(width) / 5) + random.normal(0, 15, (frames, height, width))
    depth[random.random(depth.shape) < 0.1] = 0
    depth[random.random(depth.shape) < 0.02] = 65535
    return depth.astype(np.uint16)


def cameras(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics and poses, each frame with its own."""
    random = np.random.default_rng(seed)
    intrinsics = np.array([29.3, 28.7, 15.4, 11.6]) + random.normal(0, 0.5, (frames, 4))
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, :3] = np.linalg.qr(random.normal(size=(frames, 3, 3)))[0]
    pose[:, :3, 3] = random.normal(0, 2.0, (frames, 3))
    return intrinsics, pose


def by_kernel(depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray, how: Projection) -> ProjectedBricks:
    """What the kernels for the CPU find for one frame."""
    voxel, extremes = np.empty((3, depth.size), np.int32), np.zeros(2, np.int64)
    count = _project.points(
        depth, how.stride, how.unit_m, how.valid, intrinsics, pose, how.voxel_m, voxel, extremes, how.rays or None
    )  # fmt: skip
    code, word = _project.bricks(voxel, count, extremes)
    return ProjectedBricks(code, word, int(extremes[0]), bool(extremes[1]))


def assert_same(found: list[ProjectedBricks], want: list[ProjectedBricks]) -> None:
    """Every field of every frame is equal."""
    assert len(found) == len(want)
    for one, other in zip(found, want, strict=True):
        np.testing.assert_array_equal(one.code, other.code)
        np.testing.assert_array_equal(one.word, other.word)
        assert (one.word.dtype, *one[2:]) == (np.uint64, *other[2:])


@pytest.fixture(params=["boxes", "sorted"])
def words(request, monkeypatch) -> None:
    """How words are made of voxels, whatever the size of the frames."""
    monkeypatch.setattr(gpu_voxels, "BOX_BYTES", 2**40 if request.param == "boxes" else 0)


class TestProject:
    """project()."""

    @pytest.mark.usefixtures("words")
    @pytest.mark.parametrize("stride", [1, 2, 5])
    @pytest.mark.parametrize("voxel_m", [0.03, 0.1, 1 / 3])
    @pytest.mark.parametrize("rays", [False, True])
    def test_equals_the_kernels(self, torch_device, stride, voxel_m, rays):
        """Frames with poses, intrinsics and holes of their own."""
        depth, (intrinsics, pose) = depth_maps(6), cameras(6)
        how = Projection(0.001, VALID, voxel_m, stride, rays)
        found = project(depth, intrinsics, pose, how, device=torch_device, budget=Budget(PLENTY))
        assert_same(found, [by_kernel(*frame, how) for frame in zip(depth, intrinsics, pose, strict=True)])

    def test_equals_the_definition(self):
        """As plain Python floats tell it, one pixel at a time."""
        depth, (intrinsics, pose) = depth_maps(1), cameras(1)
        how = Projection(0.001, VALID, 0.05, 1)
        (found,) = project(depth, intrinsics, pose, how, device="cpu", budget=Budget(PLENTY))
        fx, fy, cx, cy = map(float, intrinsics[0])
        voxels = set()
        for v, line in enumerate(depth[0].tolist()):
            for u, stored in enumerate(line):
                if stored in (0, 65535):
                    continue
                z = stored * 0.001
                x, y = ((u - cx) / fx) * z, ((v - cy) / fy) * z
                world = [((a * x + b * y) + c * z) + t for a, b, c, t in pose[0, :3].tolist()]
                voxels.add(tuple(math.floor(w / 0.05) for w in world))
        code, word = words_of_keys(np.sort(voxel_key(*np.array(sorted(voxels), np.int64).T)))
        assert_same([found], [ProjectedBricks(code, word, int(depth[depth < 65535].max()), outside=False)])

    def test_division_is_not_by_a_reciprocal(self, torch_device):
        """Points on faces of voxels, where a product with 1 / edge falls on the other side."""
        edge = 0.03
        depth = np.arange(1, 65535, dtype=np.uint16).reshape(1, 1, -1)
        z = depth[0, 0] * edge  # steps of one voxel
        assert (np.floor(z / edge) != np.floor(z * (1 / edge))).any()
        intrinsics = np.array([[1e12, 1e12, 0.0, 0.0]])  # x and y near 0: one column of voxels
        how = Projection(edge, VALID, edge, 1)
        (found,) = project(depth, intrinsics, np.eye(4)[None], how, device=torch_device, budget=Budget(PLENTY))
        assert_same([found], [by_kernel(depth[0], intrinsics[0], np.eye(4), how)])
        numbers = {math.floor(value / edge) for value in z.tolist()}
        assert np.bitwise_count(found.word).sum() == len(numbers)

    @given(
        stored=st.lists(st.integers(0, 65535), min_size=1, max_size=40),
        unit_m=st.sampled_from([0.0002, 0.001, 1.0]),
        voxel_m=st.floats(0.001, 1.0),
        shift=st.tuples(*3 * [st.floats(-2000.0, 2000.0)]),
    )
    def test_any_depths(self, stored, unit_m, voxel_m, shift):
        """Also those that lie outside of all voxels that have a number."""
        depth = np.array(stored, np.uint16).reshape(1, 1, -1)
        intrinsics, pose = np.array([[20.0, 20.0, 3.0, 0.0]]), np.eye(4)[None].copy()
        pose[0, :3, 3] = shift
        how = Projection(unit_m, VALID, voxel_m, 1)
        found = project(depth, intrinsics, pose, how, device="cpu", budget=Budget(PLENTY))
        assert_same(found, [by_kernel(depth[0], intrinsics[0], pose[0], how)])

    @pytest.mark.usefixtures("words")
    def test_one_frame_outside(self, torch_device):
        """A point beyond the numbers of voxels empties its frame, and no other."""
        depth, (intrinsics, pose) = depth_maps(4), cameras(4)
        pose[1, 0, 3] = 0.03 * LIMIT
        how = Projection(0.001, VALID, 0.03, 1)
        found = project(depth, intrinsics, pose, how, device=torch_device, budget=Budget(PLENTY))
        assert [frame.outside for frame in found] == [False, True, False, False]
        assert not len(found[1].code)
        assert_same(found, [by_kernel(*frame, how) for frame in zip(depth, intrinsics, pose, strict=True)])

    @pytest.mark.parametrize(("voxel_m", "boxes"), [(0.1, True), (0.01, False)])
    def test_the_way_that_suits(self, monkeypatch, voxel_m, boxes):
        """Boxes where the points fill them, sorting where they would be far larger than all points."""
        asked = []
        for name in ("_words_in_boxes", "_words"):
            real = getattr(gpu_voxels, name)
            monkeypatch.setattr(gpu_voxels, name, lambda *a, n=name, real=real: (asked.append(n), real(*a))[1])
        depth, (intrinsics, pose) = depth_maps(3, 48, 64), cameras(3)
        how = Projection(0.001, VALID, voxel_m, 1)
        found = project(depth, intrinsics, pose, how, device="cpu", budget=Budget(PLENTY))
        assert asked == ["_words_in_boxes" if boxes else "_words"]
        assert_same(found, [by_kernel(*frame, how) for frame in zip(depth, intrinsics, pose, strict=True)])

    def test_a_frame_from_end_to_end(self):
        """Its box would have more voxels than a number of 64 bits can tell, and so for a whole batch."""
        depth = np.tile(np.array([1, 65534], np.uint16), (BATCH, 1, 1))
        intrinsics, pose = np.tile([1.0, 1.0, 0.0, 0.0], (BATCH, 1)), np.tile(np.eye(4), (BATCH, 1, 1))
        pose[:, :3, :3] = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        pose[:, :3, 3] = 1.0 - LIMIT
        pose[:, :3, :3] = np.abs(pose[:, :3, :3])
        how = Projection(16.0, VALID, 1.0, 1)
        found = project(depth, intrinsics, pose, how, device="cpu", budget=Budget(PLENTY))
        assert_same(found, [by_kernel(*frame, how) for frame in zip(depth, intrinsics, pose, strict=True)])
        assert len(found[0].code) == 2

    def test_a_camera_outside(self, torch_device):
        """Beyond the numbers of voxels, looking at what is not: where pixels without a depth lie does not count."""
        depth, (intrinsics, pose) = depth_maps(2), cameras(2)
        pose[:, :3, :3] = np.eye(3)
        pose[0, 2, 3] = -0.03 * LIMIT - 1.0
        how = Projection(0.001, VALID, 0.03, 1)
        found = project(depth, intrinsics, pose, how, device=torch_device, budget=Budget(PLENTY))
        assert not found[0].outside
        assert len(found[0].code)
        assert_same(found, [by_kernel(*frame, how) for frame in zip(depth, intrinsics, pose, strict=True)])

    def test_frames_at_both_ends(self, torch_device):
        """So far apart that frame and voxel do not fit into one number together."""
        depth, (intrinsics, pose) = depth_maps(6), cameras(6)
        pose[::2, :3, 3] = 0.03 * (LIMIT - 200)
        pose[1::2, :3, 3] = -0.03 * (LIMIT - 200)
        how = Projection(0.001, VALID, 0.03, 1)
        found = project(depth, intrinsics, pose, how, device=torch_device, budget=Budget(PLENTY))
        assert not any(frame.outside for frame in found)
        assert_same(found, [by_kernel(*frame, how) for frame in zip(depth, intrinsics, pose, strict=True)])

    @pytest.mark.usefixtures("words")
    def test_nothing_to_see(self, torch_device):
        """A frame without a valid pixel, frames of no pixels, and no frames."""
        intrinsics, pose = cameras(3)
        how = Projection(0.001, VALID, 0.03, 1)
        depth = depth_maps(3)
        depth[1] = np.where(depth[1] % 2, 0, 65535)
        found = project(depth, intrinsics, pose, how, device=torch_device, budget=Budget(PLENTY))
        assert [len(frame.code) > 0 for frame in found] == [True, False, True]
        assert found[1].farthest == 0
        for empty in (np.zeros((3, 24, 32), np.uint16), np.zeros((3, 0, 32), np.uint16)):
            none = project(empty, intrinsics, pose, how, device=torch_device, budget=Budget(PLENTY))
            assert [(len(frame.code), frame.farthest, frame.outside) for frame in none] == 3 * [(0, 0, False)]
        assert project(depth[:0], intrinsics[:0], pose[:0], how, device=torch_device, budget=Budget(PLENTY)) == []

    def test_batches(self, monkeypatch):
        """As many frames at a time as there is memory for; the same is found."""
        depth, (intrinsics, pose) = depth_maps(7), cameras(7)
        how = Projection(0.001, VALID, 0.03, 1)
        want = project(depth, intrinsics, pose, how, device="cpu", budget=Budget(PLENTY))
        real, batches = gpu_voxels._project_frames, []

        def one_batch(depth, *arguments):
            batches.append(len(depth))
            if len(depth) > 3:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return real(depth, *arguments)

        monkeypatch.setattr(gpu_voxels, "_project_frames", one_batch)
        budget = Budget(5 * PIXEL_BYTES * depth[0].size, least=1)
        assert_same(project(depth, intrinsics, pose, how, device="cpu", budget=budget), want)
        assert batches == [5, 2, 2, 2, 1]

    def test_out_of_memory_for_good(self, monkeypatch):
        """A single frame does not fit."""

        def one_batch(*arguments):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(gpu_voxels, "_project_frames", one_batch)
        how = Projection(0.001, VALID, 0.03, 1)
        with pytest.raises(OptionError, match="device='cpu'"):
            project(depth_maps(2), *cameras(2), how, device="cpu", budget=Budget(PLENTY))


class TestInBatches:
    """voxelise_in_batches()."""

    def test_same_as_frame_by_frame(self, torch_device, tmp_path):
        """More frames than a batch holds, some of which cannot be used, and one of another size."""
        some = scene(tmp_path, 2 * BATCH + 3, 0)
        pose = np.nan_to_num(some.cameras.pose)
        paths = some.depth.tolist()
        (tmp_path / "broken.png").write_bytes(b"no picture")
        paths[0] = paths[7] = str(tmp_path / "broken.png")
        paths[9] = str(depth_png(tmp_path / "empty.png", np.zeros((24, 32), np.uint16), size=SIZE))
        wide = bumpy(np.random.default_rng(5), (40, 28))
        paths[11] = str(depth_png(tmp_path / "wide.png", wide, size=(40, 28)))
        pose[13, 0, 3] = 1e9
        voxeliser = Voxeliser(frames(paths, pose), SurfaceParams(stride=1))
        rows = [*range(len(paths) - 1, -1, -1)]
        found = list(voxelise_in_batches(voxeliser, rows, 2, device=torch_device, memory_bytes=PLENTY))
        for one, want in zip(found, map_in_order(voxeliser.voxelise, rows, 2), strict=True):
            np.testing.assert_array_equal(one.code, want.code)
            np.testing.assert_array_equal(one.word, want.word)
            assert one[2:] == want[2:]
        assert sum(one.fault is not None for one in found) == 4

    def test_nothing(self):
        """No rows, and rows none of which can be decoded."""
        pose = np.eye(4)[None].repeat(3, axis=0)
        voxeliser = Voxeliser(frames(["no.png"] * 3, pose), SurfaceParams(stride=1))
        assert list(voxelise_in_batches(voxeliser, [], 1, device="cpu", memory_bytes=PLENTY)) == []
        found = list(voxelise_in_batches(voxeliser, [0, 1, 2], 1, device="cpu", memory_bytes=PLENTY))
        assert all("no.png" in str(one.fault) and not len(one.code) for one in found)

    @pytest.mark.real_data
    def test_real_frames(self, torch_device, real_data):
        """Real depth maps with real poses: the same voxels, and the same counts of what is shared."""
        (reader,) = (one for one in readers(real_data / "7scenes") if one.name == "redkitchen/train")
        voxeliser = Voxeliser(reader.read().query, SurfaceParams(stride=2))
        rows = [0, 1, 2, 40, 80, 120]
        found = list(voxelise_in_batches(voxeliser, rows, 1, device=torch_device, memory_bytes=2**28))
        builder = OccupancyBuilder()
        for one, want in zip(found, map_in_order(voxeliser.voxelise, rows, 1), strict=True):
            np.testing.assert_array_equal(one.code, want.code)
            np.testing.assert_array_equal(one.word, want.word)
            builder.add(0, one.code, one.word)
        together = builder.build(same=True)
        whole = slice(0, len(rows))
        by_torch = torch_counter(together, "surface", device=torch_device, memory_bytes=2**30).counts(whole, whole)
        for ours, theirs in zip(by_torch, BitsetCounter(together).counts(whole, whole), strict=True):
            np.testing.assert_array_equal(ours, theirs)
