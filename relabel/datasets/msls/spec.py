"""What relabel knows of MSLS before a file is read: the specification, and names of conventions."""

from __future__ import annotations

from typing import Literal, get_args

from relabel.datasets.registry import DatasetSpec

Heading = Literal["compass", "travel"]
"""Where headings come from: the compass angle `ca`, or the direction of travel of each sequence."""
HEADINGS: tuple[Heading, ...] = get_args(Heading)

Subtask = Literal["all", "s2w", "w2s", "o2n", "n2o", "d2n", "n2d"]
SUBTASKS: tuple[Subtask, ...] = get_args(Subtask)
"""Subtasks of the benchmark: everything, or by what changes from query to database: summer and winter, old and new,
day and night."""

IMAGE_PATH = "train_val/{collection}/{side}/images/{key}.jpg"
"""Where the image of a camera lies, relative to the root; the collection is the city."""

SPEC = DatasetSpec(
    name="msls",
    tags=("mapillary", "msls"),
    summary="Label MSLS by field-of-view overlap, from its metadata alone.",
    command="relabel.datasets.msls.command",
    readers={"fov": "relabel.datasets.msls.city:MslsReader"},
    default_output="msls.h5",
    image_paths=(
        IMAGE_PATH,
        "test/{collection}/{side}/images/{key}.jpg",
        "{collection}/{side}/images/{key}.jpg",
        "{side}/images/{key}.jpg",
    ),
    from_paths="relabel.datasets.msls.city:from_paths",
    licence="Made from the metadata of Mapillary Street-Level Sequences (MSLS). Mapillary provides the dataset after "
    "a login, under its own terms. They are often cited as CC BY-NC-SA 4.0; that was not checked for this card, "
    "nor whether the terms extend to labels made from the metadata.",
)
