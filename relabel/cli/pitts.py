"""relabel pitts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from relabel.cli import fov_options, options


@click.command()
@options.root
@click.option("--splits", metavar="NAME,…", help="Splits to label, such as pitts30k_val.  [default: all in DIR]")
@options.heading(metavar="table:FILE|travel|north", required=True)
@click.option(
    "--sign",
    type=click.Choice(["clockwise", "counterclockwise"]),
    default="clockwise",
    show_default=True,
    help="Which way round yaw counts, seen from above; the data does not tell.",
)
@click.option(
    "--zero",
    "zero_deg",
    type=float,
    default=0.0,
    show_default=True,
    metavar="DEG",
    help="Angle to yaw 1 from the table's direction, from the direction of travel, or from north; clockwise.",
)
@click.option(
    "--travel-gap",
    "gap_m",
    type=float,
    default=50.0,
    show_default=True,
    metavar="M",
    help="With travel, panoramas farther apart are not of one track.",
)
@click.option(
    "--query-names",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Names of the queries of an .npz, one a line.",
)
@click.option(
    "--database-names", type=click.Path(path_type=Path), metavar="FILE", help="Names of its database, one a line."
)
@fov_options.labelling(default_output="pitts.h5", default_fov=60.0)
def pitts_command(
    root: Path,
    splits: str | None,
    heading: str,
    sign: Literal["clockwise", "counterclockwise"],
    zero_deg: float,
    gap_m: float,
    query_names: Path | None,
    database_names: Path | None,
    output: Path,
    **job: Any,
) -> None:
    """Label Pittsburgh 30k or 250k by how much the fields of view of two cameras overlap.

    DIR holds pitts30k_train.mat and its like; no picture is needed. Every split becomes a collection of its name.

    The data does not tell which way a picture faces, only its yaw: 30° times k-1 from a zero of its panorama. So
    --heading has to say what that zero is: table:FILE, a CSV with the columns panorama and north_offset_deg (and side,
    query or database, as both number their panoramas from 0); travel, the way from the panorama before to the one
    after; or north. The choice goes into the file.
    """
    from relabel.cli.labelling import label
    from relabel.datasets.pitts.split import readers
    from relabel.datasets.pitts.yaw import Headings, parse_source

    source, table = parse_source(heading)
    headings = Headings(source, table, sign, zero_deg, gap_m)
    found, skipped = readers(root, headings, splits, query_names=query_names, database_names=database_names)
    label(found, output, skipped=skipped, **job)
