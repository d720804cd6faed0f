"""The JSON index of the GCL code base: names of images in row order, and where they were taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, key_array
from relabel.errors import InputError, MissingFileError
from relabel.exchange.registry import KeyRule
from relabel.fixed_width import text_array
from relabel.input_files import check_regular


def index_of(
    cameras: Cameras, paths: npt.NDArray[np.str_], rule: KeyRule = "stem", *, poses: bool = False
) -> dict[str, Any]:
    """The index of cameras with the given image paths.

    If `rule` does not recover the keys from the paths, they are in ``keys``, which GCL ignores.

    ``im_prefix`` stays empty: the loader ignores it, and paths of this machine are nobody's business. ``loc`` is
    [east, north, compass angle] in metres and degrees; with `poses` there is ``poses`` instead: [x, y, z,
    qw, qx, qy, qz] camera-to-world, as in the index of 7Scenes, if the cameras have poses. Missing values are null.
    """
    index: dict[str, Any] = {"im_prefix": "", "im_paths": paths.tolist()}
    if _keys_of(index["im_paths"], rule) != cameras.key.tolist():
        index["keys"] = cameras.key.tolist()
    if not poses:
        index["loc"] = _json_rows(np.column_stack([cameras.position[:, :2], cameras.heading_deg]))
    elif cameras.pose is not None:
        from scipy.spatial.transform import Rotation  # noqa: PLC0415  slow to load, and rarely needed

        rows = np.full((len(cameras), 7), np.nan)
        posed = np.isfinite(cameras.pose).all(axis=(1, 2))
        quaternion = Rotation.from_matrix(cameras.pose[posed, :3, :3]).as_quat(canonical=True)
        rows[posed] = np.column_stack([cameras.pose[posed, :3, 3], np.roll(quaternion, 1, axis=1)])
        index["poses"] = _json_rows(rows)
    return index


def read_index(path: Path, default: KeyRule, given: KeyRule | None = None) -> Cameras:
    """The cameras of an index, all with status OK.

    Keys are the list ``keys`` that `index_of` may have added, otherwise the file's stem or its whole path, as
    `default` says; `given` takes precedence over both. The paths are kept in the column ``path``.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it is not such an index, two keys are equal, or ``keys``, ``loc`` or ``poses`` have another number of rows.
    """
    check_regular(path)
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from None
    paths = index.get("im_paths") if isinstance(index, dict) else None
    if not isinstance(paths, list) or not all(isinstance(entry, str) and entry for entry in paths):
        raise InputError(f"{path}: has no list of names 'im_paths', so it is not an index of images")
    n = len(paths)
    loc, poses = _numbers(path, index, "loc", n, 3), _numbers(path, index, "poses", n, 7)
    position, heading, pose = np.full((n, 2), np.nan), np.full(n, np.nan), None
    if loc is not None:
        position, heading = loc[:, :2], loc[:, 2]
    elif poses is not None:
        position, pose = poses[:, :3], _pose(poses)
    listed = index.get("keys")
    if given is not None or listed is None:
        key = _keys_of(paths, given or default)
    elif isinstance(listed, list) and len(listed) == n and all(isinstance(entry, str) and entry for entry in listed):
        key = listed
    else:
        raise InputError(f"{path}: 'keys' is not a list of {n} names, one for each of 'im_paths'; correct or remove it")
    try:
        return Cameras(
            key_array(key),
            position,
            heading_deg=heading,
            pose=pose,
            posed=False,
            extra={"path": text_array(paths)},
        )
    except InputError as error:
        hint = "; key_from='path' uses whole paths as keys" if key is not listed and key != paths else ""
        raise InputError(f"{path}: im_paths: {error}{hint}") from None


def _keys_of(paths: list[str], rule: KeyRule) -> list[str]:
    return paths if rule == "path" else [entry.rsplit("/", 1)[-1].rsplit(".", 1)[0] for entry in paths]


def _numbers(path: Path, index: dict[str, Any], name: str, rows: int, width: int) -> npt.NDArray[np.float64] | None:
    if name not in index:
        return None
    try:
        array = np.array(index[name], dtype=np.float64).reshape(-1, width)
    except (TypeError, ValueError):
        raise InputError(f"{path}: '{name}' is not a list of {width} numbers per image") from None
    if len(array) != rows:
        raise InputError(f"{path}: '{name}' has {len(array)} rows, but 'im_paths' has {rows}")
    return array


def _pose(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, 4, 4) from [x, y, z, qw, qx, qy, qz]; NaN where a row is not finite or its quaternion has no length."""
    from scipy.spatial.transform import Rotation  # noqa: PLC0415

    pose = np.full((len(rows), 4, 4), np.nan)
    valid = np.isfinite(rows).all(axis=1) & (np.abs(rows[:, 3:]).sum(axis=1) > 0.0)
    pose[valid] = np.eye(4)
    pose[valid, :3, :3] = Rotation.from_quat(np.roll(rows[valid, 3:], -1, axis=1)).as_matrix()
    pose[valid, :3, 3] = rows[valid, :3]
    return pose


def _json_rows(array: npt.NDArray[np.float64]) -> list[list[float | None]]:
    """Rows of numbers; JSON has no NaN."""
    return [[None if value != value else value for value in row] for row in array.tolist()]  # noqa: PLR0124  NaN
