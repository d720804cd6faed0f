"""What makes a reader doubt its input: labels may be wrong, though everything could be read."""

from __future__ import annotations

from typing import NamedTuple


class Doubt(NamedTuple):
    """One doubt about an input, which the audit reports as a warning."""

    code: str
    """one of `relabel.audit.codes.CODES`"""
    number: int
    """how many cameras show it"""
    cameras: int
    """how many were looked at"""
    seen: str
    """what was seen, with its figures"""
    cause: str
    """what most likely lies behind it"""
    remedy: str
    """what mends it"""
    keys: tuple[str, ...] = ()
    """of the first of these cameras, where it is known which they are"""
