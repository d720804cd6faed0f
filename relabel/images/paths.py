"""Images of cameras: their paths below a folder, and a single image as an array of the requested size.

A label file names cameras, not files. Without a template that makes a path of a key, the layouts of the known datasets
are tried, and the one that finds most images is used.
"""

from __future__ import annotations

import io
import logging
import os
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.datasets.listing import walk
from relabel.datasets.registry import datasets
from relabel.display import fields_text
from relabel.errors import InputError, MissingFileError, MissingPackageError, OptionError
from relabel.input_files import check_regular
from relabel.similarity import SimilaritySource

Size = tuple[int, int]

SUFFIXES = (".jpg", ".jpeg", ".png")

_FIELD = re.compile(r"\{(\w*)\}")
Form = Literal["NFC", "NFD"]
_FORMS: tuple[Form | None, ...] = (None, "NFC", "NFD")
"""Forms of Unicode that the names of files may be in, however keys are spelled; None as these are."""
_TRIED = 64  # cameras that a layout is tried on, spread over all of them
_LISTED = 20_000  # entries of a tree that are looked at for an example of an image
_DRAFT = 2  # how much larger than wanted a JPEG may be decoded; twice looks the same after resizing

log = logging.getLogger(__name__)


class ImagePaths(NamedTuple):
    """Paths of the images of all cameras, numbered consecutively over all collections as in a sampler."""

    query: npt.NDArray[np.str_]
    """(queries,) str"""
    database: npt.NDArray[np.str_]
    """(database cameras,) str"""

    def __repr__(self) -> str:
        return fields_text(self)


def image_paths(cameras: Cameras, template: str | None, *, collection: str, side: str) -> npt.NDArray[np.str_]:
    """(n,) path of every camera's image.

    Parameters
    ----------
    cameras:
        n cameras.
    template:
        text with ``{key}``, ``{collection}``, ``{scene}``, ``{side}`` or the name of a further column in braces; None
        uses the column ``path`` if there is one, else the key.
    collection, side:
        values of these two fields; side is ``query`` or ``database``. ``{scene}`` is the collection up to its first
        slash.

    Raises
    ------
    OptionError
        when the template names something that is not there.
    InputError
        when two cameras would have the same image, or a path is absolute or has ``..`` in it: a key of a label file
        must not lead out of the folder of the images. Links in that folder are followed.
    """
    if template is None:
        template = "{path}" if "path" in cameras.extra else "{key}"
    columns: dict[str, npt.NDArray[Any]] = dict(cameras.extra) | {"key": cameras.key}
    fixed = {"collection": collection, "scene": collection.partition("/")[0], "side": side}
    known = [*fixed, *columns]
    n = len(cameras)
    paths: npt.NDArray[np.str_] = np.full(n, "", dtype=np.str_)
    for i, part in enumerate(_FIELD.split(template)):
        if i % 2 == 0:
            piece: Any = part
        elif part in fixed:
            piece = fixed[part]
        elif part in columns and columns[part].ndim == 1:
            piece = columns[part].astype(np.str_)
        else:
            raise OptionError(f"image path {template!r}: there is no {part!r}; there are {', '.join(known)}")
        paths = np.strings.add(paths, piece)
    for row in np.flatnonzero(np.strings.startswith(paths, "/") | (np.strings.find(paths, "..") >= 0)).tolist():
        path = str(paths[row])
        if path.startswith("/") or ".." in path.split("/"):
            raise InputError(
                f"image path {template!r} gives {path[:200]!r} to {side} camera {str(cameras.key[row])[:200]!r} of "
                f"{collection}, which is outside the image folder; paths have to be relative and without '..': choose "
                "another template (image_path=…), or other keys"
            )
    names, first = np.unique(paths, return_index=True)
    if len(names) < n:
        again = np.setdiff1d(np.arange(n), first)[0]
        raise InputError(
            f"image path {template!r} gives {str(paths[again])!r} to more than one {side} camera of {collection}; "
            "a path needs {key}, or another column that distinguishes cameras"
        )
    return paths


def layouts() -> tuple[str, ...]:
    """Templates of where images are looked for, in this order: path or key as it is, then as the datasets have them."""
    own = (template for spec in datasets().values() for template in spec.image_paths)
    endings = (f"{{key}}.{ending}" for ending in ("jpg", "jpeg", "png"))
    return tuple(dict.fromkeys(("{path}", "{key}", *own, "{side}/{key}", *endings)))


def find_images(
    sources: Sequence[SimilaritySource], folder: str | os.PathLike[str], template: str | None = None
) -> ImagePaths:
    """Paths of the images of all cameras of some collections.

    Only a few images of each side are looked up, so that a million files cost no time; a missing one is noticed when it
    is read.

    Parameters
    ----------
    sources:
        collections with names, for example those of a label file (`StoredCollection`).
    folder:
        top folder of the images.
    template:
        path of an image under `folder`, as for `relabel.images.paths.image_paths`; None looks for it in
        `layouts`.

    Raises
    ------
    MissingFileError
        when there is no such folder.
    OptionError
        when the template names something that is not there.
    InputError
        when no image is found; the message shows three keys, three files and what was tried.
    """
    top = Path(folder)
    if not top.is_dir():
        raise MissingFileError(f"{top}: there is no such folder of images")
    sides: dict[str, list[npt.NDArray[np.str_]]] = {"query": [], "database": []}
    for source in sources:
        name = str(getattr(source, "name", ""))
        for side, cameras in (("query", source.collection.query), ("database", source.collection.database)):
            sides[side].append(find_camera_images(cameras, top, template, collection=name, side=side))
    empty: npt.NDArray[np.str_] = np.empty(0, np.str_)
    return ImagePaths(*(np.concatenate([empty, *paths]) for paths in sides.values()))


def find_camera_images(
    cameras: Cameras, folder: Path, template: str | None = None, *, collection: str = "", side: str = "query"
) -> npt.NDArray[np.str_]:
    """(n,) str, the paths of the images of one side of one collection; parameters and errors as `find_images`."""
    where = np.flatnonzero(cameras.ok)
    letters = cameras.key.view(np.uint32).reshape(len(cameras), cameras.key.itemsize // 4)
    not_ascii = where[(letters[where] > 127).any(axis=1)]
    probe = cameras.take(np.union1d(_some_of(where), _some_of(not_ascii)))
    forms = _FORMS if len(not_ascii) else _FORMS[:1]

    def relative(of: Cameras, layout: str, form: Form | None) -> npt.NDArray[np.str_]:
        paths = image_paths(of, layout, collection=collection, side=side)
        return paths if form is None else np.array([unicodedata.normalize(form, path) for path in paths.tolist()], str)

    tried = [layout for layout in layouts() if layout != "{path}" or "path" in cameras.extra]
    if not collection:  # nothing stands for its name, and paths would begin with the slash after it
        tried = [layout for layout in tried if "{collection}" not in layout and "{scene}" not in layout]
    if template is not None:
        tried = [template]
    chosen, chosen_form, hits = tried[0], forms[0], -1
    for layout, form in product(tried, forms):
        count = _count(folder, relative(probe, layout, form))
        if count > hits:
            chosen, chosen_form, hits = layout, form, count
        if hits == len(probe):
            break
    if not hits and len(probe):
        raise InputError(_nothing_found(folder, probe, tried, collection, side))
    if hits < len(probe):
        log.warning(
            "%s: %d of %d %s images of %s, looked up as %s, are missing",
            *(folder, len(probe) - hits, len(probe), side, collection, chosen),
        )
    log.debug("%s: %s images of %s are at %s", folder, side, collection, chosen)
    return np.strings.add(f"{os.fspath(folder)}{os.sep}", relative(cameras, chosen, chosen_form))


def _some_of(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """At most `_TRIED` of the rows, from first to last."""
    return rows[np.linspace(0, len(rows) - 1, min(_TRIED, len(rows))).astype(np.intp)]


def camera_image_paths(sources: Sequence[SimilaritySource], paths: ImagePaths) -> npt.NDArray[np.str_]:
    """(cameras,) str, the paths of `find_images` in the order in which a `GradedBatchSampler` numbers cameras."""
    parts: list[npt.NDArray[np.str_]] = [np.empty(0, np.str_)]
    row = column = 0
    for source in sources:
        rows, columns = source.collection.shape
        parts.append(paths.query[row : row + rows])
        if not source.collection.self_pairs:
            parts.append(paths.database[column : column + columns])
        row, column = row + rows, column + columns
    return np.concatenate(parts)


def read_image(path: str | os.PathLike[str], size: Size) -> npt.NDArray[np.uint8]:
    """One image, decoded and resized with Pillow.

    The orientation stated in EXIF is not applied, because poses and headings refer to the pixels as stored. The image
    is resized without cropping: a crop would change the field of view that ψ was computed from.

    Parameters
    ----------
    path:
        anything that Pillow reads; grey and palette images become RGB, transparency is dropped.
    size:
        (width, height) of the result, pixels.

    Returns
    -------
    array
        (3, height, width) uint8, RGB, in channels-last memory layout, as decoders and fast convolutions use it.

    Raises
    ------
    MissingFileError, MissingPackageError
        when the file does not exist, or Pillow is not installed.
    InputError
        when it is not a file or not an image, is damaged, or has more than 8 bits per channel.
    """
    with _decoded(path, size) as rgb:
        resized = rgb if rgb.size == size else rgb.resize(size, check_pillow().Resampling.BILINEAR)
        array: npt.NDArray[np.uint8] = np.array(resized, np.uint8)
    return array.transpose(2, 0, 1)


def thumbnail(path: str | os.PathLike[str], longest_px: int, *, quality: int = 70) -> bytes:
    """An image as a JPEG whose longer edge is at most `longest_px`, in the proportions of the image; never enlarged.

    The JPEG holds no metadata of the file, such as where and by whom it was taken. Other parameters and errors as for
    `read_image`.
    """
    with _decoded(path, (longest_px, longest_px)) as rgb:
        rgb.thumbnail((longest_px, longest_px), check_pillow().Resampling.BILINEAR)
        jpeg = io.BytesIO()
        rgb.save(jpeg, "JPEG", quality=quality)
    return jpeg.getvalue()


@contextmanager
def _decoded(path: str | os.PathLike[str], size: Size) -> Iterator[Any]:
    """The image in RGB, of `size` or larger; a large JPEG is decoded at a fraction of its size and of the time."""
    image_module = check_pillow()
    check_regular(path)
    try:
        # What Pillow warns of, such as damaged EXIF data, leaves the pixels as they are.
        with warnings.catch_warnings(action="ignore"), image_module.open(path) as image:
            _check_mode(image.mode)
            image.draft("RGB", (size[0] * _DRAFT, size[1] * _DRAFT))
            rgb = image.convert("RGB")
            rgb.info.clear()
            yield rgb
    except FileNotFoundError:
        raise MissingFileError(f"{os.fspath(path)}: there is no such image") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged image makes a decoder raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{os.fspath(path)}: cannot be read as an image: {reason}") from None


def _check_mode(mode: str) -> None:
    if mode.startswith(("I", "F")):  # depth, say; Pillow makes almost all of it white
        raise InputError("it has more than 8 bits per channel")


def check_pillow() -> Any:
    """Pillow's `Image` module; a `MissingPackageError` where it cannot be loaded."""
    try:
        from PIL import Image  # noqa: PLC0415  labels need no images
    except ImportError as error:
        raise MissingPackageError(
            f"Pillow, which reads images, cannot be loaded ({error}); pip install pillow"
        ) from None
    return Image


def _count(folder: Path, paths: npt.NDArray[np.str_]) -> int:
    # Of a name that is too long for a file system, pathlib raises.
    return sum(os.path.isfile(folder / path) for path in paths.tolist())  # noqa: PTH113


def _nothing_found(folder: Path, probe: Cameras, layouts: Sequence[str], collection: str, side: str) -> str:
    keys = ", ".join(map(repr, probe.key[:3].tolist()))
    files = [name for name, _ in zip(_files(folder), range(3), strict=False)]
    there = f"files there are {', '.join(map(repr, files))}" if files else "there are no images in it"
    return (
        f"{folder}: holds no image of the {side} cameras of {collection or 'the labels'}; their keys are {keys}; "
        f"{there}; tried {', '.join(layouts)}; say how a key becomes a path (image_path=…), or give the folder that "
        "these labels were made from"
    )


def _files(folder: Path) -> Iterator[str]:
    """Sorted paths of images below a folder, relative to it, from a look at some entries."""
    seen = 0
    for top, folders, names in walk(folder):
        for name in names:
            if name.lower().endswith(SUFFIXES):
                yield Path(top, name).relative_to(folder).as_posix()
        seen += len(names) + len(folders)
        if seen > _LISTED:
            return
