"""The three measures of similarity, and how a value of one becomes a value of another.

With I what two cameras have in common, A the extent of the query and B that of the database camera, ``iou`` is
I/(A+B-I), ``overlap`` I/A and ``dice`` 2I/(A+B). numpy is loaded when the first value is converted, so that the command
line can take the names from here.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal, get_args

from relabel.errors import InputError, OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

Measure = Literal["iou", "overlap", "dice"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

Unknown = Literal["unknown"]
UNKNOWN: Unknown = "unknown"
"""The measure of labels whose makers do not tell it; `relabel fit` may."""

DEFAULT_MIN_VALUE = 1e-6
"""Values up to this are not stored, unless another bound is given."""


def check_number(name: str, value: object) -> None:
    """Raise an `OptionError` unless the value of an option is a number: an int or a float, of Python or NumPy."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise OptionError(f"{name} is {value!r}; it has to be a number")


def check_measure(measure: str) -> None:
    """Raise an `OptionError` unless values can be computed in this measure."""
    if measure == UNKNOWN:
        raise OptionError(
            "the measure of these values is unknown, so they cannot be computed or converted; relabel fit may "
            "identify it, then import them again with it"
        )
    if measure not in MEASURES:
        raise OptionError(f"measure {measure!r} is not known; choose {', '.join(MEASURES)}")


def check_min_value(min_value: float) -> None:
    """Raise an `OptionError` unless values up to this one can be left out."""
    check_number("min_value", min_value)
    if not 0.0 <= min_value < 1.0:
        raise OptionError(f"min_value is {min_value}; it has to be in [0, 1)")


def intersection(value: FloatArray, a: FloatArray, b: FloatArray, measure: Measure) -> FloatArray:
    """Intersection of two extents a (query) and b (database) whose similarity under `measure` is `value`."""
    if measure == "iou":
        return value * (a + b) / (1.0 + value)
    if measure == "overlap":
        return value * a
    return value * (a + b) / 2.0


def similarity(common: FloatArray, a: FloatArray, b: FloatArray, measure: Measure) -> FloatArray:
    """Similarity under `measure` of two extents a (query) and b (database) that have `common` in common, in [0, 1].

    It is 0 where there is no extent to have anything in common with, as of a camera that sees nothing.
    """
    import numpy as np  # noqa: PLC0415

    whole = {"iou": a + b - common, "overlap": a, "dice": 0.5 * (a + b)}[measure]
    some = whole != 0.0
    ratio: FloatArray = np.divide(common, whole, out=np.zeros(np.shape(common)), where=some)
    return np.clip(ratio, 0.0, 1.0)


def convert(
    value: FloatArray, a: FloatArray, b: FloatArray, source: Measure | Unknown, target: Measure | Unknown
) -> FloatArray:
    """Values of measure `source` as values of measure `target`.

    Parameters
    ----------
    value:
        (n,) values in [0, 1].
    a, b:
        (n,) extents of query and database camera; they do not matter between ``iou`` and ``dice``, and may be NaN then.

    Raises
    ------
    OptionError
        when a measure is not known.
    InputError
        when an extent that is needed is missing.
    """
    if source == target:
        return value
    import numpy as np  # noqa: PLC0415

    check_measure(source)
    check_measure(target)
    if source == "iou" and target == "dice":
        return 2.0 * value / (1.0 + value)
    if source == "dice" and target == "iou":
        return value / (2.0 - value)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(
            f"converting {source} to {target} needs the extents of both cameras, and an extent is missing; only iou "
            "and dice can be converted without"
        )
    assert source != UNKNOWN
    assert target != UNKNOWN
    return similarity(intersection(value, a, b, source), a, b, target)


def converted_bound(
    bound: float, a: FloatArray, b: FloatArray, source: Measure | Unknown, target: Measure | Unknown
) -> float:
    """The most that a pair can have under `target` whose value under `source` is at most `bound`.

    `a` and `b` are the extents of all query and database cameras. All conversions rise with the value, and those with
    ``overlap`` on one side rise or fall with B/A, so the largest value is at one end of that ratio. It is below 1.
    """
    if source == target:
        return bound
    import numpy as np  # noqa: PLC0415

    # A camera that sees nothing has no pair.
    a, b = (extent[extent > 0.0] for extent in (a, b))
    ends = (np.ones(1), np.ones(1))
    if len(a) and len(b):
        ends = (a.min(keepdims=True), b.max(keepdims=True))
        if source == "overlap":
            ends = (a.max(keepdims=True), b.min(keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        most = convert(np.array([bound]), *ends, source, target)
    return min(float(most[0]), float(np.nextafter(np.float32(1), np.float32(0))))
