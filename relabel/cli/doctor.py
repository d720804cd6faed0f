"""relabel doctor."""

from __future__ import annotations

import click

from relabel.cli import options, out


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """Versions, threads, kernel cache, GPU, missing system libraries, and how to get what is missing."""
    from relabel import doctor

    found = doctor.examine()
    if as_json:
        out.echo_json(found)
    else:
        out.echo_lines(doctor.lines(found))
