"""Names of images in exports whose readers open them: where images lie by default, and which names open no file."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from relabel.datasets.msls.spec import IMAGE_PATH
from relabel.datasets.msls.spec import SPEC as MSLS
from relabel.datasets.registry import DatasetSpec, find_recorded
from relabel.labelfile import LabelFile
from relabel.similarity import SimilaritySource

_ENDING = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?|ppm|pgm|jp2|heic)$", re.IGNORECASE)


def default_image_path(source: SimilaritySource, image_path: str | None) -> str | None:
    """The template of paths of images: the one given, else that of MSLS where the labels are of it, else None.

    Where cameras have a column ``path``, it goes before what a dataset does.
    """
    c = source.collection
    if image_path is None and not {"path"} & {*c.query.extra, *c.database.extra} and _dataset_of(source) is MSLS:
        return IMAGE_PATH
    return image_path


def unopened_notes(source: SimilaritySource, name: str, *paths: npt.NDArray[np.str_]) -> list[str]:
    """A note where names are not those of image files, so that no loader opens them."""
    all_names = np.concatenate(paths).tolist()
    without = [text for text in all_names if not _ENDING.search(text)]
    if not without:
        return []
    spec = _dataset_of(source)
    example = spec.image_paths[0] if spec is not None and spec.image_paths else "{key}.jpg"
    note = (
        f"{name}: {len(without):,} of {len(all_names):,} image names are not names of image files, such as "
        f"{without[0][:80]!r}, but a loader opens them unchanged; say where the images are (image_path='{example}')"
    )
    return [note]


def _dataset_of(source: SimilaritySource) -> DatasetSpec | None:
    """The one dataset that the label file says its labels are of; None where there is no file, or there are several."""
    stored = getattr(source, "source", source)  # of one whose measure is converted
    path = getattr(stored, "path", None)
    if path is None:
        return None
    specs = {spec.name: spec for record in LabelFile(path).provenance() if (spec := find_recorded(record["command"]))}
    return next(iter(specs.values())) if len(specs) == 1 else None
