"""The descriptor model: what comes out, what is saved, and how it is built again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional

from relabel.errors import InputError, OptionError
from relabel.training import DescriptorModel, Whitening, build_model, model_from_config
from tests.training.networks import Plain, Published, Residual, Wide, install

pytestmark = pytest.mark.gpu


def images(b: int = 3, h: int = 32, w: int = 48) -> torch.Tensor:
    return torch.randn(b, 3, h, w)


def fitted(model: DescriptorModel, dim: int, n: int = 100) -> Whitening:
    with torch.no_grad():
        return Whitening.fit(model(images(n)), dim)


class TestDescriptorModel:
    """relabel.training.model.DescriptorModel"""

    @pytest.mark.parametrize("pool", ["gem", "avg", "max"])
    def test_descriptors(self, pool: Any) -> None:
        """Pooled features of length 1, in float32."""
        model = build_model("tiny", pool)
        x = images()
        descriptors = model(x)
        pooled = model.pool(model.backbone(x)).detach().numpy()
        assert descriptors.shape == (3, model.dim) == (3, 64)
        assert descriptors.dtype == torch.float32
        np.testing.assert_allclose(
            descriptors.detach(), pooled / np.linalg.norm(pooled, axis=1, keepdims=True), atol=1e-6
        )

    def test_memory_format(self) -> None:
        """channels_last gives the same descriptors, and the gradient reaches every weight."""
        model = build_model("tiny")
        x = images()
        expected = model(x)
        model = model.to(memory_format=torch.channels_last)
        descriptors = model(x.to(memory_format=torch.channels_last))
        assert torch.allclose(descriptors, expected, atol=1e-5)
        descriptors[:, 0].sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())

    @pytest.mark.parametrize("pool", ["gem", "avg", "max"])
    @pytest.mark.parametrize("whitened", [False, True])
    def test_autocast(self, pool: Any, whitened: bool) -> None:
        """Under autocast the network alone runs in bfloat16; what comes after it is computed in float32."""
        model = build_model("tiny", pool).eval()
        if whitened:
            model.set_whitening(fitted(model, 8))
        x = images()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            descriptors, features = model(x), model.backbone(x)
        assert features.dtype == torch.bfloat16
        assert descriptors.dtype == torch.float32
        expected = functional.normalize(model.pool(features.float()), dim=1)
        assert torch.equal(descriptors, expected if model.whitening is None else model.whitening(expected))

    def test_device(self) -> None:
        """A whitening goes to where the model is."""
        model = build_model("tiny").to("meta")
        model.set_whitening(Whitening(64, 8))
        assert model.whitening.projection.device == model.pool.p.device

    def test_other_types(self) -> None:
        """A model in float64 gives float64; one in bfloat16, float32."""
        x = images()
        assert build_model("tiny").double()(x.double()).dtype == torch.float64
        assert build_model("tiny").bfloat16()(x.bfloat16()).dtype == torch.float32

    def test_equal_images(self) -> None:
        """A black image has a descriptor, and an empty batch has none."""
        model = build_model("tiny")
        assert torch.isfinite(model(torch.zeros(2, 3, 16, 16))).all()
        assert model(torch.zeros(0, 3, 16, 16)).shape == (0, 64)

    def test_whitening(self) -> None:
        """Descriptors are those of before, whitened; None brings those back."""
        model = build_model("tiny").eval()
        x = images()
        before = model(x)
        whitening = fitted(model, 8)
        model.set_whitening(whitening)
        assert model.dim == 8
        assert torch.equal(model(x), whitening(before))
        assert "whitening.projection" in model.state_dict()
        model.set_whitening(None)
        assert model.dim == 64
        assert torch.equal(model(x), before)
        assert not any("whitening" in name for name in model.state_dict())

    def test_whitening_without_all_dimensions(self, tmp_path: Path) -> None:
        """Fewer descriptors than dimensions: what is left of them is saved with the model and comes back."""
        model = build_model("tiny").eval()
        model.set_whitening(fitted(model, 64, n=5))
        assert model.dim == 4
        torch.save(model.state_dict(), tmp_path / "w.pth")
        again = model_from_config(model.describe()).eval()
        again.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
        x = images()
        assert torch.equal(model(x), again(x))
        assert torch.allclose(model(x).norm(dim=1), torch.ones(3))

    def test_other_whitening(self) -> None:
        """A whitening of another dimension is refused."""
        with pytest.raises(InputError, match="takes 32 dimensions; this model has 64"):
            build_model("tiny").set_whitening(Whitening(32, 8))

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (torch.zeros(3, 32, 32), r"\(3, 32, 32\); expected"),
            (torch.zeros(1, 32, 32, 3), r"\(1, 32, 32, 3\); expected"),
            (torch.zeros(1, 1, 32, 32), "expected"),
            (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "torch.uint8; expected floating point"),
        ],
    )
    def test_bad_images(self, x: torch.Tensor, message: str) -> None:
        """Images of another shape or type are refused."""
        with pytest.raises(InputError, match=message):
            build_model("tiny")(x)

    def test_learns(self) -> None:
        """A few steps of the generalized contrastive loss bring a graded pair to its distance τ(1−ψ)."""
        from relabel.training import generalized_contrastive_loss

        model, x = build_model("tiny"), images(2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(80):
            a, b = model(x)
            optimizer.zero_grad()
            generalized_contrastive_loss(a[None], b[None], [0.25]).backward()
            optimizer.step()
        a, b = model(x)
        assert (a - b).norm().item() == pytest.approx(0.5 * 0.75, abs=0.01)


class TestModelFromConfig:
    """relabel.training.model.model_from_config"""

    @pytest.mark.parametrize("pool", ["gem", "avg", "max"])
    @pytest.mark.parametrize("dim", [None, 5])
    def test_round_trip(self, pool: Any, dim: int | None, tmp_path: Path) -> None:
        """Description and weights, each through a file, make the same model."""
        model = build_model("tiny", pool).eval()
        if dim is not None:
            model.set_whitening(fitted(model, dim))
        (tmp_path / "config.json").write_text(json.dumps(model.describe()))
        torch.save(model.state_dict(), tmp_path / "w.pth")
        again = model_from_config(json.loads((tmp_path / "config.json").read_text())).eval()
        again.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
        x = images()
        assert torch.equal(model(x), again(x))
        assert again.describe() == model.describe()

    def test_own_module(self) -> None:
        """A model of a module names its class, and wants such a module again."""
        config = build_model(Wide()).describe()
        assert config["backbone"] == f"module:{Wide.__module__}.Wide"
        with pytest.raises(InputError, match=r"networks\.Wide; pass one"):
            model_from_config(config)
        with pytest.raises(InputError, match="7 channels; the model was built with 6"):
            model_from_config(config, backbone=Wide(7))
        assert model_from_config(config, backbone=Wide()).dim == 6
        with pytest.raises(OptionError, match="do not pass one"):
            model_from_config(build_model("tiny").describe(), backbone=Wide())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c.pop("pool"), "has backbone, pool, channels, whitening; this one has backbone, channels"),
            (lambda c: c.update(other=1), "this one has .*other"),
            (lambda c: c.update(backbone=3), "backbone 3 .* cannot be built"),
            (lambda c: c.update(pool=["gem"]), "cannot be built"),
            (lambda c: c.update(backbone="resnet"), "'resnet' is not known"),
            (lambda c: c.update(channels=3), "64 channels; the model was built with 3"),
            (lambda c: c.update(whitening="8"), "expected a number"),
            (lambda c: c.update(whitening=True), "expected a number"),
            (lambda c: c.update(whitening=100), "is impossible"),
            (lambda c: c.clear(), "this one has nothing"),
        ],
    )
    def test_bad_config(self, change: Callable[[dict[str, Any]], object], message: str) -> None:
        """A description that is none is refused."""
        config = build_model("tiny").describe()
        change(config)
        with pytest.raises((InputError, OptionError), match=message):
            model_from_config(config)

    def test_no_mapping(self) -> None:
        """Something that is not a mapping is named."""
        with pytest.raises(InputError, match="this one has list"):
            model_from_config([])  # type: ignore[arg-type]


class TestWithoutTorch:
    """relabel.training where torch is not installed"""

    def test_says_what_to_install(self) -> None:
        """The package loads; what needs torch says so when it is asked for, and what does not is there."""
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from relabel.errors import MissingPackageError\n"
            "import relabel.training\n"
            "relabel.training.GradedPairSampler\n"
            "try: from relabel.training import build_model\n"
            "except MissingPackageError as error: print(error)\n"
            "try: import relabel.training.lightning\n"
            "except MissingPackageError as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            f"{name} needs torch: pip install 'relabel-vpr[torch]'" for name in ("build_model", "PairBatches")
        ]


class TestBuildModel:
    """relabel.training.model.build_model"""

    def test_whole_model(self, tmp_path: Path) -> None:
        """Weights of a whole model bring its pooling and its whitening along."""
        model = build_model("tiny").eval()
        model.pool.p.data.fill_(4.0)
        model.set_whitening(fitted(model, 7))
        torch.save({"model": model.state_dict(), "step": 3}, tmp_path / "w.pth")
        again = build_model("tiny", weights=tmp_path / "w.pth").eval()
        x = images()
        assert again.dim == 7
        assert torch.equal(model(x), again(x))

    @pytest.mark.parametrize(
        "prefix", ["model.", "_orig_mod.", "module._orig_mod.", "model._orig_mod.", "module.model."]
    )
    @pytest.mark.parametrize("pool", ["gem", "avg"])
    def test_wrapped_model(self, prefix: str, pool: Any, tmp_path: Path) -> None:
        """However a whole model was wrapped when it was saved, it gives the same descriptors."""
        model = build_model("tiny", pool).eval()
        model.set_whitening(fitted(model, 7))
        state = {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save({"epoch": 1, "state_dict": state, "callbacks": {}}, tmp_path / "w.ckpt")
        again = build_model("tiny", pool, weights=tmp_path / "w.ckpt").eval()
        x = images()
        assert torch.equal(model(x), again(x))

    @pytest.mark.parametrize("part", ["module.", "_orig_mod.", "model."])
    def test_wrapped_backbone(self, part: str, tmp_path: Path) -> None:
        """A whole model of which the backbone alone was wrapped."""
        model = build_model("tiny").eval()
        state = {name.replace("backbone.", f"backbone.{part}"): tensor for name, tensor in model.state_dict().items()}
        torch.save(state, tmp_path / "w.pth")
        again, x = build_model("tiny", weights=tmp_path / "w.pth").eval(), images()
        assert torch.equal(model(x), again(x))

    def test_compiled_backbone(self, tmp_path: Path) -> None:
        """Weights go into a compiled backbone, and into a part of a network that is called model."""

        class Holder(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = Wide()

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.model(x)

        source = Wide()
        torch.save(source.state_dict(), tmp_path / "w.pth")
        torch.save(Holder().state_dict(), tmp_path / "holder.pth")
        compiled = Wide()
        compiled.conv = torch.compile(compiled.conv, backend="eager")
        build_model(compiled, weights=tmp_path / "w.pth")
        for mine, theirs in zip(compiled.state_dict().values(), source.state_dict().values(), strict=True):
            assert torch.equal(mine, theirs)
        build_model(Holder(), weights=tmp_path / "holder.pth")

    @pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.", "module._orig_mod.", "net.model."])
    def test_backbone_alone(self, prefix: str, tmp_path: Path) -> None:
        """Weights of a backbone alone, with its classification head or without, also where its layers are numbered."""
        with pytest.MonkeyPatch.context() as patch:
            install(patch)
            whole = Residual().state_dict()
            cut = {name: tensor for name, tensor in whole.items() if not name.startswith("fc.")}
            places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5}
            split = {name: name.partition(".") for name in cut}
            numbered = {f"{places[layer]}.{rest}": cut[name] for name, (layer, _, rest) in split.items()}
            for state in (whole, cut, numbered):
                torch.save({f"{prefix}{name}": tensor for name, tensor in state.items()}, tmp_path / "w.pth")
                loaded = build_model("resnet18", weights=tmp_path / "w.pth").backbone.state_dict()
                assert all(torch.equal(loaded[name], cut[name]) for name in cut)

    @pytest.mark.parametrize(("name", "whole"), [("resnet50", Residual), ("vgg16", Plain)])
    @pytest.mark.parametrize("pool", ["gem", "avg"])
    @pytest.mark.parametrize("prefix", ["", "module."])
    def test_published_models(
        self, name: str, whole: Callable[[], nn.Module], pool: Any, prefix: str, tmp_path: Path
    ) -> None:
        """A file of the official code gives the descriptors that its own model gives."""
        theirs = Published(whole(), pool)
        optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
        saved = {
            "step": 3,
            "model_state_dict": {f"{prefix}{key}": tensor for key, tensor in theirs.state_dict().items()},
            "optimizer": optimizer.state_dict(),
            "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, step_size=25.0, gamma=0.1).state_dict(),
        }
        torch.save(saved, tmp_path / "w.pth")
        with pytest.MonkeyPatch.context() as patch:
            install(patch)
            model = build_model(name, pool, weights=tmp_path / "w.pth")
        x = images(h=64, w=64)
        assert torch.allclose(model.eval()(x), theirs.eval()(x), atol=1e-6)

    def test_other_model(self, tmp_path: Path) -> None:
        """Weights of another model name the first tensor that differs."""
        for state, message in (
            (build_model("tiny", "avg").state_dict(), r"no tensor 'pool\.p', which is \(1,\)"),
            (build_model(Wide()).state_dict(), r"no tensor 'backbone\.0\.weight'"),
            (Wide().state_dict(), r"no tensor '0\.weight'"),
            ({"0.weight": torch.zeros(1, 2)}, r"'0\.weight' is \(1, 2\) in it and \(16, 3, 3, 3\) in this model"),
        ):
            torch.save(state, tmp_path / "w.pth")
            with pytest.raises(InputError, match=rf"w\.pth: these are weights of another model: .*{message}"):
                build_model("tiny", weights=tmp_path / "w.pth")

    def test_module_with_a_backbone_inside(self, tmp_path: Path) -> None:
        """A module whose own part is called backbone takes its own weights."""

        class Wrapped(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.backbone = Wide()

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.backbone(x)

        network = Wrapped()
        torch.save(network.state_dict(), tmp_path / "w.pth")
        state = build_model(Wrapped(), weights=tmp_path / "w.pth").backbone.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())

    def test_options(self, tmp_path: Path) -> None:
        """Options that contradict each other, and things that are no backbone, are refused."""
        with pytest.raises(OptionError, match="give one"):
            build_model("tiny", pretrained=True, weights=tmp_path / "w.pth")
        with pytest.raises(OptionError, match="your own module"):
            build_model(Wide(), pretrained=True)
        with pytest.raises(OptionError, match="backbone is a int"):
            build_model(3)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="pool 'mean'"):
            build_model("tiny", "mean")  # type: ignore[arg-type]
