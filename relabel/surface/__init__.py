"""Overlap of the surfaces that RGB-D frames see, from depth maps and poses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily

if TYPE_CHECKING:
    from relabel.surface.estimate import Plan, plan
    from relabel.surface.frame_pairs import SurfaceOverlap, overlap, source
    from relabel.surface.params import METHODS, Method, SurfaceParams

__all__ = ["METHODS", "Method", "Plan", "SurfaceOverlap", "SurfaceParams", "overlap", "plan", "source"]

# No module here has the name of a public function: loading it would put the module in the function's place.
__getattr__, __dir__ = lazily(
    __name__,
    {
        **{name: f"relabel.surface.estimate:{name}" for name in ("Plan", "plan")},
        **{name: f"relabel.surface.frame_pairs:{name}" for name in ("SurfaceOverlap", "overlap", "source")},
        **{name: f"relabel.surface.params:{name}" for name in ("METHODS", "Method", "SurfaceParams")},
    },
)
