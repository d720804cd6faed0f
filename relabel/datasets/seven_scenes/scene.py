"""7Scenes as Microsoft ships it: the scenes of a folder, their splits, and the frames of each.

    ROOT/<scene>/TrainSplit.txt  TestSplit.txt      lines "sequence2", which is the folder seq-02
    ROOT/<scene>/seq-02/frame-000000.color.png      640x480; .jpg in some copies
    ROOT/<scene>/seq-02/frame-000000.depth.png      640x480, 16 bits, millimetres; 0 and 65535 are invalid
    ROOT/<scene>/seq-02/frame-000000.pose.txt       4x4, from the depth camera to the world, metres

Depth and colour are not registered as shipped: the depth camera has a focal length of 585 pixels, the colour camera one
of 525. Copies whose depth was registered to the colour have the same names; their depth has 525.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relabel.cameras import FloatArray
from relabel.datasets import rgbd_frames
from relabel.datasets.base import FrameSets, named_parts, relative_path
from relabel.datasets.listing import children
from relabel.datasets.matrix_files import checked_intrinsics, read_poses
from relabel.datasets.rgbd_frames import DepthCamera, FrameFiles
from relabel.datasets.seven_scenes.spec import DEFAULT_SPLITS, FOCAL_PX, SPLITS
from relabel.datasets.trajectory_formats import text_lines
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError, OptionError
from relabel.frames import Frames

__all__ = ["FOCAL_PX", "SPLITS", "SplitFrames", "find", "read", "read_split", "select"]

SIZE = (640, 480)
SPLIT_FILES = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
_CENTRE = (320.0, 240.0)
_AS_FOLDER = "use the original files of 7-Scenes, or label each sequence with `relabel rgbd --layout folder {option}`"
REMEDIES = {
    code: _AS_FOLDER.replace("{option}", option)
    for code, option in {
        "depth-unit": "--depth-unit {unit}",
        "depth-image-size": "--intrinsics FX,FY,CX,CY",
        "depth-ray": "--depth-is ray",
        "depth-axes": "--convention opengl",
        "depth-inverse-poses": "--poses world-to-camera",
    }.items()
} | {
    "depth-focal": "set --focal",
    "depth-quaternion": "use the original files of 7-Scenes",
}
"""Remedies for findings of the audit, since ``relabel 7scenes`` has few options: all files of 7-Scenes are alike."""
_LAYOUT = "<scene>/{TrainSplit.txt,TestSplit.txt,seq-01/frame-000000.depth.png,…}"
_LINE = re.compile(r"\s*(?:sequence|seq-)\s*0*(\d{1,6})\s*", re.IGNORECASE)
_FRAME = re.compile(r"(frame-(\d+))\.(depth\.png|pose\.txt|color\.(?:png|jpg|jpeg))", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class SplitFrames:
    """The frames of one split file.

    Attributes
    ----------
    frames:
        the frames in the order of the split file, and by number within a sequence; keys are ``seq-01/frame-000000``.
    files:
        the split file, every pose and every depth map.
    notes:
        what is missing.
    skipped:
        sequences that the split file names but that do not exist, if these are to be skipped.
    """

    frames: Frames
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def find(root: Path | str) -> dict[str, Path]:
    """The scenes of a folder by name, sorted; or the folder itself, if it is a scene.

    Raises
    ------
    DatasetNotFoundError
        when there is none; the message says what was expected and what was found instead.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{root}: {what}; give the folder that holds {_LAYOUT}")
    try:
        if _is_scene(root):
            return {root.absolute().name: root}
        scenes = {path.name: path for path in children(root) if path.is_dir() and _is_scene(path)}
    except PermissionError as error:
        raise DatasetNotFoundError(f"{error.filename}: cannot be accessed; check its permissions") from None
    if not scenes:
        names = [path.name for path in children(root)]
        if any(name.endswith(".zip") for name in names):
            raise DatasetNotFoundError(
                f"{root}: holds {_listed(names)}, but no unpacked scene; unpack the zip of the scene, and the zip of "
                "each sequence inside it"
            )
        hint = ""
        if any((folder / "depth").is_dir() for folder in (root, *(root / name for name in names))):
            hint = "; a folder with depth/ and poses/ in it is for relabel rgbd --layout folder"
        raise DatasetNotFoundError(f"{root}: there is no {_LAYOUT} in it; it holds {_listed(names)}{hint}")
    return scenes


def select(root: Path | str, scenes: str | None = None) -> dict[str, Path]:
    """The scenes to label, by name.

    Parameters
    ----------
    root:
        as for `find`.
    scenes:
        names separated by commas; None for all scenes. Each scene is taken once, in the requested order.

    Raises
    ------
    DatasetNotFoundError
        when there is no scene.
    NotFoundError
        when one that was named is not there; the message lists those that exist.
    OptionError
        when `scenes` names nothing.
    """
    available = find(root)
    return available if scenes is None else named_parts(available, scenes, root, option="--scenes", noun="scene")


def read(root: Path | str, *, scene: str | None = None, split: str = "train", focal_px: float = FOCAL_PX) -> Frames:
    """The frames of one split of one scene.

    Parameters
    ----------
    root:
        as for `find`.
    scene:
        its name; may be left out if there is only one.
    split:
        ``train`` or ``test``.
    focal_px:
        focal length of the depth maps: 585 as shipped, 525 if they were registered to the colour images.

    Raises
    ------
    DatasetNotFoundError, NotFoundError, MissingFileError, InputError, OptionError
        when the scene or a file of it is missing or invalid.
    """
    available = find(root)
    if scene is None:
        if len(available) > 1:
            raise OptionError(f"{root} holds several scenes; name one of {', '.join(available)}")
        (scene,) = available
    if split not in SPLIT_FILES:
        raise OptionError(f"split is {split!r}; it has to be train or test")
    (path,) = select(root, scene).values()
    return read_split(path, split, focal_px=focal_px).frames


def read_split(scene: Path, split: str, *, focal_px: float = FOCAL_PX, skip_missing: bool = False) -> SplitFrames:
    """The frames of ``train`` or ``test`` of the scene in a folder, with notes about them.

    Raises
    ------
    MissingFileError
        when the split file is not there.
    InputError
        when it names a sequence that does not exist and `skip_missing` is not set, or a file cannot be read.
    """
    path = scene / SPLIT_FILES[split]
    sequences: list[str] = []
    skipped: list[str] = []
    for name, line in _sequences(path).items():
        if (scene / name).is_dir():
            sequences.append(name)
        elif skip_missing:
            skipped.append(name)
        else:
            raise InputError(f"{path}: line {line}: {_missing(scene, name)}; or skip it with --skip-missing")
    if not sequences:
        raise InputError(f"{path}: none of its sequences ({', '.join(skipped)}) is in {scene}")
    frame_files = [frame for name in sequences for frame in _sequence_frames(scene / name)]
    poses: FloatArray = read_poses([frame.pose for frame in frame_files])
    camera = depth_camera(focal_px)
    notes = rgbd_frames.missing_notes(frame_files, poses)
    if skipped:
        notes.append(f"{path.name} names {', '.join(skipped)}, which {'does' if len(skipped) == 1 else 'do'} not exist")
    files = (path, *rgbd_frames.existing_files(frame_files))
    frames = rgbd_frames.frames_from_files(frame_files, poses, camera)
    return SplitFrames(frames, files, tuple(notes), tuple(skipped))


def depth_camera(focal_px: float = FOCAL_PX) -> DepthCamera:
    """The depth camera with this focal length.

    Raises
    ------
    OptionError
        when it is not positive.
    """
    try:
        return DepthCamera(checked_intrinsics((focal_px, focal_px, *_CENTRE), "--focal"), size=SIZE)
    except InputError:
        raise OptionError(f"--focal {focal_px:g}: is not a focal length; 585 as shipped, 525 if registered") from None


def _is_scene(path: Path) -> bool:
    return any((path / name).is_file() for name in SPLIT_FILES.values()) or any(
        child.is_dir() for child in path.glob("seq-*")
    )


def _sequences(path: Path) -> dict[str, int]:
    """The folders that a split file names, and the line of each."""
    if not path.exists():
        other = " and ".join(name for name in sorted(SPLIT_FILES.values()) if (path.parent / name).exists())
        hint = f" ({path.parent} holds only {other})" if other else ""
        raise MissingFileError(f"{path}: does not exist{hint}; it tells the sequences of the split: see --split")
    lines: dict[str, int] = {}
    for line, text in text_lines(path):
        match = _LINE.fullmatch(text)
        if match is None:
            raise InputError(f"{path}: line {line}: {text.strip()[:40]!r}; expected a line such as sequence2")
        name = f"seq-{int(match[1]):02d}"
        if name in lines:
            raise InputError(f"{path}: line {line}: {name} is already on line {lines[name]}; keep it once")
        lines[name] = line
    if not lines:
        raise InputError(f"{path}: names no sequence; expected lines such as sequence2")
    return lines


def _missing(scene: Path, name: str) -> str:
    if (scene / f"{name}.zip").exists():
        return f"{scene / name}.zip has not been unpacked; unpack it into {scene}"
    there = sorted(path.name for path in scene.glob("seq-*") if path.is_dir())
    return f"there is no folder {scene / name} ({_listed(there)}); unpack it there"


def _sequence_frames(folder: Path) -> list[FrameFiles]:
    """The frames of a sequence by number, named after their depth maps; files with other names are skipped."""
    files: dict[int, dict[str, Path]] = {}
    try:
        paths = children(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from None
    for path in paths:
        match = _FRAME.fullmatch(path.name)
        if match is not None:
            frame, kind = files.setdefault(int(match[2]), {}), match[3].lower().split(".")[0]
            if kind in frame and kind != "color":
                raise InputError(f"{path} and {frame[kind].name} belong to the same frame; keep one")
            # Of two colour images, the .png is used, which is sorted last and lossless.
            frame[kind] = path
    if not files:
        raise InputError(
            f"{folder}: there is no frame-000000.depth.png and so on in it; it holds "
            f"{_listed([path.name for path in paths])}: unpack the sequence into it"
        )
    return [
        FrameFiles(
            f"{folder.name}/{_name(frame)}",
            folder.name,
            rank,
            frame.get("depth"),
            frame.get("pose"),
            frame.get("color"),
        )
        for rank, (_, frame) in enumerate(sorted(files.items()))
    ]


def _name(frame: dict[str, Path]) -> str:
    return next(frame[kind].name.split(".")[0] for kind in ("depth", "pose", "color") if kind in frame)


def _listed(names: Sequence[str], most: int = 5) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:most]) + (f", … ({len(names):,} in all)" if len(names) > most else "")


def shared_sequences(query: Frames, database: Frames) -> list[str]:
    """Sequences on both sides, which should be disjoint."""
    return sorted(set(np.unique(query.cameras.extra["sequence"])) & set(np.unique(database.cameras.extra["sequence"])))


@dataclass(frozen=True)
class SevenScenesReader:
    """One collection of one scene: ``train`` or ``test`` with itself, or the frames of test against those of train."""

    root: Path
    scene: Path
    """the folder of the scene, `root` or below it"""
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
        """The name of the collection, the folder of the scene, and the options."""
        values = {
            "collection": self.name,
            "scene": relative_path(self.scene, self.root),
            "split": self.split,
            "focal_px": float(self.focal_px),
        }
        return values | ({"skip_missing": True} if self.skip_missing else {})

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> SevenScenesReader:
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

    def read(self) -> FrameSets:
        """The frames of both sides.

        Raises
        ------
        MissingFileError, InputError, OptionError
            when a split file is missing or names missing sequences, or a file cannot be read.
        """
        names = self.split.split("-")  # test-train has the queries first
        sides = [read_split(self.scene, name, focal_px=self.focal_px, skip_missing=self.skip_missing) for name in names]
        first, last = sides[0], sides[-1]
        notes = [
            note if first is last else f"{name}: {note}"
            for name, side in zip(names, sides, strict=True)
            for note in side.notes
        ]
        params: dict[str, Any] = depth_camera(self.focal_px).params()
        skipped = sorted({name for side in sides for name in side.skipped})
        if skipped:
            params["skipped_sequences"] = skipped
        if first is not last and (both := shared_sequences(first.frames, last.frames)):
            notes.append(f"{', '.join(both)}: in both splits, so frames are paired with themselves")
        return FrameSets(
            query=first.frames,
            database=last.frames,
            files=tuple(dict.fromkeys(path for side in sides for path in side.files)),
            params=params,
            notes=tuple(notes),
            sources=(str(self.scene / SPLIT_FILES[names[0]]), str(self.scene / SPLIT_FILES[names[-1]])),
            hint="every frame needs frame-XXXXXX.depth.png and frame-XXXXXX.pose.txt",
            remedies=REMEDIES,
        )


def readers(
    root: Path,
    *,
    scenes: str | None = None,
    splits: Sequence[str] = DEFAULT_SPLITS,
    focal_px: float = FOCAL_PX,
    skip_missing: bool = False,
) -> tuple[SevenScenesReader, ...]:
    """One reader for each split of each requested scene.

    Parameters
    ----------
    root, scenes:
        as for `seven_scenes.select`.
    splits:
        of ``train``, ``test``, ``test-train``; each may hold several, separated by commas. Each is taken once.

    Raises
    ------
    OptionError
        when a split is unknown, there is none, or the focal length is invalid.
    DatasetNotFoundError, NotFoundError
        when there is no scene, or one that was named is not there.
    """
    names = list(dict.fromkeys(name.strip() for text in splits for name in text.split(",") if name.strip()))
    for name in names:
        if name not in SPLITS:
            raise OptionError(f"--split {name}: a split has to be one of {', '.join(SPLITS)}")
    if not names:
        raise OptionError(f"--split names no split; there are {', '.join(SPLITS)}")
    depth_camera(focal_px)
    return tuple(
        SevenScenesReader(root, path, scene, split, focal_px, skip_missing)
        for scene, path in select(root, scenes).items()
        for split in names
    )
