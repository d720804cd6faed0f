"""The options of `relabel 7scenes`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.seven_scenes.spec import DEFAULT_SPLITS, FOCAL_PX

OPTIONS = (
    options.root,
    click.option("--scenes", metavar="NAME,…", help="Only these scenes.  [default: all present]"),
    click.option(
        "--split",
        "splits",
        multiple=True,
        metavar="train|test|test-train",
        help="Frames of the train or the test sequences with themselves, or those of test against those of train; "
        f"separate several by commas, or repeat the option.  [default: {','.join(DEFAULT_SPLITS)}]",
    ),
    click.option(
        "--focal",
        "focal_px",
        type=float,
        default=FOCAL_PX,
        show_default=True,
        metavar="PIXELS",
        help="Focal length of the depth maps: 585 as shipped, 525 if they were registered to the colour images.",
    ),
    click.option("--skip-missing", is_flag=True, help="Skip sequences that a split file names but that do not exist."),
)


def select(
    root: Path, scenes: str | None, splits: tuple[str, ...], focal_px: float, *, skip_missing: bool
) -> ReaderSelection:
    """Label 7Scenes by how much of the surface that one frame sees the other sees as well.

    DIR is the folder of the scenes, or one scene: the depth maps and poses of its sequences, and its split files. Every
    split of every scene becomes a collection, such as chess/train and chess/test-train; keys are seq-01/frame-000000.
    Frames without a pose or a depth map keep their row and are counted. Colour images are not needed.
    """
    from relabel.datasets.seven_scenes.scene import readers

    return ReaderSelection(
        readers(root, scenes=scenes, splits=splits or DEFAULT_SPLITS, focal_px=focal_px, skip_missing=skip_missing)
    )
