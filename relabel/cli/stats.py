"""relabel stats."""

from __future__ import annotations

import click

from relabel.cli import options, out
from relabel.cli.progress import bar


@click.command()
@options.address
@options.near
@click.option(
    "--facing",
    "facing_deg",
    default=120.0,
    show_default=True,
    metavar="DEG",
    help="Overlapping cameras whose headings differ by this much or more are facing, degrees.",
)
@options.as_json
@options.no_progress
def command(address: str, near_m: float, facing_deg: float, as_json: bool, no_progress: bool) -> None:
    """Figures of one collection or of all in a file.

    A histogram of ψ; how many cameras a query has in each band (ψ ≥ 0.5, between, none); queries without a positive;
    the share of near pairs that share no view; pairs that overlap while facing each other.
    """
    from relabel.labelfile import open_collections
    from relabel.report import text
    from relabel.report.stats import statistics

    found = []
    for stored in open_collections(address):
        with bar(stored.name, stored.shape[0], unit="rows", hidden=no_progress) as each:
            found.append((stored.name, statistics(stored, near_m=near_m, facing_deg=facing_deg, each=each)))
    if as_json:
        out.echo_json({"collections": [{"name": name, **figures.to_json()} for name, figures in found]})
    else:
        for i, (name, figures) in enumerate(found):
            out.echo_lines([""] * (i > 0) + text.stats_text(name, figures))
