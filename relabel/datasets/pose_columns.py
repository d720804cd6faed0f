"""The columns of a pose file, by the names in its header: EuRoC, TUM-VI, ROS and others.

#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z []
# timestamp tx ty tz qx qy qz qw
%time,field.pose.position.x, … ,field.pose.orientation.w
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from relabel.errors import InputError

COLUMNS = ("t", "tx", "ty", "tz", "qx", "qy", "qz", "qw")
"""The columns of a pose, in the order of TUM."""

_TIME = frozenset(["t", "ts", "time", "timestamp", "timestamps", "stamp"])
_POSITION = frozenset(["p", "pos", "position", "t", "trans", "translation", "loc", "location"])
_QUATERNION = frozenset(["q", "quat", "quaternion", "quaternions", "orientation", "ori", "rot", "rotation"])
_INTRODUCTION = re.compile(r"^[^,;]*:\s+")
_UNIT = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_FUSED = re.compile(r"(t|p|pos|position|trans|translation|q|quat|quaternion|orientation|rotation)([wxyz])")
"""A column and its axis in one word, as in ``tx`` and ``qw``."""


def cells(text: str) -> list[str]:
    """The cells of a line: between commas or semicolons if it has any, otherwise between blanks."""
    separator = next((mark for mark in ",;" if mark in text), None)
    return [cell.strip() for cell in text.split(separator)]


def names(text: str) -> list[str]:
    """The names of the columns in a header, without comment marks, text before a colon, and units."""
    return cells(_UNIT.sub(" ", _INTRODUCTION.sub("", text.strip().lstrip("#%"))))


def header(path: Path, line: int, text: str) -> dict[str, int] | None:
    """The position of each of `COLUMNS`, from a line that may be a header; None if it is not.

    Parameters
    ----------
    path, line:
        for messages.
    text:
        the line, perhaps a comment.

    Raises
    ------
    InputError
        when the line begins like a header, but does not name each of the columns once.
    """
    known = names(text)
    if "device_id" in known:
        raise InputError(
            f"{path}: line {line}: is a kapture trajectory, judging by its column device_id, whose poses are "
            "world-to-camera and of several cameras; write camera-to-world poses of one camera"
        )
    named = [_column(name) for name in known]
    quaternion = {column for column in named if column and column[0] == "q"}
    # A sentence may begin with a word for time, too, but does not continue with the three axes of a position.
    if len(quaternion) < 4 and not (
        named[:1] == ["t"] and len(known) >= len(COLUMNS) and {"tx", "ty", "tz"} <= {*named}
    ):
        return None
    for column in COLUMNS:
        if named.count(column) != 1:
            what = "a time stamp" if column == "t" else column
            problem = "names no column of" if column not in named else f"names {named.count(column)} columns of"
            raise InputError(
                f"{path}: line {line}: the header {problem} {what}: {', '.join(known)}. Name the columns of a pose "
                f"{', '.join(COLUMNS)}, in their order"
            )
    return {column: named.index(column) for column in COLUMNS}


def _column(name: str) -> str | None:
    """Which of `COLUMNS` a name stands for; None if it is another."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.strip("'\" ").lower()) if word]
    if not words:
        return None
    fused = _FUSED.fullmatch(words[-1])
    kinds, axis = ([*words[:-1], fused[1]], fused[2]) if fused else (words[:-1], words[-1])
    if axis in ("w", "x", "y", "z"):
        if _QUATERNION.intersection(kinds):
            return "q" + axis
        if axis != "w" and (not kinds or _POSITION.intersection(kinds)):
            return "t" + axis
        return None
    return "t" if words[0] in _TIME else None


def unnamed(path: Path, line: int, found: Sequence[str]) -> InputError:
    """The error for a line of numbers separated by commas, without a line above that names the columns."""
    return InputError(
        f"{path}: line {line}: {len(found)} comma-separated values, but no line above names the columns. TUM has the "
        "quaternion as x y z w, EuRoC as w x y z, and the numbers alone do not show which: add a first line such as "
        f"#{','.join(COLUMNS)} with the names in the order of the file, or write a TUM file, with values separated by "
        "spaces"
    )
