"""All frames of two sides decoded, once each, into occupancies; and what became of those that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from relabel.cameras import Cameras, Status
from relabel.devices import Device
from relabel.errors import InputError, OptionError
from relabel.frames import Frames
from relabel.surface import frame_cache, gpu_voxels
from relabel.surface.occupancy import Compacted, Gathering
from relabel.surface.params import STRIDE, SurfaceParams
from relabel.surface.voxelise import NOTHING, Bricks, Voxeliser, in_order, rows_to_decode

SHOWN = 3
Decoded = Callable[[int], object]


class Taken(NamedTuple):
    """What decoding gave."""

    compacted: Compacted
    query: Cameras
    database: Cameras
    params: SurfaceParams
    notes: tuple[str, ...]


class Far(NamedTuple):
    """The frame whose depths allow the smallest stride."""

    key: str
    depth_m: float
    focal: float


@dataclass(frozen=True)
class Taking:
    """The work of decoding.

    Parameters
    ----------
    sides:
        query and database frames, or one for both.
    cameras:
        of each side, with the statuses that are known before decoding.
    params:
        `stride` None: the largest up to `STRIDE` that the depths allow.
    threads:
        number of threads.
    decoded:
        called with the number of frames decoded since its last call.
    device:
        where depth maps become voxels; they are always decoded by threads of the CPU.
    """

    sides: Sequence[Frames]
    cameras: Sequence[Cameras]
    params: SurfaceParams
    threads: int | None = None
    decoded: Decoded | None = None
    device: Device = "cpu"

    def take(self) -> Taken:
        """Decode everything.

        Raises
        ------
        InputError
            when no frame of a side that has some can be used.
        OptionError
            when the stride is too coarse for the voxels.
        """
        wanted = self.params.stride
        stride = STRIDE if wanted is None else wanted
        told = 0

        def count(frames: int) -> None:
            nonlocal told
            if self.decoded is not None and frames > told:
                self.decoded(frames - told)
                told = frames

        while True:
            params = self.params.with_stride(stride)
            gathering, faults, far = self._all(params, count, stop=wanted is None)
            allowed = stride if far is None else params.largest_stride(far.focal, far.depth_m)
            if allowed >= stride:
                break
            if wanted is not None or allowed < 1:
                assert far is not None
                raise OptionError(too_coarse(params, far))
            stride = allowed  # and once more from the first frame, not to be told twice
        cameras, notes = self._statuses(faults)
        compacted = gathering.finish(same=len(self.sides) == 1)
        return Taken(compacted, cameras[0], cameras[-1], params, tuple(notes))

    def _bricks(self, frames: Frames, params: SurfaceParams, rows: list[int]) -> Iterator[Bricks]:
        voxeliser = Voxeliser(frames, params)

        def decode(rows: list[int]) -> Iterator[Bricks]:
            if self.device == "cpu":
                return in_order(voxeliser.frame, rows, self.threads)
            return gpu_voxels.in_batches(voxeliser, rows, self.threads, device=self.device)

        return frame_cache.LATELY.through(frames, params, rows, decode)

    def _all(
        self, params: SurfaceParams, count: Decoded, *, stop: bool
    ) -> tuple[Gathering, list[dict[int, str]], Far | None]:
        """Every frame; the one that allows the least stride; with `stop`, no farther than the first that is too far."""
        gathering = Gathering()
        faults: list[dict[int, str]] = []
        far: Far | None = None
        assert params.stride is not None
        taken = 0
        for side, (frames, cameras) in enumerate(zip(self.sides, self.cameras, strict=True)):
            rows = rows_to_decode(cameras)
            wrong: dict[int, str] = {}
            faults.append(wrong)
            focal = frames.intrinsics[:, :2].min(axis=1)
            done = 0
            for row, found in zip(rows, self._bricks(frames, params, rows.tolist()), strict=False):
                for _ in range(done, row):
                    gathering.add(side, *NOTHING)
                done = row + 1
                taken += 1
                count(taken)
                if found.fault is not None:
                    wrong[int(row)] = found.fault
                    gathering.add(side, *NOTHING)
                    continue
                gathering.add(side, found.code, found.word)
                if far is None or found.depth_over(focal[row]) > far.depth_m / far.focal:
                    far = Far(str(cameras.key[row]), found.farthest_m, float(focal[row]))
                if stop and params.largest_stride(far.focal, far.depth_m) < params.stride:
                    return gathering, faults, far
            for _ in range(done, len(frames)):
                gathering.add(side, *NOTHING)
        return gathering, faults, far

    def _statuses(self, faults: list[dict[int, str]]) -> tuple[list[Cameras], list[str]]:
        """The cameras with bad depth maps marked, and notes of them."""
        cameras, notes = [], []
        for side, wrong in zip(self.cameras, faults, strict=True):
            if wrong and len(wrong) == int(side.ok.sum()):
                raise InputError(
                    f"no depth map can be used, none of {len(wrong)}; the first: {next(iter(wrong.values()))}"
                )
            status = side.status.copy()
            status[list(wrong)] = Status.BAD_DEPTH
            cameras.append(replace(side, status=status) if wrong else side)
            if wrong:
                shown = "; ".join(list(wrong.values())[:SHOWN])
                more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
                notes.append(f"{len(wrong)} frame(s) have a depth map that cannot be used: bad_depth: {shown}{more}")
        return cameras, notes


def too_coarse(params: SurfaceParams, far: Far) -> str:
    """Why a stride is refused, and what would do."""
    most = params.largest_stride(far.focal, far.depth_m)
    reach = params.edge_m * far.focal
    seen = f"frame {far.key!r} sees {far.depth_m:.2f} m far with a focal length of {far.focal:g} pixels"
    if most >= 1:
        return (
            f"a stride of {params.stride} is too coarse for voxels of {params.edge_m:g} m: {seen}, and walls "
            f"there would get holes; the largest stride that works is {most}"
        )
    return (
        f"voxels of {params.edge_m:g} m are too small: {seen}, where even neighbouring pixels are "
        f"{far.depth_m / far.focal:.3g} m apart; leave out depths beyond {np.floor(100 * reach) / 100:g} m, or choose "
        "a larger tolerance"
    )
