"""relabel info."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import options, out


@click.command()
@options.label_file
@options.as_json
def command(file: Path, as_json: bool) -> None:
    """What the label FILE holds: of every collection its cameras, its pairs, and how ψ was computed."""
    from relabel.labelfile import LabelFile
    from relabel.report import look, text

    summary = look.describe(LabelFile(file))
    if as_json:
        out.echo_json(summary)
    else:
        out.echo_lines(text.info_text(summary))
