"""What relabel knows of Pittsburgh before a file is read: the specification, and names of conventions."""

from __future__ import annotations

from typing import Literal, get_args

from relabel.datasets.registry import DatasetSpec

Source = Literal["table", "travel", "north"]
"""Source of the direction of yaw 1 of a panorama."""
Sign = Literal["clockwise", "counterclockwise"]
"""Sense of yaw, seen from above."""
SIGNS: tuple[Sign, ...] = get_args(Sign)
TRAVEL_GAP_M = 50.0
"""Panoramas farther apart belong to different tracks."""

SPEC = DatasetSpec(
    name="pitts",
    tags=("pittsburgh",),
    summary="Label Pittsburgh, with headings that you choose a source for.",
    command="relabel.datasets.pitts.command",
    readers={"fov": "relabel.datasets.pitts.split:PittsReader"},
    default_output="pitts.h5",
    default_fov_deg=60.0,
    image_paths=("{side}/{key}", "queries_real/{key}", "queries/{key}"),
    licence="Made from the splits of Pittsburgh (30k or 250k), whose images are from Google Street View and available "
    "from the authors on request. Its licence is not known here.",
)
