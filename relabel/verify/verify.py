"""Recompute a sample of a label file with a slow oracle, from the dataset if it is at hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from relabel.errors import InputError, LabelFileError, OptionError
from relabel.labelfile import LabelFile, StoredCollection, validate
from relabel.pipeline.parts import Bar
from relabel.verify.result import Task, Verification

log = logging.getLogger(__name__)


def verify(
    path: Path,
    root: Path | None = None,
    *,
    sample: int = 1000,
    seed: int = 0,
    bar: Bar | None = None,
    mask: Path | None = None,
    occluders: Path | None = None,
) -> Verification:
    """Compare a label file with its dataset and with a slow oracle: shapely, or sets of voxels.

    Half of the sample are stored pairs, half are pairs that are absent between two cameras whose status is OK, most of
    them near each other.

    Parameters
    ----------
    path:
        the label file.
    root:
        the dataset it was made from; without it the cameras are taken from the file, and only ψ is checked. Labels
        from depth maps need it.
    sample:
        pairs for each collection.
    seed:
        same seed, same sample.
    bar:
        makes progress bars, over the files of a dataset that are compared, and over the pairs of a collection.
    mask:
        the mask that the file was made with, where it lies neither under `root` nor beside the file.
    occluders:
        likewise the footprints that cut the fields of view.

    Raises
    ------
    InputError
        when the file was not made by a measure that can be recomputed, its provenance does not lead to `root`, or its
        mask, footprints or depth maps are not found.
    LabelFileError, DatasetNotFoundError
        when the file is not valid, or the dataset cannot be read.
    """
    if sample < 1:
        raise OptionError(f"sample is {sample}; at least one pair is needed")
    labels = LabelFile(path)
    log.debug("%s: is validated first", path)
    with nullcontext() if bar is None else bar("validating", None):
        faults = [finding for finding in validate(path).findings if finding.severity == "error"]
    if faults:
        raise LabelFileError(
            f"{path}: is damaged ({faults[0].path}: {faults[0].message}); `relabel validate` lists all errors"
        )
    if mask is not None:
        if root is None:
            raise OptionError("a mask applies to the cameras of the dataset; give root=… as well")
        if not any("mask" in labels[name].params for name in labels):
            raise InputError(f"{path}: was made without a mask; omit mask=…")
    if occluders is not None and not any("occluders" in labels[name].params for name in labels):
        raise InputError(f"{path}: was made without occluders; omit occluders=…")
    result = Verification()
    records = labels.provenance()
    for number, name in enumerate(labels):
        stored = labels[name]
        rng = np.random.default_rng([seed, number])
        _check_of(stored)(Task(stored, records, root, sample, rng, bar, mask, occluders), result)
    return result


def _check_of(stored: StoredCollection) -> Callable[[Task, Verification], None]:
    """What recomputes the labels of a collection; loads only what its method needs."""
    if stored.method.startswith("fov-"):
        from relabel.verify import fov_labels  # noqa: PLC0415

        return fov_labels.check
    from relabel.surface.params import METHODS  # noqa: PLC0415

    if stored.method not in METHODS:
        raise InputError(
            f"{stored.path}::{stored.name}: {stored.method} labels cannot be recomputed; only fields of view can"
        )
    from relabel.verify import surface_labels  # noqa: PLC0415

    return surface_labels.check
