"""The edge of the losses: what users hand over, checked once and brought to one type and device."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from relabel.errors import InputError, OptionError

Reduction = Literal["mean", "sum", "none"]


def floats(*given: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one floating type, float32 at least; all (n, dim) alike and on one device."""
    first = given[0]
    for x in given:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise InputError(f"descriptors are {kind}; expected a floating-point tensor")
        if x.ndim != 2 or x.shape != first.shape:
            shapes = " and ".join(str(shape(each)) for each in given)
            raise InputError(f"descriptors have shape {shapes}; expected (n, dim), the same for all")
        if x.device != first.device:
            raise InputError(f"descriptors lie on {first.device} and {x.device}; move them to one device")
    dtype = torch.float32
    for x in given:
        dtype = torch.promote_types(dtype, x.dtype)
    return tuple(x.to(dtype) for x in given)


def similarities(psi: Any, x: Tensor) -> Tensor:
    """ψ of each pair of x, in its own type, checked where it lies and moved to where x is."""
    values = tensor(psi)
    if values.shape != (len(x),):
        raise InputError(f"psi has shape {shape(values)}; {len(x)} pairs need ({len(x)},)")
    check_range(values)
    return moved(values, x.device)


def tensor(values: Any) -> Tensor:
    """What was given, a tensor or anything array-like, as a tensor without a gradient."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.tensor(values)  # copied: from_numpy warns of arrays that cannot be written
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"similarities cannot be made a tensor: {error}") from None


def moved(values: Tensor, device: torch.device) -> Tensor:
    """The tensor on that device; on its way from the CPU to a GPU nothing waits for what the GPU still has to do."""
    if values.device.type != "cpu" or device.type == "cpu":
        return values.to(device)
    # Ordinary memory has been read when the call returns. Pinned memory is read later, when its owner may have put the
    # next batch there, hence the copy.
    return (values.clone() if values.is_pinned() else values).to(device, non_blocking=True)


def check_range(psi: Tensor, *, unknown: bool = False) -> None:
    """Refuse values outside [0, 1]; NaN only where `unknown` allows it."""
    if psi.is_complex():
        raise InputError(f"similarities have type {psi.dtype}; expected real numbers")
    good = (psi >= 0) & (psi <= 1)
    if unknown:
        good |= psi.isnan()
    if bool(good.all()):
        return
    at = torch.nonzero(~good)[0].tolist()
    value = float(psi[tuple(at)])
    hint = "; NaN is a pair that is not known, leave it out" if math.isnan(value) else "; ψ is in [0, 1]"
    raise InputError(f"similarity {', '.join(map(str, at))} (counted from 0) is {value:g}{hint}")


def check_options(margin: float, reduction: str) -> None:
    """Refuse a margin or a reduction that cannot be."""
    check_margin(margin)
    if reduction not in get_args(Reduction):
        raise OptionError(f"reduction {reduction!r} is not known; choose {', '.join(get_args(Reduction))}")


def check_margin(margin: float) -> None:
    """Refuse a margin that is no distance."""
    if not (margin > 0.0 and math.isfinite(margin)):
        raise OptionError(f"margin is {margin}; it has to be a distance above 0")


def check_threshold(threshold: float) -> None:
    """Refuse a least ψ of a positive that would make every pair one, or none."""
    if not 0.0 < threshold <= 1.0:
        raise OptionError(f"threshold is {threshold}; it has to be in (0, 1]")


def shape(x: Tensor) -> tuple[int, ...]:
    """The shape as messages show it."""
    return tuple(x.shape)
