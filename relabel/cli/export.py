"""relabel export."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import options, out

# Spelled out because relabel.exchange loads scipy and pyarrow; a test holds them equal to its FORMATS.
FORMATS = ("gcl", "condensed", "npy", "msls-idx", "deep-vg", "pairs", "csv", "parquet", "npz", "pml")


@click.command()
@options.address
@click.option("--to", "form", type=click.Choice(FORMATS), required=True, help="Format to write.")
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
def command(
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
    out.echo_lines(str(path) for path in result.files)
