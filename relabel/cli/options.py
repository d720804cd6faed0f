"""Every option that more than one command takes, defined once, so that a flag means the same everywhere.

Each is a decorator that fills the parameter of its name, but for `--json`, which fills `as_json`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relabel.audit.codes import checked_codes

# All shared options are to be had here, those of datasets as well.
from relabel.datasets.options import Decorator as Decorator
from relabel.datasets.options import cities as cities
from relabel.datasets.options import collection_name as collection_name
from relabel.datasets.options import columns as columns
from relabel.datasets.options import optional_root as optional_root
from relabel.datasets.options import root as root
from relabel.datasets.options import self_pairs as self_pairs
from relabel.devices import DEVICES, chosen
from relabel.errors import OptionError
from relabel.measures import DEFAULT_MIN_VALUE, MEASURES, UNKNOWN

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def number(flag: str, name: str, default: float, metavar: str, text: str) -> Decorator[Any]:
    """An option that is a number and whose default is shown in the help."""
    return click.option(flag, name, type=float, default=default, show_default=True, metavar=metavar, help=text)


def output(default: str | None) -> Decorator[Any]:
    """`-o/--output FILE`: the label file to write; it has to be given where `default` is None."""
    attributes: dict[str, Any] = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        **attributes,
        help="Label file to write, or a folder of shards if its name ends with .labels.",
    )


output_shards: Decorator[Any] = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="NAME.labels",
    help="Folder of shards to write.",
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

OF_ARGUMENTS = {
    "overwrite=True": "--force",
    "allow_unknown=True": "--allow-unknown",
    "bbox_m=…": "--bbox",
    "columns=…": "--columns",
    "columns={'lon': NAME, 'lat': NAME}": "--columns lon=NAME,lat=NAME",
    "crs=…": "--crs",
    "device='cpu'": "--device cpu",
    "database=…": "--database",
    "dataset='sim'": "--dataset sim",
    "drop_unknown=True": "--drop-unknown",
    "epochs=…": "--epochs",
    "executor='": "--executor '",
    "gzip=True": "--gzip",
    "heading_sigma_deg=…": "--heading-sigma",
    "host=…": "--host",
    "image_path='": "--image-path '",
    "image_path=…": "--image-path",
    "images=…": "--report-images DIR",
    "key_from='path'": "--key-from path",
    "keys=…": "--keys",
    "layout=…": "--layout",
    "lr=…": "--lr",
    "memory_bytes=…": "--memory",
    "mask=…": "--mask",
    "max_heading_difference_deg=…": "--max-heading-difference",
    "max_height_difference_m=…": "--max-height-difference",
    "min_value=…": "--min-value",
    "occluders=…": "--occluders",
    "occluders_crs=…": "--occluders-crs",
    "port=…": "--port",
    "position_sigma_m=…": "--position-sigma",
    "precision='float32'": "--precision float32",
    "queries=…": "--queries",
    "query=…": "--query",
    "radius_m=…": "--radius",
    "report=True": "--report",
    "root=…": "--root",
    "threads=…": "--threads",
    "weights=…": "--weights",
    "with strict=False": "without --strict",
    **{f"measure='{name}'": f"--measure {name}" for name in MEASURES},
}
"""Advice in messages of the library, in terms of Python, and its equivalent for commands.

An argument with any value is written with an ellipsis, which no path or key of a user contains.
"""

force: Decorator[Any] = click.option("--force", is_flag=True, help="Overwrite the output if it already exists.")

resume: Decorator[Any] = click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Keep parts that an earlier run finished from the same inputs with the same parameters.",
)


def _threads(**fields: Any) -> Decorator[Any]:
    return click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of threads.", **fields)


threads: Decorator[Any] = _threads(show_default="all")

_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?([kMGT]?)(i?)B?", re.IGNORECASE)


def byte_count(text: str) -> int:
    """Number of bytes of a size such as 4GiB or 500MB; raises ValueError if it is not a size."""
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " "))


def _byte_count(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    del ctx, param
    try:
        return None if value is None else byte_count(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a size such as 4GiB or 500MB") from None


memory: Decorator[Any] = click.option(
    "--memory",
    "memory_bytes",
    callback=_byte_count,
    metavar="SIZE",
    help="Most memory that the process may take, as in 4GiB; what would take more is refused before it starts.",
)

training_threads: Decorator[Any] = _threads(show_default="as the run has used so far, else torch's default")


def _measure(*more: str, **fields: Any) -> Decorator[Any]:
    text = "Measure of ψ, where I is what A (query) and B (database) share: iou I/(A+B-I), overlap I/A, dice 2I/(A+B)."
    return click.option("--measure", type=click.Choice([*MEASURES, *more]), help=text, **fields)


measure: Decorator[Any] = _measure(default="iou", show_default=True)

required_measure: Decorator[Any] = _measure(required=True)

optional_measure: Decorator[Any] = _measure()

stated_measure: Decorator[Any] = _measure(UNKNOWN, required=True)


def _min_value(**fields: Any) -> Decorator[Any]:
    text = "Pairs with a smaller or equal ψ are not stored."
    return click.option("--min-value", type=click.FloatRange(0.0, 1.0, max_open=True), help=text, **fields)


min_value: Decorator[Any] = _min_value(default=DEFAULT_MIN_VALUE, show_default=True)

stated_min_value: Decorator[Any] = _min_value(show_default="as the input says, else 1e-06")


def _usable_executor(ctx: click.Context, param: click.Parameter, value: str) -> str:
    del param
    if value != "local" and not ctx.resilient_parsing:
        from relabel.pipeline.executors import parse

        parse(value).check_installed()
    return value


executor: Decorator[Any] = click.option(
    "--executor",
    callback=_usable_executor,
    default="local",
    show_default=True,
    metavar="NAME",
    help="Where parts (blocks of queries, scenes) are computed: local, processes, processes:N or dask:ADDRESS.",
)


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    del ctx, param
    if value is None:
        return None
    number, _, count = value.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.BadParameter(f"{value!r} is not one of 1/N, 2/N, …, N/N")
    return int(number), int(count)


share: Decorator[Any] = click.option(
    "--part",
    "share",
    callback=_share,
    metavar="I/N",
    help="For job arrays: compute only share I of N, such as 1/64, into OUTPUT.parts; `relabel pack` joins them all.",
)

keep_parts: Decorator[Any] = click.option(
    "--keep-parts",
    is_flag=True,
    help="Keep the parts in OUTPUT.parts, so that a run after the dataset has grown computes only what has changed.",
)

as_json: Decorator[Any] = click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON.")

no_progress: Decorator[Any] = click.option(
    "--no-progress", is_flag=True, help="No progress bar (never shown unless stderr is a terminal)."
)

dry_run: Decorator[Any] = click.option(
    "--dry-run",
    is_flag=True,
    help="Only report what would be done: cameras, pairs, bytes, memory, seconds.",
)


plot: Decorator[Any] = click.option(
    "--plot", type=click.Path(path_type=Path), metavar="IMAGE", help="Figure to draw, as .svg, .pdf or .png."
)

_EXCLUSION = (
    click.option(
        "--other-sequence",
        is_flag=True,
        help="Exclude pairs of one sequence (column sequence) from training and scoring.",
    ),
    click.option(
        "--min-frame-gap",
        type=click.IntRange(min=1),
        default=None,
        metavar="N",
        help="Exclude pairs of one sequence that are fewer than N frames apart (column frame).",
    ),
    click.option(
        "--min-time-gap",
        "min_time_gap_s",
        type=click.FloatRange(min=0.0, min_open=True),
        default=None,
        metavar="S",
        help="Exclude pairs less than S seconds apart (column time_s), of one sequence where there are sequences.",
    ),
)


def exclusion(command: Any) -> Any:
    """`--other-sequence`, `--min-frame-gap` and `--min-time-gap`, one of which may exclude pairs."""
    for option in reversed(_EXCLUSION):
        command = option(command)
    return command


dark: Decorator[Any] = click.option("--dark", is_flag=True, help="Draw figures light on a dark background.")

seed: Decorator[Any] = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Random seed; the same seed gives the same result.",
)


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    del ctx, param
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _whole_file(ctx: click.Context, param: click.Parameter, value: Path) -> Path:
    del param
    file, separator, collection = str(value).partition("::")
    if separator and type(value)(file).exists() and not value.exists():
        if collection:
            from relabel.labelfile import open_address

            open_address(str(value))  # one that is not there is an error of its own
        raise click.UsageError(
            f"{ctx.command_path} takes a whole file; write the collection to a file of its own first: "
            f"relabel subset {file}::{collection} -o FILE"
        )
    return value


class _LabelPath(click.Path):
    """The path of a label file, which may be a URL."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from relabel.labelfile.remote import location

        return location(str(super().convert(value, param, ctx)))


label_file: Decorator[Any] = click.argument("file", type=_LabelPath(), metavar="FILE", callback=_whole_file)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion of a value that is a string and begins with a file."""
    from click.shell_completion import CompletionItem

    del ctx, param
    return [CompletionItem(incomplete, type="file")]


address: Decorator[Any] = click.argument("address", metavar="FILE[::COLLECTION]", shell_complete=files)

collections: Decorator[Any] = click.option(
    "--collections",
    callback=_names,
    metavar="NAME,…",
    help="Only these collections of FILE.  [default: all]",
)


source: Decorator[Any] = click.option(
    "--source",
    metavar="DATASET",
    help="The dataset that the paths belong to, by the name of its command.  [default: recognised by its files]",
)

near: Decorator[Any] = click.option(
    "--near", "near_m", default=25.0, show_default=True, metavar="M", help="Pairs this close count as near, metres."
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
    return click.option("--images", type=path, required=required, metavar="DIR", help="Top folder of the images.")


images: Decorator[Any] = _images(required=True)

optional_images: Decorator[Any] = _images(required=False)

image_path: Decorator[Any] = click.option(
    "--image-path",
    metavar="TEMPLATE",
    help="Path of an image, with {key}, {collection}, {scene} (the collection up to a slash), {side} (query, "
    "database) or a further column in braces.  [default: see above]",
)


def _image_size(**fields: Any) -> Decorator[Any]:
    text = "Width and height that images are resized to, pixels."
    return click.option("--size", callback=_size, metavar="WxH", help=text, **fields)


image_size: Decorator[Any] = _image_size(default="640x480", show_default=True)

optional_image_size: Decorator[Any] = _image_size(show_default="as in training")


def _usable_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    del param
    if value == "cuda" and not ctx.resilient_parsing:
        chosen(value)  # which loads torch: auto is only asked when it is needed
    return value


device: Decorator[Any] = click.option(
    "--device",
    type=click.Choice(DEVICES),
    callback=_usable_device,
    default="auto",
    show_default=True,
    help="Device to compute on: cuda is a GPU and needs torch; auto uses a GPU if there is one.",
)

workers: Decorator[Any] = click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Processes that read images; 0 reads them in the main process.",
)

mask: Decorator[Any] = click.option(
    "--mask",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Cameras that are not to be labelled: a CSV with a column `key`, as `relabel headings -o` writes it, or text "
    "with one key per line.",
)

occluders: Decorator[Any] = click.option(
    "--occluders",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Footprints of buildings that block fields of view, GeoJSON or GeoParquet; the shape is then polygon.",
)

strict: Decorator[Any] = click.option("--strict", is_flag=True, help="Treat warnings about the input as errors.")


def _codes(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> frozenset[str]:
    del ctx, param
    try:
        return checked_codes(value)
    except OptionError as error:
        raise click.BadParameter(str(error)) from None


allow: Decorator[Any] = click.option(
    "--allow",
    multiple=True,
    callback=_codes,
    metavar="CODE",
    help="Accept findings of the audit with this code; repeatable.",
)

JOB = (strict, allow, force, resume, threads, memory, executor, share, keep_parts, dry_run, as_json, no_progress)
"""Options on how a labelling job is run."""
