"""Batches of images for training loops of your own, and those of gsv-cities and OpenVPRLab.

    for query, database, psi in PairBatches(LabelFile("msls.h5"), "MSLS", batch_size=32):
        loss = generalized_contrastive_loss(model(query), model(database), psi)

Both classes can be passed to anything that takes an iterable of batches, such as `lightning.Trainer.fit`; each
iteration is the next epoch. `state_dict` keeps the position in an epoch.

The two frameworks train on batches of P places with K images each, images (P, K, 3, h, w) and labels (P, K), and
flatten both. To their miners, images of one label are positives and all others negatives. Graded labels have no such
classes: a partner of a query may share a tenth of its view, and images of two places may share some, too. So the labels
of `PlaceBatches` are indices of cameras, which `GradedMiner` and `GradedBatchLoss`, the replacements of miner and loss,
use to look up ψ.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from relabel.errors import InputError, OptionError
from relabel.images.loading import Batch, CameraDataset, Grouped, PairDataset, UnreadableImages, loader, normalised
from relabel.images.paths import ImagePaths, Size, camera_image_paths, find_images
from relabel.sampling.batch_sampler import GradedBatchSampler
from relabel.sampling.pair_sampler import GradedPairSampler
from relabel.sampling.pair_table import Labels, named_collections
from relabel.training.losses import GeneralizedContrastiveLoss

Images = str | os.PathLike[str] | ImagePaths


class _Batches:
    """An iterable of the batches of one epoch after another, which keeps its position."""

    _arguments: dict[str, Any]

    def __init__(self, sampler: GradedPairSampler | GradedBatchSampler, items: int, batches: Any) -> None:
        self.sampler: Any = sampler
        self._items, self._loader = items, batches
        self._epoch = self._start = self._used = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return (len(self.sampler) + self._items - 1) // self._items

    def _batches(self) -> Iterator[Batch]:
        self.set_epoch(self._epoch + (self._used == len(self.sampler)))
        self._used = self._start
        self.sampler.load_state_dict(self.state_dict())
        for batch in self._loader:
            self._used += min(self._items, len(self.sampler) - self._used)
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, or to the position of a loaded state if that is within this epoch.

        Without it, each completed epoch is followed by the next one.
        """
        if epoch != self._epoch or self._used == len(self.sampler):
            self._epoch, self._start, self._used = epoch, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch after the batches that were yielded, however far workers have read ahead."""
        state: dict[str, Any] = self.sampler.state_dict(self._used) | {"epoch": self._epoch}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state: the next batch is the one that would have come next."""
        self.sampler.load_state_dict(state)
        self._epoch, self._start, self._used = int(state["epoch"]), int(state["position"]), int(state["position"])

    def of_rank(self, rank: int, world_size: int) -> Self:
        """The same batches for one of several processes, which draws its own share."""
        return type(self)(**self._arguments | {"rank": rank, "world_size": world_size})


class PairBatches(_Batches):
    """Batches of pairs: query images and database images, (b, 3, h, w) float32 normalised as for ImageNet, and (b,) ψ.

    Pairs whose images cannot be read are left out, named and counted. Images and ψ are float32, on the CPU.

    Parameters
    ----------
    labels:
        a collection, several, or a `LabelFile`.
    images:
        the top folder of the images, or the `ImagePaths` themselves.
    batch_size:
        pairs in a batch; the last of an epoch may be smaller.
    size:
        (width, height) that images are resized to.
    image_path:
        how a key becomes a path, as for `find_images`.
    workers, pinned:
        number of processes that read images, and whether batches are in pinned memory, for faster copies to a GPU.
    sampling:
        further arguments of `GradedPairSampler`: ``bands``, ``seed``, ``length``, ``rank``, ``world_size``, …

    Raises
    ------
    OptionError, InputError, MissingFileError, MissingPackageError
        as for the sampler and `find_images`.
    """

    def __init__(
        self,
        labels: Labels,
        images: Images,
        *,
        batch_size: int = 32,
        size: Size = (640, 480),
        image_path: str | None = None,
        workers: int = 0,
        pinned: bool = False,
        **sampling: Any,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "labels": labels,
            "images": images,
            "batch_size": batch_size,
            "size": size,
            "image_path": image_path,
            "workers": workers,
            "pinned": pinned,
            **sampling,
        }
        sampler = GradedPairSampler(labels, **sampling)
        data = PairDataset(_paths(labels, images, image_path), size)
        batches = loader(data, Grouped(sampler, batch_size), workers=workers, pinned=pinned)
        super().__init__(sampler, batch_size, batches)
        self.unreadable = UnreadableImages(strict=False)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for batch in self._batches():
            self.unreadable.see(batch)
            if batch.images is not None:
                query, database = normalised(batch.images).chunk(2)
                yield query, database, torch.tensor([psi for _, _, psi in batch.drawn], dtype=torch.float32)


class PlaceBatches(_Batches):
    """Batches of P queries with K − 1 partners each: images (P, K, 3, h, w) float32 and camera indices (P, K) int64.

    Partners are drawn by bands of ψ as in `GradedBatchSampler`, which also numbers the cameras. If a query has too few
    partners in a band, another query fills its row, so a row is not always one place: losses have to use ψ, through
    `GradedBatchLoss` or `GradedMiner`. An image that cannot be read is an error, because a place in these frameworks
    always has K images.

    Parameters
    ----------
    labels, images, size, image_path, workers, pinned:
        as for `PairBatches`.
    places, images_per_place:
        P and K.
    sampling:
        further arguments of `GradedBatchSampler`: ``bands``, ``seed``, ``length``, ``rank``, ``world_size``, …

    Raises
    ------
    OptionError, InputError, MissingFileError, MissingPackageError
        as for the sampler and `find_images`.
    """

    def __init__(
        self,
        labels: Labels,
        images: Images,
        *,
        places: int = 8,
        images_per_place: int = 4,
        size: Size = (320, 320),
        image_path: str | None = None,
        workers: int = 0,
        pinned: bool = False,
        **sampling: Any,
    ) -> None:
        if images_per_place < 2 or places < 1:
            raise OptionError(
                f"{places} places of {images_per_place} images are not possible; a place has at least two images"
            )
        self._arguments = {
            "labels": labels,
            "images": images,
            "places": places,
            "images_per_place": images_per_place,
            "size": size,
            "image_path": image_path,
            "workers": workers,
            "pinned": pinned,
            **sampling,
        }
        self.images_per_place = images_per_place
        sampler = GradedBatchSampler(labels, places * images_per_place, partners=images_per_place - 1, **sampling)
        sources = [collection.source for collection in named_collections(labels)]
        data = CameraDataset(camera_image_paths(sources, _paths(labels, images, image_path)), size)
        super().__init__(sampler, 1, loader(data, sampler, workers=workers, pinned=pinned))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._batches():
            for image in batch.unreadable:
                raise InputError(f"{image.reason}; repair it, or leave its camera out when labelling (mask=…)")
            assert batch.images is not None
            images, cameras = normalised(batch.images).contiguous(), torch.tensor(batch.drawn)
            shape = (-1, self.images_per_place)
            yield images.reshape(*shape, *images.shape[1:]), cameras.reshape(shape)


class GradedMiner(nn.Module):
    """Replaces a miner of pytorch-metric-learning: selects pairs with ψ ≥ `threshold`, and true negatives (ψ = 0).

    Losses of that package take its result as ``indices_tuple``. Pairs in between and unknown pairs are left out.

    Parameters
    ----------
    sampler:
        of the `PlaceBatches`.
    threshold:
        the least ψ of a positive, in (0, 1].
    """

    def __init__(self, sampler: GradedBatchSampler, threshold: float = 0.5) -> None:
        super().__init__()
        if not 0.0 < threshold <= 1.0:
            raise OptionError(f"threshold is {threshold}; it has to be in (0, 1]")
        self._sampler, self.threshold = sampler, threshold

    def forward(self, descriptors: Tensor, cameras: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Anchors, positives, anchors and negatives: four int64 tensors of positions in the batch.

        Parameters
        ----------
        descriptors:
            (b, dim); only their device is used.
        cameras:
            (b,) numbers of cameras, the labels of the batch.
        """
        psi = _matrix(self._sampler, cameras)
        a1, p = (psi >= self.threshold).nonzero(as_tuple=True)
        a2, n = (psi == 0).nonzero(as_tuple=True)
        first, positive, second, negative = (numbers.to(descriptors.device) for numbers in (a1, p, a2, n))
        return first, positive, second, negative


class GradedBatchLoss(nn.Module):
    """A pair loss over all pairs of a batch whose ψ is known; replaces the loss function of the frameworks.

    Parameters
    ----------
    sampler:
        of the `PlaceBatches`.
    loss:
        called with (n, dim) descriptors of each side and (n,) ψ; None for the generalized contrastive loss.
    """

    def __init__(self, sampler: GradedBatchSampler, loss: nn.Module | None = None) -> None:
        super().__init__()
        self._sampler, self.loss = sampler, loss or GeneralizedContrastiveLoss()

    def forward(self, descriptors: Tensor, cameras: Tensor) -> tuple[Tensor, float]:
        """The loss, and the share of the batch's pairs that it covers, which the frameworks log as ``batch_acc``.

        Parameters
        ----------
        descriptors:
            (b, dim).
        cameras:
            (b,) numbers of cameras, the labels of the batch.
        """
        psi = _matrix(self._sampler, cameras)
        i, j = (~psi.isnan()).triu(1).nonzero(as_tuple=True)
        pairs = len(cameras) * (len(cameras) - 1) // 2
        loss: Tensor = self.loss(descriptors[i], descriptors[j], psi[i, j])
        return loss, len(i) / max(pairs, 1)


def _matrix(sampler: GradedBatchSampler, cameras: Tensor) -> Tensor:
    """(b, b) ψ, NaN where it is not known."""
    return torch.from_numpy(sampler.similarity(cameras.reshape(-1).cpu().numpy()).psi)


def _paths(labels: Labels, images: Images, image_path: str | None) -> ImagePaths:
    if isinstance(images, ImagePaths):
        return images
    return find_images([collection.source for collection in named_collections(labels)], images, image_path)
