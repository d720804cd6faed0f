"""Drawings of what two depth frames share: a coloured point cloud and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from relabel.atomic import check_target, output_errors, replacing
from relabel.figures import figure, matplotlib, shortened, verbatim
from relabel.input_files import check_regular
from relabel.optional import open3d
from relabel.report.shared_surface import SharedSurface

SHARED, QUERY, DATABASE = (0.24, 0.66, 0.36), (0.88, 0.48, 0.0), (0.12, 0.44, 0.92)
"""Colours, red, green and blue in [0, 1]: what both frames see, what only the query sees, what only the database."""
_NOTHING = (0.93, 0.93, 0.93)
_ORIENTATION = 0x0112  # the EXIF tag


def write_ply(path: Path, pair: SharedSurface, *, overwrite: bool = False) -> None:
    """Write the points of both frames as a point cloud, coloured by who sees them: `SHARED`, `QUERY`, `DATABASE`.

    Parameters
    ----------
    path:
        the file to write, PLY, whole or not at all.
    pair:
        what to write.
    overwrite:
        whether a file that is there may be replaced.

    Raises
    ------
    MissingPackageError
        when Open3D cannot be loaded.
    OutputExistsError, OutputError
        as `relabel.atomic.replacing` raises them.
    """
    check_ply(path, overwrite=overwrite)
    o3d = open3d("--export-ply")
    points = np.concatenate([pair.query.points, pair.database.points])
    colours = np.concatenate(
        [
            np.where(side.shared[:, np.newaxis], SHARED, own)
            for side, own in ((pair.query, QUERY), (pair.database, DATABASE))
        ]
    )
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.colors = o3d.utility.Vector3dVector(colours)
    with replacing(path, overwrite=overwrite) as private, output_errors(path):
        # Open3D chooses the format by the suffix, and says on stdout what goes wrong.
        named = private.with_name(private.name + ".ply")
        try:
            with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
                written = o3d.io.write_point_cloud(str(named), cloud)
            if not written:
                raise OSError("Open3D cannot write it")
            named.replace(private)
        finally:
            named.unlink(missing_ok=True)


def check_ply(path: Path, *, overwrite: bool) -> None:
    """Raise unless Open3D is there and a file can be written to `path`."""
    open3d("--export-ply")
    check_target(path, overwrite=overwrite)


def shared_figure(path: Path, pair: SharedSurface, *, overwrite: bool = False, dark: bool = False) -> None:
    """Draw both frames side by side: the colour images, and below which pixels of depth the other frame sees.

    Parameters
    ----------
    path:
        .svg, .pdf or .png file to write.
    pair:
        what to draw.
    overwrite:
        whether a file that is there may be replaced.
    dark:
        light on a dark background.
    """
    with figure(path, size=(9.0, 7.4), overwrite=overwrite, dark=dark) as drawn:
        panels = drawn.subplots(2, 2)
        for column, (side, own) in enumerate(((pair.query, QUERY), (pair.database, DATABASE))):
            above, below = panels[0, column], panels[1, column]
            seen = np.empty((*side.pixels.shape, 3))
            seen[:] = _NOTHING
            seen[side.pixels] = np.where(side.shared[:, np.newaxis], SHARED, own)
            image, remark = _image(side.image, side.pixels.shape)
            if image is None:
                above.text(0.5, 0.5, "no colour image", ha="center", va="center")
            else:
                above.imshow(image)
            above.set_title(verbatim(f"{('query', 'database')[column]} {shortened(side.key, 36)}{remark}"), fontsize=10)
            below.imshow(seen, interpolation="nearest")
            share = 100.0 * side.common / max(1, side.voxels)
            below.set_title(f"{share:.1f} % of {side.voxels:,} voxels shared", fontsize=10)
            for axes in (above, below):
                axes.set_axis_off()
        names = (
            ("both see", SHARED),
            ("only the query", QUERY),
            ("only the database", DATABASE),
            ("no depth", _NOTHING),
        )
        marks = [_mark(colour, name) for name, colour in names]
        drawn.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        drawn.suptitle(f"ψ {pair.stored:.4g} ({pair.measure}), cameras {pair.distance_m:.2f} m apart", fontsize=12)


def _mark(colour: tuple[float, float, float], name: str) -> Any:
    return matplotlib("matplotlib.patches").Patch(facecolor=colour, label=name)


def _image(path: str, depth_shape: tuple[int, ...]) -> tuple[Any, str]:
    """The pixels of a colour image, None where there is none that can be read, and a remark where EXIF asks to turn it.

    Depth maps are of the pixels as stored, unless only the turned image has their shape (height, width).
    """
    from PIL import Image, ImageOps  # noqa: PLC0415

    if not path:
        return None, ""
    try:
        check_regular(path)
        with Image.open(path) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            pixels = np.asarray(image.convert("RGB"))
            if orientation == 1:
                return pixels, ""
            turned = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception:  # whatever a damaged image makes a decoder raise: it is only for looking at, no reason to fail
        return None, ""
    stands = [shape[0] > shape[1] for shape in (depth_shape, pixels.shape, turned.shape)]
    if stands[0] == stands[2] != stands[1]:
        return turned, f" (turned as EXIF orientation {orientation} asks)"
    return pixels, f" (as stored, before EXIF orientation {orientation})"
