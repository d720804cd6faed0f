"""A split of a scene of 7Scenes as a `SceneReader`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.datasets import seven_scenes
from relabel.datasets.roots import told_from
from relabel.datasets.scene import Scene
from relabel.datasets.seven_scenes import FOCAL_PX, SPLIT_FILES, SPLITS
from relabel.errors import OptionError

DEFAULT_SPLITS = ("train", "test-train")


@dataclass(frozen=True)
class SevenScenesReader:
    """One collection of one scene: ``train`` or ``test`` with itself, or the frames of test against those of train."""

    root: Path
    scene: Path
    """the folder of the scene, below `root` or the same"""
    scene_name: str
    split: str
    focal_px: float = FOCAL_PX
    skip_missing: bool = False
    command = "relabel 7scenes"

    @property
    def name(self) -> str:
        """Scene and split, as ``chess/test-train``."""
        return f"{self.scene_name}/{self.split}"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, the folder of the scene, and what was said about it."""
        values = {
            "collection": self.name,
            "scene": told_from(self.scene, self.root),
            "split": self.split,
            "focal_px": float(self.focal_px),
        }
        return values | ({"skip_missing": True} if self.skip_missing else {})

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> SevenScenesReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        split = parameters.pop("split")
        return cls(
            root,
            root / parameters.pop("scene"),
            str(parameters.pop("collection")).removesuffix(f"/{split}"),
            split,
            parameters.pop("focal_px"),
            parameters.pop("skip_missing", False),
        )

    def read(self) -> Scene:
        """The frames of both sides.

        Raises
        ------
        MissingFileError, InputError, OptionError
            when a split file is not there, names what is not there, or a file cannot be read.
        """
        names = self.split.split("-")  # test-train has the queries first
        sides = [
            seven_scenes.read_side(self.scene, name, focal_px=self.focal_px, skip_missing=self.skip_missing)
            for name in names
        ]
        first, last = sides[0], sides[-1]
        notes = [
            note if first is last else f"{name}: {note}"
            for name, side in zip(names, sides, strict=True)
            for note in side.notes
        ]
        params: dict[str, Any] = seven_scenes.depth_camera(self.focal_px).params()
        skipped = sorted({name for side in sides for name in side.skipped})
        if skipped:
            params["skipped_sequences"] = skipped
        if first is not last and (both := seven_scenes.between(first.frames, last.frames)):
            notes.append(f"{', '.join(both)}: in both splits, so that frames are paired with themselves")
        return Scene(
            first.frames,
            last.frames,
            tuple(dict.fromkeys(path for side in sides for path in side.files)),
            params,
            tuple(notes),
            (str(self.scene / SPLIT_FILES[names[0]]), str(self.scene / SPLIT_FILES[names[-1]])),
            "every frame needs frame-XXXXXX.depth.png and frame-XXXXXX.pose.txt",
        )


def readers(
    root: Path,
    *,
    scenes: str | None = None,
    splits: Sequence[str] = DEFAULT_SPLITS,
    focal_px: float = FOCAL_PX,
    skip_missing: bool = False,
) -> tuple[SevenScenesReader, ...]:
    """One reader for each split of each scene that was asked for.

    Parameters
    ----------
    root, scenes:
        as for `seven_scenes.select`.
    splits:
        of ``train``, ``test``, ``test-train``; each may hold several with commas between. Taken once each.

    Raises
    ------
    OptionError
        when a split is none of them, there is none, or the focal length cannot be.
    DatasetNotFoundError, NotFoundError
        when there is no scene, or one that was named is not there.
    """
    names = list(dict.fromkeys(name.strip() for text in splits for name in text.split(",") if name.strip()))
    for name in names:
        if name not in SPLITS:
            raise OptionError(f"--split {name}: a split is one of {', '.join(SPLITS)}")
    if not names:
        raise OptionError(f"--split names no split; there are {', '.join(SPLITS)}")
    seven_scenes.depth_camera(focal_px)
    return tuple(
        SevenScenesReader(root, path, scene, split, focal_px, skip_missing)
        for scene, path in seven_scenes.select(root, scenes).items()
        for split in names
    )
