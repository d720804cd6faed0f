"""The options of `relabel table`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.conventions import AXES
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.table.spec import LAYOUTS, Layout
from relabel.errors import OptionError

OPTIONS = (
    options.queries,
    options.optional_database,
    options.self_pairs,
    options.columns,
    click.option(
        "--crs",
        metavar="CRS",
        help="Reference system of x and y, as EPSG:32636; lon and lat are compared on this map instead of the earth.",
    ),
    options.layout(LAYOUTS, show_default="gsv where the columns are those, else csv"),
    click.option("--axis", type=click.Choice(AXES), help="Axis of a pose that looks ahead.  [default: z; robotcar x]"),
    click.option(
        "--up",
        type=click.Choice(AXES),
        help="Axis of the world that is up.  [default: kitti -y, kitti360 z, tum z, robotcar -z]",
    ),
    options.collection_name,
)


def select(
    queries: Path,
    database: Path | None,
    *,
    self_pairs: bool,
    columns: str | None,
    crs: str | None,
    layout: Layout | None,
    axis: str | None,
    up: str | None,
    name: str | None,
) -> ReaderSelection:
    """Label the cameras of any table by how much their fields of view overlap.

    QUERIES and DATABASE are CSV or Parquet files; without DATABASE the queries are paired with themselves. A row needs
    a key, a heading (degrees clockwise from north), and a place: lon and lat (degrees, anywhere on earth) or x and y
    (metres). It may bring its own field of view, range and standard deviations. CSV files of GSV-Cities work as they
    come: their columns are known without --layout gsv.

    With --layout, poses give place and heading: kitti (12 numbers a line), kitti360 (poses.txt or cam0_to_world.txt),
    tum (t tx ty tz qx qy qz qw, or in the order that a header names, as EuRoC has it), colmap (the folder of a model,
    or its images.txt or images.bin), robotcar (ins.csv, rtk.csv or vo.csv). The heading is that of the axis that looks
    ahead, on the ground. `relabel verify FILE --root DIR` takes the folder that holds the tables.
    """
    from relabel.datasets.table.columns import parse
    from relabel.datasets.table.rows import reader

    if self_pairs and database is not None and database != queries:
        raise OptionError("--self-pairs pairs QUERIES with themselves; leave out DATABASE")
    roles = None if columns is None else parse(columns)
    return ReaderSelection(
        [reader(queries, database, name=name, columns=roles, crs=crs, layout=layout, axis=axis, up=up)]
    )
