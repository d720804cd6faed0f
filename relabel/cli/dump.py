"""relabel dump."""

from __future__ import annotations

from typing import Literal

import click

from relabel.cli import options, out


@click.command()
@options.address
@click.option("--tsv", "layout", flag_value="tsv", help="Separate by tabs instead of commas.")
@click.option("--json", "layout", flag_value="json", help="One JSON object a line.")
def command(address: str, layout: Literal["tsv", "json"] | None) -> None:
    """All stored pairs of a collection as text: query, database, value.

    Pairs that are not there are zero where both cameras are ok, and unknown otherwise; `relabel info` counts those.
    """
    from relabel.exchange.text import pairs_as_text
    from relabel.labelfile import open_address

    out.echo_bytes(pairs_as_text(open_address(address), layout or "csv"))
