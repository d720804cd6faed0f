"""relabel compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relabel.cli import options, out

if TYPE_CHECKING:
    from relabel.measures import Measure


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@options.optional_measure
@options.as_json
@options.no_progress
def command(a: str, b: str, measure: Measure | None, as_json: bool, no_progress: bool) -> None:
    """What is different between two label files, A and B, each FILE or FILE::COLLECTION.

    Collections are joined by name (one against one whatever the names) and cameras by key, in any order. B is compared
    in the measure of A, or both in that of --measure.
    """
    from relabel.cli.progress import bar
    from relabel.report.compare import compare
    from relabel.report.compare_text import comparison_text

    found = compare(
        a, b, measure=measure, bar=lambda name, queries: bar(name, queries, unit="queries", hidden=no_progress)
    )
    if as_json:
        out.echo_json(found.to_json())
    else:
        out.echo_lines(comparison_text(found, a, b))
