"""Overlap of the surfaces that RGB-D frames see, from depth maps and poses."""

from relabel.surface.overlap import SurfaceOverlap, overlap, source
from relabel.surface.plan import Plan, plan
from relabel.surface.settings import METHODS, Method

__all__ = ["METHODS", "Method", "Plan", "SurfaceOverlap", "overlap", "plan", "source"]
