"""The options of `relabel msls`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.msls.spec import HEADINGS, Heading
from relabel.datasets.registry import ReaderSelection

OPTIONS = (
    options.root,
    options.cities,
    options.heading(type=click.Choice(HEADINGS), default=HEADINGS[0], show_default=True),
)


def select(root: Path, cities: str | None, heading: Heading) -> ReaderSelection:
    """Label MSLS by how much the fields of view of two cameras overlap.

    Only the metadata is read (raw.csv, postprocessed.csv, seq_info.csv); no images are needed. Every city becomes a
    collection of that name. Headings are the compass angle `ca`, or the direction of travel of each sequence.
    """
    from relabel.datasets.msls.city import readers

    return readers(root, cities, heading=heading)
