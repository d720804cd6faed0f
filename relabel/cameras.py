"""Cameras: what every dataset reader returns and every overlap measure takes."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relabel.display import Displayed, Layer, Summary, counted, named
from relabel.errors import InputError
from relabel.fixed_width import text_array

FloatArray = npt.NDArray[np.float64]
_HASHED_AT_ONCE = 8192  # names: what a processor's cache holds
_DERIVED: Any = None  # a field that __post_init__ fills in where it is not given


class Status(enum.IntEnum):
    """Whether a camera can be labelled; only pairs of two `OK` cameras have a known similarity.

    The numbers are part of the label file format and never change.
    """

    OK = 0
    PANORAMA = 1
    NO_HEADING = 2
    NO_POSITION = 3
    NO_POSE = 4
    BAD_DEPTH = 5
    MASKED = 6

    @property
    def label(self) -> str:
        """The name as files and reports spell it, for example ``no_heading``."""
        return self.name.lower()


@dataclass(frozen=True, eq=False, repr=False)
class Cameras(Displayed):
    """A set of n cameras in one local metric frame. ``len`` is n; iteration and ``in`` are by key.

    Parameters
    ----------
    key:
        n unique, non-empty names. Labels are joined by them.
    position:
        (n, 2) or (n, 3) float64, metres: east, north (and up) in the frame that `crs` names. An unknown
        height is NaN and does not affect the status.
    heading_deg:
        (n,) degrees clockwise from north, wrapped to [0, 360); NaN if unknown.
    fov_deg, radius_m:
        (n,) horizontal field of view in degrees and range in metres if they differ between cameras, otherwise None.
        A field of view may be NaN until a job replaces it with its own `fov_deg`.
    pose:
        (n, 4, 4) camera-to-world transforms (x right, y down, z forward; metres), or None.
    status:
        (n,) of `Status`. An OK row is downgraded if something it needs is missing: to `NO_POSITION` if east or north is
        not finite, to `NO_POSE` if the pose is not finite or all zeros, to `NO_HEADING` if the heading is NaN and there
        is no pose.
    crs:
        the frame of `position`, for example ``EPSG:32636``, or ``local``.
    posed:
        False for the cameras of imported labels: OK then only means that their similarities are known, and no row is
        downgraded for a missing position or heading. Such cameras cannot be labelled.
    extra:
        further (n,) columns by name, carried along but never interpreted.

    Raises
    ------
    InputError
        if lengths disagree, a key is empty or repeated, or a column is not numeric.
    """

    key: npt.NDArray[np.str_]
    position: FloatArray
    heading_deg: FloatArray = _DERIVED
    fov_deg: FloatArray | None = None
    radius_m: FloatArray | None = None
    pose: FloatArray | None = None
    status: npt.NDArray[np.uint8] = _DERIVED
    crs: str = "local"
    posed: bool = True
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(  # what is taken, of which the attributes are arrays
            self,
            key: Sequence[str] | npt.NDArray[np.str_] | npt.NDArray[np.object_],
            position: npt.ArrayLike,
            heading_deg: npt.ArrayLike | None = None,
            fov_deg: npt.ArrayLike | None = None,
            radius_m: npt.ArrayLike | None = None,
            pose: npt.ArrayLike | None = None,
            status: npt.ArrayLike | None = None,
            crs: str = "local",
            posed: bool = True,  # noqa: FBT001, FBT002
            extra: Mapping[str, npt.ArrayLike] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        key = _keys(self.key)
        n = len(key)
        position = _floats("position", self.position)
        if n == 0:
            position = position.reshape(0, position.shape[1] if position.ndim == 2 and position.shape[1] else 2)
        if position.ndim != 2 or position.shape[0] != n or position.shape[1] not in (2, 3):
            raise InputError(f"position has shape {position.shape}; expected ({n}, 2) or ({n}, 3), one row per key")
        heading = np.full(n, np.nan) if self.heading_deg is None else _column("heading_deg", self.heading_deg, n)
        with np.errstate(invalid="ignore"):
            heading = np.where(np.isfinite(heading), np.mod(heading, 360.0), np.nan)
        heading[heading == 360.0] = 0.0  # np.mod(-1e-20, 360) rounds to 360
        pose = None if self.pose is None else _floats("pose", self.pose)
        if pose is not None and pose.shape != (n, 4, 4):
            raise InputError(f"pose has shape {pose.shape}; expected ({n}, 4, 4), camera-to-world")
        status = np.zeros(n, np.uint8) if self.status is None else _statuses(self.status, n)
        if self.posed:
            status[(status == Status.OK) & ~np.isfinite(position[:, :2]).all(axis=1)] = Status.NO_POSITION
            if pose is not None:
                turn = pose[:, :3, :3]
                known = np.isfinite(pose).all(axis=(1, 2)) & turn.any(axis=(1, 2))
                status[(status == Status.OK) & ~known] = Status.NO_POSE
            else:
                status[(status == Status.OK) & np.isnan(heading)] = Status.NO_HEADING
        put("key", key)
        put("position", position)
        put("heading_deg", heading)
        put("pose", pose)
        put("status", status)
        for name in ("fov_deg", "radius_m"):
            value = getattr(self, name)
            put(name, None if value is None else np.ascontiguousarray(np.broadcast_to(_floats(name, value), n)))
        columns = {name: np.asarray(column) for name, column in self.extra.items()}
        for name, column in columns.items():
            if column.shape[:1] != (n,):
                raise InputError(f"extra column {name!r} has shape {column.shape}; expected {n} rows")
        put("extra", columns)

    def __len__(self) -> int:
        return len(self.key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.key.tolist())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and "\0" not in key and bool((self.key == key).any())  # numpy drops a NUL

    def _summary(self) -> Summary:
        rows = [
            ("status", counted(self.status_counts())),
            ("keys", named(self.key, len(self))),
            ("position", f"{self.position.shape[1]}-D, metres in {self.crs}{self._extent_text()}"),
            ("heading_deg", f"{int(np.isfinite(self.heading_deg).sum()):,} known"),
        ]
        optional = [name for name in ("fov_deg", "radius_m", "pose") if getattr(self, name) is not None]
        rows += [("also", ", ".join(optional))] if optional else []
        rows += [("extra", named(self.extra, len(self.extra)))] if self.extra else []
        return Summary(f"Cameras: {len(self):,}", rows)

    def _extent_text(self) -> str:
        known = self.position[np.isfinite(self.position[:, :2]).all(axis=1), :2]
        if not len(known):
            return ", none known"
        with np.errstate(over="ignore"):
            east, north = np.ptp(known, axis=0)
        return f", over {east:,.0f} m east × {north:,.0f} m north"

    def _layers(self) -> Sequence[Layer]:
        return (Layer("cameras", self.position),)

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """(n,) True where the camera can be labelled."""
        ok: npt.NDArray[np.bool_] = self.status == Status.OK
        return ok

    def status_counts(self) -> dict[str, int]:
        """Number of cameras of each status by name, most frequent first."""
        return {Status(code).label: count for code, count in Counter(self.status.tolist()).most_common()}

    def with_extra(self, extra: Mapping[str, npt.NDArray[Any]]) -> Cameras:
        """The same cameras, of which these take no more memory, with other `extra` columns, (n,) each."""
        other = copy(self)
        object.__setattr__(other, "extra", dict(extra))
        return other

    def take(self, rows: npt.NDArray[Any] | Sequence[int] | slice) -> Cameras:
        """The cameras of the given rows, in that order (integer indices, a boolean mask or a slice)."""

        def pick(value: Any) -> Any:
            return None if value is None else value[rows]

        arrays = {f.name: pick(getattr(self, f.name)) for f in fields(self) if f.name not in ("crs", "posed", "extra")}
        return replace(self, **arrays, extra={name: column[rows] for name, column in self.extra.items()})


def key_array(keys: Sequence[str]) -> npt.NDArray[np.str_]:
    """(n,) the keys of cameras.

    Raises
    ------
    InputError
        when one holds a NUL, which numpy drops at the end of a text, or is far too long for the others.
    """
    for row, key in enumerate(keys):
        if "\0" in key:
            raise InputError(
                f"row {row} (counted from 0): the key {key[:80]!r} holds a NUL character, which no label file can "
                "hold; rename the camera"
            )
    return text_array(keys)


def _keys(key: object) -> npt.NDArray[np.str_]:
    given_as_texts = isinstance(key, list | tuple) and all(isinstance(name, str) for name in key)
    array = key_array(key) if given_as_texts else np.asarray(key)  # type: ignore[arg-type]  # seen above
    if array.size == 0:
        return np.empty(0, dtype="<U1")
    if array.ndim != 1:
        raise InputError(f"key has shape {array.shape}; expected one name per camera")
    if array.dtype.kind == "O":
        array = key_array([str(name) for name in array.tolist()])
    elif array.dtype.kind != "U":
        try:
            array = array.astype(np.str_)
        except ValueError:
            raise InputError("key holds bytes that are not ASCII; give the keys as text") from None
    empty = np.flatnonzero(array == "")
    if empty.size:
        raise InputError(f"row {empty[0]} (counted from 0): the key is empty; every camera needs a name")
    if surely_unique(array):
        return np.ascontiguousarray(array)
    order = np.argsort(array, kind="stable")
    twice = np.flatnonzero(array[order[1:]] == array[order[:-1]])
    if twice.size:
        a, b = sorted((int(order[twice[0]]), int(order[twice[0] + 1])))
        raise InputError(
            f"key {str(array[a])!r} is in rows {a} and {b} (counted from 0); "
            f"{twice.size} key(s) are repeated, and labels are joined by key: make the keys unique"
        )
    return np.ascontiguousarray(array)


def surely_unique(names: npt.NDArray[np.str_] | npt.NDArray[np.bytes_]) -> bool:
    """True only where no two names are equal, by hashes that sort in a third of the time of names; False says nothing.

    Parameters
    ----------
    names:
        (n,) str or bytes.
    """
    if len(names) < 2:
        return True
    letter = np.uint32 if names.dtype.kind == "U" else np.uint8
    letters = np.ascontiguousarray(names).view(letter).reshape(len(names), -1)
    # Odd factors, so that names which differ in one letter never have the same hash.
    factors = np.random.default_rng(0).integers(2**63, size=letters.shape[1], dtype=np.uint64) * np.uint64(2)
    hashes = np.empty(len(names), np.uint64)
    for start in range(0, len(names), _HASHED_AT_ONCE):
        part = slice(start, start + _HASHED_AT_ONCE)
        hashes[part] = letters[part].astype(np.uint64) @ (factors + np.uint64(1))
    hashes.sort()
    return bool((hashes[1:] != hashes[:-1]).all())


def _floats(name: str, value: object) -> FloatArray:
    try:
        return np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not numeric: {error}") from None


def _column(name: str, value: object, n: int) -> FloatArray:
    array = _floats(name, value)
    if array.shape != (n,):
        raise InputError(f"{name} has shape {array.shape}; expected ({n},), one value per key")
    return array


def _statuses(value: object, n: int) -> npt.NDArray[np.uint8]:
    array = np.asarray(value)
    if array.shape != (n,):
        raise InputError(f"status has shape {array.shape}; expected ({n},), one value per key")
    # Before the cast, which makes 0, that is ok, of 256 and of some NaN.
    unknown = array[~np.isin(array, [s.value for s in Status])]
    if unknown.size:
        known = ", ".join(f"{s.value} {s.label}" for s in Status)
        raise InputError(f"status holds {unknown[0]}; known are {known}")
    return array.astype(np.uint8)
