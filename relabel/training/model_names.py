"""The names of backbones and poolings that `build_model` knows. Nothing here loads torch."""

from __future__ import annotations

from typing import Literal, get_args

from relabel.errors import OptionError
from relabel.optional import check_installed

TINY = "tiny"
TORCHVISION = ("vgg16", "resnet18", "resnet34", "resnet50", "resnet152", "resnext101_32x8d")
BACKBONES = (TINY, *TORCHVISION)
"""Names of all backbones except those of timm."""
TIMM = "timm:"
"""Prefix of the names of timm."""

Pool = Literal["gem", "avg", "max"]
POOLS: tuple[Pool, ...] = get_args(Pool)


def check_backbone(name: str, *, pretrained: bool) -> None:
    """Refuse a backbone that `build_model` does not know, or whose pretrained weights are asked for and do not exist.

    Raises
    ------
    OptionError
        when it cannot be built; names of timm are checked by timm itself.
    """
    if name not in BACKBONES and not name.startswith(TIMM):
        known = ", ".join((*BACKBONES, f"{TIMM}NAME"))
        raise OptionError(f"backbone {name!r} is not known; choose {known}, or pass a module of your own")
    if name == TINY and pretrained:
        raise OptionError(f"there are no pretrained weights for {TINY!r}")


def check_packages(backbone: str) -> None:
    """Refuse a named backbone whose packages are not installed, before the seconds in which torch is loaded.

    Raises
    ------
    MissingPackageError
        when torch, or for its name torchvision or timm, is not there.
    """
    # One step, not two: the extra that has torchvision as well.
    check_installed("torch", "training", extra="train" if backbone in TORCHVISION else None)
    if backbone in TORCHVISION:
        check_installed("torchvision", f"backbone {backbone!r}")
    elif backbone.startswith(TIMM):
        check_installed("timm", f"backbone {backbone!r}")
