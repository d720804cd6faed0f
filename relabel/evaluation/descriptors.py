"""Descriptors of images: made by a model, stored as files, joined by key.

DIR/query.npy      (n, d) float32           DIR/database.npy   (m, d) float32
DIR/query.txt      n keys, one per line     DIR/database.txt   m keys
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.devices import device_of
from relabel.display import fields_text
from relabel.errors import InputError, MissingFileError
from relabel.evaluation.ground_truth import EvaluationSet
from relabel.evaluation.nearest import checked
from relabel.exchange.folder import ExportFolder
from relabel.fixed_width import text_array
from relabel.images.paths import Size, find_camera_images
from relabel.input_files import check_regular
from relabel.keys import rows_of

OnProgress = Callable[[int], object]
"""Called with the number of queries or images done since the last call."""

_SHOWN = 3


class Descriptors(NamedTuple):
    """Descriptors of one side."""

    key: npt.NDArray[np.str_]
    values: npt.NDArray[Any]
    """(n, d) float32 or float64"""

    def __repr__(self) -> str:
        return fields_text(self)


def read_descriptors(folder: str | os.PathLike[str], side: str) -> Descriptors:
    """The descriptors of one side of a folder, as described at the head of this module.

    Parameters
    ----------
    folder:
        with ``query.npy``, ``query.txt``, ``database.npy`` and ``database.txt``.
    side:
        ``query`` or ``database``.

    Raises
    ------
    MissingFileError
        when a file is not there.
    InputError
        when a file cannot be read, the numbers of keys and descriptors differ, a key is repeated, or a descriptor is
        not finite.
    """
    array, text = (Path(folder) / f"{side}{ending}" for ending in (".npy", ".txt"))
    for file in (array, text):
        check_regular(file)
    try:
        values = np.load(array, allow_pickle=False)
        content = text.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{error.filename}: there is no such file; a folder of descriptors holds query.npy, query.txt, "
            "database.npy and database.txt, with one key per line"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{text}: is not UTF-8 text; expected one key per line") from None
    except (OSError, ValueError, EOFError, MemoryError) as error:  # memory, asked for by a damaged shape
        raise InputError(f"{array}: cannot be read as an array of numbers ({str(error).splitlines()[0]})") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"{array}: holds several arrays; expected one, with one descriptor per row")
    try:
        # Not splitlines(), which also breaks at characters that a key may hold.
        keys = text_array(content.removesuffix("\n").split("\n") if content else [])
    except InputError as error:
        raise InputError(f"{text}: {error}") from None
    values = checked(values, str(array))
    if len(keys) != len(values):
        raise InputError(
            f"{text}: has {len(keys):,} keys, but {array.name} {len(values):,} descriptors; each key needs one "
            "descriptor"
        )
    unique, counts = np.unique(keys, return_counts=True)
    if (counts > 1).any():
        key = str(unique[counts > 1][0])
        first, second = (np.flatnonzero(keys == key)[:2] + 1).tolist()
        raise InputError(f"{text}: key {key!r} is on lines {first} and {second}; give one descriptor per image")
    return Descriptors(keys, values)


def write_descriptors(
    folder: str | os.PathLike[str], query: Descriptors, database: Descriptors, *, overwrite: bool = False
) -> None:
    """Write the descriptors of both sides; the files appear together, once all of them are complete.

    Parameters
    ----------
    folder:
        it is created if it is missing.
    query, database:
        keys and descriptors.
    overwrite:
        whether existing files may be replaced.

    Raises
    ------
    InputError
        when a key holds the end of a line or begins with a byte order mark, so that it could not be read back.
    OutputExistsError, OutputError
        when a file exists already, or cannot be written.
    """
    sides = {"query": query, "database": database}
    for side, descriptors in sides.items():
        check_one_a_line(descriptors.key, side)
    with ExportFolder(Path(folder), overwrite=overwrite) as target:
        target.claim(f"{side}{ending}" for side in sides for ending in (".npy", ".txt"))
        for side, descriptors in sides.items():
            target.write_array(f"{side}.npy", descriptors.values)
            with target.file(f"{side}.txt") as private:
                text = "".join(f"{key}\n" for key in descriptors.key.tolist())
                private.write_text(text, encoding="utf-8", newline="\n")


def check_one_a_line(keys: npt.NDArray[np.str_], what: str) -> None:
    """Raise an `InputError` that names the first key that a text with one key per line cannot hold."""
    for key in keys.tolist():
        if "\n" in key or "\r" in key or key.startswith("\ufeff"):
            raise InputError(
                f"{what} key {key!r} holds a line break or begins with a byte order mark, but a file of descriptors "
                "has one key per line; give the images other keys"
            )


def aligned(descriptors: Descriptors, keys: npt.NDArray[np.str_], what: str) -> npt.NDArray[Any]:
    """The descriptors of these keys in their order; others are left out.

    Parameters
    ----------
    descriptors:
        by key.
    keys:
        (n,) str.
    what:
        their source, for the message.

    Raises
    ------
    InputError
        when a key has no descriptor; the message shows three of each.
    """
    rows = rows_of(descriptors.key, keys)
    lacking = keys[rows < 0]
    if len(lacking):
        shown, there = (", ".join(map(repr, side[:_SHOWN].tolist())) or "none" for side in (lacking, descriptors.key))
        raise InputError(
            f"{what}: {len(lacking):,} of {len(keys):,} images have no descriptor: {shown}; the file has those of "
            f"{there}; do they belong to this dataset?"
        )
    values: npt.NDArray[Any] = descriptors.values[rows]
    return values


def describe(
    model: Any,
    paths: Sequence[str],
    size: Size,
    *,
    batch_size: int = 32,
    device: str = "auto",
    workers: int = 0,
    on_progress: OnProgress | None = None,
) -> npt.NDArray[np.float32]:
    """The descriptors of images by a model, in the order of the images.

    Parameters
    ----------
    model:
        a `DescriptorModel`, or any torch module that maps (b, 3, h, w) float32, normalised as for ImageNet, to (b, d).
        It is left on the device, in the mode that it was in.
    paths:
        n images.
    size:
        (width, height) that images are resized to.
    batch_size, workers:
        images per step, and the number of processes that read them.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    on_progress:
        called with the number of images done since the last call.

    Returns
    -------
    (n, d) float32

    Raises
    ------
    InputError
        when an image cannot be read (an evaluation without it would not be comparable), or a descriptor is not
        finite.
    """
    import torch  # noqa: PLC0415  predictions are evaluated without it

    from relabel.images.loading import CameraDataset, UnreadableImage, loader, normalised  # noqa: PLC0415

    where = device_of(device)
    training = model.training
    model = model.to(where).eval()
    numbers = [list(range(i, min(i + batch_size, len(paths)))) for i in range(0, len(paths), batch_size)]
    descriptors: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
    unreadable: list[UnreadableImage] = []
    with torch.inference_mode():
        for batch in loader(CameraDataset(text_array(paths), size), numbers, workers=workers):
            unreadable += batch.unreadable
            if batch.images is not None:
                values = model(normalised(batch.images.to(where))).float().cpu().numpy()
                if not descriptors.size:
                    descriptors = np.empty((len(paths), values.shape[1]), np.float32)
                descriptors[batch.drawn] = values
            if on_progress is not None:
                on_progress(batch.asked)
    model.train(training)
    if unreadable:
        shown = "; ".join(image.reason for image in unreadable[:_SHOWN])
        raise InputError(
            f"{len(unreadable):,} of {len(paths):,} images cannot be read, but every image is needed: {shown}"
        )
    checked(descriptors, "model")
    return descriptors


@dataclass(frozen=True)
class ImageOptions:
    """Where the images of a set are, and how the model is run on them.

    Attributes
    ----------
    folder, template:
        as for `relabel.images.paths.find_images`.
    size:
        (width, height) that images are resized to, pixels.
    device, workers:
        as for `describe`.
    """

    folder: str | os.PathLike[str]
    size: Size
    template: str | None = None
    device: str = "auto"
    workers: int = 0


def describe_set(
    model: Any, ground_truth: EvaluationSet, images: ImageOptions, *, on_progress: OnProgress | None = None
) -> tuple[Descriptors, Descriptors]:
    """The descriptors of the images of a set by a model.

    Parameters
    ----------
    model, on_progress:
        as for `describe`.
    ground_truth:
        the set.
    images:
        where they are, and how descriptors are computed.

    Returns
    -------
    query, database
        in the order of the set.

    Raises
    ------
    RelabelError
        as `describe` and `relabel.images.paths.find_camera_images` do.
    """
    sides = []
    for side, keys, cameras_of_places in (
        ("query", ground_truth.query, ground_truth.query_cameras),
        ("database", ground_truth.database, ground_truth.database_cameras),
    ):
        paths = [
            find_camera_images(_all_ok(cameras), Path(images.folder), images.template, collection=name, side=side)
            for name, cameras in zip(ground_truth.places, cameras_of_places, strict=True)
        ]
        values = describe(
            model,
            np.concatenate(paths).tolist(),
            images.size,
            device=images.device,
            workers=images.workers,
            on_progress=on_progress,
        )
        sides.append(Descriptors(keys, values))
    return sides[0], sides[1]


def _all_ok(cameras: Cameras) -> Cameras:
    """Cameras that cannot be labelled have images, too."""
    return replace(cameras, posed=False, status=np.zeros(len(cameras), np.uint8))
