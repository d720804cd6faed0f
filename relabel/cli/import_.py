"""relabel import."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import options
from relabel.cli.progress import bar

# Spelled out because relabel.exchange loads scipy and pyarrow; a test holds them equal to its FORMATS.
FORMATS = ("gcl", "condensed", "csv", "parquet", "npz", "pairs")

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("form", type=click.Choice(FORMATS), metavar="FORMAT")
@click.argument("input", type=_PATH, metavar="INPUT")
@options.output(None)
@options.told_measure
@click.option("--queries", type=_PATH, metavar="FILE", help="The queries: an index .json, a table, or a key a line.")
@click.option("--database", type=_PATH, metavar="FILE", help="The database cameras, as --queries.")
@options.optional_root
@click.option("--city", metavar="NAME", help="The city of --root.  [default: as INPUT is called]")
@click.option(
    "--key-from",
    "keys",
    type=click.Choice(["stem", "path"]),
    help="What of a picture's path in an index is the key.  [default: stem; condensed: path]",
)
@click.option("--dataset", metavar="NAME", help="Data set of a dense file.  [default: fov]")
@options.self_pairs
@options.collection_name
@options.told_min_value
@options.force
@options.as_json
@options.no_progress
def command(
    form: str,
    input: Path,  # noqa: A002
    output: Path,
    measure: str,
    queries: Path | None,
    database: Path | None,
    root: Path | None,
    city: str | None,
    keys: str | None,
    dataset: str | None,
    self_pairs: bool,
    name: str | None,
    min_value: float | None,
    force: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Make a label file of labels that somebody else made.

    INPUT is a file of FORMAT gcl, condensed, csv, parquet, npz or pairs.

    A number means nothing without its measure, and no other format is sure to name it. So --measure has no default:
    say what the values are, or unknown where their makers do not tell; unknown ones cannot be converted.

    \b
    gcl        dense HDF5 (fov); names from --queries and --database (query.json,
               database.json), from --root, or from the folder CITY beside it
    condensed  upper triangle, HDF5 (fov); names from --queries
    csv        query, database, value; also parquet, and pairs: three words a line
    npz        a SciPy matrix; names in it, or from --queries and --database
    """  # noqa: D301  click wants the character itself
    from relabel.cli.labelling import show_written
    from relabel.exchange.camera_files import CameraFiles
    from relabel.exchange.importing import load
    from relabel.labelfile.publish import check_target

    check_target(output, overwrite=force)
    files = CameraFiles(queries, database, root, city, keys)  # type: ignore[arg-type]  # click checks
    found = load(
        form,  # type: ignore[arg-type]
        input,
        measure=measure,  # type: ignore[arg-type]
        cameras=files,
        min_value=min_value,
        self_pairs=self_pairs,
        dataset=dataset,
        name=name,
    )
    for note in found.notes:
        logging.getLogger(__name__).warning("%s", note)
    with bar(found.name, found.source.collection.shape[0], unit="rows", hidden=no_progress) as each:
        found.write(output, overwrite=force, progress=each)
    show_written(output, as_json=as_json)
