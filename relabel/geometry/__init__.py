"""Headings, map projections and rigid transforms; the only room that knows conventions of angle and frame."""
