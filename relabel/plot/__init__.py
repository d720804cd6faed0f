"""Labels as figures for papers: functions that draw on matplotlib axes and return them.

    ax = relabel.plot.map(relabel.LabelFile("amman.h5")["amman"], "trefh78L20YfA-z4gjbNGw")
    ax.figure.savefig("query.pdf")

Each draws on ``ax=``, or on a new figure if there is none. Colours follow the background of the axes; ``with
matplotlib.rc_context(relabel.plot.style(dark=True))`` sets light on dark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily

if TYPE_CHECKING:
    from relabel.figures import style
    from relabel.plot.distributions import histogram, plane
    from relabel.plot.maps import camera_map as map  # noqa: A004  what it is called among figures
    from relabel.plot.matrices import matrix
    from relabel.plot.pairs import pair

__all__ = ["histogram", "map", "matrix", "pair", "plane", "style"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "histogram": "relabel.plot.distributions:histogram",
        "map": "relabel.plot.maps:camera_map",
        "matrix": "relabel.plot.matrices:matrix",
        "pair": "relabel.plot.pairs:pair",
        "plane": "relabel.plot.distributions:plane",
        "style": "relabel.figures:style",
    },
)
