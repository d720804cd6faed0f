"""The memory of the arrays of an overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def held_bytes(value: Any) -> int:
    """The bytes of all arrays in a dataclass and its fields, each counted once, and views as their base arrays."""
    arrays: dict[int, int] = {}
    _collect(value, arrays)
    return sum(arrays.values())


def _collect(value: Any, arrays: dict[int, int]) -> None:
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        arrays[id(value)] = int(value.nbytes)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            _collect(getattr(value, field.name), arrays)
        for cached in vars(value).values():  # cached properties
            if isinstance(cached, np.ndarray) or is_dataclass(cached):
                _collect(cached, arrays)
    elif isinstance(value, Mapping):
        for member in value.values():
            _collect(member, arrays)
    elif isinstance(value, tuple | list):
        for member in value:
            _collect(member, arrays)
