"""Decoding the frames of two sides, once each, with the largest stride that all depths allow.

It also reports which depth maps cannot be used. How a frame is decoded, and what is kept of it, is up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from relabel.cameras import Cameras, Status
from relabel.devices import Device
from relabel.errors import InputError, OptionError
from relabel.frames import Frames
from relabel.surface import frame_cache, gpu_voxels
from relabel.surface.occupancy import OccupancyBuilder
from relabel.surface.params import STRIDE, SurfaceParams
from relabel.surface.voxelise import NO_BRICKS, FrameBricks, Voxeliser, map_in_order, rows_to_decode

SHOWN = 3
Progress = Callable[[int], object]


class DecodedFrame(Protocol):
    """What decoding needs to know about a frame."""

    @property
    def farthest_m(self) -> float:
        """The largest depth that counts, metres."""
        ...

    @property
    def fault(self) -> str | None:
        """Why the depth map cannot be used."""
        ...


F = TypeVar("F", bound=DecodedFrame)
F_contra = TypeVar("F_contra", bound=DecodedFrame, contravariant=True)


class Collector(Protocol[F_contra]):
    """An object that keeps what is needed of each frame."""

    def add_frame(self, side: int, frame: F_contra | None) -> None:
        """The next frame of side 0 (query) or 1 (database); None for a frame that cannot be labelled."""
        ...


C = TypeVar("C", bound=Collector)  # type: ignore[type-arg]  # of the frames of the decoder
Decoder = Callable[[Frames, SurfaceParams, list[int]], Iterator[F]]
"""Decodes the frames of some rows, in their order; the parameters have a stride."""


K = TypeVar("K")


class Decoded(NamedTuple, Generic[K]):
    """The result of decoding the frames of two sides."""

    frames: K
    query: Cameras
    database: Cameras
    params: SurfaceParams
    """with the stride that was used"""
    notes: tuple[str, ...]
    """on the frames whose depth map cannot be used"""


class Occupying(OccupancyBuilder):
    """Collects the bricks of all frames; a `Collector`."""

    def add_frame(self, side: int, frame: FrameBricks | None) -> None:
        """The next frame of a side; None for a frame that cannot be labelled."""
        self.add(side, *(NO_BRICKS if frame is None else (frame.code, frame.word)))


def decode_here(
    frames: Frames, params: SurfaceParams, rows: list[int], *, threads: int | None, device: Device
) -> Iterator[FrameBricks]:
    """Decode the frames of some rows in this process, except those in the cache.

    Depth maps are decoded by threads of the CPU, and become voxels on the device.
    """
    voxeliser = Voxeliser(frames, params)

    def decode(rows: list[int]) -> Iterator[FrameBricks]:
        if device == "cpu":
            return map_in_order(voxeliser.voxelise, rows, threads)
        return gpu_voxels.voxelise_in_batches(voxeliser, rows, threads, device=device)

    return frame_cache.CACHE.bricks(frames, params, rows, decode)


class DeepestFrame(NamedTuple):
    """The frame whose depths require the smallest stride."""

    key: str
    depth_m: float
    focal: float


@dataclass(frozen=True)
class Decoding(Generic[F, C]):
    """The work of decoding.

    Parameters
    ----------
    sides:
        query and database frames, or one for both.
    cameras:
        of each side, with their statuses as known before decoding.
    params:
        `stride` None: the largest up to `STRIDE` that the depths allow.
    decoder:
        decodes frames.
    collector:
        makes the object that keeps the frames.
    progress:
        called with the number of frames decoded since its last call.
    """

    sides: Sequence[Frames]
    cameras: Sequence[Cameras]
    params: SurfaceParams
    decoder: Decoder[F]
    collector: Callable[[], C]
    progress: Progress | None = None

    def run(self) -> Decoded[C]:
        """Decode everything.

        Raises
        ------
        InputError
            when a side has frames, but none of them can be used.
        OptionError
            when the stride is too coarse for the voxels.
        """
        wanted = self.params.stride
        stride = STRIDE if wanted is None else wanted
        reported = 0

        def report(frames: int) -> None:
            nonlocal reported
            if self.progress is not None and frames > reported:
                self.progress(frames - reported)
                reported = frames

        while True:
            params = self.params.with_stride(stride)
            collected, faults, deepest = self._decode(params, report, stop=wanted is None)
            allowed = stride if deepest is None else params.largest_stride(deepest.focal, deepest.depth_m)
            if allowed >= stride:
                break
            if wanted is not None or allowed < 1:
                assert deepest is not None
                raise OptionError(too_coarse_message(params, deepest))
            stride = allowed  # and again from the first frame; those that have been reported are not reported again
        cameras, notes = self._statuses(faults)
        return Decoded(collected, cameras[0], cameras[-1], params, tuple(notes))

    def _decode(
        self, params: SurfaceParams, report: Progress, *, stop: bool
    ) -> tuple[C, list[dict[int, str]], DeepestFrame | None]:
        """The collected frames, the faults of each side by row, and the frame that requires the least stride.

        With `stop`, decoding ends at the first frame that does not allow the stride of `params`.
        """
        collected = self.collector()
        faults: list[dict[int, str]] = []
        deepest: DeepestFrame | None = None
        assert params.stride is not None
        decoded = 0
        for side, (frames, cameras) in enumerate(zip(self.sides, self.cameras, strict=True)):
            rows = rows_to_decode(cameras)
            side_faults: dict[int, str] = {}
            faults.append(side_faults)
            focal = frames.intrinsics[:, :2].min(axis=1)
            done = 0
            for row, frame in zip(rows, self.decoder(frames, params, rows.tolist()), strict=False):
                for _ in range(done, row):
                    collected.add_frame(side, None)
                done = row + 1
                decoded += 1
                report(decoded)
                if frame.fault is not None:
                    side_faults[int(row)] = frame.fault
                    collected.add_frame(side, None)
                    continue
                collected.add_frame(side, frame)
                if deepest is None or frame.farthest_m / focal[row] > deepest.depth_m / deepest.focal:
                    deepest = DeepestFrame(str(cameras.key[row]), frame.farthest_m, float(focal[row]))
                if stop and params.largest_stride(deepest.focal, deepest.depth_m) < params.stride:
                    return collected, faults, deepest
            for _ in range(done, len(frames)):
                collected.add_frame(side, None)
        return collected, faults, deepest

    def _statuses(self, faults: list[dict[int, str]]) -> tuple[list[Cameras], list[str]]:
        """The cameras with bad depth maps marked, and notes of them."""
        cameras, notes = [], []
        for side, side_faults in zip(self.cameras, faults, strict=True):
            if side_faults and len(side_faults) == int(side.ok.sum()):
                first = next(iter(side_faults.values()))
                raise InputError(f"none of {len(side_faults)} depth maps is usable; the first: {first}")
            status = side.status.copy()
            status[list(side_faults)] = Status.BAD_DEPTH
            cameras.append(replace(side, status=status) if side_faults else side)
            if side_faults:
                shown = "; ".join(list(side_faults.values())[:SHOWN])
                more = f"; and {len(side_faults) - SHOWN} more" if len(side_faults) > SHOWN else ""
                notes.append(f"{len(side_faults)} frame(s) have an unusable depth map: bad_depth: {shown}{more}")
        return cameras, notes


def too_coarse_message(params: SurfaceParams, deepest: DeepestFrame) -> str:
    """Why a stride is refused, and which stride would be accepted."""
    most = params.largest_stride(deepest.focal, deepest.depth_m)
    reach = np.floor(100 * (params.edge_m * deepest.focal)) / 100
    seen = f"frame {deepest.key!r} sees up to {deepest.depth_m:.2f} m with a focal length of {deepest.focal:g} pixels"
    if most >= 1:
        return (
            f"a stride of {params.stride} is too coarse for voxels of {params.edge_m:g} m: {seen}, which would leave "
            f"holes in walls there; the largest stride that works is {most}"
        )
    return (
        f"voxels of {params.edge_m:g} m are too small: {seen}, where even neighbouring pixels are "
        f"{deepest.depth_m / deepest.focal:.3g} m apart; ignore depths beyond {reach:g} m, or choose a larger tolerance"
    )
