"""Small networks built like those of torchvision and timm, for tests where neither can be loaded."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

URL = "https://download.pytorch.org/models/{name}-0123abcd.pth"


class Residual(nn.Module):
    """The parts of a ResNet by name, a head at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def features(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer2(self.layer1(x))


class Plain(nn.Module):
    """The parts of a VGG by name."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(nn.Linear(8 * 49, 10))


class Published(nn.Module):
    """A model put together and computed as the official code of the generalized contrastive loss does.

    It cuts a network and numbers what is left: all of a ResNet but its last two parts, or the layers of VGG's features.
    """

    def __init__(self, whole: nn.Module, pool: str) -> None:
        super().__init__()
        plain = isinstance(whole, Plain)
        self.backbone = whole.features if plain else nn.Sequential(*list(whole.children())[:-2])
        self.pool = nn.ParameterDict({"p": torch.full((1,), 2.5)}) if pool == "gem" else nn.Module()

    def forward(self, x: Tensor) -> Tensor:
        y = self.backbone(x)
        if len(self.pool.state_dict()) == 0:
            return functional.normalize(y.mean((2, 3)))
        p = self.pool["p"]
        return functional.normalize(functional.avg_pool2d(y.clamp(min=1e-6).pow(p), y.shape[2:]).pow(1 / p)[..., 0, 0])


class Wide(nn.Module):
    """A network of somebody's own, which mixes the images of a batch while it is trained."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, stride=4)
        self.norm = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.5).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(self.conv(x)))


def stand_in_torchvision() -> tuple[ModuleType, ModuleType]:
    """Packages ``torchvision`` and ``torchvision.models`` with the functions that relabel calls."""

    def get_model(name: str, *, weights: None = None) -> nn.Module:
        assert weights is None
        return Plain() if name == "vgg16" else Residual()

    def get_model_weights(name: str) -> Any:
        return SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=URL.format(name=name)))

    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    package.models, models.get_model, models.get_model_weights = models, get_model, get_model_weights
    return package, models


def stand_in_timm() -> ModuleType:
    """A package ``timm`` with one convolutional network, two of other layouts and one that wants its pooling."""

    class Tokens(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 16, 8)

    def create_model(name: str, *, pretrained: bool, num_classes: int, global_pool: str) -> nn.Module:
        assert (pretrained, num_classes, global_pool) == (False, 0, "")
        if name == "coat":
            raise AssertionError("only token or avg pooling")
        if name == "swin":
            made = nn.Conv2d(3, 4, 1)
            made.output_fmt = "NHWC"
            return made
        return Tokens() if name == "vit" else nn.Conv2d(3, 12, 16, stride=16)

    timm = ModuleType("timm")
    timm.create_model = create_model
    timm.is_model = ("vit", "swin", "coat", "convnet").__contains__
    timm.list_models = lambda: ["vit", "swin", "coat", "convnet"]
    return timm


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both stand-ins, for the rest of a test."""
    package, models = stand_in_torchvision()
    for name, module in (("torchvision", package), ("torchvision.models", models), ("timm", stand_in_timm())):
        monkeypatch.setitem(sys.modules, name, module)
