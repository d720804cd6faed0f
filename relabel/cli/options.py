"""Every option that more than one command takes, defined once, so that a flag means the same everywhere.

Each is a decorator that fills the parameter of its name, but for `--json`, which fills `as_json`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

# Spelled out because relabel.similarity loads scipy; a test holds them equal to its MEASURES and DEFAULT_MIN_VALUE.
MEASURES = ("iou", "overlap", "dice")
SHAPES = ("sector", "polygon")
METHODS = ("surface", "voxel-iou")
DEVICES = ("auto", "cpu", "cuda")
DEFAULT_MIN_VALUE = 1e-6

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_DEFAULT_LEVEL = LEVELS.index(logging.INFO)


class Verbosity:
    """How much is said on stderr: the number of `-v` less the number of `-q` given so far."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, steps: int) -> None:
        """Count `steps` more and let relabel's logger through accordingly."""
        self.count += steps
        level = min(max(_DEFAULT_LEVEL - self.count, 0), len(LEVELS) - 1)
        logging.getLogger("relabel").setLevel(LEVELS[level])

    @property
    def traceback(self) -> bool:
        """Whether an error is to show where it was raised."""
        return self.count >= 2


def _louder(ctx: click.Context, param: click.Parameter, value: int) -> None:
    del param
    if value:
        ctx.ensure_object(Verbosity).add(value)


def _quieter(ctx: click.Context, param: click.Parameter, value: int) -> None:
    _louder(ctx, param, -value)


def _verbosity() -> list[click.Parameter]:
    def counted(
        *names: str, callback: Callable[[click.Context, click.Parameter, int], None], text: str
    ) -> click.Option:
        return click.Option(names, count=True, expose_value=False, callback=callback, help=text)

    return [
        counted("-v", "--verbose", callback=_louder, text="Say more; twice to show tracebacks."),
        counted("-q", "--quiet", callback=_quieter, text="Say less; no progress, no notes."),
    ]


def with_verbosity(command: click.Command) -> click.Command:
    """The same command, taking `-v` and `-q`; so do all commands of a group. Nothing changes where they are there."""
    if not any("--verbose" in parameter.opts for parameter in command.params):
        command.params.extend(_verbosity())
    if isinstance(command, click.Group):
        for child in command.commands.values():
            with_verbosity(child)
    return command


def output(default: str | None) -> Decorator[F]:
    """`-o/--output FILE`: the label file to write; it has to be given where `default` is None."""
    given: dict[str, Any] = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        **given,
        help="Label file to write.",
    )


output_folder: Decorator[Any] = click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder to write to.",
)

force: Decorator[Any] = click.option("--force", is_flag=True, help="Replace the output if it is there already.")

resume: Decorator[Any] = click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Keep the parts that an earlier run finished from the same inputs with the same parameters.",
)

threads: Decorator[Any] = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads to compute with.  [default: all]"
)


def _measure(*more: str, **fields: Any) -> Decorator[Any]:
    text = "What ψ is, with I what A (query) and B see in common: iou I/(A+B-I), overlap I/A, dice 2I/(A+B)."
    return click.option("--measure", type=click.Choice([*MEASURES, *more]), help=text, **fields)


measure: Decorator[Any] = _measure(default="iou", show_default=True)

required_measure: Decorator[Any] = _measure(required=True)

optional_measure: Decorator[Any] = _measure()

told_measure: Decorator[Any] = _measure("unknown", required=True)


def _min_value(**fields: Any) -> Decorator[Any]:
    text = "Pairs with a smaller or equal ψ are not stored."
    return click.option("--min-value", type=click.FloatRange(0.0, 1.0, max_open=True), help=text, **fields)


min_value: Decorator[Any] = _min_value(default=DEFAULT_MIN_VALUE, show_default=True)

told_min_value: Decorator[Any] = _min_value(show_default="what the input tells, else 1e-06")

executor: Decorator[Any] = click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Where parts are computed: local, processes, processes:N or dask:ADDRESS.",
)

as_json: Decorator[Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

no_progress: Decorator[Any] = click.option(
    "--no-progress", is_flag=True, help="No progress bar (there is none anyway where stderr is not a terminal)."
)

dry_run: Decorator[Any] = click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would be done: cameras, pairs, bytes, memory; for depth maps, seconds.",
)


def _root(*, required: bool) -> Decorator[Any]:
    path = click.Path(path_type=Path)
    return click.option("--root", type=path, required=required, metavar="DIR", help="Top folder of the data set.")


root: Decorator[Any] = _root(required=True)

optional_root: Decorator[Any] = _root(required=False)

plot: Decorator[Any] = click.option(
    "--plot", type=click.Path(path_type=Path), metavar="PICTURE", help="Picture to draw, as .svg or .png."
)

seed: Decorator[Any] = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same result."
)


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    del ctx, param
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


label_file: Decorator[Any] = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")

address: Decorator[Any] = click.argument("address", metavar="FILE[::COLLECTION]")

collections: Decorator[Any] = click.option(
    "--collections",
    callback=_names,
    metavar="NAME,…",
    help="Only these collections of FILE.  [default: all]",
)


collection_name: Decorator[Any] = click.option(
    "--name", metavar="COLLECTION", help="Name of the collection.  [default: as the input is called]"
)

self_pairs: Decorator[Any] = click.option("--self-pairs", is_flag=True, help="The database is the set of queries.")


cities: Decorator[Any] = click.option(
    "--cities",
    metavar="train|val|test|NAME,…",
    help="Only these cities, by official list or by name.  [default: all that have positions]",
)

columns: Decorator[Any] = click.option(
    "--columns",
    metavar="ROLE=COLUMN,…",
    help="Which column is what, as in key=id,heading=northdeg. Roles: key, x, y, lon, lat, heading, fov, radius, "
    "heading_sigma, position_sigma, crs, zone, sequence, frame.  [default: by their usual names]",
)

near: Decorator[Any] = click.option(
    "--near", "near_m", default=25.0, show_default=True, metavar="M", help="Pairs this close are near, m."
)


def heading(**fields: Any) -> Decorator[Any]:
    """`--heading`: data sets differ in what can tell it, which the description of a command explains."""
    return click.option("--heading", help="Where headings come from; see above.", **fields)


def layout(choices: Sequence[str], **fields: Any) -> Decorator[Any]:
    """`--layout`: commands differ in the layouts they know, which their description explains."""
    return click.option("--layout", type=click.Choice(choices), help="How the input is laid out; see above.", **fields)


def fov(default: float) -> Decorator[Any]:
    """`--fov DEG`; data sets differ in what their cameras see."""
    return click.option(
        "--fov",
        "fov_deg",
        type=float,
        default=default,
        show_default=True,
        metavar="DEG",
        help="Horizontal field of view θ, degrees in (0, 360].",
    )


radius: Decorator[Any] = click.option(
    "--radius",
    "radius_m",
    type=float,
    default=50.0,
    show_default=True,
    metavar="M",
    help="Range r of a field of view, metres.",
)

shape: Decorator[Any] = click.option(
    "--shape",
    type=click.Choice(SHAPES),
    default="sector",
    show_default=True,
    help="The exact circular sector, or a polygon of apex and arc segments as other people's labels use it.",
)

arc: Decorator[Any] = click.option(
    "--arc",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    metavar="N",
    help="Segments of the polygon's arc.",
)

heading_sigma: Decorator[Any] = click.option(
    "--heading-sigma",
    "heading_sigma_deg",
    type=float,
    default=0.0,
    show_default=True,
    metavar="DEG",
    help="Standard deviation of the headings' noise: ψ is then the value to be expected under it.",
)

position_sigma: Decorator[Any] = click.option(
    "--position-sigma",
    "position_sigma_m",
    type=float,
    default=0.0,
    show_default=True,
    metavar="M",
    help="Standard deviation of the positions' noise along either axis, metres: as --heading-sigma.",
)

max_heading_difference: Decorator[Any] = click.option(
    "--max-heading-difference",
    "max_heading_difference_deg",
    type=float,
    default=180.0,
    show_default=True,
    metavar="DEG",
    help="Pairs whose headings differ by more have ψ 0, such as cameras that face each other; in (0, 180].",
)

occluders: Decorator[Any] = click.option(
    "--occluders",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Footprints of buildings, GeoJSON or GeoParquet, that cut the fields of view; the shape is then polygon.",
)

occluders_crs: Decorator[Any] = click.option(
    "--occluders-crs",
    metavar="CRS",
    help="Reference system of the footprints, such as EPSG:32636, or local for that of the cameras.  "
    "[default: what the file says]",
)


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    del ctx, param
    if value is None:
        return None
    width, separator, height = value.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise click.BadParameter(f"{value!r} is not a size such as 640x480")
    return int(width), int(height)


def _images(*, required: bool) -> Decorator[Any]:
    path = click.Path(path_type=Path)
    return click.option("--images", type=path, required=required, metavar="DIR", help="Top folder of the pictures.")


images: Decorator[Any] = _images(required=True)

optional_images: Decorator[Any] = _images(required=False)

image_path: Decorator[Any] = click.option(
    "--image-path",
    metavar="TEMPLATE",
    help="Path of a picture, with {key}, {collection}, {scene} (the collection up to a slash), {side} (query, "
    "database) or a further column in braces.  [default: see above]",
)


def _image_size(**fields: Any) -> Decorator[Any]:
    text = "Width and height that pictures are resized to, pixels."
    return click.option("--size", callback=_size, metavar="WxH", help=text, **fields)


image_size: Decorator[Any] = _image_size(default="640x480", show_default=True)

optional_image_size: Decorator[Any] = _image_size(show_default="as in training")

device: Decorator[Any] = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What to compute on; auto is a GPU where there is one.",
)

workers: Decorator[Any] = click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Processes that read pictures; 0 reads them in this one.",
)

NOISE = (heading_sigma, position_sigma, max_heading_difference)

OVERLAP = (radius, shape, arc, measure, min_value, *NOISE, occluders, occluders_crs)
"""What the overlap of fields of view depends on besides --fov; each fills a field of `FovOptions` of its name."""

mask: Decorator[Any] = click.option(
    "--mask",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Cameras that are not to be labelled: a CSV with a column `key`, as `relabel headings -o` writes it, or text "
    "with a key a line.",
)

JOB = (force, resume, threads, executor, dry_run, as_json, no_progress)
"""How a labelling job is run."""


def labelling(*, default_output: str, default_fov: float = 90.0) -> Decorator[Any]:
    """All options that commands share which label by fields of view; they go to `relabel.cli.labelling.label`."""

    def decorate(command: Any) -> Any:
        for option in reversed((output(default_output), fov(default_fov), *OVERLAP, mask, *JOB)):
            command = option(command)
        return command

    return decorate


method: Decorator[Any] = click.option(
    "--method",
    type=click.Choice(METHODS),
    default="surface",
    show_default=True,
    help="surface: what lies within the tolerance of what the other sees; voxel-iou: the plain voxels of both.",
)

tolerance: Decorator[Any] = click.option(
    "--tolerance",
    "tolerance_m",
    type=float,
    default=0.05,
    show_default=True,
    metavar="M",
    help="Points of two frames up to this far apart are one piece of surface, metres.",
)

voxel: Decorator[Any] = click.option(
    "--voxel",
    "voxel_m",
    type=float,
    metavar="M",
    help="Edge of a voxel, metres.  [default: 0.55 of --tolerance; all of it for voxel-iou]",
)

stride: Decorator[Any] = click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take every Nth pixel of a row and of a column.  [default: 2, or 1 where depths are too large for that]",
)

depth_min: Decorator[Any] = click.option(
    "--depth-min",
    "nearest_m",
    type=float,
    default=0.0,
    show_default=True,
    metavar="M",
    help="Pass over what is nearer to the camera, metres.",
)

depth_max: Decorator[Any] = click.option(
    "--depth-max", "farthest_m", type=float, metavar="M", help="Pass over what is farther, metres.  [default: nothing]"
)

device: Decorator[Any] = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where to compute: cuda is a GPU, which needs torch; auto takes one that is there. The labels are the same.",
)

SURFACE = (method, tolerance, voxel, stride, depth_min, depth_max, device, measure, min_value)
"""What the overlap of surfaces depends on; each fills a field of `SurfaceOptions` of its name."""


def labelling_surface(*, default_output: str) -> Decorator[Any]:
    """All options that commands share which label by surface; they go to `relabel.cli.labelling.label_frames`."""

    def decorate(command: Any) -> Any:
        for option in reversed((output(default_output), *SURFACE, mask, *JOB)):
            command = option(command)
        return command

    return decorate


intrinsics: Decorator[Any] = click.option(
    "--intrinsics", metavar="FX,FY,CX,CY", help="Of the depth camera, pixels; the middle of the first pixel is (0, 0)."
)

depth_unit: Decorator[Any] = click.option(
    "--depth-unit", "depth_unit_m", type=float, metavar="M", help="What one step of a stored depth is, metres."
)
