"""The names of backbones and poolings that `build_model` knows. Nothing here loads torch."""

from __future__ import annotations

from typing import Literal, get_args

TINY = "tiny"
TORCHVISION = ("vgg16", "resnet18", "resnet34", "resnet50", "resnet152", "resnext101_32x8d")
BACKBONES = (TINY, *TORCHVISION)
"""All backbones by name but those of timm."""
TIMM = "timm:"
"""Beginning of a name that timm knows."""

Pool = Literal["gem", "avg", "max"]
POOLS: tuple[Pool, ...] = get_args(Pool)
