"""Images of cameras from a folder of images, or from the dataset of labels from depth maps."""

from __future__ import annotations

from collections.abc import Sequence

from relabel.labelfile import StoredCollection
from relabel.view.depth_frames import DepthFrames
from relabel.view.image_files import ImageFile, ImageFiles


class CameraImages:
    """The images of the cameras of some collections.

    Parameters
    ----------
    collections:
        the collections.
    files:
        those below a folder of images, which take precedence.
    frames:
        the frames of labels from depth maps, with their colour images.
    """

    def __init__(
        self, collections: Sequence[StoredCollection], files: ImageFiles | None, frames: DepthFrames | None
    ) -> None:
        self._collections = {stored.name: stored for stored in collections}
        self._files, self._frames = files, frames

    def find(self, collection: str, side: str, row: int) -> ImageFile | None:
        """The image of a camera; None if there is none, or if it may not be shown."""
        image = None if self._files is None else self._files.find(collection, side, row)
        if image is None and self._frames is not None:
            image = self._frames.image(self._collections[collection], side, row)
        return image
