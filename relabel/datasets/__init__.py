"""Dataset readers, one module a dataset: a tree of files goes in, `Cameras` or `Frames` come out.

The modules are loaded when they are first used: ``relabel.datasets.msls``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relabel.datasets.msls import city
    from relabel.datasets.names import lists
    from relabel.datasets.pitts import split
    from relabel.datasets.rgbd import sequence
    from relabel.datasets.seven_scenes import scene
    from relabel.datasets.tb_places import sets

__all__ = ["msls", "names", "pitts", "rgbd", "seven_scenes", "tb_places"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"relabel.datasets.{name}")
    raise AttributeError(f"module 'relabel.datasets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
