"""Figures that commands write: those of a collection, and the row of a query with its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from relabel.errors import InputError, MissingFileError
from relabel.exchange.folder import ExportFolder, file_name
from relabel.figures import drawing, figure, matplotlib, save, shortened, verbatim
from relabel.geometry.ground import ground_of
from relabel.images.paths import find_camera_images
from relabel.plot.distributions import histogram, plane
from relabel.plot.maps import camera_map, query_map
from relabel.plot.matrices import matrix
from relabel.plot.pairs import image_of_height
from relabel.plot.sides import Side, matches
from relabel.similarity import SimilaritySource

_STRIP = 6  # images of matches
_PIXELS = 240  # rows of an image of the strip
_SIZES = {"map": (5.6, 5.6), "histogram": (5.6, 3.6), "plane": (5.6, 3.8), "matrix": (5.6, 5.0)}


class StatsFigures:
    """Figures of collections, which appear in a folder all at once: map, histogram, plane and matrix.

    A matrix is drawn only for self pairs whose queries are in time order.

    Parameters
    ----------
    folder:
        folder to write to; created if it does not exist.
    suffix:
        one of `relabel.figures.SUFFIXES`.
    overwrite:
        whether existing files may be replaced.
    dark:
        light on a dark background.
    """

    def __init__(self, folder: Path, suffix: str, *, overwrite: bool = False, dark: bool = False) -> None:
        matplotlib()  # before anything is read
        self.suffix = suffix
        self.dark = dark
        self.folder = ExportFolder(folder, overwrite=overwrite)

    def write(self, collections: Mapping[str, SimilaritySource]) -> tuple[Path, ...]:
        """Draw the figures of some collections, and return the paths of the files.

        Raises
        ------
        OutputExistsError, OutputError
            when a file exists and may not be replaced, or cannot be written; then no file is written.
        """
        with self.folder as target:
            names = {name: self._files(name, source) for name, source in collections.items()}
            target.claim([file for files in names.values() for file in files.values()])
            for name, source in collections.items():
                for kind, file in names[name].items():
                    with target.file(file) as private, drawing(_SIZES[kind], dark=self.dark) as drawn:
                        _DRAWN[kind](source, ax=drawn.add_subplot())
                        drawn.suptitle(verbatim(shortened(name)), fontsize=10)
                        save(drawn, private, self.suffix)
        return tuple(self.folder.written)

    def _files(self, name: str, source: SimilaritySource) -> dict[str, str]:
        c = source.collection
        in_time = c.self_pairs and {"sequence", "frame"} <= set(c.query.extra)
        kinds = [kind for kind in _DRAWN if kind != "matrix" or in_time]
        return {kind: f"{file_name(name)}-{kind}{self.suffix}" for kind in kinds}


_DRAWN: dict[str, Callable[..., Any]] = {"map": camera_map, "histogram": histogram, "plane": plane, "matrix": matrix}


def row_figure(
    path: Path,
    labels: SimilaritySource,
    query: str,
    *,
    top: int | None = None,
    images: Path | None = None,
    image_path: str | None = None,
    overwrite: bool = False,
    dark: bool = False,
) -> None:
    """Draw the map of a query with its best matches numbered, and their images below.

    Parameters
    ----------
    path:
        .svg, .pdf or .png file to write.
    labels:
        a collection with its pairs.
    query:
        its key.
    top:
        number of matches that are numbered and have an image, at most six; None for six.
    images:
        top folder of the images; None draws no images. A missing or damaged one is a grey field that says so.
    image_path:
        path of an image under `images`, with ``{key}`` and the like; None tries the layouts of the datasets.
    overwrite:
        whether an existing file may be replaced.
    dark:
        light on a dark background.
    """
    c = labels.collection
    row, columns, values = matches(labels, query)
    shown = columns[: min(_STRIP, _STRIP if top is None else top)]
    ground = ground_of([c.query, c.database])
    sides = [Side.of(side, c.params, ground) for side in ((c.query,) if c.self_pairs else (c.query, c.database))]
    paths: list[str] = []
    if images is not None:
        name = str(getattr(labels, "name", ""))
        for cameras, rows, side in ((c.query, np.array([row]), "query"), (c.database, shown, "database")):
            wanted = cameras.take(rows)
            paths += find_camera_images(wanted, images, image_path, collection=name, side=side).tolist()
    with figure(path, size=(7.0, 5.8 if images is None else 7.4), overwrite=overwrite, dark=dark) as drawn:
        grid = drawn.add_gridspec(1 if images is None else 2, 1, height_ratios=None if images is None else (5.0, 1.5))
        query_map(drawn.add_subplot(grid[0]), labels, query, sides, ground, ranked=len(shown))
        if images is None:
            return
        titles = ["query", *(f"{rank}: ψ = {psi:.3f}" for rank, psi in enumerate(values[: len(shown)], 1))]
        strip = grid[1].subgridspec(1, _STRIP + 1)
        for place, (file, title) in enumerate(zip(paths, titles, strict=True)):
            axes = drawn.add_subplot(strip[place])
            axes.set_axis_off()
            axes.set_title(title, fontsize=8)
            try:
                axes.imshow(image_of_height(file, _PIXELS))
            except (InputError, MissingFileError):
                axes.set_axis_on()
                axes.set(xticks=[], yticks=[], aspect=0.75, xlim=(0, 1), ylim=(0, 1))
                axes.text(0.5, 0.5, "no image", ha="center", va="center", fontsize=8)
