"""Overlap of the surfaces that RGB-D frames see, from depth maps and poses."""

from relabel.surface.counting import METHODS, Method
from relabel.surface.overlap import overlap, source
from relabel.surface.pairs import SurfaceOverlap
from relabel.surface.plan import Plan, plan

__all__ = ["METHODS", "Method", "Plan", "SurfaceOverlap", "overlap", "plan", "source"]
