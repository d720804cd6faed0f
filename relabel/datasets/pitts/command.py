"""The options of `relabel pitts`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.pitts.spec import SIGNS, Sign
from relabel.datasets.registry import ReaderSelection

OPTIONS = (
    options.root,
    click.option("--splits", metavar="NAME,…", help="Splits to label, such as pitts30k_val.  [default: all in DIR]"),
    options.heading(metavar="table:FILE|travel|north", required=True),
    click.option(
        "--sign",
        type=click.Choice(SIGNS),
        default=SIGNS[0],
        show_default=True,
        help="Sense of yaw, seen from above; the data does not state it.",
    ),
    click.option(
        "--zero",
        "zero_deg",
        type=float,
        default=0.0,
        show_default=True,
        metavar="DEG",
        help="Angle to yaw 1 from the table's direction, from the direction of travel, or from north; clockwise.",
    ),
    options.travel_gap,
    click.option(
        "--query-names",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Names of the queries of an .npz file, one per line.",
    ),
    click.option(
        "--database-names", type=click.Path(path_type=Path), metavar="FILE", help="Names of its database, one per line."
    ),
)


def select(
    root: Path,
    splits: str | None,
    heading: str,
    sign: Sign,
    zero_deg: float,
    gap_m: float,
    query_names: Path | None,
    database_names: Path | None,
) -> ReaderSelection:
    """Label Pittsburgh 30k or 250k by how much the fields of view of two cameras overlap.

    DIR holds pitts30k_train.mat and similar files; no images are needed. Every split becomes a collection of that name.

    The data does not state which way an image faces, only its yaw: 30° times k-1 from the zero of its panorama. So
    --heading has to define that zero: table:FILE, a CSV with the columns panorama and north_offset_deg (and side, query
    or database, since both number their panoramas from 0); travel, the direction from the previous panorama to the next
    one; or north. The choice is recorded in the file.
    """
    from relabel.datasets.pitts.split import readers
    from relabel.datasets.pitts.yaw import Headings, parse_source

    source, table = parse_source(heading)
    headings = Headings(source, table, sign, zero_deg, gap_m)
    return readers(root, headings, splits, query_names=query_names, database_names=database_names)
