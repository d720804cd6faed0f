"""Field-of-view overlap of posed street images, from position and heading alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily

if TYPE_CHECKING:
    from relabel.fov import geographic
    from relabel.fov.geographic import GeographicOverlap
    from relabel.fov.params import SHAPES, FovParams, Shape
    from relabel.fov.planar import FovOverlap, overlap, pair_overlap, source

__all__ = [
    "SHAPES",
    "FovOverlap",
    "FovParams",
    "GeographicOverlap",
    "Shape",
    "geographic",
    "overlap",
    "pair_overlap",
    "source",
]

# No module here has the name of a public function: loading it would put the module in the function's place.
__getattr__, __dir__ = lazily(
    __name__,
    {
        **{name: f"relabel.fov.params:{name}" for name in ("SHAPES", "FovParams", "Shape")},
        **{name: f"relabel.fov.planar:{name}" for name in ("FovOverlap", "overlap", "pair_overlap", "source")},
        "GeographicOverlap": "relabel.fov.geographic:GeographicOverlap",
        "geographic": "relabel.fov.geographic",
    },
)
