"""Names of pictures, which most formats want and a label file need not hold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.errors import InputError, OptionError

MSLS_PATH = "train_val/{collection}/{side}/images/{key}.jpg"
"""Where MSLS keeps the picture of a camera, relative to its root."""

_FIELD = re.compile(r"\{(\w*)\}")


def picture_paths(cameras: Cameras, template: str | None, *, collection: str, side: str) -> npt.NDArray[np.str_]:
    """(n,) path of every camera's picture.

    Parameters
    ----------
    cameras:
        n cameras.
    template:
        text with ``{key}``, ``{collection}``, ``{scene}``, ``{side}`` or the name of a further column in braces; None
        takes the column ``path`` where there is one, else the key.
    collection, side:
        what the two names stand for; side is ``query`` or ``database``. ``{scene}`` is the collection up to its first
        slash.

    Raises
    ------
    OptionError
        when the template names something that is not there.
    InputError
        when two cameras would have the same picture.
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
    names, first = np.unique(paths, return_index=True)
    if len(names) < n:
        again = np.setdiff1d(np.arange(n), first)[0]
        raise InputError(
            f"image path {template!r} gives {str(paths[again])!r} to more than one {side} camera of {collection}; "
            "a path needs {key}, or another column that tells cameras apart"
        )
    return paths
