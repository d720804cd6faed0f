"""The convention of stored poses: their axes, their direction, and the order of their quaternions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relabel.cameras import FloatArray
from relabel.datasets.conventions import AXES, Direction, Quaternion
from relabel.datasets.trajectory import Axes, axis
from relabel.datasets.trajectory_formats import inverse_poses
from relabel.errors import OptionError

ROLES = ("ahead", "down", "up")


@dataclass(frozen=True)
class PoseAxes:
    """The axes of a pose that point ahead and down in its image, and the axis of the world that is up, if given."""

    ahead: str
    down: str | None = None
    up: str | None = None

    def __str__(self) -> str:
        axes = {role: getattr(self, role) for role in ROLES}
        return ",".join(f"{role}={name}" for role, name in axes.items() if name is not None)

    @property
    def camera(self) -> tuple[str, str, str] | None:
        """Right, down and ahead of the camera as axes of a pose; None if down is not given."""
        if self.down is None:
            return None
        right = np.cross(axis(self.down), axis(self.ahead))
        return next(name for name in AXES if (axis(name) == right).all()), self.down, self.ahead

    @property
    def ground(self) -> Axes:
        """The axes for position and heading on the ground; raises OptionError without ``up``."""
        if self.up is None:
            raise OptionError(f"--axes {self}: does not state which axis of the world is up; add up=z, or another")
        return Axes(self.up, self.ahead)


def parse_axes(text: str) -> PoseAxes:
    """The axes of ``--axes ahead=z,down=y,up=-y``; down and up may be left out.

    Raises
    ------
    OptionError
        when a role or an axis is not known, ahead is missing, or ahead and down are along one axis.
    """
    axes: dict[str, str] = {}
    for part in text.split(","):
        role, _, name = (piece.strip() for piece in part.partition("="))
        if role not in ROLES or name not in AXES or role in axes:
            raise OptionError(
                f"--axes {text}: {part.strip()!r} is not ROLE=AXIS; a role is one of {', '.join(ROLES)}, each once, an "
                f"axis one of {', '.join(AXES)}"
            )
        axes[role] = name
    if "ahead" not in axes:
        raise OptionError(f"--axes {text}: does not state the viewing axis of a pose; add ahead=z, or another")
    if axes.get("down", "")[-1:] == axes["ahead"][-1]:
        raise OptionError(
            f"--axes {text}: ahead and down are the same axis; down points to the lower edge of the image"
        )
    return PoseAxes(**axes)


OPENCV = PoseAxes("z", "y")
"""x right, y down, z ahead."""
OPENGL = PoseAxes("-z", "-y")
"""x right, y up, z back."""


@dataclass(frozen=True)
class PoseConvention:
    """How the poses of frames are stored; by default as `relabel.frames.Frames` has them."""

    axes: PoseAxes = OPENCV
    direction: Direction = "camera-to-world"
    quaternion: Quaternion = "xyzw"
    """for quaternions whose order is not stated otherwise"""

    def parameters(self) -> dict[str, Any]:
        """The settings that differ from the defaults, as JSON values."""
        values = {"axes": str(self.axes), "poses": self.direction, "quaternion": self.quaternion}
        usual = {"axes": str(OPENCV), "poses": "camera-to-world", "quaternion": "xyzw"}
        return {name: value for name, value in values.items() if value != usual[name]}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> PoseConvention:
        """The convention of these parameters, which are taken out of the dictionary; OptionError for unknown axes."""
        axes = parameters.pop("axes", None)
        return cls(
            OPENCV if axes is None else parse_axes(axes),
            parameters.pop("poses", "camera-to-world"),
            parameters.pop("quaternion", "xyzw"),
        )

    def notes(self) -> list[str]:
        """What the user should know, as one sentence."""
        parts = [f"{name} {value}" for name, value in self.parameters().items()]
        return [f"poses are read with {', '.join(parts)}"] if parts else []

    def camera_to_world(self, poses: FloatArray) -> FloatArray:
        """(n, 4, 4) stored poses as those of a camera that looks along z, with x right and y down; NaN stays NaN.

        Raises
        ------
        OptionError
            when the axes do not say which one points down.
        """
        if self.axes.camera is None:
            raise OptionError(
                f"--axes {self.axes}: does not state which axis of a pose points down; add down=y, or another"
            )
        turned = poses.copy() if self.direction == "camera-to-world" else inverse_poses(poses)
        turned[:, :3, :3] = turned[:, :3, :3] @ np.column_stack([axis(name) for name in self.axes.camera])
        return turned
