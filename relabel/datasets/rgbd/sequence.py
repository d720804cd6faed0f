"""Any RGB-D sequence with poses, in one folder of a known layout.

    tum        depth.txt (stamp, file), groundtruth.txt (stamp tx ty tz qx qy qz qw); see `relabel.datasets.rgbd.tum`
    scannet    depth/<n>.png, pose/<n>.txt, intrinsic/intrinsic_depth.txt, color/<n>.jpg
    folder     depth maps, poses and images of one name; see `relabel.datasets.rgbd.named_files`

Poses lead from the camera to the world, in metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relabel.datasets import rgbd_frames
from relabel.datasets.base import FrameSets, unreadable
from relabel.datasets.conventions import DEPTH_IS, Direction, Quaternion
from relabel.datasets.matrix_files import Intrinsics
from relabel.datasets.pose_convention import OPENCV, OPENGL, PoseAxes, PoseConvention, parse_axes
from relabel.datasets.rgbd import named_files, tum
from relabel.datasets.rgbd.spec import CONVENTIONS, MAX_TIME_DIFFERENCE_S, Convention, Layout
from relabel.datasets.rgbd_frames import DepthCamera
from relabel.errors import DatasetNotFoundError, OptionError
from relabel.frames import DepthIs, Frames

_HINTS = {
    "tum": "poses come from groundtruth.txt, matched by time (see --max-time-difference); depth maps are the files "
    "listed in depth.txt or associations.txt",
    "scannet": "every frame needs depth/<n>.png and pose/<n>.txt",
    "folder": "every frame needs a depth map and a pose of the same name",
}
AS_FRAMES = PoseConvention()
_AXES: dict[Convention, PoseAxes] = {"opencv": OPENCV, "opengl": OPENGL}
REMEDIES = {"depth-focal": "set --intrinsics"}
"""Remedies for findings of the audit, by code, if this command lacks an option that others have."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RgbdSequence(FrameSets):
    """The frames of one folder with themselves, in the order of time.

    Their keys are the time stamps of depth.txt, or the names of the files.

    Attributes
    ----------
    camera:
        the common properties of the depth maps.
    """

    camera: DepthCamera

    @property
    def frames(self) -> Frames:
        """The frames, which are both queries and database."""
        return self.query


def read_sequence(
    root: Path | str,
    layout: Layout,
    *,
    name: str | None = None,
    intrinsics: Intrinsics | None = None,
    depth_unit_m: float | None = None,
    max_time_difference_s: float = MAX_TIME_DIFFERENCE_S,
    convention: PoseConvention = AS_FRAMES,
    depth_is: DepthIs = "z",
) -> RgbdSequence:
    """The frames of one sequence.

    Parameters
    ----------
    root:
        the folder of the sequence.
    layout:
        ``tum``, ``scannet`` or ``folder``; see above.
    name:
        the name of the sequence in `extra`; None for that of its folder.
    intrinsics:
        fx, fy, cx, cy of the depth maps, pixels. None takes them from the data: with ``tum`` by the name of the folder.
    depth_unit_m:
        metres of one step of a stored depth. None takes it from the data, otherwise 1/1000; with ``tum`` 1/5000 if
        the folder has a name of the benchmark.
    max_time_difference_s:
        with ``tum``, the largest time difference of a depth map and its pose, seconds.
    convention:
        how the poses are stored.
    depth_is:
        what a stored depth is, see `relabel.frames.Frames`.

    Raises
    ------
    DatasetNotFoundError, MissingFileError
        when the folder is not laid out like that.
    InputError
        when a file cannot be read; the message names it, and the line.
    OptionError
        when an option is invalid, or intrinsics or the unit of depth are neither given nor known.
    """
    root = Path(root)
    check_options(depth_unit_m, max_time_difference_s, depth_is)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{root}: {what}; give the folder of one sequence")
    name = root.absolute().name if name is None else name
    try:
        if layout == "tum":
            camera = DepthCamera(*tum.camera_of(root, intrinsics, depth_unit_m), depth_is=depth_is)
            files = tum.read(root, name, camera, max_time_difference_s, convention.quaternion)
        else:
            files = named_files.read(
                root,
                name,
                scannet=layout == "scannet",
                intrinsics=intrinsics,
                unit_m=depth_unit_m,
                depth_is=depth_is,
                quaternion=convention.quaternion,
            )
    except PermissionError as error:
        raise unreadable(Path(error.filename or root), error) from None
    poses = convention.camera_to_world(files.poses)
    frames = rgbd_frames.frames_from_files(files.frames, poses, files.camera, files.intrinsics)
    return RgbdSequence(
        query=frames,
        database=frames,
        files=(*files.lists, *rgbd_frames.existing_files(files.frames)),
        params={"layout": layout, **files.camera.params(), **convention.parameters()},
        notes=(
            *files.notes,
            *rgbd_frames.turned_image_notes(files.frames),
        ),
        sources=(str(root), str(root)),
        hint=_HINTS[layout],
        doubts=rgbd_frames.principal_point_doubts(files.frames, frames.intrinsics),
        remedies=REMEDIES,
        camera=files.camera,
    )


def check_options(
    depth_unit_m: float | None,
    max_time_difference_s: float = MAX_TIME_DIFFERENCE_S,
    depth_is: str = "z",
) -> None:
    """Raise an OptionError for an invalid option."""
    if depth_unit_m is not None and not 0.0 < depth_unit_m < math.inf:
        raise OptionError(f"--depth-unit {depth_unit_m:g}: a depth unit has to be a positive number of metres")
    if not 0.0 <= max_time_difference_s < math.inf:
        raise OptionError(
            f"--max-time-difference {max_time_difference_s:g}: a time difference has to be at least 0 seconds"
        )
    if depth_is not in DEPTH_IS:
        raise OptionError(f"--depth-is {depth_is}: has to be one of {', '.join(DEPTH_IS)}")


@dataclass(frozen=True)
class RgbdReader:
    """One sequence with itself, as the collection `name`; `root` is its folder."""

    root: Path
    layout: Layout
    name: str
    intrinsics: Intrinsics | None = None
    """fx, fy, cx, cy, unless they are read from a file"""
    depth_unit_m: float | None = None
    """metres of one step of a stored depth, unless the data gives it"""
    max_time_difference_s: float = MAX_TIME_DIFFERENCE_S
    convention: PoseConvention = AS_FRAMES
    depth_is: DepthIs = "z"
    command = "relabel rgbd"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, the layout, and what options or the folder's name say about the sequence."""
        values: dict[str, Any] = {"collection": self.name, "layout": self.layout}
        if self.intrinsics is not None:
            values["intrinsics"] = list(self.intrinsics)
        if self.depth_unit_m is not None:
            values["depth_unit_m"] = float(self.depth_unit_m)
        if self.layout == "tum":
            values["max_time_difference_s"] = float(self.max_time_difference_s)
        values |= self.convention.parameters()
        if self.depth_is != "z":
            values["depth_is"] = self.depth_is
        return values

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> RgbdReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        intrinsics = parameters.pop("intrinsics", None)
        return cls(
            root,
            parameters.pop("layout"),
            parameters.pop("collection"),
            None if intrinsics is None else tuple(intrinsics),
            parameters.pop("depth_unit_m", None),
            parameters.pop("max_time_difference_s", MAX_TIME_DIFFERENCE_S),
            PoseConvention.from_parameters(parameters),
            parameters.pop("depth_is", "z"),
        )

    def read(self) -> RgbdSequence:
        """The frames of the sequence; raises what `read_sequence` does."""
        sequence = read_sequence(
            self.root,
            self.layout,
            name=self.name,
            intrinsics=self.intrinsics,
            depth_unit_m=self.depth_unit_m,
            max_time_difference_s=self.max_time_difference_s,
            convention=self.convention,
            depth_is=self.depth_is,
        )
        return replace(sequence, notes=(*self._camera_notes(), *sequence.notes))

    def _camera_notes(self) -> list[str]:
        """What the user should know about the camera."""
        notes = self.convention.notes()
        if self.layout == "tum":
            notes.append("depth maps are registered to the colour camera, whose poses and intrinsics are used")
            if self.intrinsics in (tum.FREIBURG["freiburg1"], tum.FREIBURG["freiburg2"]):
                notes.append("lens distortion is ignored")
        if self.depth_is == "ray":
            notes.append("depths are read as distances along pixel rays, also for --depth-min and --depth-max")
        return notes


def reader(
    root: Path,
    layout: Layout,
    *,
    name: str | None = None,
    intrinsics: Intrinsics | None = None,
    depth_unit_m: float | None = None,
    max_time_difference_s: float | None = None,
    axes: str | None = None,
    convention: Convention | None = None,
    direction: Direction = "camera-to-world",
    quaternion: Quaternion = "xyzw",
    depth_is: DepthIs = "z",
) -> RgbdReader:
    """The reader of a folder; the collection is named after it unless `name` is given.

    With the layout ``tum``, intrinsics and unit of depth follow from the name of the folder unless they are given.
    `convention` is a name for two `axes`, as ``ahead=-z,down=-y`` of ``opengl``; `direction` and `quaternion` are those
    of the poses. The rest is as for `read_sequence`.

    Raises
    ------
    OptionError
        when an option is invalid, or does not apply to the layout.
    """
    if max_time_difference_s is None:
        max_time_difference_s = MAX_TIME_DIFFERENCE_S
    elif layout != "tum":
        raise OptionError(f"--max-time-difference is for --layout tum; {layout} matches by name")
    check_options(depth_unit_m, max_time_difference_s, depth_is)
    if convention is not None and axes is not None:
        raise OptionError(f"--convention {convention} and --axes {axes} both define the axes; give only one")
    if convention is not None and convention not in CONVENTIONS:
        raise OptionError(f"--convention {convention}: has to be one of {', '.join(CONVENTIONS)}")
    pose_axes = _AXES[convention or "opencv"] if axes is None else parse_axes(axes)
    if pose_axes.up is not None or pose_axes.down is None:
        raise OptionError(f"--axes {axes}: has to state which axes of a pose are ahead and down, as in ahead=z,down=y")
    poses = PoseConvention(pose_axes, direction, quaternion)
    if layout == "tum":
        intrinsics, depth_unit_m = tum.camera_of(root, intrinsics, depth_unit_m)
    name = name or root.absolute().name or "rgbd"
    return RgbdReader(root, layout, name, intrinsics, depth_unit_m, max_time_difference_s, poses, depth_is)


def read(
    root: Path | str,
    layout: Layout,
    *,
    name: str | None = None,
    intrinsics: Intrinsics | None = None,
    depth_unit_m: float | None = None,
    max_time_difference_s: float | None = None,
    axes: str | None = None,
    convention: Convention | None = None,
    direction: Direction = "camera-to-world",
    quaternion: Quaternion = "xyzw",
    depth_is: DepthIs = "z",
) -> RgbdSequence:
    """The frames of one folder with themselves, as ``relabel rgbd`` reads them; `relabel.audit.check` audits them.

    Parameters
    ----------
    root:
        the folder of the sequence.
    layout:
        ``tum``, ``scannet`` or ``folder``.
    name:
        the name of the sequence; None for that of its folder.
    intrinsics:
        fx, fy, cx, cy of the depth maps, pixels. None takes them from the data: with ``tum`` by the name of the folder.
    depth_unit_m:
        metres of one step of a stored depth. None takes it from the data, otherwise 1/1000.
    max_time_difference_s:
        with ``tum``, the largest time difference of a depth map and its pose, seconds; None for 0.02.
    axes, convention:
        the axes of a camera in its pose: ``ahead=-z,down=-y``, or ``opencv`` or ``opengl``; one of the two.
    direction:
        ``camera-to-world`` or ``world-to-camera``.
    quaternion:
        ``xyzw`` or ``wxyz``.
    depth_is:
        ``z`` or ``ray``, see `relabel.frames.Frames`.

    Raises
    ------
    DatasetNotFoundError, MissingFileError
        when the folder is not laid out like that.
    InputError
        when a file cannot be read; the message names it, and the line.
    OptionError
        when an option is invalid or does not apply to the layout, or intrinsics or the unit of depth are not known.
    """
    return reader(
        Path(root),
        layout,
        name=name,
        intrinsics=intrinsics,
        depth_unit_m=depth_unit_m,
        max_time_difference_s=max_time_difference_s,
        axes=axes,
        convention=convention,
        direction=direction,
        quaternion=quaternion,
        depth_is=depth_is,
    ).read()
