"""Counts of shared voxels by matrix products in torch, against sets of voxels."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from relabel import devices, surface
from relabel.errors import OptionError
from relabel.similarity import gather
from relabel.surface import gpu_counter, gpu_voxels
from relabel.surface.device_memory import LEAST, Budget
from relabel.surface.gpu_counter import multiplies_int8, torch_counter
from tests.surface.scenes import Voxels, occupancies_of, scene, shared

PLENTY = 2**26

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("one_torch_thread")]


def walls(frames: int, seed: int = 0) -> list[Voxels]:
    """Frames that see overlapping pieces of one wall, and noise; the last one nothing."""
    random = np.random.default_rng(seed)
    found: list[Voxels] = []
    for _ in range(frames - 1):
        corner, size = random.integers(-6, 6, 2), random.integers(3, 9, 2)
        wall = {(int(x), int(y), 0) for x in corner[0] + range(size[0]) for y in corner[1] + range(size[1])}
        found.append(wall | {tuple(map(int, v)) for v in random.integers(-12, 12, (20, 3))})
    return [*found, set()]


voxel_sets = st.lists(st.sets(st.tuples(*3 * [st.integers(-4, 4)]), max_size=30), max_size=6)


class TestCounts:
    """TorchCounter.counts()."""

    @pytest.mark.parametrize("method", ["surface", "voxel-iou"])
    @pytest.mark.parametrize("product", ["int8", "float32"])
    @pytest.mark.parametrize("memory_bytes", [1, 300_000, PLENTY])
    def test_walls(self, torch_device, method, product, memory_bytes):
        """All pairs of two sides, and some of them, however little memory there is and whatever is multiplied."""
        query, database = walls(9), walls(7, seed=1)
        sides = occupancies_of(query, database)
        counting = torch_counter(sides, method, device=torch_device, memory_bytes=memory_bytes, product=product)
        want = shared(query, database, method)
        for rows, columns in ((slice(0, 9), slice(0, 7)), (slice(2, 5), slice(6, 7)), (slice(3, 3), slice(None))):
            for found, all_pairs in zip(counting.counts(rows, columns), want, strict=True):
                assert found.dtype == np.int32
                np.testing.assert_array_equal(found, all_pairs[rows, columns])

    @settings(max_examples=40)
    @given(query=voxel_sets, database=voxel_sets)
    def test_any_sets(self, query, database):
        """Frames of a few voxels, of none, and no frames at all."""
        sides = occupancies_of(query, database)
        for method in ("surface", "voxel-iou"):
            found = torch_counter(sides, method, device="cpu", memory_bytes=PLENTY)
            got = found.counts(slice(0, len(query)), slice(0, len(database)))
            for one, want in zip(got, shared(query, database, method), strict=True):
                np.testing.assert_array_equal(one, want)

    @pytest.mark.parametrize("memory_bytes", [1, PLENTY])
    def test_self_pairs(self, torch_device, memory_bytes):
        """One count is the other's transpose, and the diagonal is the number of voxels."""
        frames = walls(12)
        sides = occupancies_of(frames)
        got = torch_counter(sides, "surface", device=torch_device, memory_bytes=memory_bytes)
        found = got.counts(slice(0, 12), slice(0, 12))
        np.testing.assert_array_equal(found.s_query, found.s_database.T)
        np.testing.assert_array_equal(np.diag(found.s_query), sides.query.size)
        np.testing.assert_array_equal(found.s_query, shared(frames, frames, "surface")[0])
        part = got.counts(slice(2, 9), slice(5, 12))
        np.testing.assert_array_equal(part.s_query, found.s_query[2:9, 5:12])
        np.testing.assert_array_equal(part.s_database, found.s_database[2:9, 5:12])

    def test_far_apart(self, torch_device):
        """No voxel in common, at the two ends of what can be numbered."""
        ends = [{(-(2**20), 0, 0)}, {(2**20 - 1, 0, 0)}]
        found = torch_counter(occupancies_of(ends), "surface", device=torch_device, memory_bytes=PLENTY)
        np.testing.assert_array_equal(found.counts(slice(0, 2), slice(0, 2)).s_query, np.eye(2))

    def test_out_of_memory(self, monkeypatch, caplog):
        """Blocks shrink until they fit, which is said once; the counts are the same."""
        query, database = walls(9), walls(7, seed=1)
        sides = occupancies_of(query, database)
        counting = torch_counter(sides, "surface", device="cpu", memory_bytes=PLENTY)
        counting = replace(counting, budget=Budget(PLENTY, least=1))
        real, sizes = gpu_counter.multiplied, []

        def multiplied(left, right):
            sizes.append(left.numel() + right.numel())
            if sizes[-1] > 12_000:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return real(left, right)

        monkeypatch.setattr(gpu_counter, "multiplied", multiplied)
        with caplog.at_level(logging.INFO):
            found = counting.counts(slice(0, 9), slice(0, 7))
        for one, want in zip(found, shared(query, database, "surface"), strict=True):
            np.testing.assert_array_equal(one, want)
        assert sizes[0] > 12_000
        assert caplog.text.count("out of memory") == 1

    def test_out_of_memory_for_good(self, monkeypatch):
        """Where the smallest block does not fit either, the error says what to do."""
        frames = walls(5)
        sides = occupancies_of(frames)
        counting = torch_counter(sides, "surface", device="cpu", memory_bytes=PLENTY)

        def multiplied(left, right):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(gpu_counter, "multiplied", multiplied)
        with pytest.raises(OptionError, match=r"even for blocks of .* device='cpu'"):
            counting.counts(slice(0, 5), slice(0, 5))
        assert counting.budget.size == LEAST


class TestCounter:
    """torch_counter()."""

    def test_no_room_for_the_scene(self, monkeypatch):
        """A device that cannot even hold the voxels says so."""
        sides = occupancies_of(walls(5))

        def dilated(*arguments):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(gpu_counter, "dilated", dilated)
        with pytest.raises(OptionError, match="out of memory"):
            torch_counter(sides, "surface", device="cpu", memory_bytes=PLENTY)

    def test_product(self, torch_device):
        """int8 only where it is multiplied by the device itself."""
        sides = occupancies_of(walls(3))
        product = torch_counter(sides, "surface", device=torch_device, memory_bytes=PLENTY).product
        assert product == ("int8" if torch_device == "cuda" and multiplies_int8("cuda") else "float32")


class TestMultipliesInt8:
    """multiplies_int8()."""

    def test_as_it_is(self, torch_device):
        """Where torch says that it does, it does so rightly."""
        assert multiplies_int8(torch_device) in (True, False)

    @pytest.mark.parametrize("error", [RuntimeError("not implemented"), AttributeError("_int_mm")])
    def test_refused(self, monkeypatch, error):
        """A torch without this product, or without it on this device."""

        def multiplied(left, right):
            raise error

        monkeypatch.setattr(gpu_counter, "multiplied", multiplied)
        assert not multiplies_int8("cpu")

    def test_wrong(self, monkeypatch):
        """A product that is off by one is not used."""
        real = gpu_counter.multiplied
        monkeypatch.setattr(gpu_counter, "multiplied", lambda left, right: real(left, right) + 1)
        assert not multiplies_int8("cpu")


class TestSource:
    """surface.source() on a device of torch."""

    @pytest.mark.parametrize("method", ["surface", "voxel-iou"])
    @pytest.mark.parametrize("alone", [True, False])
    def test_same_as_on_the_cpu(self, monkeypatch, tmp_path, torch_device, method, alone):
        """From files to values, and everything that is told about them."""
        if torch_device == "cpu":
            monkeypatch.setattr(devices, "chosen", lambda device: device)
            for module, name in ((gpu_counter, "torch_counter"), (gpu_voxels, "voxelise_in_batches")):
                real = getattr(module, name)

                @functools.wraps(real)
                def on_cpu(*arguments, device, real=real):
                    assert device == "cuda"
                    return real(*arguments, device="cpu", memory_bytes=PLENTY)

                monkeypatch.setattr(module, name, on_cpu)
        query = scene(tmp_path, 7, 0)
        database = query if alone else scene(tmp_path, 6, 1)
        (tmp_path / "f0-2.png").write_bytes(b"not a picture")
        params = surface.SurfaceParams(method, tolerance_m=0.2, min_value=0.0)
        want = surface.source(query, database, params, device="cpu")
        found = surface.source(query, database, params, device="cuda")
        one, other = found.collection, want.collection
        assert (one.params, found.notes) == (other.params, want.notes)
        for side in ("query", "database"):
            np.testing.assert_array_equal(getattr(one, side).status, getattr(other, side).status)
            np.testing.assert_array_equal(getattr(one, f"{side}_extent"), getattr(other, f"{side}_extent"))
        a, b = (gather(made).matrix for made in (found, want))
        assert a.nnz > 0
        for name in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
