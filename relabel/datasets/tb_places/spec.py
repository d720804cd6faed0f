"""What relabel knows of TB-Places before a file is read."""

from __future__ import annotations

from relabel.datasets.registry import DatasetSpec

SPEC = DatasetSpec(
    name="tb-places",
    summary="Label TB-Places, by depth maps if there are any.",
    command="relabel.datasets.tb_places.command",
    readers={
        "fov": "relabel.datasets.tb_places.sets:TbCameraReader",
        "surface": "relabel.datasets.tb_places.sets:TbFrameReader",
    },
    default_output="tb-places.h5",
    licence="Made from the poses of TB-Places, and perhaps from accompanying depth maps. The licence of the dataset "
    "is not known here. The poses in this file are part of it.",
    other_kind={"fov": "needs --depth", "surface": "is for fields of view; omit --depth"},
)
