"""Surface overlap of all pairs of two sets of frames: what is asked for, checked."""

from __future__ import annotations

import numpy as np

from relabel import devices
from relabel.cameras import Cameras
from relabel.errors import InputError, OptionError
from relabel.frames import Frames
from relabel.jit import thread_count
from relabel.measures import Measure, check_measure
from relabel.similarity import DEFAULT_MIN_VALUE, Collection, Similarity, gather
from relabel.surface.counting import Method
from relabel.surface.memory import budget
from relabel.surface.pairs import Progress, SurfaceOverlap
from relabel.surface.poses import placed
from relabel.surface.settings import Settings, settings
from relabel.surface.taking import Far, too_coarse


def source(
    query: Frames,
    database: Frames,
    *,
    method: Method = "surface",
    tolerance_m: float = 0.05,
    voxel_m: float | None = None,
    stride: int | None = None,
    nearest_m: float = 0.0,
    farthest_m: float | None = None,
    measure: Measure = "iou",
    min_value: float = DEFAULT_MIN_VALUE,
    device: str = "cpu",
    threads: int | None = None,
    memory_bytes: int | None = None,
    progress: Progress | None = None,
) -> SurfaceOverlap:
    """The surface overlap as a `SimilaritySource`; the parameters are those of `overlap`.

    Parameters are checked here, at once; depth maps are decoded when `SurfaceOverlap.collection` or its blocks are
    first asked for.
    """
    chosen = settings(method, tolerance_m, voxel_m, stride, nearest_m, farthest_m)
    check_measure(measure)
    if memory_bytes is not None and memory_bytes < 1:
        raise OptionError(f"memory_bytes is {memory_bytes}; it is a positive number of bytes")
    thread_count(threads)  # at once, not when the frames have been decoded
    where = devices.chosen(device)
    same = query is database
    if query.cameras.crs != database.cameras.crs:
        raise InputError(
            f"queries are in {query.cameras.crs}, the database in {database.cameras.crs}: bring both into one frame of "
            "reference first"
        )
    cameras, notes = placed(query)
    others, more = (cameras, []) if same else placed(database)
    if chosen.farthest_m is not None:
        for side, placed_side in ((query, cameras), (database, others)):
            _check_stride(chosen, side, placed_side)
    draft = Collection(
        cameras,
        others,
        np.full(len(cameras), np.nan),
        np.full(len(others), np.nan),
        method=method,
        measure=measure,
        min_value=min_value,
        self_pairs=same,
    )
    told = (*notes, *more)
    return SurfaceOverlap(query, database, chosen, draft, told, budget(memory_bytes), threads, where, progress)


def _check_stride(chosen: Settings, frames: Frames, cameras: Cameras) -> None:
    """Refuse a stride, or voxels, that the largest depth that counts does not allow."""
    focal = np.where(cameras.ok, frames.intrinsics[:, :2].min(axis=1), np.inf)
    if not cameras.ok.any() or chosen.farthest_m is None:
        return
    k = int(np.argmin(focal))
    stride = 1 if chosen.stride is None else chosen.stride
    if chosen.largest_stride(float(focal[k]), chosen.farthest_m) < stride:
        far = Far(str(cameras.key[k]), chosen.farthest_m, float(focal[k]))
        raise OptionError(too_coarse(chosen.with_stride(stride), far))


def overlap(
    query: Frames,
    database: Frames,
    *,
    method: Method = "surface",
    tolerance_m: float = 0.05,
    voxel_m: float | None = None,
    stride: int | None = None,
    nearest_m: float = 0.0,
    farthest_m: float | None = None,
    measure: Measure = "iou",
    min_value: float = DEFAULT_MIN_VALUE,
    device: str = "cpu",
    threads: int | None = None,
    memory_bytes: int | None = None,
    progress: Progress | None = None,
) -> Similarity:
    """How much surface all pairs of query and database frames both see, as a degree of overlap ψ.

    A frame occupies the voxels that points of its depth map lie in. Of two frames, sA voxels of A are, or are next to,
    voxels of B, and sB the other way round; with I = (sA + sB) / 2 and the numbers of voxels nA (query) and nB, ψ is
    I/(nA+nB-I) for ``iou``, min(1, I/nA) for ``overlap`` and 2I/(nA+nB) for ``dice``. Pairs of frames whose status is
    not OK are left out: their ψ is unknown.

    Parameters
    ----------
    query, database:
        frames with poses in metres in one frame of reference. When both are the same object, the result is self-paired:
        symmetric (but for ``overlap``), without the diagonal.
    method:
        ``surface``, or ``voxel-iou``: I is the number of voxels that both occupy, which is far too small where voxels
        are as small as the noise.
    tolerance_m:
        distance up to which two points are held to be one piece of surface, metres.
    voxel_m:
        edge of a voxel, metres; by default 0.55 of the tolerance, for ``voxel-iou`` the tolerance itself.
    stride:
        every so-manieth row and column of pixels counts; by default 2, or 1 where depths are too large for that. It is
        refused where a wall at the largest depth would get holes: above voxel_m · focal length / depth.
    nearest_m, farthest_m:
        depths outside are left out, metres.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.
    device:
        ``cpu``, ``cuda``, or ``auto``, which is CUDA where it is there; results do not depend on it.
    threads:
        number of threads, by default all; results do not depend on it.
    memory_bytes:
        what counting may take besides the voxels of all frames, by default a quarter of the memory that is free;
        results do not depend on it.
    progress:
        called with the number of queries that have been finished since its last call.

    Returns
    -------
    Similarity
        (queries × database) float32 CSR matrix of all ψ > min_value; the cameras, with the status `BAD_DEPTH` where a
        depth map cannot be used and `NO_POSE` where a pose is no rigid motion; the numbers of voxels as extents.

    Raises
    ------
    OptionError
        when a parameter is outside its range, or the stride too coarse for the voxels.
    InputError
        when the frames of reference differ, intrinsics do not fit the pictures, or no depth map can be used.
    """
    return gather(
        source(
            query,
            database,
            method=method,
            tolerance_m=tolerance_m,
            voxel_m=voxel_m,
            stride=stride,
            nearest_m=nearest_m,
            farthest_m=farthest_m,
            measure=measure,
            min_value=min_value,
            device=device,
            threads=threads,
            memory_bytes=memory_bytes,
            progress=progress,
        )
    )
