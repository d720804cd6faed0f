"""What relabel knows of images with `@` names before a file is read: the specification, and names of conventions."""

from __future__ import annotations

from relabel.datasets.registry import DatasetSpec

SPEC = DatasetSpec(
    name="names",
    tags=(),
    summary="Label images whose @ names hold position and heading (SF-XL).",
    command="relabel.datasets.names.command",
    readers={"fov": "relabel.datasets.names.lists:NamesReader"},
    from_paths="relabel.datasets.names.lists:from_paths",
    licence="Made from the names of images, which hold positions and headings. Many such sets are cropped from "
    "third-party street panoramas; San Francisco XL (SF-XL) is available on request, under terms that are not "
    "known here. The owner of these images is not known here either.",
)
