"""Field-of-view overlap of posed street images, from position and heading alone."""

from relabel.fov import geographic
from relabel.fov.geographic import GeographicOverlap
from relabel.fov.overlap import FovOverlap, overlap, pair_overlap, source
from relabel.fov.views import SHAPES, Shape

__all__ = ["SHAPES", "FovOverlap", "GeographicOverlap", "Shape", "geographic", "overlap", "pair_overlap", "source"]
