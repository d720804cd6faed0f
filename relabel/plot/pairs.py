"""Two cameras: their fields of view and the area that both see, or their images side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.errors import InputError
from relabel.figures import axes_or_new, colours_of, shortened, verbatim
from relabel.geometry.ground import ground_of
from relabel.geometry.headings import difference_deg
from relabel.images.paths import check_pillow, find_camera_images, read_image
from relabel.input_files import check_regular
from relabel.plot.maps import extent_of, legend, padded, polygons
from relabel.plot.sides import Side, axis_names, matches, row_of, set_map
from relabel.similarity import SimilaritySource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 480  # pixels of an image that is drawn


def pair(
    labels: SimilaritySource,
    query: str,
    database: str,
    *,
    images: str | os.PathLike[str] | None = None,
    image_path: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Two fields of view and the area that both see; with `images` the two images side by side.

    The title has ψ, the distance of the two cameras and the difference of their headings. Buildings that cut the
    fields of view (occluders) are not part of a label file and are not drawn.

    Parameters
    ----------
    labels:
        a collection with its pairs.
    query, database:
        keys of the two cameras.
    images:
        top folder of the images; labels by surface need it.
    image_path:
        path of an image under `images`, with ``{key}`` and the like; None tries the layouts of the datasets.
    ax:
        where to draw; None makes a new figure.

    Raises
    ------
    NotFoundError
        when there is no such camera.
    InputError
        when no field of view is known and no images are given, or an image cannot be read.
    """
    c = labels.collection
    row, columns, values = matches(labels, query)
    column = row_of(c.database, database, "database camera")
    stored = values[columns == column]
    ground = ground_of([c.query, c.database])
    sides = [Side.of(side, c.params, ground) for side in (c.query, c.database)]
    known = bool(c.query.ok[row] and c.database.ok[column])
    psi = f"ψ = {stored[0]:.3f} ({c.measure})" if len(stored) else f"ψ ≤ {c.min_value:g} ({c.measure})"
    if c.self_pairs and row == column:
        psi = "ψ = 1, of a camera with itself"
    if not known:
        labels_of = [Status(int(side.status[i])).label for side, i in ((c.query, row), (c.database, column))]
        psi = f"ψ is unknown (query {labels_of[0]}, database camera {labels_of[1]})"
    apart = float(np.linalg.norm(sides[0].position[row] - sides[1].position[column]))
    turned = float(np.abs(difference_deg(sides[0].heading_deg[row], sides[1].heading_deg[column])))
    parts = [psi]
    parts += [f"{apart:.{1 if apart >= 10 else 2}f} m apart"] if np.isfinite(apart) else []
    parts += [f"turned by {turned:.0f}°"] if np.isfinite(turned) else []
    name = str(getattr(labels, "name", ""))
    if images is not None:
        axes = axes_or_new(ax)
        chosen = ((c.query, row, "query"), (c.database, column, "database"))
        both = [
            _image(cameras.take([i]), Path(images), image_path, collection=name, side=side)
            for cameras, i, side in chosen
        ]
        _side_by_side(axes, both, (query, database))
    else:
        rings = [sides[0].sectors(np.array([row]))[1], sides[1].sectors(np.array([column]))[1]]
        if not (len(rings[0]) and len(rings[1])):
            raise InputError(
                f"the field of view of {query if not len(rings[0]) else database} is unknown, so it cannot be drawn; "
                "to see the two images give their folder (images=)"
            )
        axes = axes_or_new(ax)
        _draw_fields(axes, sides, (row, column), rings, (query, database))
        set_map(axes, *padded(*extent_of([ring[0] for ring in rings])), axis_names(ground, c.crs))
        legend(axes)
    axes.set_title(verbatim(", ".join(parts)), fontsize="medium")
    return axes


def shared_rings(one: Any, other: Any) -> list[npt.NDArray[np.float64]]:
    """The rings (k, 2) around the area that two closed rings (n, 2) have in common."""
    import shapely  # noqa: PLC0415  slow to load

    # Whole metres from one of them, so that no digits are lost.
    origin = np.round(one[0])
    common = shapely.intersection(shapely.Polygon(one - origin), shapely.Polygon(other - origin))
    parts = [part for part in shapely.get_parts(common) if part.geom_type == "Polygon" and not part.is_empty]
    return [shapely.get_coordinates(part.exterior) + origin for part in parts]


def _draw_fields(axes: Any, sides: list[Side], rows: tuple[int, int], rings: list[Any], keys: tuple[str, str]) -> None:
    from matplotlib.colors import to_rgba  # noqa: PLC0415  for those who draw

    colours = colours_of(axes)
    for side, row, ring, key, colour, role in zip(
        sides, rows, rings, keys, (colours.query, colours.database), ("query", "database"), strict=True
    ):
        polygons(axes, ring, facecolors=[to_rgba(colour, 0.12)], edgecolors=[colour], linewidths=1.2)
        axes.scatter(
            *side.position[row][:, None], s=40, color=colour, zorder=4, label=verbatim(f"{role} {shortened(key)}")
        )
    shared = shared_rings(rings[0][0], rings[1][0])
    if shared:
        style: dict[str, Any] = {"facecolors": [to_rgba(colours.shared, 0.5)], "edgecolors": "none"}
        from matplotlib.collections import PolyCollection  # noqa: PLC0415  as above

        area = sum(_area(ring) for ring in shared)
        axes.add_collection(PolyCollection(shared, label=f"both see {area:,.0f} m²", **style), autolim=False)


def _area(ring: npt.NDArray[np.float64]) -> float:
    x, y = (ring - ring[0]).T
    return abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2.0


def _image(
    cameras: Cameras, folder: Path, template: str | None, *, collection: str, side: str
) -> npt.NDArray[np.uint8]:
    [path] = find_camera_images(cameras, folder, template, collection=collection, side=side)
    return image_of_height(str(path), _HEIGHT)


def image_of_height(path: str, height: int) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8, the image with at most that many rows.

    Raises
    ------
    MissingFileError, InputError
        when the file does not exist or cannot be read.
    """
    module = check_pillow()
    size = (height, height)
    if Path(path).is_file():
        check_regular(path)
        try:
            with module.open(path) as image:
                size = image.size
        except Exception:  # read_image says what is wrong
            size = (height, height)
    rows = min(height, size[1])
    pixels: npt.NDArray[np.uint8] = read_image(path, (max(1, round(rows * size[0] / size[1])), rows)).transpose(1, 2, 0)
    return pixels


def _side_by_side(axes: Any, images: list[npt.NDArray[np.uint8]], keys: tuple[str, str]) -> None:
    left = 0.0
    for image, key, role in zip(images, keys, ("query", "database"), strict=True):
        width = image.shape[1] / image.shape[0]
        axes.imshow(image, extent=(left, left + width, 0.0, 1.0))
        axes.text(
            left + width / 2, -0.03, verbatim(f"{role} {shortened(key)}"), ha="center", va="top", fontsize="small"
        )
        left += width + 0.03
    axes.set(xlim=(0.0, left - 0.03), ylim=(0.0, 1.0), aspect="equal")
    axes.set_axis_off()
