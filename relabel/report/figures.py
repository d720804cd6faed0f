"""Figures as files: the same bytes for the same numbers, and no window, display or user's settings involved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from relabel.atomic import check_target, output_errors, replacing
from relabel.cameras import FloatArray
from relabel.errors import OptionError

SUFFIXES = (".svg", ".png")
INK, BLUE, GREY = "#222222", "#1f6feb", "#8c8c8c"
_DPI = 150


def check_figure(path: Path, *, overwrite: bool) -> None:
    """Raise unless a figure can be written to `path`.

    Raises
    ------
    OptionError
        when the suffix is neither .svg nor .png.
    OutputExistsError, OutputError
        when the file is there and `overwrite` is False, or its folder is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a figure is written as {' or '.join(SUFFIXES)}; choose one of them by the suffix")
    check_target(path, overwrite=overwrite)


@contextmanager
def figure(path: Path, *, size: tuple[float, float], overwrite: bool = False) -> Iterator[Any]:
    """A matplotlib Figure to draw on, written to `path` (.svg or .png) when the block ends well.

    Parameters
    ----------
    path:
        the file to write, whole or not at all.
    size:
        width and height in inches.
    overwrite:
        whether a file that is there may be replaced.
    """
    import matplotlib as mpl  # noqa: PLC0415  half a second, for those who draw
    from matplotlib.figure import Figure  # noqa: PLC0415

    check_figure(path, overwrite=overwrite)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "relabel", "axes.spines.top": False, "axes.spines.right": False})
        drawn = Figure(figsize=size, layout="constrained")
        yield drawn
        kind = path.suffix.lower()[1:]
        # Neither the time nor the version of matplotlib.
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        with replacing(path, overwrite=overwrite) as private, output_errors(path):
            drawn.savefig(private, format=kind, dpi=_DPI, metadata=metadata)


def fit_figure(
    path: Path,
    published: FloatArray,
    fitted: FloatArray,
    distance_m: FloatArray,
    *,
    title: str,
    overwrite: bool = False,
) -> None:
    """Published ψ against that of a model, and the difference against distance.

    Parameters
    ----------
    path:
        .svg or .png file to write.
    published, fitted:
        (m,) ψ in the labels, 0 where a pair is absent, and under the model.
    distance_m:
        (m,) horizontal distance of the two cameras.
    title:
        the model in words.
    overwrite:
        whether a file that is there may be replaced.
    """
    stored = published > 0.0
    kinds = ((~stored, GREY, "absent"), (stored, BLUE, "stored"))
    with figure(path, size=(9.0, 4.2), overwrite=overwrite) as drawn:
        left, right = drawn.subplots(1, 2)
        left.plot([0.0, 1.0], [0.0, 1.0], color=INK, linewidth=0.8)
        right.axhline(0.0, color=INK, linewidth=0.8)
        for mask, colour, name in kinds:
            # Thousands of points as a bitmap: as paths they would make megabytes.
            style = {"s": 6, "color": colour, "alpha": 0.5, "linewidths": 0, "rasterized": True}
            label = f"{name} ({np.count_nonzero(mask):,})"
            left.scatter(published[mask], fitted[mask], label=label, **style)
            right.scatter(distance_m[mask], (fitted - published)[mask], **style)
        left.set(xlabel="published ψ", ylabel="fitted ψ", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        left.legend(frameon=False, markerscale=2.5, loc="upper left")
        # Absent pairs anywhere in a city would squeeze all that matters into a corner.
        right.set_xlim(0.0, 1.4 * max(1.0, float(distance_m[stored].max(initial=0.0))))
        most = max(0.02, 1.05 * float(np.abs(fitted - published).max(initial=0.0)))
        right.set(xlabel="distance of the two cameras, m", ylabel="fitted − published ψ", ylim=(-most, most))
        drawn.suptitle(title, fontsize=11)
