"""Files of weights, good ones in several wrappings and bad ones of several kinds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from relabel.errors import InputError, MissingFileError
from relabel.training.weights import (
    first_difference,
    load_into,
    named_as,
    read_weights,
    without_common_parts,
    without_prefix,
)

pytestmark = pytest.mark.gpu


class Evil:
    """Would write a file if a pickle of it were run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class TestReadWeights:
    """relabel.training.weights.read_weights"""

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: state,
            lambda state: {"model": state, "epoch": 3},
            lambda state: {"state_dict": state},
            lambda state: {"model_state_dict": state, "optimizer": {}},
            lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
            lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
            lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
            lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
            lambda state: {"state_dict": {"model": {f"module._orig_mod.{n}": t for n, t in state.items()}}, "epoch": 3},
            lambda state: {"model": {"state_dict": state}},
        ],
    )
    def test_wrappings(self, wrap: Any, tmp_path: Path) -> None:
        """A state dict is found in what training programs wrap around it."""
        state = nn.Linear(2, 3).state_dict()
        torch.save(wrap(dict(state)), tmp_path / "w.pth")
        tensors = read_weights(tmp_path / "w.pth")
        assert list(tensors) == ["weight", "bias"]
        assert all(torch.equal(tensors[name], state[name]) for name in state)

    def test_compiled(self, tmp_path: Path) -> None:
        """The names that `torch.compile` gives, of a whole network and of a part, are those of the network."""
        network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
        expected = list(network.state_dict())
        whole = torch.compile(network, backend="eager").state_dict()
        network[1] = torch.compile(network[1], backend="eager")
        part = network.state_dict()
        for state in (whole, part):
            assert list(state) != expected
            torch.save(state, tmp_path / "w.pth")
            assert list(read_weights(tmp_path / "w.pth")) == expected
        load_into(network, whole, "w.pth")  # into a network that is compiled itself, too

    def test_part_called_module(self, tmp_path: Path) -> None:
        """A network with a part of that name beside others is no wrapped one, and keeps its names."""
        state = {"module.weight": torch.zeros(1), "head.weight": torch.zeros(2)}
        torch.save(state, tmp_path / "w.pth")
        assert list(read_weights(tmp_path / "w.pth")) == list(state)

    def test_missing(self, tmp_path: Path) -> None:
        """No file, or a folder, is said to be missing."""
        for path in (tmp_path / "no.pth", tmp_path):
            with pytest.raises(MissingFileError, match=path.name):
                read_weights(path)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a zip", b"\x80\x02}q\x00.", b"text", bytes(1000)])
    def test_damaged(self, content: bytes, tmp_path: Path) -> None:
        """Whatever bytes are in it, the error names the file."""
        (tmp_path / "w.pth").write_bytes(content)
        with pytest.raises(InputError, match=r"w\.pth"):
            read_weights(tmp_path / "w.pth")

    def test_cut_short(self, tmp_path: Path) -> None:
        """A good file that ends too early is refused, wherever it ends."""
        torch.save(nn.Linear(20, 30).state_dict(), tmp_path / "w.pth")
        whole = (tmp_path / "w.pth").read_bytes()
        for length in range(0, len(whole), len(whole) // 37):
            (tmp_path / "w.pth").write_bytes(whole[:length])
            with pytest.raises(InputError, match=r"w\.pth"):
                read_weights(tmp_path / "w.pth")

    def test_runs_no_code(self, tmp_path: Path) -> None:
        """Code in a file is not run."""
        for save in (torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))):
            save({"weight": Evil(tmp_path / "written")}, tmp_path / "w.pth")
            with pytest.raises(InputError, match="cannot be read as weights"):
                read_weights(tmp_path / "w.pth")
            assert not (tmp_path / "written").exists()

    @pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {}, {1: torch.zeros(2)}])
    def test_no_names(self, content: Any, tmp_path: Path) -> None:
        """Something other than tensors by name is refused."""
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(InputError, match="no named tensors"):
            read_weights(tmp_path / "w.pth")

    def test_other_values(self, tmp_path: Path) -> None:
        """A value that is no tensor is named."""
        torch.save({"weight": torch.zeros(2), "epoch": 3}, tmp_path / "w.pth")
        with pytest.raises(InputError, match="'epoch' is a int, not a tensor"):
            read_weights(tmp_path / "w.pth")


class TestLoadInto:
    """relabel.training.weights.load_into and first_difference"""

    def test_differences(self) -> None:
        """The first tensor that differs is named, with both shapes; nothing is changed before all fit."""
        module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        good = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
        for tensors, message in (
            (good | {"1.weight": torch.zeros(5, 3)}, r"'1.weight' is \(5, 3\) in it and \(4, 3\) in this model"),
            ({name: good[name] for name in list(good)[:3]}, r"no tensor '1.bias', which is \(4,\)"),
            (good | {"2.weight": torch.zeros(1)}, r"a tensor '2.weight' of \(1,\), which this model does not have"),
        ):
            with pytest.raises(InputError, match=f"run/w.pth: these are weights of another model: .*{message}"):
                load_into(module, tensors, "run/w.pth")
            assert all(torch.equal(module.state_dict()[name], before[name]) for name in before)
        load_into(module, good | {"fc.weight": torch.zeros(1)}, "w.pth", spare=["fc."])
        assert all((tensor == 0).all() for tensor in module.state_dict().values())

    def test_none(self) -> None:
        """The same names and shapes do not differ, in whatever order."""
        state = nn.Linear(2, 3).state_dict()
        assert first_difference(state, dict(reversed(state.items()))) is None

    def test_old_batch_norm(self) -> None:
        """Files without the batch counters of newer PyTorch are taken."""
        module = nn.BatchNorm2d(3)
        state = {name: t + 1 for name, t in module.state_dict().items() if name != "num_batches_tracked"}
        load_into(module, state, "w.pth")
        assert module.running_mean.tolist() == [1.0] * 3


class TestNamedAs:
    """relabel.training.weights.named_as"""

    def test_numbered_layers(self) -> None:
        """Numbers become the names of the layers in their order, those without weights counted."""
        backbone = nn.Sequential()
        for name, layer in (("conv1", nn.Conv2d(3, 4, 1)), ("relu", nn.ReLU()), ("layer1", nn.Sequential())):
            backbone.add_module(name, layer)
        tensor = torch.zeros(1)
        tensors = named_as(backbone, {"0.weight": tensor, "2.0.weight": tensor, "9.weight": tensor})
        assert list(tensors) == ["conv1.weight", "layer1.0.weight", "9.weight"]

    def test_features(self) -> None:
        """A backbone of one part that holds all layers."""
        backbone = nn.Sequential()
        backbone.add_module("features", nn.Sequential(nn.Conv2d(3, 4, 1)))
        assert list(named_as(backbone, {"0.weight": torch.zeros(1)})) == ["features.0.weight"]

    def test_left_alone(self) -> None:
        """Names stay where they are none, or where the backbone's own layers are numbered."""
        named = {"conv1.weight": torch.zeros(1)}
        numbered = {"0.weight": torch.zeros(1)}
        assert named_as(nn.Sequential(nn.ReLU()), numbered) == numbered
        assert named_as(nn.Module(), named) == named


class TestWithoutCommonParts:
    """relabel.training.weights.without_common_parts"""

    def test_parts(self) -> None:
        """One after the other, as far as all names share one."""
        t = torch.zeros(1)
        states = without_common_parts({"model.net.a.b": t, "model.net.c": t})
        assert [list(state) for state in states] == [
            ["model.net.a.b", "model.net.c"],
            ["net.a.b", "net.c"],
            ["a.b", "c"],
        ]
        assert [list(state) for state in without_common_parts({"a": t})] == [["a"]]


class TestWithoutPrefix:
    """relabel.training.weights.without_prefix"""

    def test_prefix(self) -> None:
        """Only what has the prefix, and that without it."""
        t = torch.zeros(1)
        assert list(without_prefix({"a.b": t, "ab": t, "a.a.c": t}, "a.")) == ["b", "a.c"]
