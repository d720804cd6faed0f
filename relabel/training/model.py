"""The descriptor model: backbone, global pooling, L2 normalisation and, once fitted, whitening."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from relabel.errors import InputError, OptionError
from relabel.training.backbones import HEADS, build_backbone, channels_of, feature_map
from relabel.training.model_names import POOLS, Pool
from relabel.training.pooling import build_pool
from relabel.training.weights import (
    State,
    first_difference,
    load_into,
    named_as,
    read_weights,
    without_common_parts,
    without_prefix,
    without_wrappers,
)
from relabel.training.whitening import Whitening

_OWN = "module:"  # prefix of the class of a backbone that has no name
_FIELDS = ("backbone", "pool", "channels", "whitening")


class DescriptorModel(nn.Module):
    """Images to descriptors of unit length; see `build_model`.

    Attributes
    ----------
    backbone, pool:
        the network up to its feature map, and the pooling.
    whitening:
        a `Whitening`, or None.
    channels:
        c of the feature map.
    """

    def __init__(self, backbone: nn.Module, pool: nn.Module, *, name: str, pool_name: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.whitening: Whitening | None = None
        self.channels = channels_of(backbone)
        self._name, self._pool_name = name, pool_name

    @property
    def dim(self) -> int:
        """Dimensions of a descriptor."""
        return self.channels if self.whitening is None else self.whitening.dim

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors of a batch.

        Parameters
        ----------
        images:
            (b, 3, h, w) floating-point, RGB, normalised as the backbone was trained; in any memory format.

        Returns
        -------
        Tensor
            (b, dim) of length 1, float32 at least, also under autocast.

        Raises
        ------
        InputError
            when the images have another shape or type, or are too small for the backbone.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"images have shape {tuple(images.shape)}; expected (b, 3, height, width)")
        if not images.is_floating_point():
            raise InputError(f"images are {images.dtype}; expected floating point, scaled and normalised")
        features = feature_map(self.backbone, images)
        descriptors = functional.normalize(self.pool(features), dim=1)
        return descriptors if self.whitening is None else self.whitening(descriptors)

    def set_whitening(self, whitening: Whitening | None) -> None:
        """Whiten descriptors from now on, or stop whitening them (None).

        Parameters
        ----------
        whitening:
            fitted to descriptors of this model without whitening; it moves to the device of the model.

        Raises
        ------
        InputError
            when it takes descriptors of another dimension.
        """
        if whitening is not None:
            if whitening.dim_in != self.channels:
                raise InputError(
                    f"the whitening takes {whitening.dim_in} dimensions; this model has {self.channels} before it"
                )
            tensor = next(self.parameters(), None)
            whitening = whitening if tensor is None else whitening.to(tensor.device)
        self.whitening = whitening

    def describe(self) -> dict[str, Any]:
        """Description of the model as JSON values, without weights, from which `model_from_config` builds it again."""
        return {
            "backbone": self._name,
            "pool": self._pool_name,
            "channels": self.channels,
            "whitening": None if self.whitening is None else self.whitening.dim,
        }


def build_model(
    backbone: str | nn.Module,
    pool: Pool = "gem",
    *,
    pretrained: bool = False,
    weights: str | os.PathLike[str] | None = None,
) -> DescriptorModel:
    """A model that maps (b, 3, h, w) images to (b, dim) descriptors of length 1.

    Parameters
    ----------
    backbone:
        a name as for `build_backbone`, or any module that maps images to a (b, c, h, w) feature map.
    pool:
        ``gem`` (with learnable p, 3 to begin with), ``avg`` or ``max``.
    pretrained:
        use torchvision's ImageNet weights from the cache on this machine; nothing is downloaded.
    weights:
        a file of initial weights: the ``state_dict`` of the backbone, with or without its classification head,
        or of a complete model, including whitening. It is read without running code.

    Returns
    -------
    DescriptorModel
        on the CPU, or on the device of the module passed; in training mode.

    Raises
    ------
    OptionError
        when a name is not known, or both `pretrained` and `weights` are given.
    InputError
        when the module makes no feature map, or the weights are of another model (the first tensor that differs is
        named).
    MissingFileError, MissingPackageError
        when weights, torchvision or timm are not there.

    Examples
    --------
    >>> import torch
    >>> model = build_model("tiny")
    >>> model(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 64])
    """
    if pretrained and weights is not None:
        raise OptionError("pretrained and weights both name initial weights; give one")
    if isinstance(backbone, str):
        name, network = backbone, build_backbone(backbone, pretrained=pretrained)
    elif isinstance(backbone, nn.Module):
        if pretrained:
            raise OptionError("pretrained is for backbones by name; load the weights of your own module yourself")
        name, network = f"{_OWN}{type(backbone).__module__}.{type(backbone).__qualname__}", backbone
    else:
        raise OptionError(f"backbone is a {type(backbone).__name__}; expected a name or a torch.nn.Module")
    model = DescriptorModel(network, build_pool(pool), name=name, pool_name=pool)
    if weights is not None:
        _load(model, Path(weights))
    return model


def model_from_config(config: Mapping[str, Any], *, backbone: nn.Module | None = None) -> DescriptorModel:
    """The model that `DescriptorModel.describe` described, with new weights; those of a checkpoint can be loaded.

    Parameters
    ----------
    config:
        what `describe` returned, possibly saved as JSON in between.
    backbone:
        the module, if the model was built from a module rather than a name.

    Raises
    ------
    InputError
        when `config` is not such a description, or the backbone has a different number of channels.
    OptionError, MissingPackageError
        as for `build_model`.
    """
    if not isinstance(config, Mapping) or set(config) != set(_FIELDS):
        fields = ", ".join(map(str, config)) if isinstance(config, Mapping) else type(config).__name__
        raise InputError(f"the description of a model has {', '.join(_FIELDS)}; this one has {fields or 'nothing'}")
    name, pool, channels, whitened = (config[field] for field in _FIELDS)
    if not isinstance(name, str) or pool not in POOLS:
        raise InputError(f"a model with backbone {name!r} and pool {pool!r} cannot be built")
    if name.startswith(_OWN) and backbone is None:
        raise InputError(f"the model was built from a {name.removeprefix(_OWN)}; pass one as backbone")
    if backbone is not None and not name.startswith(_OWN):
        raise OptionError(f"the model was built with backbone {name!r}; do not pass one")
    model = build_model(name if backbone is None else backbone, pool)
    if model.channels != channels:
        raise InputError(f"the backbone has {model.channels} channels; the model was built with {channels}")
    if whitened is not None:
        if type(whitened) is not int:
            raise InputError(f"whitening is {whitened!r}; expected a number of dimensions, or null")
        model.set_whitening(Whitening(channels, whitened))
    return model


def _load(model: DescriptorModel, path: Path) -> None:
    expected = without_wrappers(model.backbone.state_dict())
    states = list(without_common_parts(read_weights(path)))
    for state in states:
        alone = named_as(model.backbone, state)
        if first_difference(expected, alone, spare=HEADS) is None:
            load_into(model.backbone, alone, path, spare=HEADS)
            return
        if any(name.startswith("backbone.") for name in state):
            _load_whole(model, state, path)
            return
    nearest = max(states, key=lambda state: len(state.keys() & expected.keys()))
    load_into(model.backbone, named_as(model.backbone, nearest), path, spare=HEADS)  # and say what differs


def _load_whole(model: DescriptorModel, state: State, path: Path) -> None:
    projection = state.get("whitening.projection")
    if projection is not None and projection.ndim == 2 and projection.shape[1] == model.channels:
        model.set_whitening(Whitening(model.channels, len(projection)))
    expected = without_wrappers(model.backbone.state_dict())
    inners = [named_as(model.backbone, inner) for inner in without_common_parts(without_prefix(state, "backbone."))]
    inner = next((inner for inner in inners if first_difference(expected, inner) is None), inners[0])
    whole = {f"backbone.{name}": tensor for name, tensor in inner.items()}
    load_into(model, whole | {name: state[name] for name in state if not name.startswith("backbone.")}, path)
