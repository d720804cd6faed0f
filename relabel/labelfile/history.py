"""The provenance records of an open label file, as texts."""

from __future__ import annotations

from typing import Any

import h5py

from relabel.errors import LabelFileError
from relabel.labelfile import hdf
from relabel.labelfile.schema import PROVENANCE, UTF8


def provenance_texts(file: Any) -> list[str]:
    """The JSON text of every step, in order.

    Raises
    ------
    LabelFileError
        when the records are not numbered from 0000 on, or one is not a UTF-8 string.
    """
    group = hdf.member(file, PROVENANCE, h5py.Group)
    names = hdf.links(group)
    expected = [f"{number:04d}" for number in range(len(names))]
    if names != expected:
        raise LabelFileError(f"/{PROVENANCE}: the records are not numbered from 0000 on without gaps")
    texts = []
    for name in names:
        dataset = hdf.member(group, name, h5py.Dataset)
        hdf.check_array(dataset, UTF8, ())
        with hdf.guarded(dataset.name):
            texts.append(bytes(dataset[()]).decode())
    return texts
