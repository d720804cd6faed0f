"""What relabel knows of tables and trajectories before a file is read: the specification, and names of conventions."""

from __future__ import annotations

from typing import Literal, get_args

from relabel.datasets.registry import DatasetSpec

Layout = Literal["csv", "gsv", "kitti", "kitti360", "tum", "colmap", "robotcar"]
"""A table, that of GSV-Cities, or a trajectory."""
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

SPEC = DatasetSpec(
    name="table",
    tags=(),
    summary="Label any CSV or Parquet table, GSV-Cities, or poses.",
    command="relabel.datasets.table.command",
    readers={"fov": "relabel.datasets.table.table_reader:TableReader"},
    from_paths="relabel.datasets.table.table_reader:from_paths",
    licence="Made from a table of positions and headings of unknown origin: this card does not know its terms. "
    "GSV-Cities comes without a licence, and its images are from Google Street View.",
)
