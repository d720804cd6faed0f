"""relabel msls."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from relabel.cli import fov_options, options


@click.command()
@options.root
@options.cities
@options.heading(type=click.Choice(["compass", "travel"]), default="compass", show_default=True)
@fov_options.labelling(default_output="msls.h5")
def msls_command(
    root: Path, cities: str | None, heading: Literal["compass", "travel"], output: Path, **job: Any
) -> None:
    """Label MSLS by how much the fields of view of two cameras overlap.

    Only the metadata is read (raw.csv, postprocessed.csv, seq_info.csv); no picture needs to be there. Every city
    becomes a collection of its name. Headings are the compass angle `ca`, or the direction of travel of each sequence.
    """
    from relabel.cli.labelling import label
    from relabel.datasets.msls.city import readers

    found, skipped = readers(root, cities, heading=heading)
    label(found, output, skipped=[f"{city.name}: passed over: {city.reason}" for city in skipped], **job)
