"""Batches of images: datasets for any `DataLoader`, and the loader that training and evaluation use.

A dataset is indexed with the items of a sampler, pairs or cameras. An item whose image cannot be read becomes an
`UnreadableImage`, which a batch counts and leaves out. Images stay uint8 until they are on the device, a quarter of the
bytes of float32. Datasets hold paths and no open file, so that workers can be spawned.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from relabel.display import fields_text
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.images.paths import ImagePaths, Size, check_pillow, read_image
from relabel.stopping import begin_worker, prepare_workers, signals_held

# Of ImageNet's training images, which pretrained backbones were trained with.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

_NAMED = 10  # images that cannot be read and are named one by one

log = logging.getLogger(__name__)


class UnreadableImage(NamedTuple):
    """An image that could not be read."""

    path: str
    reason: str


class Item(NamedTuple):
    """An item of a sampler, with its images."""

    drawn: Any
    images: list[npt.NDArray[np.uint8]]
    """(3, height, width) each"""


class Batch(NamedTuple):
    """Items of a sampler and their images."""

    images: Tensor | None
    """(images an item × items, 3, height, width) uint8, channels last: the first of all items, then the second ones;
    None where no item could be read"""
    drawn: list[Any]
    """the items of the sampler, without those that could not be read"""
    asked: int
    """items that were drawn"""
    unreadable: list[UnreadableImage]

    def __repr__(self) -> str:
        return fields_text(self)


class PairDataset(Dataset[Item | UnreadableImage]):
    """The two images of each (query, database, ψ) of a `GradedPairSampler`.

    Parameters
    ----------
    paths:
        paths of the images, numbered as in the sampler.
    size:
        (width, height) that images are resized to.

    Raises
    ------
    MissingPackageError
        when Pillow is not installed.
    """

    def __init__(self, paths: ImagePaths, size: Size) -> None:
        check_pillow()
        self._query, self._database = (_Paths(side) for side in paths)
        self._size = size

    def __getitem__(self, drawn: tuple[int, int, float]) -> Item | UnreadableImage:
        query, database, _ = drawn
        return _read(drawn, [self._query[query], self._database[database]], self._size)


class CameraDataset(Dataset[Item | UnreadableImage]):
    """The image of each camera of a `GradedBatchSampler`.

    Parameters
    ----------
    paths:
        (cameras,) str, the path of each camera's image, numbered as in the sampler.
    size:
        (width, height) that images are resized to.

    Raises
    ------
    MissingPackageError
        when Pillow is not installed.
    """

    def __init__(self, paths: npt.NDArray[np.str_], size: Size) -> None:
        check_pillow()
        self._paths = _Paths(paths)
        self._size = size

    def __getitem__(self, drawn: int) -> Item | UnreadableImage:
        return _read(drawn, [self._paths[drawn]], self._size)


class Grouped:
    """Items of a sampler in lists of `size`; the last of an epoch may be shorter."""

    def __init__(self, sampler: Any, size: int) -> None:
        if size < 1:
            raise OptionError(f"size is {size}; at least one is needed")
        self._sampler, self._size = sampler, size

    def __len__(self) -> int:
        return (len(self._sampler) + self._size - 1) // self._size

    def __iter__(self) -> Iterator[list[Any]]:
        group: list[Any] = []
        for drawn in self._sampler:
            group.append(drawn)
            if len(group) == self._size:
                yield group
                group = []
        if group:
            yield group


def collate(items: Sequence[Item | UnreadableImage]) -> Batch:
    """One batch of the items that a dataset returned for one list of a sampler's items."""
    good = [item for item in items if isinstance(item, Item)]
    unreadable = [item for item in items if isinstance(item, UnreadableImage)]
    if not good:
        return Batch(None, [], len(items), unreadable)
    each = len(good[0].images)
    # Stacked as they lie in memory, so that the permuted view has its channels last without a copy.
    arrays = [item.images[place].transpose(1, 2, 0) for place in range(each) for item in good]
    stacked = np.ascontiguousarray(np.stack(arrays))
    return Batch(torch.from_numpy(stacked).permute(0, 3, 1, 2), [item.drawn for item in good], len(items), unreadable)


def loader(dataset: Dataset[Any], batches: Any, *, workers: int = 0, pinned: bool = False) -> DataLoader[Any]:
    """A loader of `Batch`es.

    Parameters
    ----------
    dataset, batches:
        a dataset of this module, and an iterable of lists of its items.
    workers:
        processes that read images; 0 reads them in this one. They are spawned: a fork of a process with threads of
        HDF5, numba or CUDA may hang.
    pinned:
        whether batches are in pinned memory, for faster copies to a GPU.
    """
    return _Loader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_begin_worker if workers else None,
        persistent_workers=workers > 0,
        pin_memory=pinned,
        generator=torch.Generator(),  # of its own: the seed that it draws each epoch must not move what a model draws
    )


def normalised(images: Tensor) -> Tensor:
    """Images as backbones take them: (b, 3, h, w) uint8 to float32, normalised as for ImageNet."""
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (MEAN, STD))
    # In place: a batch as float32 is the largest array before the network.
    return images.to(torch.float32, copy=True).div_(255.0).sub_(mean).div_(std)


class UnreadableImages:
    """Logs images that cannot be read, each once and only some; a strict run stops at the first."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._paths: set[str] = set()

    def see(self, batch: Batch) -> None:
        """Log, or refuse if strict, the images that a batch could not read.

        Raises
        ------
        InputError
            when the run is strict and an image could not be read.
        """
        for image in batch.unreadable:
            if self._strict:
                raise InputError(f"{image.reason}; with strict=False its pairs are left out")
            if image.path not in self._paths:
                self._paths.add(image.path)
                if len(self._paths) <= _NAMED:
                    log.warning("%s; its pairs are left out", image.reason)
                elif len(self._paths) == _NAMED + 1:
                    log.warning("more images cannot be read; from here on they are only counted")


class _Loader(DataLoader[Any]):
    """A loader whose workers end at once with their parent: torch's own look for it only now and then, when idle."""

    def __iter__(self) -> Any:
        if self.num_workers == 0:
            return super().__iter__()
        prepare_workers()
        with signals_held():  # it starts the workers
            return super().__iter__()


def _begin_worker(number: int) -> None:
    del number
    begin_worker()


class _Paths:
    """Texts as the bytes of a tensor, which processes that a loader spawns share instead of having one each."""

    def __init__(self, texts: npt.NDArray[np.str_]) -> None:
        encoded = np.strings.encode(texts, "utf-8")
        width = max(encoded.itemsize, 1)
        self._bytes = torch.from_numpy(encoded.astype(f"S{width}").view(np.uint8).reshape(-1, width).copy())

    def __getitem__(self, number: int) -> str:
        return self._bytes[number].numpy().tobytes().rstrip(b"\0").decode("utf-8")


def _read(drawn: Any, paths: Sequence[str], size: Size) -> Item | UnreadableImage:
    images = []
    for path in paths:
        try:
            images.append(read_image(path, size))
        except (InputError, MissingFileError) as error:
            return UnreadableImage(path, str(error))
    return Item(drawn, images)
