"""The bytes that the page makes arrays of, read back without the code that wrote them."""

from __future__ import annotations

import json

import numpy as np

from relabel.view.columns import pack


def test_arrays_begin_where_their_type_wants_it() -> None:
    """Whatever their order and length, every array reads back, and none begins at an odd place for its type."""
    arrays = {
        "a": np.array([1, 2, 3], np.uint8),
        "b": np.array([[1.5, np.nan], [3.0, np.inf]]),
        "c": np.array([7], np.int32),
        "none": np.empty(0, np.float32),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    }
    data = pack(arrays, {"ψ": ["é", 1]})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert json.loads(header.pop("__metadata__")["json"]) == {"ψ": ["é", 1]}
    assert set(header) == set(arrays)
    for name, entry in header.items():
        start, stop = (8 + length + at for at in entry["data_offsets"])
        assert start % arrays[name].itemsize == 0
        read = np.frombuffer(data[start:stop], arrays[name].dtype).reshape(entry["shape"])
        np.testing.assert_array_equal(read, arrays[name])
