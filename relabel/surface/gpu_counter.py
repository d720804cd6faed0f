"""Shared voxels of frames, counted by products of binary matrices in torch, on any device.

Row a of matrix O has a one at each voxel that frame a occupies, row a of D at each of these and their neighbours. Entry
(a, b) of O Dᵀ is then |O_a ∩ D_b|, for all pairs of frames at once. Only voxels that occur on both sides become
columns, as many at a time as fit in memory. Sums are exact: of int8 in int32, or in float32, where every whole number
up to 2²⁴ is a value, over fewer columns than that.
"""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.surface.counting import SharedVoxels
from relabel.surface.device_memory import Budget, memory_budget
from relabel.surface.occupancy import Occupancies, Occupancy
from relabel.surface.params import Method

Product = Literal["int8", "float32"]

ALIGNED = 32
"""Rows and columns of matrices are multiples of this: products of int8 on CUDA want more than 16 of them, and some
fail where a number is not a multiple of 8 or 16 (pytorch pull requests 94339 and 106840)."""
MOST_COLUMNS = 2**23  # of one product, so that a sum of ones stays exact in float32
MOST_ELEMENTS = 2**31 - 1  # of one tensor: nonzero() and some index kernels of CUDA do not go further
ENTRY_BYTES = 64  # bytes of an entry of O or D while it is set, including its indices of 8 bytes

log = logging.getLogger(__name__)


class Incidence(NamedTuple):
    """The positions of the ones in a matrix of frames × voxels, row by row."""

    start: npt.NDArray[np.int64]
    """(n + 1,) on the host: the ones of frame f are the places start[f] … start[f + 1] - 1"""
    voxel: Any
    """(m,) int32 tensor on the device: their columns, ascending within a frame"""

    def entries(self, frames: slice) -> tuple[Any, Any]:
        """Row, counted from the first of `frames`, and column of the ones of these frames, two int64 tensors."""
        torch = importlib.import_module("torch")
        start = self.start[frames.start : frames.stop + 1]
        counts = torch.from_numpy(np.diff(start)).to(self.voxel.device)
        row = torch.repeat_interleave(torch.arange(len(start) - 1, device=self.voxel.device), counts)
        return row, self.voxel[int(start[0]) : int(start[-1])].long()


@dataclass(frozen=True, eq=False)
class TorchCounter:
    """Counts shared voxels on a torch device; a `VoxelCounter`, made by `torch_counter`.

    Parameters
    ----------
    query_sides, database_sides:
        occupied and dilated voxels of the frames of either side; twice the same if only voxels that both occupy count.
    voxels:
        the number of voxels.
    product:
        ``int8`` or ``float32``: the type of the matrices.
    budget:
        the memory budget of blocks.
    """

    query_sides: tuple[Incidence, Incidence]
    database_sides: tuple[Incidence, Incidence]
    voxels: int
    product: Product
    budget: Budget

    def counts(self, rows: slice, columns: slice) -> SharedVoxels:
        """The counts of the queries `rows` and the database frames `columns`, slices without a step.

        They are the same for any device and any memory budget.

        Raises
        ------
        OptionError
            when the device is out of memory for the smallest block as well.
        """
        row = slice(*rows.indices(len(self.query_sides[0].start) - 1))
        column = slice(*columns.indices(len(self.database_sides[0].start) - 1))
        return self.budget.within(lambda size: self._counts(row, column, size))

    def _counts(self, rows: slice, columns: slice, size: int) -> SharedVoxels:
        shape = rows.stop - rows.start, columns.stop - columns.start
        (occupied, dilated), (other_occupied, other_dilated) = self.query_sides, self.database_sides
        of_query, of_database = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        frames, width = self._block(size)
        for row in _parts(rows, frames):
            for column in _parts(columns, frames):
                block = _shifted(row, -rows.start), _shifted(column, -columns.start)
                first = self._product(occupied, row, other_dilated, column, width)
                of_query[block] = first.cpu().numpy()
                if dilated is occupied:
                    of_database[block] = of_query[block]
                elif occupied is other_occupied and row == column:
                    of_database[block] = of_query[block].T
                else:
                    of_database[block] = self._product(dilated, row, other_occupied, column, width).cpu().numpy()
        return SharedVoxels(of_query, of_database)

    def _block(self, size: int) -> tuple[int, int]:
        """The numbers of frames per side and of voxels to multiply at a time within `size` bytes."""
        share = size // 4  # one for entries, one for results, two for matrices
        longest = max(int(np.diff(m.start).max(initial=1)) for m in (*self.query_sides, *self.database_sides))
        frames = min(math.isqrt(share // 16), share // (2 * ENTRY_BYTES * longest))
        frames = frames // ALIGNED * ALIGNED or max(frames, 1)
        padded = _aligned(frames)
        width = min(share // (padded * (1 if self.product == "int8" else 4)), MOST_ELEMENTS // padded, MOST_COLUMNS)
        return frames, max(width // ALIGNED * ALIGNED, ALIGNED)

    def _product(self, left: Incidence, rows: slice, right: Incidence, columns: slice, width: int) -> Any:
        """(rows, columns) int32 tensor: how many voxels both mark."""
        torch = importlib.import_module("torch")
        device = left.voxel.device
        sides = [left.entries(rows), right.entries(columns)]
        both = torch.ones(self.voxels, dtype=torch.bool, device=device)
        for _, voxel in sides:
            both &= torch.zeros_like(both).index_fill_(0, voxel, value=True)
        place = torch.cumsum(both, 0) - 1
        shared = int(both.sum())
        kept = []
        for row, voxel in sides:
            keep = both[voxel]
            kept.append((row[keep], place[voxel[keep]]))
        shape = rows.stop - rows.start, columns.stop - columns.start
        total = torch.zeros([_aligned(n) for n in shape], dtype=torch.int32, device=device)
        for low in range(0, shared, width):
            wide = min(width, _aligned(shared - low))
            ones = [self._ones(*side, low, wide, n) for side, n in zip(kept, total.shape, strict=True)]
            total += multiplied(*ones)
        return total[: shape[0], : shape[1]]

    def _ones(self, row: Any, place: Any, low: int, width: int, rows: int) -> Any:
        """(rows, width) matrix with ones at the entries of the columns low … low + width - 1."""
        torch = importlib.import_module("torch")
        inside = (place >= low) & (place < low + width)
        flat = row[inside] * width + (place[inside] - low)
        ones = torch.zeros(rows * width, dtype=getattr(torch, self.product), device=row.device)
        return ones.index_fill_(0, flat, 1).view(rows, width)


def torch_counter(
    occupancies: Occupancies,
    method: Method,
    *,
    device: Literal["cpu", "cuda"] = "cuda",
    memory_bytes: int | None = None,
    product: Product | None = None,
) -> TorchCounter:
    """A counter of shared voxels on a torch device.

    Parameters
    ----------
    occupancies:
        the occupancies of both sides.
    method:
        ``surface`` or ``voxel-iou``.
    device:
        ``cuda`` or ``cpu``, of torch.
    memory_bytes:
        the memory to use there, bytes; by default most of the free memory.
    product:
        ``int8`` or ``float32``: what matrices are made of; by default int8 if the GPU multiplies it correctly.

    Raises
    ------
    OptionError
        when the device has no room for the voxels of all frames.
    """
    budget = Budget(memory_budget(device, memory_bytes))
    space, query, database = occupancies
    torch = importlib.import_module("torch")

    def side(occupancy: Occupancy, size: int) -> tuple[Incidence, Incidence]:
        voxel = torch.from_numpy(np.ascontiguousarray(occupancy.voxel, np.int32)).to(device)
        incidence = Incidence(np.asarray(occupancy.start, np.int64), voxel)
        return incidence, dilated(incidence, space.neighbour, size) if method == "surface" else incidence

    first = budget.within(lambda size: side(query, size))
    second = first if database is query else budget.within(lambda size: side(database, size))
    if product is None:
        product = "int8" if device == "cuda" and multiplies_int8(device) else "float32"
    log.debug("counting on %s with products of %s", device, product)
    return TorchCounter(first, second, len(space), product, budget)


def dilated(incidence: Incidence, neighbour: npt.NDArray[np.int32], size: int) -> Incidence:
    """The voxels that frames occupy, and all of their neighbours.

    Parameters
    ----------
    incidence:
        the voxels that they occupy.
    neighbour:
        (voxels, k) int32: the voxels next to each, -1 where none is known.
    size:
        bytes that may be used meanwhile, roughly.
    """
    torch = importlib.import_module("torch")
    device = incidence.voxel.device
    around = torch.from_numpy(np.ascontiguousarray(neighbour, np.int32)).to(device)
    voxels, k = neighbour.shape
    stride = voxels + 1  # the last column takes neighbours that are not known voxels
    frames = len(incidence.start) - 1
    longest = int(np.diff(incidence.start).max(initial=1))
    frames_at_once = min(size // (2 * stride + 24 * (k + 1) * longest), MOST_ELEMENTS // stride)
    voxels_of_parts, counts = [incidence.voxel[:0]], [np.zeros(1, np.int64)]
    for part in _parts(slice(0, frames), max(frames_at_once, 1)):
        row, voxel = incidence.entries(part)
        seen = torch.zeros((part.stop - part.start) * stride, dtype=torch.bool, device=device)
        seen.index_fill_(0, row * stride + voxel, value=True)
        near = around[voxel].long()
        near[near < 0] = voxels
        near += (row * stride)[:, None]
        seen.index_fill_(0, near.view(-1), value=True)
        inside = seen.view(-1, stride)[:, :voxels]
        counts.append(inside.sum(1).cpu().numpy())
        voxels_of_parts.append(inside.nonzero()[:, 1].int())
    return Incidence(np.cumsum(np.concatenate(counts)), torch.cat(voxels_of_parts))


def multiplies_int8(device: str) -> bool:
    """Whether torch has a product of int8 matrices on this device, with correct results."""
    torch = importlib.import_module("torch")
    random = np.random.default_rng(0)
    left, right = random.integers(0, 2, (2, 2 * ALIGNED, 4 * ALIGNED), np.int8)
    try:
        product = multiplied(torch.from_numpy(left).to(device), torch.from_numpy(right).to(device)).cpu().numpy()
    except (RuntimeError, AttributeError) as error:  # a private function of torch, which not all devices have
        log.debug("no products of int8: %s", error)
        return False
    return bool((product == left.astype(np.int32) @ right.astype(np.int32).T).all())


def multiplied(left: Any, right: Any) -> Any:
    """The product of one matrix with the transpose of another, int32."""
    torch = importlib.import_module("torch")
    if left.dtype == torch.int8:
        return torch._int_mm(left, right.t())  # noqa: SLF001 - the only product of int8 that torch has
    return torch.mm(left, right.t()).int()


def _parts(whole: slice, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size` numbers each."""
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _aligned(n: int) -> int:
    return -(-n // ALIGNED) * ALIGNED
