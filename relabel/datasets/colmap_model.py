"""The poses of a COLMAP model, text or binary, from its images alone or from the rigs and frames of version 4.

    images     IMAGE_ID, QW QX QY QZ TX TY TZ (world to camera), CAMERA_ID, NAME, and its points
    frames     FRAME_ID, RIG_ID, QW … TZ (world to rig), and which image each of its sensors took
    rigs       RIG_ID, its reference sensor, and its other sensors with QW … TZ (rig to sensor)

If there are rigs and frames, they define the poses, as in COLMAP itself. The binary form is little-endian without
padding (doc/format.rst and reconstruction_io_binary.cc of COLMAP).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from relabel.cameras import FloatArray
from relabel.datasets.base import unreadable
from relabel.datasets.listing import children
from relabel.datasets.trajectory_formats import (
    Track,
    check_unique,
    inverse_poses,
    is_number,
    quaternion_poses,
    text_lines,
)
from relabel.display import several
from relabel.errors import DatasetNotFoundError, InputError
from relabel.input_files import check_regular

Row = tuple[float, ...]
"""QW QX QY QZ TX TY TZ."""
Sensor = tuple[str, int]
"""Its type, such as CAMERA, and its number."""

_SUFFIXES = (".bin", ".txt")  # as COLMAP, which prefers the binary form
_BELOW = ("", "sparse", "sparse/0", "0")
_SENSORS = {0: "CAMERA", 1: "IMU"}
_POINT_BYTES = 24
_APART = 1e-4
"""Largest difference of entries of equal rotations, and of equal positions relative to the size of the model."""


class _Image(NamedTuple):
    number: int
    pose: Row
    name: str
    location: str


class _Frame(NamedTuple):
    rig: int
    pose: Row
    images: dict[int, Sensor]
    """the sensor that took each image"""
    location: str


@dataclass
class _Model:
    images: list[_Image] = field(default_factory=list)
    rigs: dict[int, dict[Sensor, Row | None]] = field(default_factory=dict)
    """the pose of each sensor in each rig, None if it is not known"""
    frames: list[_Frame] = field(default_factory=list)


def pose_files(path: Path) -> tuple[Path, ...]:
    """The files of a model that define poses: that of the images, then, if both exist, those of rigs and frames.

    Parameters
    ----------
    path:
        the folder of a model, or of a project with one model in ``sparse``; or its images.txt or images.bin.

    Raises
    ------
    DatasetNotFoundError, InputError
        when there is no model, or there are several, or the folder cannot be listed.
    """
    try:
        images = _images_in(path) if path.is_dir() else path
    except PermissionError as error:
        raise unreadable(Path(error.filename or path), error) from None
    others = tuple(images.with_name(f"{name}{images.suffix}") for name in ("rigs", "frames"))
    with_rigs = images.stem == "images" and all(other.is_file() for other in others)
    return (images, *others) if with_rigs else (images,)


def _images_in(folder: Path) -> Path:
    for below in _BELOW:
        for suffix in _SUFFIXES:
            path = folder / below / f"images{suffix}"
            several = path.parent.name == "0" and (path.parent.parent / "1").is_dir()
            if path.is_file() and not several:
                return path
    sparse = folder / "sparse" if (folder / "sparse").is_dir() else folder
    models = [child.name for child in children(sparse) if any((child / f"images{s}").is_file() for s in _SUFFIXES)]
    if models:
        raise DatasetNotFoundError(
            f"{sparse}: holds several COLMAP models ({', '.join(models)}), each in its own world frame; give one of "
            "them"
        )
    there = ", ".join([child.name for child in children(folder)][:5]) or "nothing"
    raise DatasetNotFoundError(f"{folder}: holds no COLMAP model (images.bin or images.txt) ({there})")


def read(path: Path) -> Track:
    """The cameras of a model, camera to world; keys are the names of the images, which may hold spaces.

    The scale of a model is arbitrary, unless it was aligned.

    Parameters
    ----------
    path:
        as for `pose_files`.

    Raises
    ------
    DatasetNotFoundError
        when there is no model.
    InputError
        when a file cannot be read, a pose is invalid, or a name is repeated; the message names file and line.
    """
    files = pose_files(path)
    images = files[0]
    model = _Model()
    for file in files:
        (_read_binary if file.suffix == ".bin" else _read_text)(model, file)
    key = np.array([image.name for image in model.images], dtype=np.str_)
    check_unique(
        key,
        lambda row: model.images[row].location,
        lambda row: model.images[row].location.removeprefix(f"{images}: "),
    )
    into_camera = _matrices([image.pose for image in model.images], lambda row: model.images[row].location)
    notes = [
        "positions are assumed to be metres, although the scale of a COLMAP model is arbitrary unless it was aligned"
    ]
    if images.suffix == ".bin" and path.is_dir() and images.with_suffix(".txt").is_file():
        notes.append("images.bin is read rather than images.txt, as in COLMAP")
    if len(files) > 1:
        notes += _take_frames(model, into_camera, files)
    return Track(key, inverse_poses(into_camera), notes=tuple(notes))


def _take_frames(model: _Model, into_camera: FloatArray, files: tuple[Path, ...]) -> list[str]:
    """Set the poses of the images (n, 4, 4) to those of rigs and frames; returns what the user should know."""
    row_of = {image.number: row for row, image in enumerate(model.images)}
    rows: list[int] = []
    of_frame: list[Row] = []
    of_sensor: list[Row] = []
    locations: list[str] = []
    unknown = 0
    frame_of: dict[int, _Frame] = {}
    for frame in model.frames:
        if frame.rig not in model.rigs:
            raise InputError(f"{frame.location}: its rig {frame.rig} is not in {files[1].name}")
        sensors = model.rigs[frame.rig]
        for number, sensor in frame.images.items():
            if frame_of.setdefault(number, frame) is not frame:
                other = frame_of[number].location.removeprefix(f"{files[2]}: ")
                raise InputError(f"{frame.location}: its image {number} already belongs to the frame in {other}")
            if number not in row_of:
                continue
            pose = sensors.get(sensor)
            if pose is None:
                unknown += 1
                continue
            rows.append(row_of[number])
            of_frame.append(frame.pose)
            of_sensor.append(pose)
            locations.append(frame.location)
    own = into_camera[rows]
    by_frame = _matrices(of_sensor, lambda row: f"{files[1]}, for {locations[row]}") @ _matrices(
        of_frame, lambda row: locations[row]
    )
    into_camera[rows] = by_frame
    notes = [f"the poses are those of {files[2].name} and {files[1].name}, as in COLMAP"]
    apart = np.flatnonzero(_apart(own, by_frame))
    if apart.size:
        first = model.images[rows[apart[0]]].name
        notes.append(
            f"{apart.size:,} of {len(model.images):,} images have another pose in {files[0].name} (the first is "
            f"{first}): it is from another export"
        )
    left = len(model.images) - len(set(rows))
    if left:
        what = f", {unknown:,} of them by sensors whose pose in the rig is unknown" if unknown else ""
        notes.append(
            f"{several(left, 'image belongs', 'images belong')}"
            f" to no frame{what}; {'its pose is that' if left == 1 else 'their poses are those'} of {files[0].name}"
        )
    return notes


def _apart(a: FloatArray, b: FloatArray) -> Any:
    """(n,) whether poses (n, 4, 4), world to camera, differ by more than rounding."""
    if not len(a):
        return np.zeros(0, bool)
    places = [inverse_poses(side)[:, :3, 3] for side in (a, b)]
    size = max(1.0, float(np.ptp(places[1], axis=0).max(initial=0.0)))
    turned = np.abs(a[:, :3, :3] - b[:, :3, :3]).max(axis=(1, 2), initial=0.0) > _APART
    return turned | (np.abs(places[0] - places[1]).max(axis=1, initial=0.0) > _APART * size)


def _matrices(rows: list[Row], location: Any) -> FloatArray:
    table = np.array(rows).reshape(-1, 7)
    return quaternion_poses(table[:, 4:], table[:, :4], location)


# Text


def _read_text(model: _Model, path: Path) -> None:
    if path.stem == "rigs":
        for line, words in _word_lines(path):
            _text_rig(model, words, f"{path}: line {line}")
    elif path.stem == "frames":
        for line, words in _word_lines(path):
            _text_frame(model, words, f"{path}: line {line}")
    else:
        model.images += _text_images(path)


def _word_lines(path: Path) -> Iterator[tuple[int, _Words]]:
    for line, text in text_lines(path, comments=True):
        yield line, _Words(f"{path}: line {line}", text.split())


class _Words:
    """The words of a line, read one after the other; InputErrors begin with the location of the line."""

    def __init__(self, location: str, words: list[str]) -> None:
        self._location, self._words = location, list(words)

    def __bool__(self) -> bool:
        return bool(self._words)

    def text(self) -> str:
        """The next word."""
        if not self._words:
            raise InputError(f"{self._location}: ends too early; is it truncated, or from another file?")
        return self._words.pop(0)

    def whole(self) -> int:
        """The next word, a whole number."""
        word = self.text()
        if not word.removeprefix("-").isdecimal():
            raise InputError(f"{self._location}: {word[:40]!r} is not a whole number")
        return int(word)

    def row(self) -> Row:
        """The next seven words, a pose."""
        words = [self.text() for _ in range(7)]
        wrong = next((word for word in words if not is_number(word)), None)
        if wrong is not None:
            raise InputError(f"{self._location}: {wrong[:40]!r} is not a number; expected QW QX QY QZ TX TY TZ")
        return tuple(map(float, words))

    def sensor(self) -> Sensor:
        """The next two words: type and number."""
        return self.text(), self.whole()


_IDENTITY: Row = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _text_rig(model: _Model, words: _Words, location: str) -> None:
    number, count = words.whole(), words.whole()
    sensors: dict[Sensor, Row | None] = {}
    if count > 0:
        sensors[words.sensor()] = _IDENTITY
    for _ in range(count - 1):
        sensor = words.sensor()
        sensors[sensor] = words.row() if words.whole() else None
    if words:
        raise InputError(f"{location}: has more than its {count} sensors")
    model.rigs[number] = sensors


def _text_frame(model: _Model, words: _Words, location: str) -> None:
    words.whole()
    rig, pose = words.whole(), words.row()
    images: dict[int, Sensor] = {}
    for _ in range(words.whole()):
        sensor = words.sensor()
        number = words.whole()
        if sensor[0] == "CAMERA":
            images[number] = sensor
    if words:
        raise InputError(f"{location}: has more data than it declares")
    model.frames.append(_Frame(rig, pose, images, location))


def _text_images(path: Path) -> Iterator[_Image]:
    """Two lines per image, of which the second, its points, may be empty."""
    name = ""
    points_next = False
    for line, text in text_lines(path, comments=not points_next, blank=True):
        if text.startswith("#"):
            continue
        if points_next:
            points_next = False
            _check_points(path, line, text, name)
            continue
        if not text.strip():
            continue
        values = text.split(None, 9)
        if len(values) != 10:
            raise InputError(
                f"{path}: line {line}: {len(values)} values; an image in images.txt of COLMAP has 10: ID QW QX QY QZ "
                "TX TY TZ CAMERA NAME"
            )
        words = _Words(f"{path}: line {line}", values)
        number, pose = words.whole(), words.row()
        name = values[9].strip()
        yield _Image(number, pose, name, f"{path}: line {line}")
        points_next = True


def _check_points(path: Path, line: int, text: str, name: str) -> None:
    """Raise an InputError if the line below an image is not a list of points: x y ID, x y ID, …"""
    begin = text.split(None, 12)
    numbers = all(is_number(value) for value in begin[:12])
    if not numbers or (len(begin) <= 12 and len(begin) % 3):
        raise InputError(
            f"{path}: line {line}: expected the points of {name!r} (x y ID each, or an empty line); blank lines of "
            "images.txt must not be removed"
        )


# Binary


def _read_binary(model: _Model, path: Path) -> None:
    check_regular(path)
    try:
        with path.open("rb") as stream:
            numbers = _Bytes(path, stream)
            (count,) = numbers.take("Q")
            for number in range(count):
                {"rigs": _binary_rig, "frames": _binary_frame}.get(path.stem, _binary_image)(model, numbers, number)
            numbers.check_end()
    except OSError as error:
        raise unreadable(path, error) from None


class _Bytes:
    """The numbers of a binary file, read one after the other."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self._stream = path, stream
        self._size = path.stat().st_size

    def take(self, form: str) -> tuple[Any, ...]:
        """The next numbers, in a form of `struct`."""
        return struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))

    def sensor(self) -> Sensor:
        """The next two numbers: type and number of a sensor."""
        kind, number = self.take("iI")
        return _SENSORS.get(kind, str(kind)), number

    def name(self) -> str:
        """The next text, up to the NUL at its end."""
        text = bytearray()
        while (letter := self._bytes(1)) != b"\0":
            text += letter
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InputError(f"{self.path}: the name {bytes(text[:40])!r} of an image is not UTF-8") from None

    def skip(self, count: int) -> None:
        """Skip bytes."""
        if count > self._size - self._stream.tell():
            raise self._short()
        self._stream.seek(count, 1)

    def check_end(self) -> None:
        """Raise an InputError if there is more data."""
        rest = self._size - self._stream.tell()
        if rest:
            raise InputError(
                f"{self.path}: has {rest:,} bytes more than it declares; is it {self.path.name} of COLMAP?"
            )

    def _bytes(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise self._short()
        return data

    def _short(self) -> InputError:
        return InputError(
            f"{self.path}: ends at byte {self._size:,}, before the end of its declared content; is it truncated?"
        )


def _binary_rig(model: _Model, numbers: _Bytes, _: int) -> None:
    rig, count = numbers.take("II")
    sensors: dict[Sensor, Row | None] = {}
    if count > 0:
        sensors[numbers.sensor()] = _IDENTITY
    for _ in range(count - 1):
        sensor = numbers.sensor()
        (has_pose,) = numbers.take("B")
        sensors[sensor] = numbers.take("7d") if has_pose else None
    model.rigs[rig] = sensors


def _binary_frame(model: _Model, numbers: _Bytes, number: int) -> None:
    _, rig, *pose, count = numbers.take("II7dI")
    images: dict[int, Sensor] = {}
    for _ in range(count):
        sensor = numbers.sensor()
        (image,) = numbers.take("Q")
        if sensor[0] == "CAMERA":
            images[image] = sensor
    model.frames.append(_Frame(rig, tuple(pose), images, f"{numbers.path}: frame {number} (counted from 0)"))


def _binary_image(model: _Model, numbers: _Bytes, number: int) -> None:
    image, *pose, _ = numbers.take("I7dI")
    name = numbers.name()
    (points,) = numbers.take("Q")
    numbers.skip(points * _POINT_BYTES)
    model.images.append(_Image(image, tuple(pose), name, f"{numbers.path}: image {number} (counted from 0)"))
