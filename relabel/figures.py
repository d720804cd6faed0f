"""Figures for papers, as files: the same bytes for the same numbers, without a window, a display or settings of users.

Colours are those of Okabe and Ito, and cividis for ψ, which colour-blind readers tell apart, and which differ in
lightness.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from relabel.atomic import check_target, output_errors, replacing
from relabel.errors import OptionError
from relabel.optional import package

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".pdf", ".png")
_DPI = 200
# Neither the time nor the version of matplotlib.
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


class Colours(NamedTuple):
    """Colours that stand out from a background."""

    ink: str
    """lines, and what stands for itself"""
    faint: str
    """what is there but is not the subject"""
    background: str
    query: str
    database: str
    shared: str
    fault: str
    other: str
    """what is neither of those"""
    psi: str
    """name of the colour map of ψ, whose larger values stand out more"""


LIGHT = Colours("#222222", "#8c8c8c", "#ffffff", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "cividis_r")
DARK = Colours("#e8e8e8", "#8c8c8c", "#14161a", "#56B4E9", "#E69F00", "#2DC79B", "#F0703A", "#DE9CC0", "cividis")


def style(*, dark: bool = False) -> dict[str, Any]:
    """Settings of matplotlib for a figure in a paper, for ``matplotlib.rc_context``.

    Fonts are embedded in PDF files as TrueType and are outlines in SVG files. With `dark`, light on a dark background.
    """
    colours = DARK if dark else LIGHT
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "lines.color")
    paper = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return {
        **dict.fromkeys(ink, colours.ink),
        **dict.fromkeys(paper, colours.background),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "legend.frameon": False,
        "legend.fontsize": "small",
        "figure.constrained_layout.use": True,
        "image.cmap": colours.psi,
        "savefig.dpi": _DPI,
        "svg.hashsalt": "relabel",
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
    }


def matplotlib(module: str = "matplotlib") -> Any:
    """The package matplotlib, or a module of it; a `MissingPackageError` where it cannot be loaded."""
    return package(module, "a figure", "pip install matplotlib")


def colours_of(axes: Axes) -> Colours:
    """The colours that stand out from the background of some axes."""
    to_rgba = matplotlib("matplotlib.colors").to_rgba
    red, green, blue, alpha = to_rgba(axes.get_facecolor())
    figure = axes.get_figure()
    if alpha < 0.5 and figure is not None:  # what is behind them shows
        red, green, blue, _ = to_rgba(figure.get_facecolor())
    return DARK if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else LIGHT


def axes_or_new(axes: Axes | None) -> Axes:
    """The axes, or those of a new figure of pyplot."""
    if axes is not None:
        return axes
    created: Axes = matplotlib("matplotlib.pyplot").figure(layout="constrained").add_subplot()
    return created


def colour_bar(axes: Any, drawn: Any, label: str) -> None:
    """A colour bar as high as the axes."""
    bar = axes.figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0.0, 0.04, 1.0)))
    bar.set_label(verbatim(label))
    bar.outline.set_visible(False)


def verbatim(text: str) -> str:
    """A text in which matplotlib sees no formula, and without characters that no SVG file may hold."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return shown.replace("$", r"\$")


def shortened(name: str, most: int = 48) -> str:
    """A key or another name on one line of at most so many letters, without its middle where it is longer."""
    line = " ".join(name.split())
    if len(line) <= most:
        return line
    start = (most - 1) // 2
    return f"{line[:start]}…{line[start + 1 - most :]}"


def check_figure(path: Path, *, overwrite: bool) -> None:
    """Raise unless a figure can be written to `path`.

    Raises
    ------
    OptionError
        when the suffix is none of `SUFFIXES`.
    OutputExistsError, OutputError
        when the file is there and `overwrite` is False, or its folder is not.
    MissingPackageError
        when matplotlib cannot be loaded.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a figure has to be {', '.join(SUFFIXES)}; choose one of these suffixes")
    check_target(path, overwrite=overwrite)
    matplotlib()


@contextmanager
def figure(path: Path, *, size: tuple[float, float], overwrite: bool = False, dark: bool = False) -> Iterator[Any]:
    """A matplotlib Figure to draw on, written to `path` (.svg, .pdf or .png) when the block ends well.

    Parameters
    ----------
    path:
        the file to write, whole or not at all.
    size:
        width and height in inches.
    overwrite:
        whether a file that is there may be replaced.
    dark:
        light on a dark background.
    """
    check_figure(path, overwrite=overwrite)
    with drawing(size, dark=dark) as drawn:
        yield drawn
        with replacing(path, overwrite=overwrite) as private, output_errors(path):
            save(drawn, private, path.suffix)


@contextmanager
def drawing(size: tuple[float, float], *, dark: bool = False) -> Iterator[Any]:
    """A matplotlib Figure of `size` (inches) in the `style`, for as long as the block lasts."""
    mpl = matplotlib()  # half a second, for those who draw
    with mpl.rc_context(), warnings.catch_warnings():
        # A key in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(style(dark=dark))
        yield matplotlib("matplotlib.figure").Figure(figsize=size, layout="constrained")


def save(drawn: Any, path: Path, suffix: str) -> None:
    """Write a figure inside its `drawing`, in the format of a suffix."""
    kind = suffix.lower()[1:]
    drawn.draw_without_rendering()  # the layout knows how wide colour bars are once they have been drawn
    drawn.savefig(path, format=kind, dpi=_DPI, metadata=_METADATA[kind])
