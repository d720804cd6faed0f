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
    """Write the parts of a job, FILE.parts, or the collections of a folder of shards, NAME.labels, to one label file.

    Nothing is computed, and no step is added to the provenance: packing what unpack wrote gives the same content, and
    the parts of a job give the file of a run that makes all of it. Parts are left where they are.
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
    help="Most pairs of a shard.  [default: 2^27, or 32 a database camera if that is more]",
)
@options.force
@options.as_json
@options.no_progress
def unpack_command(
    address: str, output: Path, shard_pairs: int | None, force: bool, as_json: bool, no_progress: bool
) -> None:
    """Write the collections of a label file to a folder of shards, NAME.labels.

    Each shard is a label file with some of the rows; manifest.json says which. Every command reads such a folder like
    one file. Nothing is computed, and no step is added to the provenance.
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
