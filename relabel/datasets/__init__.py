"""Dataset readers, one package a dataset: a tree of files goes in, `Cameras` or `Frames` come out.

The packages are loaded when they are first used: ``relabel.datasets.msls``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily

if TYPE_CHECKING:
    from relabel.datasets import msls, names, pitts, rgbd, seven_scenes, table, tb_places

__all__ = ["msls", "names", "pitts", "rgbd", "seven_scenes", "table", "tb_places"]

__getattr__, __dir__ = lazily(__name__, {name: f"relabel.datasets.{name}" for name in __all__})
