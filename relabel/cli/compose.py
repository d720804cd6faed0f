"""relabel merge, relabel subset, relabel convert."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import help_text, options

if TYPE_CHECKING:
    from relabel.compose.selection import Box
    from relabel.measures import Measure


@help_text.command()
@click.argument("addresses", nargs=-1, required=True, metavar="FILE[::COLLECTION]...", shell_complete=options.files)
@options.output(None)
@options.force
@options.as_json
@options.no_progress
def merge_command(addresses: tuple[str, ...], output: Path, force: bool, as_json: bool, no_progress: bool) -> None:
    """Write one label file with the collections of several, copied unchanged.

    A collection that several files hold with the same content is kept once.
    """
    from relabel.cli.labelling import show_written
    from relabel.cli.terminal import bar
    from relabel.compose import merge

    with bar("merge", None, unit="queries", hidden=no_progress) as advance:
        result = merge(output, addresses, overwrite=force, progress=advance)
    for name in result.repeated:
        logging.getLogger(__name__).info("%s: given more than once with the same content; kept once", name)
    show_written(result.path, as_json=as_json)


_BOX = "W,S,E,N"


def _band(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """The lower end of a band ``LO:HI``; what absent pairs mean leaves no room for an upper one."""
    if value is None:
        return None
    low, colon, high = (part.strip() for part in value.partition(":"))
    try:
        ends = float(low or 0.0), float(high or 1.0)
    except ValueError:
        ends = None
    if ends is None or not colon or not 0.0 <= ends[0] <= ends[1] <= 1.0:
        raise click.BadParameter(f"{value!r} is not LO:HI with 0 ≤ LO ≤ HI ≤ 1, for example 0.25:", ctx, param)
    if ends[1] < 1.0:
        raise click.BadParameter(
            f"{value!r} would leave out the pairs above {ends[1]:g}, and a label file without its best pairs presents "
            "them as true negatives; give only a lower bound, or export the pairs as text (relabel export --to csv)",
            ctx,
            param,
        )
    return ends[0] or None


def _box(ctx: click.Context, param: click.Parameter, value: str | None) -> Box | None:
    from relabel.compose.selection import Box

    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not {_BOX}, four numbers", ctx, param) from None
    return Box(west, south, east, north)


def _renames(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for value, (old, _, new) in zip(values, pairs, strict=True):
        if not old or not new:
            raise click.BadParameter(f"{value!r} is not OLD=NEW", ctx, param)
    return {old: new for old, _, new in pairs}


_FILE = click.Path(path_type=Path)


@help_text.command()
@options.address
@options.output(None)
@options.collections
@click.option("--keys", type=_FILE, metavar="LIST", help="Only cameras whose keys this file lists, one per line.")
@click.option("--query-keys", type=_FILE, metavar="LIST", help="The same for the queries alone.")
@click.option("--database-keys", type=_FILE, metavar="LIST", help="The same for the database alone.")
@click.option(
    "--band", "low", callback=_band, metavar="LO:", help="Only pairs with ψ ≥ LO; an absent pair is below it."
)
@click.option("--bbox", callback=_box, metavar=_BOX, help="Only cameras in this box, metres in the file's frame.")
@click.option("--bbox-lonlat", callback=_box, metavar=_BOX, help="Only cameras in this box, degrees on WGS 84.")
@click.option("--ok-only", is_flag=True, help="Only cameras with status ok.")
@click.option("--rename", callback=_renames, multiple=True, metavar="OLD=NEW", help="Rename a collection; repeatable.")
@options.force
@options.as_json
@options.no_progress
def subset_command(
    address: str,
    output: Path,
    collections: list[str] | None,
    keys: Path | None,
    query_keys: Path | None,
    database_keys: Path | None,
    low: float | None,
    bbox: Box | None,
    bbox_lonlat: Box | None,
    ok_only: bool,
    rename: dict[str, str],
    force: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Write some of the collections, cameras or pairs of a label file.

    A camera has to satisfy all given options. A band has no upper bound: a label file without its best pairs would
    present them as true negatives.
    """
    from relabel.cli.labelling import show_written
    from relabel.cli.terminal import bar
    from relabel.compose import Selection, subset
    from relabel.compose.subsetting import read_keys

    lists = {"keys": keys, "query_keys": query_keys, "database_keys": database_keys}
    chosen = Selection(
        **{side: read_keys(path) for side, path in lists.items() if path is not None},
        low=low,
        bbox_m=bbox,
        bbox_deg=bbox_lonlat,
        ok_only=ok_only,
    )
    with bar("subset", None, unit="queries", hidden=no_progress) as advance:
        result = subset(
            output,
            address,
            chosen,
            collections=collections,
            rename=rename,
            key_files=[path for path in lists.values() if path is not None],
            overwrite=force,
            progress=advance,
        )
    log = logging.getLogger(__name__)
    for name in result.emptied:
        log.warning("%s: left out, because no query or no database camera of it is in the selection", name)
    for note in result.notes:
        log.info("%s", note)
    show_written(result.path, as_json=as_json)


@help_text.command()
@options.address
@options.required_measure
@options.output(None)
@options.collections
@options.force
@options.as_json
@options.no_progress
def convert_command(
    address: str,
    measure: Measure,
    output: Path,
    collections: list[str] | None,
    force: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Write the same labels in another measure, converted by means of the areas of the cameras.

    The bound of absent pairs becomes the largest value that one can have in the new measure; pairs at or below it are
    dropped.
    """
    from relabel.cli.labelling import show_written
    from relabel.cli.terminal import bar
    from relabel.compose import convert
    from relabel.display import several

    log = logging.getLogger(__name__)
    with bar("convert", None, unit="queries", hidden=no_progress) as advance:
        result = convert(output, address, measure, collections=collections, overwrite=force, progress=advance)
    for collection in result.collections:
        if collection.source == measure:
            log.info("%s: already in %s; copied", collection.name, measure)
        if collection.dropped:
            log.warning(
                "%s: %s dropped: an absent pair can now have a ψ up to %.3g, and theirs is no larger",
                collection.name,
                several(collection.dropped, "pair"),
                collection.min_value,
            )
    show_written(result.path, as_json=as_json)
