"""relabel convert."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import options

if TYPE_CHECKING:
    from relabel.measures import Measure


@click.command()
@options.address
@options.required_measure
@options.output(None)
@options.collections
@options.force
@options.as_json
@options.no_progress
def command(
    address: str,
    measure: Measure,
    output: Path,
    collections: list[str] | None,
    force: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Write the same labels in another measure, converted through the areas of the cameras.

    The bound of absent pairs becomes the most that one can have in the new measure; pairs at or below it are dropped.
    """
    from relabel.cli.labelling import show_written
    from relabel.cli.progress import bar
    from relabel.compose import convert

    log = logging.getLogger(__name__)
    with bar("convert", None, unit="queries", hidden=no_progress) as each:
        result = convert(output, address, measure, collections=collections, overwrite=force, progress=each)
    for made in result.collections:
        if made.source == measure:
            log.info("%s: is in %s already; copied", made.name, measure)
        if made.dropped:
            log.warning(
                "%s: %s pairs dropped: an absent pair can now have a ψ up to %.3g, and theirs is no larger",
                made.name,
                format(made.dropped, ","),
                made.min_value,
            )
    show_written(result.path, as_json=as_json)
