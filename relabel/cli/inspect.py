"""relabel info, ls, tree, stats, row and dump: a look into label files."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Literal

import click

from relabel.cli import help_text, options, terminal
from relabel.errors import OptionError

log = logging.getLogger(__name__)


@help_text.command()
@options.label_file
@options.as_json
def info_command(file: Path, as_json: bool) -> None:
    """What the label FILE holds: for each collection its cameras, its pairs, and how ψ was computed."""
    from relabel.labelfile import LabelFile
    from relabel.report.info import describe, info_text

    summary = describe(LabelFile(file))
    terminal.echo_result(lambda: summary, lambda: info_text(summary), as_json=as_json)


@help_text.command()
@options.address
@click.option(
    "--side",
    type=click.Choice(("queries", "database")),
    help="List the keys of the queries or of the database instead, one per line, in the order of the file.",
)
@options.as_json
def ls_command(address: str, side: str | None, as_json: bool) -> None:
    """Names of the collections in a label file, one per line; with --side, the keys of its cameras."""
    from relabel.labelfile import LabelFile, open_collections

    if side is None and "::" not in address:
        names = list(LabelFile(address))  # without a look into any of them
        terminal.echo_result(lambda: {"collections": names}, lambda: names, as_json=as_json)
        return
    stored = open_collections(address)
    if side is None:
        names = [one.name for one in stored]
        terminal.echo_result(lambda: {"collections": names}, lambda: names, as_json=as_json)
        return
    keys = {one.name: (one.query if side == "queries" else one.database).key for one in stored}
    terminal.echo_result(
        lambda: {"collections": [{"name": name, side: of_name.tolist()} for name, of_name in keys.items()]},
        lambda: (str(key) for of_name in keys.values() for key in of_name),
        as_json=as_json,
    )


@help_text.command()
@options.label_file
@options.as_json
def tree_command(file: Path, as_json: bool) -> None:
    """Every group, dataset (shape and type) and attribute of FILE, which may be any HDF5 file."""
    from relabel.report.hdf5_tree import tree, tree_lines

    root = tree(file)
    terminal.echo_result(lambda: root, lambda: tree_lines(root), as_json=as_json)


@help_text.command()
@options.address
@options.near
@click.option(
    "--facing",
    "facing_deg",
    default=120.0,
    show_default=True,
    metavar="DEG",
    help="Overlapping cameras whose headings differ by this much or more count as facing each other, degrees.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write figures to: a map of the cameras, a histogram of ψ, ψ by distance and heading, and for "
    "sequences a matrix.",
)
@click.option(
    "--plot-format",
    type=click.Choice(["svg", "pdf", "png"]),
    default="svg",
    show_default=True,
    help="File format of the figures.",
)
@options.dark
@options.force
@options.as_json
@options.no_progress
def stats_command(
    address: str,
    near_m: float,
    facing_deg: float,
    plot: Path | None,
    plot_format: str,
    dark: bool,
    force: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Statistics of one collection, or of all in a file.

    A histogram of ψ; cameras per query in each band (ψ ≥ 0.5, between, none); queries without a positive;
    the share of near pairs that share no view; pairs that overlap while facing each other.
    """
    from relabel.labelfile import open_collections
    from relabel.report.stats import statistics, stats_text

    drawn = None
    if plot is not None:
        from relabel.plot.files import StatsFigures

        drawn = StatsFigures(plot, f".{plot_format}", overwrite=force, dark=dark)
    collections = open_collections(address)
    if drawn is not None:
        for path in drawn.write({stored.name: stored for stored in collections}):
            log.info("wrote %s", path)
    figures = {}
    for stored in collections:
        with terminal.bar(stored.name, stored.shape[0], unit="rows", hidden=no_progress) as progress:
            figures[stored.name] = statistics(stored, near_m=near_m, facing_deg=facing_deg, progress=progress)
    terminal.echo_result(
        lambda: {"collections": [{"name": name, **of_name.to_json()} for name, of_name in figures.items()]},
        lambda: (
            line
            for i, (name, of_name) in enumerate(figures.items())
            for line in [""] * (i > 0) + stats_text(name, of_name)
        ),
        as_json=as_json,
    )


_FLAGS = re.compile("-[vqh]+")


class _DashedKeyCommand(help_text.Command):
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


@help_text.command(cls=_DashedKeyCommand)
@options.address
@click.argument("key")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N best.  [default: all]")
@options.plot
@options.optional_images
@options.image_path
@options.dark
@options.force
@options.as_json
def row_command(
    address: str,
    key: str,
    top: int | None,
    plot: Path | None,
    images: Path | None,
    image_path: str | None,
    dark: bool,
    force: bool,
    as_json: bool,
) -> None:
    """List the database cameras that overlap with the query KEY, best first.

    Shows ψ, the distance between the two cameras and their heading difference. --plot draws a map with the fields of
    view and, with --images, the images of the six best matches below it.
    """
    from relabel.cameras import Status
    from relabel.labelfile import open_address
    from relabel.report import info

    if plot is None and (images is not None or image_path is not None):
        raise OptionError("--images and --image-path only affect the figure; add --plot FILE")
    if plot is not None:
        from relabel.figures import check_figure

        check_figure(plot, overwrite=force)
    stored = open_address(address)
    row = info.row(stored, key, top=top)
    if row.status is not Status.OK:
        log.warning(
            "%s has status %s: its similarities are unknown, which is not the same as zero", key, row.status.label
        )
    if plot is not None:
        from relabel.plot.files import row_figure

        row_figure(plot, stored, key, top=top, images=images, image_path=image_path, overwrite=force, dark=dark)
        log.info("wrote %s", plot)
    terminal.echo_result(row.to_json, lambda: info.row_text(row), as_json=as_json)


@help_text.command()
@options.address
@click.option("--tsv", "layout", flag_value="tsv", help="Separate columns by tabs instead of commas.")
@click.option("--json", "layout", flag_value="json", help="Print one JSON object per line.")
def dump_command(address: str, layout: Literal["tsv", "json"] | None) -> None:
    """All stored pairs of a collection as text: query, database, value.

    Absent pairs are zero if both cameras are ok, and unknown otherwise; `relabel info` counts the cameras that are not.
    """
    from relabel.exchange.text import pairs_as_text
    from relabel.labelfile import LabelFile, open_address

    stored = open_address(address)
    LabelFile(stored.path).check_file_digest()
    terminal.echo_bytes(pairs_as_text(stored, layout or "csv"))
