"""relabel row."""

from __future__ import annotations

import logging
import re

import click

from relabel.cli import options, out

_FLAGS = re.compile("-[vqh]+")


class _TakesDashes(click.Command):
    """A command whose KEY may begin with a dash, as one in 64 keys of Mapillary does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put what begins with one dash and is no flag behind a ``--``, where click takes it for an argument."""
        if "--" not in args:
            keys = [
                i
                for i, arg in enumerate(args)
                if re.match("-[^-]", arg) and not _FLAGS.fullmatch(arg) and args[i - 1 : i] != ["--top"]
            ]
            args = [arg for i, arg in enumerate(args) if i not in keys] + ["--", *(args[i] for i in keys)]
        return super().parse_args(ctx, args)


@click.command(cls=_TakesDashes)
@options.address
@click.argument("key")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N best.  [default: all]")
@options.as_json
def command(address: str, key: str, top: int | None, as_json: bool) -> None:
    """The database cameras that share some view with the query KEY, best first.

    Shown are ψ, the distance between the two cameras and by how much their headings differ.
    """
    from relabel.cameras import Status
    from relabel.labelfile import open_address
    from relabel.report import look, text

    row = look.row(open_address(address), key, top=top)
    if row.status is not Status.OK:
        logging.getLogger(__name__).warning(
            "%s has status %s: its similarities are unknown, which is not the same as zero", key, row.status.label
        )
    if as_json:
        out.echo_json(row.to_json())
    else:
        out.echo_lines(text.row_text(row))
