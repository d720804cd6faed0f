"""Command-line options that several datasets take, each defined once; the options of one dataset stand in its package.

Each is a click decorator that fills the parameter of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from relabel.datasets.conventions import DEPTH_IS, DIRECTIONS, QUATERNIONS, TRAVEL_GAP_M

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def _root(*, required: bool) -> Decorator[Any]:
    path = click.Path(path_type=Path)
    return click.option("--root", type=path, required=required, metavar="DIR", help="Top folder of the dataset.")


root: Decorator[Any] = _root(required=True)

optional_root: Decorator[Any] = _root(required=False)

queries: Decorator[Any] = click.argument("queries", type=click.Path(path_type=Path), metavar="QUERIES")

optional_database: Decorator[Any] = click.argument(
    "database", type=click.Path(path_type=Path), metavar="[DATABASE]", required=False
)

collection_name: Decorator[Any] = click.option(
    "--name", metavar="COLLECTION", help="Name of the collection.  [default: the name of the input]"
)

self_pairs: Decorator[Any] = click.option("--self-pairs", is_flag=True, help="Use the queries as the database as well.")

cities: Decorator[Any] = click.option(
    "--cities",
    metavar="train|val|test|NAME,…",
    help="Only these cities, by official list or by name.  [default: all that have positions]",
)

columns: Decorator[Any] = click.option(
    "--columns",
    metavar="ROLE=COLUMN,…",
    help="Columns by role, as in key=id,heading=northdeg. Roles: key, x, y, lon, lat, up, heading, fov, pano, "
    "camera_type, radius, heading_sigma, position_sigma, crs, zone, sequence, frame, time.  "
    "[default: by their usual names]",
)


def heading(**attributes: Any) -> Decorator[Any]:
    """`--heading`: datasets differ in what can tell it, which the description of a command explains."""
    return click.option("--heading", help="Where headings come from; see above.", **attributes)


def layout(choices: Sequence[str], **attributes: Any) -> Decorator[Any]:
    """`--layout`: commands differ in the layouts they know, which their description explains."""
    return click.option("--layout", type=click.Choice(choices), help="Layout of the input; see above.", **attributes)


intrinsics: Decorator[Any] = click.option(
    "--intrinsics",
    metavar="FX,FY,CX,CY",
    help="Intrinsics of the depth camera, pixels; the centre of the first pixel is (0, 0).",
)

depth_unit: Decorator[Any] = click.option(
    "--depth-unit", "depth_unit_m", type=float, metavar="M", help="Unit of stored depths, metres."
)

depth_is: Decorator[Any] = click.option(
    "--depth-is",
    type=click.Choice(DEPTH_IS),
    default="z",
    show_default=True,
    help="What a stored depth measures: the distance along the optical axis, or along the ray of each pixel.",
)

travel_gap: Decorator[Any] = click.option(
    "--travel-gap",
    "gap_m",
    type=float,
    default=TRAVEL_GAP_M,
    show_default=True,
    metavar="M",
    help="With --heading travel, consecutive images farther apart belong to different tracks, metres.",
)

axes: Decorator[Any] = click.option(
    "--axes",
    metavar="ROLE=AXIS,…",
    help="Axes by role, as in ahead=z,down=y,up=-y: ahead (viewing direction) and down (in the image) are axes of a "
    "pose (x, -x, y, -y, z, -z), up is an axis of the world, which surface labels do not need.",
)

quaternion: Decorator[Any] = click.option(
    "--quaternion",
    type=click.Choice(QUATERNIONS),
    default=QUATERNIONS[0],
    show_default=True,
    help="Order of the last four numbers of a pose.",
)

direction: Decorator[Any] = click.option(
    "--poses",
    "direction",
    type=click.Choice(DIRECTIONS),
    default=DIRECTIONS[0],
    show_default=True,
    help="Direction of the pose transformation.",
)
