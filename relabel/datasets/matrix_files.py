"""Small text files with one matrix each: poses, and intrinsics of a camera."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from relabel.cameras import FloatArray
from relabel.datasets.base import unreadable
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.input_files import check_regular

Intrinsics = tuple[float, float, float, float]
"""fx, fy, cx, cy in pixels, with the centre of the first pixel at (0, 0)."""

_LAST_ROW = np.array([0.0, 0.0, 0.0, 1.0])
_ALMOST = 1e-3
_LEAST_FOCAL_PX = 10.0
# How Microsoft's C library prints numbers that are not finite.
_NO_NUMBER = re.compile(r"[+-]?(1\.#(INF|IND|QNAN|SNAN)0*|nan\(\w+\))", re.IGNORECASE)

_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*")  # but 1.#INF is not NaN


def read_poses(paths: Sequence[Path | None], *, counts: tuple[int, ...] = (16,)) -> FloatArray:
    """Matrices from text files, one per file, its numbers separated by spaces, tabs, commas and line ends.

    Parameters
    ----------
    paths:
        of n files; None if there is none.
    counts:
        the numbers of values that a file may hold: 16 for 4x4, 12 for the upper three rows.

    Returns
    -------
    (n, 4, 4) float64; all NaN where there is no file, one of its numbers is not finite, or its rotation is all zeros.

    Raises
    ------
    InputError
        when a file cannot be read, holds anything but numbers (the message names the line) or another number of them,
        or its last row is not 0 0 0 1.
    """
    poses = np.full((len(paths), 4, 4), np.nan)
    for row, path in enumerate(paths):
        if path is None:
            continue
        values = read_numbers(path)
        if len(values) not in counts:
            shape = " or ".join({16: "16, a 4x4 matrix", 12: "12, a 3x4 matrix"}[count] for count in counts)
            raise InputError(f"{path}: holds {len(values)} numbers; a pose has {shape} from the camera to the world")
        if not all(map(math.isfinite, values)) or not np.reshape(values, (-1, 4))[:3, :3].any():
            continue
        poses[row, 3] = _LAST_ROW
        poses[row, : len(values) // 4] = np.reshape(values, (-1, 4))
        check_last_row(poses[row], str(path))
    return poses


def check_last_row(pose: FloatArray, where: str) -> None:
    """Raise an InputError that begins with `where` unless the last row of a matrix (4, 4) is 0 0 0 1."""
    if not np.abs(pose[3] - _LAST_ROW).max() <= _ALMOST:
        shown = " ".join(f"{value:g}" for value in pose[3])
        raise InputError(
            f"{where}: the last row of the pose is {shown}, not 0 0 0 1; the translation belongs in the last column"
        )


def read_intrinsics(path: Path) -> Intrinsics:
    """fx, fy, cx, cy of a text file with these four numbers, or with a 3x3 or 4x4 matrix.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it cannot be read or does not hold the intrinsics of a camera without skew.
    """
    if not path.exists():
        raise MissingFileError(f"{path}: does not exist; it holds the intrinsics (or give --intrinsics fx,fy,cx,cy)")
    return intrinsics_of(read_numbers(path), str(path))


def intrinsics_of(values: Sequence[float], where: str) -> Intrinsics:
    """fx, fy, cx, cy of these four numbers, or of a 3x3 or 4x4 matrix, row by row; InputErrors begin with `where`."""
    if len(values) == 4:
        return checked_intrinsics(values, where)
    if len(values) not in (9, 16):
        raise InputError(
            f"{where}: holds {len(values)} numbers; intrinsics are 4 (fx fy cx cy), or a 3x3 or 4x4 matrix"
        )
    matrix = np.reshape(values, (3, 3) if len(values) == 9 else (4, 4))
    expected = np.eye(len(matrix))
    expected[0, 0], expected[1, 1], expected[:2, 2] = matrix[0, 0], matrix[1, 1], matrix[:2, 2]
    if not np.allclose(matrix, expected, rtol=0.0, atol=1e-6, equal_nan=True):
        raise InputError(f"{where}: is not a matrix of intrinsics without skew: fx 0 cx / 0 fy cy / 0 0 1")
    return checked_intrinsics([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]], where)


def parse_intrinsics(text: str) -> Intrinsics:
    """The intrinsics of ``--intrinsics fx,fy,cx,cy``.

    Raises
    ------
    OptionError
        when these are not four finite numbers, the focal lengths positive.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4:
        raise OptionError(f"--intrinsics {text}: is not four numbers; expected fx,fy,cx,cy, in pixels")
    try:
        return checked_intrinsics(values, f"--intrinsics {text}")
    except InputError as error:
        raise OptionError(str(error)) from None


def checked_intrinsics(values: Sequence[float], where: str) -> Intrinsics:
    """fx, fy, cx, cy as floats; an InputError that begins with `where` unless they are finite, focal lengths > 0."""
    fx, fy, cx, cy = (float(value) for value in values)
    if not (all(map(math.isfinite, (fx, fy, cx, cy))) and min(fx, fy) > 0.0):
        raise InputError(
            f"{where}: fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} are impossible; all have to be finite, in pixels, "
            "and focal lengths positive"
        )
    if max(fx, fy) < _LEAST_FOCAL_PX and 0.0 <= cx <= 1.0 and 0.0 <= cy <= 1.0:
        raise InputError(
            f"{where}: fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} are fractions of the image width and height; "
            "multiply them by these, in pixels"
        )
    return fx, fy, cx, cy


def read_numbers(path: Path) -> list[float]:
    """All numbers of a text file without comments; an InputError names the line of anything else."""
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text; is it another file with this name?") from None
    except OSError as error:
        raise unreadable(path, error) from None
    text = _COMMENT.sub("", text) if "#" in text else text
    if not text.strip():
        raise InputError(f"{path}: is empty; copy or unpack it again, or remove it")
    try:
        if "_" in text:  # float("1_0") is 10
            _refuse(path, text)
        return [float(value) for value in text.replace(",", " ").split()]
    except ValueError:
        if "#" in text or "(" in text:
            return [_number(path, value, line) for line, value in _words(text)]
        _refuse(path, text)


def _words(text: str) -> list[tuple[int, str]]:
    return [(n, value) for n, line in enumerate(text.splitlines(), 1) for value in line.replace(",", " ").split()]


def _number(path: Path, value: str, line: int) -> float:
    if _NO_NUMBER.fullmatch(value):
        return math.nan
    try:
        if "_" not in value:
            return float(value)
    except ValueError:
        pass
    raise InputError(f"{path}: line {line}: {value[:40]!r} is not a number")


def _refuse(path: Path, text: str) -> NoReturn:
    """Raise the InputError for the first word that is not a number."""
    for line, value in _words(text):
        _number(path, value, line)
    raise InputError(f"{path}: holds a value that is not a number")
