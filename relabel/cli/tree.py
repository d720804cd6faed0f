"""relabel tree."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import options, out


@click.command()
@options.label_file
@options.as_json
def command(file: Path, as_json: bool) -> None:
    """Every group, data set (shape and type) and attribute of FILE, which may be any HDF5 file."""
    from relabel.report import tree

    root = tree.tree(file)
    if as_json:
        out.echo_json(root)
    else:
        out.echo_lines(tree.tree_lines(root))
