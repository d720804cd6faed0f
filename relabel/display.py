"""How objects show themselves: a few lines of text, and in notebooks a small table beside a thumbnail map."""

from __future__ import annotations

import html
import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import RelabelError

_LINES = 10
_WIDTH = 110  # letters of one line
_SHOWN = 4  # names of many
_POINTS = 300  # of a thumbnail, over all layers
_SIZE, _MARGIN = 160, 6  # of a thumbnail, pixels
_COLOURS = ("#0072B2", "#E69F00")  # distinct to colour-blind readers, on white and on black


class Layer(NamedTuple):
    """Places of one kind on a thumbnail map."""

    name: str
    position: npt.NDArray[np.float64]
    """(n, 2) or (n, 3) metres east, north (and up); what is not finite is left out"""


class Summary(NamedTuple):
    """What an object says of itself."""

    title: str
    rows: Sequence[tuple[str, str]]
    """name and value"""


class Displayed:
    """An object whose text has at most ten lines, and which is a small table with a thumbnail map in a notebook."""

    __slots__ = ()

    @abstractmethod
    def _summary(self) -> Summary:
        """The text; may raise a `RelabelError` where a file cannot be read."""

    def _layers(self) -> Sequence[Layer]:
        """What the thumbnail map shows."""
        return ()

    def __repr__(self) -> str:
        return summary_text(self._summary_or_error())

    def _repr_html_(self) -> str:
        try:
            layers = self._layers()
        except (RelabelError, OSError):
            layers = ()  # the table says what is wrong, or needed nothing of what cannot be read
        return summary_html(self._summary_or_error(), layers)

    def _summary_or_error(self) -> Summary:
        try:
            return self._summary()
        except (RelabelError, OSError) as error:
            return Summary(type(self).__name__, [("cannot be read", str(error))])


def summary_text(summary: Summary) -> str:
    """A summary as text of at most ten lines."""
    rows = list(summary.rows)
    if len(rows) > _LINES - 1:
        rows = [*rows[: _LINES - 2], ("…", f"{len(rows) - _LINES + 2} more")]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [summary.title, *(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)]
    return "\n".join(_cut(_printable(" ".join(line.splitlines()))) for line in lines)


def fields_text(value: Any) -> str:
    """A named tuple or dataclass as text of at most ten lines: of each array its shape, type and first numbers."""
    names = getattr(value, "_fields", None) or [field.name for field in fields(value)]
    return summary_text(Summary(type(value).__name__, [(name, _brief(getattr(value, name))) for name in names]))


def _brief(value: Any) -> str:
    """A value of a field on one line."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        size = math.prod(value.shape)
        first = value.reshape(-1)[:_SHOWN].tolist()
        shown = ", ".join(f"{item:.6g}" if isinstance(item, float) else _cut(str(item), 30) for item in first)
        kind = "str" if str(value.dtype).startswith("<U") else str(value.dtype)
        more = ", …" if size > _SHOWN else ""
        return f"{tuple(value.shape)} {kind}" + (f": {shown}{more}" if size else "")
    if isinstance(value, Displayed):
        return repr(value).splitlines()[0]
    if isinstance(value, (list, tuple, Mapping)) and len(value) > _SHOWN:
        return named(value, len(value))
    return repr(value)


def summary_html(summary: Summary, layers: Iterable[Layer] = ()) -> str:
    """A summary as an HTML table, with a map of the layers beside it."""
    rows = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(_cut(value))}</td></tr>'
        for name, value in summary.rows
    )
    table = f"<table><caption>{html.escape(_cut(summary.title))}</caption>{rows}</table>"
    overview = thumbnail(layers)
    return f'<div style="display:flex;gap:1em;align-items:center">{table}{overview}</div>'


def thumbnail(layers: Iterable[Layer]) -> str:
    """An SVG map of at most 300 places, evenly picked, north up, both axes to one scale; empty where there is none."""
    kept = [(layer.name, xy) for layer in layers if len(xy := _finite(layer.position))]
    total = sum(len(xy) for _, xy in kept)
    if not total:
        return ""
    least = np.min([xy.min(axis=0) for _, xy in kept], axis=0)
    most = np.max([xy.max(axis=0) for _, xy in kept], axis=0)
    with np.errstate(over="ignore"):
        extent_m = most - least
    across_m = float(extent_m.max()) or 1.0
    if not np.isfinite(across_m):
        return ""
    scale = (_SIZE - 2 * _MARGIN) / across_m
    start = (_SIZE - scale * extent_m) / 2.0
    dots = []
    for (name, xy), colour in reversed(list(zip(kept, _COLOURS, strict=False))):
        share = max(1, _POINTS * len(xy) // total - 1)
        picked = xy[np.linspace(0, len(xy) - 1, min(len(xy), share)).round().astype(np.intp)]
        at = start + scale * (picked - least)
        circles = "".join(f'<circle cx="{x:.1f}" cy="{_SIZE - y:.1f}" r="1.6"/>' for x, y in at.tolist())
        dots.append(f'<g fill="{colour}" fill-opacity="0.7"><title>{html.escape(name)}</title>{circles}</g>')
    legend = ", ".join(
        f'<span style="color:{colour}">●</span> {html.escape(name)}'
        for (name, _), colour in zip(kept, _COLOURS, strict=False)
    )
    return (
        f'<figure style="margin:0"><svg xmlns="http://www.w3.org/2000/svg" width="{_SIZE}" height="{_SIZE}" '
        f'viewBox="0 0 {_SIZE} {_SIZE}"><rect width="{_SIZE}" height="{_SIZE}" fill="none" stroke="#888"/>'
        f"{''.join(dots)}</svg><figcaption>{legend}; {across_m:,.0f} m across, north up</figcaption></figure>"
    )


def named(names: Iterable[Any], total: int) -> str:
    """The first few names, each cut to a readable length, and how many there are beyond them."""
    shown = [_cut(str(name), 30) for _, name in zip(range(_SHOWN), names, strict=False)]
    more = f", … ({total - len(shown):,} more)" if total > len(shown) else ""
    return (", ".join(shown) + more) or "none"


def several(count: int, one: str, many: str = "") -> str:
    """A number of things: ``1 pair``, ``1,204 pairs``; `many` is what is not `one` with an s behind it."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def counted(counts: Mapping[str, int]) -> str:
    """Counts by name: ``1,204 ok, 3 panorama``."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


_COUNTS = ("heading_faults", "without_height")
"""Parameters that are numbers by what they count."""
_FAULTS = {
    "constant_rows": "with a constant heading",
    "constant_sequences": "sequences with a constant heading",
    "missing": "without a heading",
    "non_finite": "without a heading",
    "no_tangent": "without a direction of travel",
    "not_in_table": "without a north offset in the table",
    "not_joined": "not in the MSLS tree",
    "sideways": "sideways to an unknown side",
    "unknown_view": "with an unknown view direction",
    "unnamed": "without a yaw in their name",
    "wrapped": "wrapped to [0°, 360°)",
}
"""What the counts of ``heading_faults`` are of, where the name does not say it."""


def parameters(params: Mapping[str, Any]) -> str:
    """Parameters on one line: ``fov_deg 90.0, columns (key=id, x=east), heading_faults (3 without a heading)``."""
    return ", ".join(f"{name} {_value(name, value)}" for name, value in params.items()) or "none"


def _value(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        if name in _COUNTS:
            of = _FAULTS if name == "heading_faults" else {}
            items = [f"{_value('', count)} {of.get(key, key.replace('_', ' '))}" for key, count in value.items()]
        else:
            items = [
                f"{key} {_value('', v)}" if isinstance(v, Mapping) else f"{key}={_value('', v)}"
                for key, v in value.items()
            ]
        return f"({', '.join(items)})"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(_value('', item) for item in value)})"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:,}" if isinstance(value, int) else str(value)


def _finite(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    xy = position[:, :2]
    return xy[np.isfinite(xy).all(axis=1)]


def _printable(text: str) -> str:
    """The text with characters escaped that a terminal would obey: a key may hold any."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _cut(text: str, width: int = _WIDTH) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def byte_size(count: int) -> str:
    """A number of bytes in the largest unit that it fills: 1.2 MB, 340 kB; units are powers of 1000."""
    if count < 1000:
        return f"{count} bytes"
    size, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if size >= 999.5:
            size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:,.0f} {unit}"


def duration(seconds: float) -> str:
    """A time as 0.4 s, 12 s, 3 min 20 s or 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
