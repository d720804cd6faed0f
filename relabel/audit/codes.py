"""The codes of all findings of the audit; they are stable, and docs/audit.md lists them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from relabel.errors import OptionError

Severity = Literal["note", "warning"]
"""A note reports what was handled; after a warning, which ``--strict`` makes an error, labels may be wrong."""

CODES: dict[str, Severity] = {
    # filler values
    "heading-filler": "note",
    "position-filler": "note",
    "no-pose": "note",
    "heading-zero": "warning",
    "position-zero": "warning",
    # positions and poses
    "track-along-up": "warning",
    "camera-tilted": "warning",
    "looks-vertical": "warning",
    "headings-equal": "warning",
    "heading-mirrored": "warning",
    "heading-offset": "warning",
    "scale-small": "warning",
    "scale-large": "warning",
    "headings-radians": "warning",
    "positions-degrees": "warning",
    "positions-disagree": "warning",
    "hemispheres-mixed": "warning",
    "sides-apart": "warning",
    "positions-float32": "note",
    "track-jumps": "warning",
    "pose-repeated": "warning",
    "panoramas-unknown": "warning",
    "intrinsics-off-centre": "warning",
    # depth against pose
    "depth-unit": "warning",
    "depth-focal": "warning",
    "depth-image-size": "warning",
    "depth-axes": "warning",
    "depth-inverse-poses": "warning",
    "depth-quaternion": "warning",
    "depth-ray": "warning",
    "depth-disagrees": "warning",
    # headings
    "heading-constant": "warning",
    "heading-jumps": "warning",
    "heading-flips": "warning",
}


def checked_codes(codes: Iterable[str]) -> frozenset[str]:
    """The codes, without repetition.

    Raises
    ------
    OptionError
        when a code does not exist; lists those that do.
    """
    unknown = sorted(set(codes) - CODES.keys())
    if unknown:
        raise OptionError(f"no finding of the audit has the code {unknown[0]!r}; there are {', '.join(CODES)}")
    return frozenset(codes)
