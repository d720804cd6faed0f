"""The figure of a fit: published ψ against that of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relabel.cameras import FloatArray
from relabel.figures import colours_of, figure, verbatim


def fit_figure(
    path: Path,
    published: FloatArray,
    fitted: FloatArray,
    distance_m: FloatArray,
    *,
    title: str,
    overwrite: bool = False,
    dark: bool = False,
) -> None:
    """Published ψ against that of a model, and the difference against distance.

    Parameters
    ----------
    path:
        .svg, .pdf or .png file to write.
    published, fitted:
        (m,) ψ in the labels, 0 where a pair is absent, and under the model.
    distance_m:
        (m,) horizontal distance of the two cameras.
    title:
        the model in words.
    overwrite:
        whether an existing file may be replaced.
    dark:
        light on a dark background.
    """
    stored = published > 0.0
    with figure(path, size=(9.0, 4.2), overwrite=overwrite, dark=dark) as drawn:
        left, right = drawn.subplots(1, 2)
        colours = colours_of(left)
        kinds = ((~stored, colours.faint, "absent"), (stored, colours.query, "stored"))
        left.plot([0.0, 1.0], [0.0, 1.0], color=colours.ink, linewidth=0.8)
        right.axhline(0.0, color=colours.ink, linewidth=0.8)
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
        drawn.suptitle(verbatim(title), fontsize=11)
