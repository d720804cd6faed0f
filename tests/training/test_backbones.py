"""Backbones: stand-ins of the packages everywhere, the packages themselves where they can be loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from relabel.errors import InputError, MissingFileError, MissingPackageError, OptionError
from relabel.training.backbones import build_backbone, channels_of, feature_map
from relabel.training.model_names import BACKBONES, TORCHVISION
from tests.training.networks import URL, Plain, Residual, Wide, install

pytestmark = pytest.mark.gpu

CHANNELS = {"vgg16": 512, "resnet18": 512, "resnet50": 2048}


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision and timm as tests/training/networks.py makes them."""
    install(monkeypatch)


@pytest.fixture(scope="module")
def real_torchvision() -> Any:
    """torchvision's models; passed over where it is missing or does not load with this torch."""
    try:
        import torchvision.models
    except Exception as error:
        pytest.skip(f"torchvision cannot be loaded: {error}")
    return torchvision.models


@pytest.fixture(scope="module")
def real_timm() -> Any:
    """timm; passed over where it is missing or does not load."""
    try:
        import timm
    except Exception as error:
        pytest.skip(f"timm cannot be loaded: {error}")
    return timm


class TestTiny:
    """relabel.training.backbones.Tiny"""

    def test_shape(self) -> None:
        """64 channels at a sixteenth of the size, for odd sizes too."""
        backbone = build_backbone("tiny")
        assert backbone(torch.zeros(2, 3, 64, 96)).shape == (2, 64, 4, 6)
        assert backbone(torch.zeros(1, 3, 33, 1)).shape == (1, 64, 3, 1)

    def test_each_image_alone(self) -> None:
        """The features of an image do not depend on the rest of the batch, also in training mode."""
        backbone = build_backbone("tiny").train()
        images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        together, alone = backbone(images), torch.cat([backbone(each[None]) for each in images])
        assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)

    def test_seeded(self) -> None:
        """The same seed makes the same network."""
        first, second = [], []
        for made in (first, second):
            torch.manual_seed(3)
            made += list(build_backbone("tiny").parameters())
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class TestTorchvision:
    """Backbones by torchvision's names."""

    @pytest.mark.usefixtures("stand_ins")
    def test_head_removed(self) -> None:
        """What is left is the network before its average, its layers under their own names."""
        torch.manual_seed(0)
        backbone = build_backbone("resnet50")
        torch.manual_seed(0)
        whole = Residual()
        images = torch.randn(2, 3, 64, 64)
        assert torch.equal(backbone(images), whole.features(images))
        heads = ("fc.weight", "fc.bias")
        assert list(backbone.state_dict()) == [name for name in whole.state_dict() if name not in heads]

    @pytest.mark.usefixtures("stand_ins")
    def test_vgg(self) -> None:
        """All of VGG's features, its last maximum among them."""
        torch.manual_seed(0)
        backbone = build_backbone("vgg16")
        torch.manual_seed(0)
        whole = Plain()
        images = torch.randn(2, 3, 32, 32)
        assert torch.equal(backbone(images), whole.features(images))

    @pytest.mark.usefixtures("stand_ins")
    def test_pretrained(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Pretrained weights come from torch's own folder; where they are not, the error says where to get them."""
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        with pytest.raises(MissingFileError, match="download") as caught:
            build_backbone("resnet18", pretrained=True)
        file = tmp_path / "checkpoints" / "resnet18-0123abcd.pth"
        assert URL.format(name="resnet18") in str(caught.value)
        assert str(file) in str(caught.value)
        weights = Residual().state_dict()
        file.parent.mkdir()
        torch.save(weights, file)
        backbone = build_backbone("resnet18", pretrained=True)
        assert all(torch.equal(tensor, weights[name]) for name, tensor in backbone.state_dict().items())

    def test_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the package, the error says what to install."""
        for package, name, what in (
            ("torchvision", "resnet18", r"'relabel-vpr\[train\]'"),
            ("timm", "timm:convnet", "timm"),
        ):
            monkeypatch.setitem(sys.modules, package, None)
            message = f"{name}' needs {package}: pip install {what}; torchvision .* torch {torch.__version__[0]}"
            with pytest.raises(MissingPackageError, match=message):
                build_backbone(name)

    @pytest.mark.parametrize(
        "error",
        [
            "RuntimeError('operator torchvision::nms does not exist')",
            "OSError('_C.so')",
            "ModuleNotFoundError(name='safetensors')",
        ],
    )
    def test_broken(self, error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A package that is there and does not load, such as a build for another torch, is told from a missing one."""
        for package, name in (("torchvision", "resnet18"), ("timm", "timm:convnet")):
            (tmp_path / f"{package}.py").write_text(f"raise {error}\n")
            for loaded in (package, f"{package}.models"):
                monkeypatch.delitem(sys.modules, loaded, raising=False)
            monkeypatch.syspath_prepend(tmp_path)
            with pytest.raises(MissingPackageError, match=r"installed but cannot be loaded \(.*has to match torch \d"):
                build_backbone(name)

    @pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16"])
    def test_real(self, name: str, real_torchvision: Any) -> None:
        """The package's own network, up to its average: its head on top gives what the whole network gives."""
        torch.manual_seed(0)
        backbone = build_backbone(name).eval()
        torch.manual_seed(0)
        whole = real_torchvision.get_model(name, weights=None).eval()
        images = torch.randn(1, 3, 64, 64)
        assert channels_of(backbone) == CHANNELS[name]
        head = whole.classifier if name == "vgg16" else whole.fc
        with torch.no_grad():
            assert torch.allclose(head(whole.avgpool(backbone(images)).flatten(1)), whole(images), atol=1e-5)

    @pytest.mark.parametrize("name", TORCHVISION)
    def test_real_weights(self, name: str, real_torchvision: Any) -> None:
        """Every backbone exists, has weights to look for, and its layers are those of the whole network."""
        whole, backbone = real_torchvision.get_model(name, weights=None), build_backbone(name)
        assert set(backbone.state_dict()) <= set(whole.state_dict())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
            with pytest.raises(MissingFileError, match=r"https://.*\.pth"):
                build_backbone(name, pretrained=True)


class TestTimm:
    """Backbones by timm's names."""

    @pytest.mark.usefixtures("stand_ins")
    def test_features(self) -> None:
        """The network without its head and its pooling."""
        assert build_backbone("timm:convnet")(torch.zeros(1, 3, 32, 32)).shape == (1, 12, 2, 2)

    @pytest.mark.usefixtures("stand_ins")
    def test_refused(self) -> None:
        """Unknown models, other layouts and downloads are refused, with what to do."""
        for name, options, message in (
            ("timm:convnext", {}, "has no model 'convnext'; it has convnet"),
            ("timm:other", {}, "see timm.list_models"),
            ("timm:swin", {}, r"\(b, h, w, c\)"),
            ("timm:coat", {}, "coat cannot return a feature map: only token or avg pooling"),
            ("timm:convnet", {"pretrained": True}, r"create_model\('convnet', pretrained=True\)"),
        ):
            with pytest.raises(OptionError, match=message):
                build_backbone(name, **options)
        with pytest.raises(InputError, match=r"\(1, 16, 8\)"):
            channels_of(build_backbone("timm:vit"))

    def test_real(self, real_timm: Any) -> None:
        """The package's own network gives a feature map of as many channels as it says."""
        for name in ("resnet10t", "efficientnet_b0"):
            assert channels_of(build_backbone(f"timm:{name}")) == real_timm.create_model(name).num_features


class TestBuildBackbone:
    """relabel.training.backbones.build_backbone"""

    @pytest.mark.parametrize("name", ["resnet", "", "ResNet50", "vgg16 "])
    def test_unknown(self, name: str) -> None:
        """An unknown name lists those that are known."""
        with pytest.raises(OptionError, match=f"{', '.join(BACKBONES)}, timm:NAME"):
            build_backbone(name)

    def test_no_pretrained(self) -> None:
        """The tiny one has no weights to begin with."""
        with pytest.raises(OptionError, match="tiny"):
            build_backbone("tiny", pretrained=True)


class Flat(nn.Module):
    """Gives whatever it is told to."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


class TestChannelsOf:
    """relabel.training.backbones.channels_of"""

    def test_leaves_no_trace(self) -> None:
        """Statistics, gradients, random numbers and the mode of every part stay as they were."""
        backbone = Wide().train()
        backbone.drop.eval()
        before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        assert channels_of(backbone) == 6
        assert torch.equal(torch.rand(1), expected)
        assert (backbone.training, backbone.norm.training, backbone.drop.training) == (True, True, False)
        assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
        assert all(p.grad is None for p in backbone.parameters())

    def test_types(self) -> None:
        """A network in another type is probed in it, one without weights in float32."""
        assert channels_of(Wide().double()) == 6
        assert channels_of(Wide().bfloat16()) == 6
        assert channels_of(nn.MaxPool2d(2)) == 3

    def test_only_large_images(self) -> None:
        """A network that takes images of 224 only is probed with one."""

        def choosy(x: Tensor) -> Tensor:
            if x.shape[-1] != 224:
                raise RuntimeError("only 224")
            return x[:, :, ::32, ::32].repeat(1, 3, 1, 1)

        assert channels_of(Flat(choosy)) == 9

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda x: x.mean((2, 3)), r"images \(1, 3, 64, 64\) into \(1, 3\)"),
            (lambda x: [x], "gives a list"),
            (lambda x: {"out": x}, "gives a dict"),
            (lambda x: x[:, :, :0], r"\(1, 3, 0, 64\)"),
            (lambda x: x.flatten(0, 1)[:, None, None], r"\(3, 1, 1, 64, 64\)"),
            (lambda x: x @ torch.zeros(2, 2), "64×64: .*224×224: "),
        ],
    )
    def test_no_feature_map(self, make: Any, message: str) -> None:
        """A module that gives something else is refused, with what it gave."""
        with pytest.raises(InputError, match=message):
            channels_of(Flat(make))

    def test_batch(self) -> None:
        """A map of another number of images is no feature map of these."""
        with pytest.raises(InputError, match=r"images \(2, 3, 8, 8\) into \(4, 3, 8, 8\)"):
            feature_map(Flat(lambda x: x.repeat(2, 1, 1, 1)), torch.zeros(2, 3, 8, 8))
