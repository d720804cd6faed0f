"""relabel ls."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import options, out


@click.command()
@options.label_file
@options.as_json
def command(file: Path, as_json: bool) -> None:
    """Names of the collections in the label FILE, one a line."""
    from relabel.labelfile import LabelFile

    names = list(LabelFile(file))
    if as_json:
        out.echo_json({"collections": names})
    else:
        out.echo_lines(names)
