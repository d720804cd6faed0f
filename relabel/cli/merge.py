"""relabel merge."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import options


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="FILE[::COLLECTION]...")
@options.output(None)
@options.force
@options.as_json
@options.no_progress
def command(addresses: tuple[str, ...], output: Path, force: bool, as_json: bool, no_progress: bool) -> None:
    """Write one label file with the collections of several, copied as they are.

    A collection that several files hold with the same content is kept once.
    """
    from relabel.cli.labelling import show_written
    from relabel.cli.progress import bar
    from relabel.compose import merge

    with bar("merge", None, unit="queries", hidden=no_progress) as each:
        result = merge(output, addresses, overwrite=force, progress=each)
    for name in result.repeated:
        logging.getLogger(__name__).info("%s: given more than once with the same content; kept once", name)
    show_written(result.path, as_json=as_json)
