"""Stored depth maps, read by Pillow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError
from relabel.input_files import check_regular


def stored_depth(path: str, size: tuple[int, int] | None) -> npt.NDArray[np.uint16]:
    """(h, w) the depth map as it is stored; `size` is the (width, height) that it is to have.

    Raises
    ------
    InputError
        when the file is not a PNG of 16-bit greyscale of that size.
    """
    from PIL import Image  # noqa: PLC0415

    check_regular(path)
    try:
        with Image.open(path) as image:
            mode, stored_size = image.mode, image.size
            if size is None or stored_size == size:  # else nothing is decoded, however large it says it is
                # Pillow has called the mode of 16-bit greyscale I where it now calls it I;16.
                steps = np.array(image, dtype=np.int64)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged image makes a decoder raise
        raise InputError(f"{path}: is not a readable depth map ({error})") from None
    if not mode.startswith("I"):
        raise InputError(f"{path}: holds pixels of mode {mode}; a depth map is a PNG of 16-bit greyscale")
    if size is not None and stored_size != size:
        raise InputError(f"{path}: is {stored_size[0]} × {stored_size[1]} pixels; expected {size[0]} × {size[1]}")
    return steps.astype(np.uint16)
