"""relabel pack, relabel unpack: parts or shards in one file, one file in shards."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import help_text, options
from relabel.errors import OptionError


@help_text.command()
@options.address
@options.output(None)
@options.force
@options.as_json
@options.no_progress
def pack_command(address: str, output: Path, force: bool, as_json: bool, no_progress: bool) -> None:
    """Join the parts of a job, FILE.parts, or a folder of shards, NAME.labels, into one label file.

    Nothing is computed, and no step is added to the provenance: packing what unpack wrote restores the same content,
    and packing the parts of a job gives the file that a single run would write. Parts and shards are left in place.
    """
    if address.rstrip("/").endswith(".parts"):
        from relabel.cli.labelling import show_written
        from relabel.pipeline.packing import pack_parts

        pack_parts(address, output, overwrite=force)
        show_written(output, as_json=as_json)
        return
    _repack(address, output, force=force, as_json=as_json, no_progress=no_progress)


@help_text.command()
@options.address
@options.output_shards
@click.option(
    "--shard-pairs",
    type=click.IntRange(1, 2**31 - 1),
    metavar="N",
    help="Largest number of pairs in a shard.  [default: 2^27, or 32 per database camera if that is more]",
)
@options.force
@options.as_json
@options.no_progress
def unpack_command(
    address: str, output: Path, shard_pairs: int | None, force: bool, as_json: bool, no_progress: bool
) -> None:
    """Split a label file into a folder of shards, NAME.labels.

    Each shard is a label file with some of the rows; manifest.json lists them. Every command reads such a folder as
    if it were one file. Nothing is computed, and no step is added to the provenance.
    """
    if not output.name.endswith(".labels") or output.name == ".labels":
        raise OptionError(f"{output}: the name of a folder of shards ends with .labels; write -o NAME.labels")
    _repack(address, output, force=force, as_json=as_json, no_progress=no_progress, shard_pairs=shard_pairs)


def _repack(
    address: str, output: Path, *, force: bool, as_json: bool, no_progress: bool, shard_pairs: int | None = None
) -> None:
    from relabel.cli.labelling import show_written
    from relabel.cli.terminal import bar
    from relabel.compose.lineage import open_stored
    from relabel.labelfile import pack

    stored = open_stored(address)
    queries = sum(len(collection) for collection in stored.values())
    with bar("pack", queries, unit="queries", hidden=no_progress) as advance:
        pack(output, stored, overwrite=force, progress=advance, shard_pairs=shard_pairs)
    show_written(output, as_json=as_json)
