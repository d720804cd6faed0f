"""Image names in exports whose readers open the images: where images are by default, and names that are no images."""

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
    """The template of image paths: the given one, otherwise that of MSLS if the labels are of MSLS, otherwise None.

    If cameras have a column ``path``, it takes precedence over the dataset.
    """
    c = source.collection
    if image_path is None and not {"path"} & {*c.query.extra, *c.database.extra} and _dataset_of(source) is MSLS:
        return IMAGE_PATH
    return image_path


def unopened_notes(source: SimilaritySource, name: str, *paths: npt.NDArray[np.str_]) -> list[str]:
    """A note if names are not those of image files, so that no loader can open them."""
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
    """The dataset of the labels according to the label file; None without a file, or if there are several datasets."""
    stored = getattr(source, "source", source)  # if its measure is converted
    path = getattr(stored, "path", None)
    if path is None:
        return None
    specs = {spec.name: spec for record in LabelFile(path).provenance() if (spec := find_recorded(record["command"]))}
    return next(iter(specs.values())) if len(specs) == 1 else None
