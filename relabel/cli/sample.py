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
    """Write a small synthetic dataset in the exact layout of a real one, for data that may not be shipped."""


@sample_command.command("msls")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--cameras",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    metavar="N",
    help="Cameras on each side, query and database.",
)
@click.option("--buildings", is_flag=True, help="Also write buildings.geojson beside them, for --occluders.")
@options.seed
@options.force
def msls(folder: Path, cameras: int, buildings: bool, seed: int, force: bool) -> None:
    """A city of streets as MSLS lays it out: sequences, noisy headings, panoramas, missing headings; no images."""
    from relabel.synthetic.msls import BUILDINGS, write_tree

    path = write_tree(folder, cameras=cameras, seed=seed, overwrite=force, buildings=buildings)
    logging.getLogger(__name__).info(
        "wrote %s queries and as many database cameras under %s", format(cameras, ","), folder
    )
    if buildings:
        logging.getLogger(__name__).info("wrote %s", path / BUILDINGS)


@sample_command.command("7scenes")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    metavar="N",
    help="Frames of each of the three sequences, two to train and one to test.",
)
@options.seed
@options.force
@options.no_progress
def seven_scenes(folder: Path, frames: int, seed: int, force: bool, no_progress: bool) -> None:
    """A furnished room as 7Scenes lays it out: depth with its faults, colour and true poses. It needs Open3D."""
    from relabel.synthetic.rooms import write_tree

    with bar("rendering", 3 * frames, unit="frames", hidden=no_progress) as progress:
        path = write_tree(folder, frames=frames, seed=seed, overwrite=force, progress=progress)
    logging.getLogger(__name__).info("wrote 3 sequences of %s frames each under %s", format(frames, ","), path)
