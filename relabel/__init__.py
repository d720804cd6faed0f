"""Graded similarity labels for visual place recognition.

    cams = relabel.datasets.msls.read("MSLS", city="amman")
    psi = relabel.fov.overlap(cams.query, cams.database, fov_deg=90, radius_m=50)
    relabel.write("amman.h5", {"amman": psi})
    relabel.LabelFile("amman.h5")["amman"].row("trefh78L20YfA-z4gjbNGw")

Nothing heavy is loaded until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel._version import __version__

if TYPE_CHECKING:
    from relabel import audit, datasets, evaluation, fov, plot, sampling, surface, tables, training
    from relabel.cameras import Cameras, Status
    from relabel.frames import Frames
    from relabel.labelfile import LabelFile, validate, write
    from relabel.similarity import Collection, Similarity

_HOMES = {
    "Cameras": "relabel.cameras",
    "Status": "relabel.cameras",
    "Frames": "relabel.frames",
    "Collection": "relabel.similarity",
    "Similarity": "relabel.similarity",
    "LabelFile": "relabel.labelfile",
    "validate": "relabel.labelfile",
    "write": "relabel.labelfile",
}
_ROOMS = ("audit", "datasets", "evaluation", "fov", "plot", "sampling", "surface", "tables", "training")

__all__ = [
    "Cameras",
    "Collection",
    "Frames",
    "LabelFile",
    "Similarity",
    "Status",
    "__version__",
    "audit",
    "datasets",
    "evaluation",
    "fov",
    "plot",
    "sampling",
    "surface",
    "tables",
    "training",
    "validate",
    "write",
]


__getattr__, __dir__ = lazily(
    __name__,
    {
        **{name: f"{module}:{name}" for name, module in _HOMES.items()},
        **{room: f"relabel.{room}" for room in _ROOMS},
        "__version__": "relabel._version:__version__",
    },
)
