"""Depth maps from files: 16-bit greyscale images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from relabel.errors import InputError
from relabel.input_files import check_regular
from relabel.surface import _png

MODES = ("I;16", "I;16L", "I;16B")
MOST_PIXELS = 2**26
"""A depth map with more pixels counts as damaged, so that a wrong header cannot claim all memory."""


def read_depth(path: str | Path, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint16]:
    """The stored depths of one file, (height, width) uint16, in the units of the file.

    Parameters
    ----------
    path:
        a 16-bit greyscale PNG, a binary PGM of 16 bits, or another image of that kind that Pillow reads.
    size:
        (width, height) that the image must have, in pixels; None: any.

    Raises
    ------
    InputError
        when the file does not exist, is not a regular file, is damaged, is not a 16-bit greyscale image, or has
        another size; the message names the file and the fault.
    """
    check_regular(path)
    plain = _png.decoded(path, size, MOST_PIXELS)
    if plain is not None:
        return plain
    try:
        with Image.open(path) as image:
            _check(path, image, size)
            return np.ascontiguousarray(np.asarray(image), dtype=np.uint16)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: does not exist") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged image makes a decoder raise
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be decoded: {why}") from None


def _check(path: str | Path, image: ImageFile.ImageFile, wanted: tuple[int, int] | None) -> None:
    """Check the header before anything is decoded."""
    mode, size = image.mode, image.size
    if image.format == "PPM" and mode == "I":  # PGM of 16 bits, whose numbers fit
        if image.tile[0][0] != "raw":
            raise InputError(
                f"{path}: is a PGM as text, or one whose largest value is not 65535, which would be scaled; save it as "
                "a 16-bit PNG"
            )
    elif mode not in MODES:
        raise InputError(f"{path}: is stored as {mode!r}; a depth map has to be 16-bit greyscale")
    if wanted is not None and size != tuple(wanted):
        raise InputError(f"{path}: is {size[0]} × {size[1]} pixels; expected {wanted[0]} × {wanted[1]}")
    if size[0] * size[1] > MOST_PIXELS:
        raise InputError(f"{path}: claims {size[0]} × {size[1]} pixels, too large for a depth map")
