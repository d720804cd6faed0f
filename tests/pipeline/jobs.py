"""Parts of MSLS trees, in one call."""

from __future__ import annotations

from pathlib import Path

from relabel.datasets.msls import city
from relabel.datasets.msls.city import readers
from relabel.datasets.msls.csv_files import Heading
from relabel.pipeline.fov_part import FovOptions, FovPart, fov_parts


def msls_parts(
    root: Path, cities: str | None, *, heading: Heading = "compass", options: FovOptions | None = None
) -> tuple[tuple[FovPart, ...], tuple[city.Skipped, ...]]:
    """One part for each city that was asked for, and the cities that have no positions."""
    found, skipped = readers(root, cities, heading=heading)
    return fov_parts(found, options), skipped
