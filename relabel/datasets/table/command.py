"""The options of `relabel table`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.conventions import AXES, MAX_POSE_GAP_S, TRAVEL_STEP_M
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
        help="Reference system of x and y, such as EPSG:32636; lon and lat are then compared on this map.",
    ),
    options.layout(LAYOUTS, show_default="gsv if the columns match, else csv"),
    click.option(
        "--axis",
        type=click.Choice(AXES),
        help="Viewing axis of a pose.  [default: z; robotcar and the IMU of kitti360 x]",
    ),
    click.option(
        "--up",
        type=click.Choice(AXES),
        help="Axis of the world that is up.  [default: kitti -y, kitti360 z, tum z, robotcar -z]",
    ),
    options.heading(type=click.Choice(["travel"]), default=None),
    click.option(
        "--travel-step",
        "travel_step_m",
        type=float,
        default=TRAVEL_STEP_M,
        show_default=True,
        metavar="M",
        help="With --heading travel, smaller movements count as none, metres.",
    ),
    options.travel_gap,
    click.option(
        "--panorama",
        "panorama_deg",
        type=float,
        metavar="360",
        help="Label panoramas as full circles.  [default: panoramas are not labelled]",
    ),
    click.option(
        "--image-times",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="Time stamps of the images (stereo.timestamps) for poses of RobotCar; repeat for each trajectory.",
    ),
    click.option(
        "--max-gap",
        "max_gap_s",
        type=float,
        default=MAX_POSE_GAP_S,
        show_default=True,
        metavar="S",
        help="With --image-times, longest time between the pose before an image and the one after it.",
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
    heading: str | None,
    travel_step_m: float,
    gap_m: float,
    panorama_deg: float | None,
    image_times: tuple[Path, ...],
    max_gap_s: float,
    name: str | None,
) -> ReaderSelection:
    """Label the cameras of any table by how much their fields of view overlap.

    QUERIES and DATABASE are CSV or Parquet files, or folders of Parquet files (partitioned datasets); without DATABASE
    the queries are paired with themselves. A row needs
    a key, a heading (degrees clockwise from north), and a position: lon and lat (degrees, anywhere on earth) or x and y
    (metres). It may have its own field of view, range and standard deviations. CSV files of GSV-Cities are recognised
    without --layout gsv.

    With --layout, poses give position and heading: kitti (12 numbers per line), kitti360 (poses.txt or
    cam0_to_world.txt), tum (t tx ty tz qx qy qz qw, or in the order of a header, as in EuRoC), colmap (the folder of a
    model, or its images.txt or images.bin), robotcar (ins.csv, rtk.csv or vo.csv). The heading is that of the viewing
    axis, on the ground. --image-times interpolates the poses of RobotCar at the times of its images. --heading travel
    uses the direction of travel: of a table in the order of its frames, one track per sequence; of poses in the order
    of their times.

    `relabel verify FILE --root DIR` takes the folder that holds the tables.
    """
    from relabel.datasets.along_track import AlongTrack
    from relabel.datasets.table.columns import parse
    from relabel.datasets.table.table_reader import reader

    if self_pairs and database is not None and database != queries:
        raise OptionError("--self-pairs pairs QUERIES with themselves; omit DATABASE")
    roles = None if columns is None else parse(columns)
    selected = reader(
        queries,
        database,
        name=name,
        columns=roles,
        crs=crs,
        layout=layout,
        axis=axis,
        up=up,
        image_times=image_times,
        max_gap_s=max_gap_s,
        along_track=AlongTrack(travel_step_m, gap_m) if heading == "travel" else None,
        panorama_deg=panorama_deg,
    )
    return ReaderSelection([selected])
