"""Parts of MSLS trees, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relabel.datasets.msls.city import readers
from relabel.datasets.msls.csv_files import Heading
from relabel.fov.params import FovParams
from relabel.pipeline.fov_part import FovPart, fov_parts


def msls_parts(
    root: Path,
    cities: str | None,
    *,
    heading: Heading = "compass",
    params: FovParams | None = None,
    occluders: Path | None = None,
) -> tuple[tuple[FovPart, ...], Sequence[str]]:
    """One part for each city that was asked for, and a line for each city that has no positions."""
    selected, skipped = readers(root, cities, heading=heading)
    return fov_parts(selected, params, occluders=occluders), skipped
