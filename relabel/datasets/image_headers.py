"""Sizes and orientations from the headers of images, which are not decoded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

from relabel.input_files import check_regular

_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = range(5, 9)  # the orientations that swap width and height


class ImageHeader(NamedTuple):
    """Of one image."""

    size: tuple[int, int]
    """(width, height) of the pixels as stored"""
    orientation: int = 1
    """from EXIF: 1 is upright, and 2 to 8 ask viewers to turn or mirror the image"""

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) as viewers show the image."""
        return self.size[::-1] if self.orientation in _TURNED else self.size


def read_header(path: Path) -> ImageHeader | None:
    """The header of an image; None if it cannot be opened."""
    from PIL import Image  # noqa: PLC0415  few readers look at an image

    try:
        check_regular(path)
        # Faults that Pillow warns of, such as damaged EXIF data, do not affect size and pixels.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            return ImageHeader(image.size, int(image.getexif().get(_ORIENTATION, 1)))
    except Exception:  # whatever a damaged image makes a decoder raise: it is no reason to fail here
        return None
