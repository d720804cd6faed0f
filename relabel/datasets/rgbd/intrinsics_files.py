"""The sources of the intrinsics of depth maps: a matrix, the metadata of a scanner, or a file for each frame.

    intrinsic/intrinsic_depth.txt, intrinsics.txt and the like      fx fy cx cy, or a 3x3 or 4x4 matrix
    _info.txt, info.txt         m_calibrationDepthIntrinsic = …     exported .sens files, 12Scenes, BundleFusion, 3RScan
    intrinsic.json, camera_primesense.json                          Open3D: intrinsic_matrix, column by column
    cam_params.json             fx, fy, cx, cy, scale               Replica as NICE-SLAM rendered it, also one folder up
    scene0000_00.txt            fx_depth = … mx_depth = …           ScanNet
    calibration/NAME.calibration.txt                                ACE, DSAC*: a focal length or matrix per frame

Of several files, the first in this order is used, and a note names it unless it is of the first kind.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from relabel.cameras import FloatArray
from relabel.datasets.base import unreadable
from relabel.datasets.image_headers import read_header
from relabel.datasets.listing import children
from relabel.datasets.matrix_files import Intrinsics, checked_intrinsics, intrinsics_of, read_intrinsics, read_numbers
from relabel.datasets.rgbd_frames import DepthCamera
from relabel.datasets.trajectory_formats import is_number, text_lines
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.frames import DepthIs

_MOST = 1e300  # JSON may hold whole numbers too large for float
UNIT_M = 0.001
"""One step of a stored depth, unless an option or the sequence says otherwise."""

_MATRICES = (
    Path("intrinsic", "intrinsic_depth.txt"),
    Path("intrinsics.txt"),
    Path("intrinsics_depth.txt"),
    Path("intrinsic_depth.txt"),
    Path("intrinsic.txt"),
    Path("camera-intrinsics.txt"),
    Path("camera_intrinsics.txt"),
)
_INFO = ("_info.txt", "info.txt")
_REPLICA = "cam_params.json"
_JSON = ("intrinsic.json", "intrinsics.json", "camera_intrinsic.json", "camera_primesense.json", _REPLICA)
_SCENE = re.compile(r"scene\d{4}_\d{2}\.txt")
_OF_SCENE = ("fx_depth", "fy_depth", "mx_depth", "my_depth")


class Calibrations(NamedTuple):
    """The calibrations of frames, and one depth map and one image, for their sizes."""

    files: Mapping[str, Path]
    """by the name of the frame"""
    depth: Path | None
    image: Path | None


class DescribedCamera(NamedTuple):
    """The camera of a sequence as options and files describe it."""

    camera: DepthCamera
    of_frames: FloatArray | None = None
    """(n, 4) fx, fy, cx, cy, pixels, where frames differ"""
    files: tuple[Path, ...] = ()
    """files that were read"""
    notes: tuple[str, ...] = ()


class _Description(NamedTuple):
    """The content of one file; None for values that it does not hold."""

    values: Intrinsics | None = None
    size: tuple[int, int] | None = None
    unit_m: float | None = None
    moved: bool = False
    """whether the poses are not those of the depth camera"""


def describe(
    folders: Sequence[Path],
    calibrations: Calibrations,
    names: Sequence[str],
    *,
    intrinsics: Intrinsics | None = None,
    unit_m: float | None = None,
    depth_is: DepthIs = "z",
) -> DescribedCamera | None:
    """The camera of a sequence: as given by options, otherwise by the first of the sources above.

    Parameters
    ----------
    folders:
        folders that the files may be in, the most likely first.
    calibrations:
        of single frames.
    names:
        n names of frames.
    intrinsics, unit_m:
        None if no option gives them.
    depth_is:
        what a stored depth is, see `relabel.frames.Frames`.

    Returns
    -------
    DescribedCamera or None
        None if neither an option nor a file gives the intrinsics.

    Raises
    ------
    InputError
        when the content of a file is invalid; the message names the file, and the line.
    OptionError
        when calibrations are of images of another size than the depth maps have.
    """
    info = _first(folder / name for folder in folders for name in _INFO)
    scanner = _Description() if info is None else _info(info)
    files: tuple[Path, ...] = () if info is None else (info,)
    above = (folder.parent / _REPLICA for folder in folders)
    written = _first(folder / name for folder in folders for name in _JSON) or _first(above)
    entries = {} if written is None else _json_entries(written)
    notes: tuple[str, ...] = ()
    stated_m, source = (scanner.unit_m, info) if scanner.unit_m is not None else (_json_unit(entries), written)
    if unit_m is None and stated_m is not None and source is not None:
        unit_m, files = stated_m, tuple(dict.fromkeys((*files, source)))
        if unit_m != UNIT_M:
            notes = (f"one step of a stored depth is {unit_m:g} m, as {source.name} says",)
    if scanner.moved and info is not None:
        notes += (
            f"{info.name}: its m_calibrationDepthExtrinsic is ignored; poses are assumed to be the depth camera's",
        )
    step_m = unit_m or UNIT_M

    def camera(values: Intrinsics, size: tuple[int, int] | None = None) -> DepthCamera:
        return DepthCamera(values, step_m, size, depth_is)

    if intrinsics is not None:
        return DescribedCamera(camera(intrinsics), None, files, notes)
    matrix = _first(folder / name for folder in folders for name in _MATRICES)
    if matrix is not None:
        values = read_intrinsics(matrix)
        if scanner.values not in (None, values):
            notes = (*notes, f"the intrinsics are those of {matrix.name}; those in {files[0].name} differ")
        return DescribedCamera(camera(values), None, (matrix, *files), notes)
    if scanner.values is not None:
        notes = (*notes, f"the intrinsics are those of {files[0].name}")
        return DescribedCamera(camera(scanner.values, scanner.size), None, files, notes)
    if written is not None:
        notes = (*notes, f"the intrinsics are those of {written.name}")
        return DescribedCamera(camera(*_json(written, entries)), None, tuple(dict.fromkeys((written, *files))), notes)
    for path in (path for folder in folders for path in children(folder) if _SCENE.fullmatch(path.name)):
        scene = _scene(path)
        if scene.values is not None:
            notes = (*notes, f"the intrinsics are those of {path.name}")
            return DescribedCamera(camera(scene.values, scene.size), None, (path, *files), notes)
    if not calibrations.files:
        return None
    table = _of_each_frame(calibrations, names)
    fx, fy, cx, cy = table[0].tolist()
    folder = next(iter(calibrations.files.values())).parent
    notes = (*notes, f"the intrinsics are those of {folder.name}/, assumed to be those of the depth maps")
    differ = bool((table != table[0]).any())
    if differ:
        notes = (*notes, "the frames differ in their intrinsics; the record holds those of the first")
    read = (*(calibrations.files[name] for name in names), *files)
    return DescribedCamera(camera((fx, fy, cx, cy)), table if differ else None, read, notes)


def missing(root: Path, *, scannet: bool) -> MissingFileError:
    """The error for a sequence without intrinsics."""
    usual = root / (_MATRICES[0] if scannet else _MATRICES[1])
    return MissingFileError(
        f"{usual}: does not exist, nor does info.txt, _info.txt, the scene0000_00.txt of ScanNet, the "
        "intrinsic.json of Open3D or a folder calibration; one of them has to hold the intrinsics (or give "
        "--intrinsics fx,fy,cx,cy)"
    )


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _entries(path: Path) -> dict[str, tuple[int, str]]:
    """The entries ``name = value`` of a file, with their lines."""
    entries: dict[str, tuple[int, str]] = {}
    for line, text in text_lines(path):
        name, _, value = text.partition("=")
        entries.setdefault(name.strip(), (line, value.strip()))
    return entries


def _numbers(path: Path, entries: Mapping[str, tuple[int, str]], name: str) -> list[float]:
    """The numbers of an entry; none if it is missing."""
    line, value = entries.get(name, (0, ""))
    wrong = next((word for word in value.split() if not is_number(word)), None)
    if wrong is not None:
        raise InputError(f"{path}: line {line}: {wrong[:40]!r} is not a number")
    return [float(word) for word in value.split()]


def _size(path: Path, entries: Mapping[str, tuple[int, str]], width: str, height: str) -> tuple[int, int] | None:
    numbers = [*_numbers(path, entries, width), *_numbers(path, entries, height)]
    if len(numbers) != 2 or not all(number > 0 and number.is_integer() for number in numbers):
        return None
    return int(numbers[0]), int(numbers[1])


def _info(path: Path) -> _Description:
    """The metadata of a scanner: intrinsics, size, and ``m_depthShift``, the steps per metre."""
    entries = _entries(path)
    matrix = _numbers(path, entries, "m_calibrationDepthIntrinsic")
    if not matrix:
        return _Description()
    values = intrinsics_of(matrix, f"{path}: line {entries['m_calibrationDepthIntrinsic'][0]}")
    shift = _numbers(path, entries, "m_depthShift")
    unit_m = 1.0 / shift[0] if len(shift) == 1 and 0.0 < shift[0] < math.inf else None
    extrinsic = _numbers(path, entries, "m_calibrationDepthExtrinsic")
    moved = len(extrinsic) == 16 and not np.allclose(extrinsic, np.eye(4).ravel(), rtol=0.0, atol=1e-6)
    return _Description(values, _size(path, entries, "m_depthWidth", "m_depthHeight"), unit_m, moved)


def _scene(path: Path) -> _Description:
    """The metadata of a ScanNet scene."""
    entries = _entries(path)
    values = [number for name in _OF_SCENE for number in _numbers(path, entries, name)]
    if len(values) != len(_OF_SCENE):
        return _Description()
    return _Description(checked_intrinsics(values, str(path)), _size(path, entries, "depthWidth", "depthHeight"))


def _json_entries(path: Path) -> dict[str, Any]:
    """The description of a camera in a JSON file; empty if the file holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}); remove it, or give --intrinsics fx,fy,cx,cy") from None
    entries = content if isinstance(content, dict) else {}
    return entries["camera"] if isinstance(entries.get("camera"), dict) else entries


def _json(path: Path, entries: Mapping[str, Any]) -> tuple[Intrinsics, tuple[int, int] | None]:
    """Intrinsics, as Open3D writes them, a matrix column by column, or by the names fx, fy, cx, cy; and the size."""
    matrix = entries.get("intrinsic_matrix")
    named = [entries.get(name) for name in ("fx", "fy", "cx", "cy")]
    if isinstance(matrix, list) and len(matrix) == 9 and all(map(_is_json_number, matrix)):
        values = intrinsics_of(np.reshape(matrix, (3, 3)).T.ravel().tolist(), str(path))
    elif matrix is None and all(map(_is_json_number, named)):
        values = checked_intrinsics([float(number or 0.0) for number in named], str(path))
    else:
        raise InputError(
            f"{path}: has neither an intrinsic_matrix of 9 numbers, as Open3D writes it, nor numbers fx, fy, cx, cy; "
            "give --intrinsics fx,fy,cx,cy"
        )
    width, height = (entries.get(long, entries.get(short)) for long, short in (("width", "w"), ("height", "h")))
    if not all(isinstance(length, int) and length > 0 for length in (width, height)):
        return values, None
    assert width is not None
    assert height is not None
    return values, (width, height)


def _json_unit(entries: Mapping[str, Any]) -> float | None:
    """Metres of a step of depth: ``depth_scale`` or ``scale`` is steps per metre or, below 1, metres per step."""
    scale = entries.get("depth_scale", entries.get("scale"))
    if not _is_json_number(scale) or scale is None or not 0.0 < scale < math.inf:
        return None
    return 1.0 / scale if scale > 1.0 else float(scale)


def _is_json_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _of_each_frame(calibrations: Calibrations, names: Sequence[str]) -> FloatArray:
    """(n, 4) the calibrations of n frames; a focal length alone is completed by the centre of the depth map."""
    files = calibrations.files
    folder = next(iter(files.values())).parent
    lacking = [name for name in names if name not in files]
    if lacking:
        raise InputError(
            f"{folder}: {len(lacking):,} of {len(names):,} frames have no calibration ({lacking[0]}); add the missing "
            "ones, or --intrinsics fx,fy,cx,cy"
        )
    depth, image = (None if path is None else read_header(path) for path in (calibrations.depth, calibrations.image))
    if depth is not None and image is not None and depth.size != image.size:
        (width, height), turned = (
            image.size,
            "" if image.orientation == 1 else " as they are stored, before EXIF turns them",
        )
        raise OptionError(
            f"{folder}: holds calibrations of images of {width} × {height} pixels{turned}, but the depth maps have "
            f"{depth.size[0]} × {depth.size[1]}; give --intrinsics fx,fy,cx,cy of the depth maps"
        )
    table = np.empty((len(names), 4))
    for row, name in enumerate(names):
        numbers = read_numbers(files[name])
        if len(numbers) == 1:
            if depth is None:
                raise InputError(
                    f"{files[name]}: holds only a focal length, and the first depth map, which would give the image "
                    "centre, cannot be opened; give --intrinsics fx,fy,cx,cy"
                )
            numbers = [numbers[0], numbers[0], depth.size[0] / 2, depth.size[1] / 2]
        table[row] = intrinsics_of(numbers, str(files[name]))
    return table
