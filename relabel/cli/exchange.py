"""relabel export."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import options, terminal
from relabel.cli.terminal import bar

# Spelled out because relabel.exchange loads scipy and pyarrow; a test holds them equal to its FORMATS.
EXPORT_FORMATS = ("gcl", "condensed", "npy", "msls-idx", "deep-vg", "pairs", "csv", "parquet", "npz", "pml")


@click.command()
@options.address
@click.option("--to", "form", type=click.Choice(EXPORT_FORMATS), required=True, help="Format to write.")
@options.output_folder
@click.option(
    "--threshold",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    metavar="PSI",
    help="The least ψ of a positive.  [default: 0.5; pairs: all that is stored]",
)
@options.optional_measure
@options.image_path
@click.option("--drop-unknown", is_flag=True, help="Leave out cameras that are not ok. (gcl, condensed, npy)")
@click.option(
    "--within", "within_m", type=float, metavar="M", help="Positives are cameras this near, whatever their ψ. (npy)"
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N best.  [default: all]")
@click.option("--gzip", is_flag=True, help="Compress dense matrices: far smaller, slower to read. (gcl, condensed)")
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most that a dense file may take.  [default: what is free]",
)
@options.seed
@options.force
@click.pass_context
def export_command(
    ctx: click.Context,
    address: str,
    form: str,
    folder: Path,
    threshold: float | None,
    measure: str | None,
    image_path: str | None,
    drop_unknown: bool,
    within_m: float | None,
    top: int | None,
    gzip: bool,
    max_bytes: int | None,
    seed: int,
    force: bool,
) -> None:
    """Write labels in the format of another program.

    \b
    gcl        dense fov and sim with JSON indices, as GCL reads MSLS
    condensed  the upper triangle, as GCL reads 7Scenes and TB-Places
    npy        dbImages, qImages, gt, qIdx, pIdx: OpenVPRLab, gsv-cities
    msls-idx   qIdx, pIdx, nonNegIdx over all collections: mapillary_sls
    deep-vg    soft and hard positives: deep-vg-benchmark
    pairs      text, "query database" a line: hloc; scores in a second file
    csv, parquet, npz   the pairs and the cameras
    pml        a1, p, a2, n: pytorch-metric-learning

    Pictures are named by the column path where there is one, else by the key; for gcl as MSLS names them.

    Prints the files that were written; what the format cannot say is said on stderr. Without a COLLECTION all of the
    file are written, with their names in the names of the files.
    """  # noqa: D301  click wants the character itself
    from relabel.exchange.exporting import export
    from relabel.labelfile import open_collections
    from relabel.similarity import SimilaritySource

    given = ctx.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT
    sources: dict[str, SimilaritySource] = {
        stored.name: stored if measure is None else stored.in_measure(measure)  # type: ignore[arg-type]  # click checks
        for stored in open_collections(address)
    }
    result = export(
        sources,
        form,  # type: ignore[arg-type]  # click checks
        folder,
        overwrite=force,
        threshold=threshold,
        image_path=image_path,
        drop_unknown=drop_unknown,
        within_m=within_m,
        top=top,
        gzip=gzip,
        max_bytes=max_bytes,
        seed=seed if given else None,
    )
    for note in result.notes:
        logging.getLogger(__name__).warning("%s", note)
    terminal.echo_lines(str(path) for path in result.files)


# Spelled out because relabel.exchange loads scipy and pyarrow; a test holds them equal to its FORMATS.
IMPORT_FORMATS = ("gcl", "condensed", "csv", "parquet", "npz", "pairs")

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("form", type=click.Choice(IMPORT_FORMATS), metavar="FORMAT")
@click.argument("input", type=_PATH, metavar="INPUT")
@options.output(None)
@options.stated_measure
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
@options.stated_min_value
@options.force
@options.as_json
@options.no_progress
def import_command(
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
    from relabel.atomic import check_target
    from relabel.cli.labelling import show_written
    from relabel.exchange.camera_files import CameraFiles
    from relabel.exchange.importing import load

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


@click.command()
@options.label_file
@options.output_folder
@click.option("--title", default="", metavar="TEXT", help="One line.  [default: made from the collections]")
@click.option("--description", default="", metavar="TEXT", help="A few sentences.  [default: made from the counts]")
@click.option("--creator", "creators", multiple=True, metavar="NAME", help="Who made the labels; may be repeated.")
@click.option("--license", "licence", default="", metavar="SPDX|URL", help="Licence of the labels.")
@click.option("--url", default="", help="Web page of the published labels.")
@click.option(
    "--date", "day", default="", metavar="YYYY-MM-DD", help="Day of publication.  [default: none, or SOURCE_DATE_EPOCH]"
)
@click.option("--edition", default="1.0.0", show_default=True, metavar="X.Y.Z", help="Version of the published labels.")
@click.option("--parquet", is_flag=True, help="Add the pairs and cameras as Parquet tables, which Croissant can read.")
@options.force
@options.as_json
def publish_command(
    file: Path,
    folder: Path,
    title: str,
    description: str,
    creators: tuple[str, ...],
    licence: str,
    url: str,
    day: str,
    edition: str,
    parquet: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make a folder to upload from the label FILE.

    It holds the file itself, a README card, a histogram, Croissant metadata (croissant.json) and SHA256SUMS. A file
    that is not valid is refused. Nothing in the folder tells of this machine or its user.
    """
    from relabel.publish import About, publish

    about = About(title, description, creators, licence, url, day, edition)
    made = publish(file, folder, about, parquet=parquet, overwrite=force)
    if as_json:
        terminal.echo_json({"folder": str(made.folder), "files": list(made.files)})
    else:
        terminal.echo_lines(str(made.folder / name) for name in made.files)
