"""Arrays and a JSON value as bytes that JavaScript makes typed arrays of without a copy.

The layout is that of safetensors: the length of a JSON header (8 bytes, little-endian), the header with the type, shape
and place of each array, then the arrays, the widest items first, so that each begins where its type wants it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_DTYPES = {"float64": "F64", "float32": "F32", "int32": "I32", "uint8": "U8"}


def pack(arrays: Mapping[str, npt.NDArray[Any]], value: object) -> bytes:
    """The arrays (float64, float32, int32 or uint8) and the JSON value as bytes."""
    header: dict[str, Any] = {"__metadata__": {"json": json.dumps(value, allow_nan=False)}}
    pieces: list[bytes] = []
    at = 0
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].itemsize):
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        offsets = [at, at + len(data)]
        header[name] = {"dtype": _DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
        pieces.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *pieces])
