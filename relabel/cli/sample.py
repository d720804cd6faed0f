"""relabel sample: synthetic datasets."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import options
from relabel.cli.commands import SuggestingGroup
from relabel.cli.terminal import bar


@click.group(cls=SuggestingGroup)
def sample_command() -> None:
    """Write a small synthetic dataset in the exact layout of a real one, whose data may not be redistributed."""


@sample_command.command("msls", short_help="A city of streets in the layout of MSLS; no images.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--cameras",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    metavar="N",
    help="Number of queries, and of database cameras.",
)
@click.option(
    "--buildings", is_flag=True, help="Also write the footprints of buildings (buildings.geojson), for --occluders."
)
@options.seed
@options.force
@options.no_progress
def msls(folder: Path, cameras: int, buildings: bool, seed: int, force: bool, no_progress: bool) -> None:
    """A city of streets in the layout of MSLS: sequences, noisy headings, panoramas, missing headings; no images."""
    from relabel.synthetic.msls import BUILDINGS, TABLES, write_tree

    with bar("writing", TABLES, unit="tables", hidden=no_progress) as progress:
        path = write_tree(folder, cameras=cameras, seed=seed, overwrite=force, buildings=buildings, progress=progress)
    logging.getLogger(__name__).info(
        "wrote %s queries and as many database cameras to %s", format(cameras, ","), folder
    )
    if buildings:
        logging.getLogger(__name__).info("wrote %s", path / BUILDINGS)


@sample_command.command("7scenes", short_help="A room in the layout of 7Scenes; needs Open3D.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    metavar="N",
    help="Frames per sequence; there are three, two for training and one for testing.",
)
@options.seed
@options.force
@options.no_progress
def seven_scenes(folder: Path, frames: int, seed: int, force: bool, no_progress: bool) -> None:
    """A furnished room in the layout of 7Scenes: depth with realistic defects, colour and true poses; needs Open3D."""
    from relabel.synthetic.rooms import write_tree

    with bar("rendering", 3 * frames, unit="frames", hidden=no_progress) as progress:
        path = write_tree(folder, frames=frames, seed=seed, overwrite=force, progress=progress)
    logging.getLogger(__name__).info("wrote 3 sequences of %s frames each to %s", format(frames, ","), path)
