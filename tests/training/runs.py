"""Small label files with images that show what they are labelled with, and models that train in no time."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import relabel
from relabel.labelfile import StoredCollection
from relabel.training.config import TrainConfig
from relabel.training.trainer import Trainer
from tests.similarities import similarity

SIZE = (16, 12)


class Place(NamedTuple):
    """A label file and the folder of its images."""

    file: Path
    images: Path

    @property
    def stored(self) -> StoredCollection:
        return relabel.LabelFile(self.file)["town"]


def place(folder: Path, *, n: int = 24, seed: int = 0, **fields: Any) -> Place:
    """A town of n queries and n database cameras, each with an image of one colour that depends on its number."""
    labels = similarity(n, n, seed=seed, density=0.4, **fields)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "town.h5"
    relabel.write(file, {"town": labels})
    for i, key in enumerate(
        {**dict.fromkeys(labels.collection.query.key), **dict.fromkeys(labels.collection.database.key)}
    ):
        image_file(folder / "images" / f"{key}.png", colour=(i * 7 % 256, i * 13 % 256, i * 29 % 256))
    return Place(file, folder / "images")


def image_file(path: Path, *, colour: Any = (200, 100, 50), size: tuple[int, int] = SIZE, mode: str = "RGB") -> Path:
    """An image of one colour with a brighter corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, colour)
    if mode == "RGB":
        image.putpixel((0, 0), (255, 255, 255))
    image.save(path)
    return path


class Small(nn.Module):
    """A model with all that a resume has to keep: convolution, dropout, and statistics of a batch normalisation."""

    def __init__(self, width: int = 4, *, dropout: float = 0.3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """(b, width) descriptors of unit length."""
        return nn.functional.normalize(self.dropout(self.norm(self.conv(images))).mean(dim=(2, 3)), dim=1)


def small(seed: int = 0, **fields: Any) -> Small:
    """A `Small` with weights from a seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Small(**fields)


def config(**fields: Any) -> TrainConfig:
    """A recipe of two epochs of three steps each."""
    usual: dict[str, Any] = {"batch_size": 4, "pairs_per_epoch": 12, "epochs": 2, "size": SIZE, "momentum": 0.9}
    usual |= {"lr_every": 1} | fields
    if usual.get("optimizer") == "adamw":
        usual["momentum"] = 0.0
    return TrainConfig(**usual)


def trainer(
    where: Place, folder: Path, *, model: nn.Module | None = None, recipe: Any = None, **fields: Any
) -> Trainer:
    """A trainer of a `Small` on the CPU."""
    return Trainer(recipe or config(), model or small(), where.stored, where.images, folder, device="cpu", **fields)


class StopError(Exception):
    """Raised by a test in the middle of a run."""


def stop_after(pairs: int, *, epoch: int = 1) -> Any:
    """A progress bar that raises `StopError` once it has seen more than so many pairs of an epoch."""

    def bar(what: str, _total: int) -> Any:
        seen = 0

        def step(size: int) -> None:
            nonlocal seen
            seen += size
            if what.startswith(f"epoch {epoch}/") and seen > pairs:
                raise StopError

        return nullcontext(step)

    return bar


def weights(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of all tensors of a model."""
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
