"""Backbones: networks that turn images into a feature map (b, c, h, w), by name or as any module.

torchvision and timm are loaded when one of their names is asked for, and nothing is ever downloaded.
"""

from __future__ import annotations

import difflib
import importlib
import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from relabel.errors import InputError, MissingFileError, MissingPackageError, OptionError
from relabel.training.model_names import TIMM, TORCHVISION, check_backbone
from relabel.training.weights import load_into, read_weights

HEADS = ("fc.", "classifier.", "head.")
"""Prefixes of the names of a classification head's tensors."""

_PROBES = (64, 224)  # image sizes to measure the number of channels with; some networks only take the second


class Tiny(nn.Sequential):
    """Four convolutions, 64 channels at a sixteenth of the size: learns on a CPU in minutes, for demos and tests.

    It normalises within each image, so that the features of an image do not depend on the rest of the batch.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = (3, 16, 32, 64, 64)
        for before, after in itertools.pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU(inplace=True)]
        super().__init__(*layers)


def build_backbone(name: str, *, pretrained: bool = False) -> nn.Module:
    """The network of that name without its classification head.

    Parameters
    ----------
    name:
        ``tiny``, one of torchvision's ``vgg16``, ``resnet18``, ``resnet34``, ``resnet50``, ``resnet152`` and
        ``resnext101_32x8d``, or ``timm:NAME``. Layers keep the names that they have there.
    pretrained:
        with the ImageNet weights (``IMAGENET1K_V1``) that torchvision has on this machine.

    Raises
    ------
    OptionError
        when the name is not known, or there are no pretrained weights for it.
    MissingFileError
        when its weights are not on this machine; the message gives their address and the path to save them to.
    MissingPackageError
        when torchvision or timm is missing or cannot be loaded.
    """
    check_backbone(name, pretrained=pretrained)
    if name.startswith(TIMM):
        return _timm(name, pretrained=pretrained)
    if name in TORCHVISION:
        return _torchvision(name, pretrained=pretrained)
    return Tiny()


def channels_of(backbone: nn.Module) -> int:
    """Number of channels of a backbone's feature map, measured with a black image.

    Raises
    ------
    InputError
        when it does not turn a (1, 3, h, w) image into a (1, c, h, w) map.
    """
    training = {module: module.training for module in backbone.modules()}
    like = next((p for p in (*backbone.parameters(), *backbone.buffers()) if p.is_floating_point()), torch.empty(0))
    backbone.eval()
    errors: list[str] = []
    try:
        with torch.no_grad():
            for size in _PROBES:
                image = torch.zeros(1, 3, size, size, dtype=like.dtype, device=like.device)
                try:
                    return feature_map(backbone, image).shape[1]
                except Exception as error:  # whatever a network that cannot take the image makes of it
                    errors.append(f"{size}×{size}: {str(error) or type(error).__name__}")
    finally:
        for module, state in training.items():
            module.training = state
    raise InputError(
        f"the backbone {type(backbone).__name__} does not turn an image into a feature map: {'; '.join(errors)}"
    )


def feature_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """The (b, c, h, w) output of a backbone; anything else is an `InputError`."""
    features = backbone(images)
    if not isinstance(features, Tensor):
        raise InputError(f"the backbone gives a {type(features).__name__}; expected a (b, c, h, w) feature map")
    if features.ndim != 4 or features.shape[0] != images.shape[0] or 0 in features.shape[1:]:
        raise InputError(
            f"the backbone turns images {tuple(images.shape)} into {tuple(features.shape)}; "
            "expected a (b, c, h, w) feature map"
        )
    return features


def _torchvision(name: str, *, pretrained: bool) -> nn.Module:
    models = _package("torchvision", name)
    whole = models.get_model(name, weights=None)
    # The whole of VGG's features with its last ReLU and maximum, and all of a ResNet before its average: what the
    # generalized contrastive loss was published with.
    layers = {layer: module for layer, module in whole.named_children() if layer not in ("avgpool", "fc", "classifier")}
    backbone = nn.Sequential(OrderedDict(layers))
    if pretrained:
        url = models.get_model_weights(name).IMAGENET1K_V1.url
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
        if not path.is_file():
            raise MissingFileError(
                f"the pretrained weights of {name} are not on this machine: download {url} to {path}, "
                "or give a file of weights"
            )
        load_into(backbone, read_weights(path), path, spare=HEADS)
    return backbone


def _timm(name: str, *, pretrained: bool) -> nn.Module:
    timm = _package("timm", name)
    model = name.removeprefix(TIMM)
    if pretrained:
        raise OptionError(
            f"timm would download the weights of {model}; on a machine with a network, save them with torch.save("
            f"timm.create_model({model!r}, pretrained=True).state_dict(), FILE), and give that file as weights"
        )
    if not timm.is_model(model):
        near = ", ".join(difflib.get_close_matches(model, timm.list_models(), 5))
        raise OptionError(f"timm has no model {model!r}; " + (f"it has {near}" if near else "see timm.list_models()"))
    try:
        backbone: nn.Module = timm.create_model(model, pretrained=False, num_classes=0, global_pool="")
    except Exception as error:  # whatever a network that cannot be without its pooling makes of it
        reason = str(error) or type(error).__name__
        raise OptionError(f"timm's {model} cannot return a feature map: {reason}") from None
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        raise OptionError(
            f"timm's {model} gives its features as (b, h, w, c); wrap it in a module that transposes them"
        )
    return backbone


def _package(package: str, backbone: str) -> Any:
    """The models of torchvision, or timm; if it is missing, an error that tells how to install it."""
    try:
        if package == "timm":
            return importlib.import_module("timm")
        importlib.import_module("torchvision")
        return importlib.import_module("torchvision.models")
    except Exception as error:  # a torchvision built for another torch raises RuntimeError or OSError
        needs = f"backbone {backbone!r} needs {package}"
        build = f"torchvision has to match torch {torch.__version__}: install both from the same index"
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            what = "'relabel-vpr[train]'" if package == "torchvision" else package
            raise MissingPackageError(f"{needs}: pip install {what}; {build}") from None
        raise MissingPackageError(f"{needs}, which is installed but cannot be loaded ({error}); {build}") from error
