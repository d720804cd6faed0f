"""Images of the cameras below one folder, and nothing else."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from relabel.errors import MissingFileError
from relabel.images.paths import find_camera_images
from relabel.labelfile import StoredCollection

MEDIA_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


class ImageFiles:
    """The images of the cameras of some collections.

    They are requested by camera, never by path: their paths are made from the label file, whose keys cannot lead out of
    the folder (see `relabel.images.paths.image_paths`), and a link out of it is not followed unless that is allowed.

    Parameters
    ----------
    collections:
        the collections whose cameras have images.
    folder:
        top folder of the images.
    template:
        path of an image below it, as for `find_camera_images`; None looks for the layout.
    follow_links:
        whether links may lead out of the folder.

    Raises
    ------
    MissingFileError
        when there is no such folder.
    InputError, OptionError
        as for `find_camera_images`.
    """

    def __init__(
        self,
        collections: Sequence[StoredCollection],
        folder: Path,
        template: str | None = None,
        *,
        follow_links: bool = False,
    ) -> None:
        if not folder.is_dir():
            raise MissingFileError(f"{folder}: there is no such folder of images")
        self._top = folder.resolve()
        self._follow_links = follow_links
        self._paths = {
            (stored.name, side): find_camera_images(
                cameras, folder, template, collection=stored.name, side="query" if side == "queries" else side
            )
            for stored in collections
            for side, cameras in (("queries", stored.query), ("database", stored.database))
            if side == "queries" or not stored.self_pairs
        }

    def find(self, collection: str, side: str, row: int) -> ImageFile | None:
        """The image of a camera; None if there is none, or if it may not be shown."""
        paths = self._paths.get((collection, side), self._paths.get((collection, "queries")))
        if paths is None or not 0 <= row < len(paths):
            return None
        return shown_file(Path(str(paths[row])), self._top, follow_links=self._follow_links)


class ImageFile(NamedTuple):
    """An image that may be shown."""

    path: Path
    media_type: str


def shown_file(path: Path, folder: Path, *, follow_links: bool) -> ImageFile | None:
    """The image at a path below a folder; None if it is not an image, or lies outside and links are not followed."""
    try:
        path = path.resolve(strict=True)
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, RuntimeError, ValueError):  # missing, a circle of links, or a name that no system has
        return None
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    inside = follow_links or path.is_relative_to(folder.resolve())
    return ImageFile(path, media_type) if regular and inside and media_type is not None else None
