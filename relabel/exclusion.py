"""Excluded pairs: two cameras that are neighbours in a sequence, of which training and scoring learn nothing.

Neighbours in a video look alike because hardly any time lies between them, so they are trivial positives. A rule says
which pairs are excluded, by the columns ``sequence``, ``frame`` and ``time_s`` of the cameras; such a pair counts
neither as positive nor as negative, whatever its ψ. `relabel.excluded_pairs` finds them. Nothing heavy is loaded here,
so that the command line can take its options from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from relabel.errors import OptionError

SEQUENCE, FRAME, TIME = "sequence", "frame", "time_s"
"""Columns: the name of a sequence, the rank of a frame in its sequence, and seconds of any clock."""

RULES = ("other_sequence", "min_frame_gap", "min_time_gap_s")
"""The names that a rule goes by, in the `params` of a collection and as arguments."""
BANDS = ("positive", "partial", "zero")
"""The bands of ψ that pairs can be excluded from; see `relabel.sampling.bands`."""
_MOST_FRAMES = 2**53  # float64 holds all whole numbers up to here


@dataclass(frozen=True)
class Exclusion:
    """A rule for the pairs to exclude. At most one of the three is set; if none is, no pair is excluded.

    Attributes
    ----------
    other_sequence:
        exclude pairs of cameras of the same sequence.
    min_frame_gap:
        exclude pairs of one sequence that are fewer frames apart than this.
    min_time_gap_s:
        exclude pairs that are fewer seconds apart than this. If there are sequences, only pairs of one sequence are
        excluded, since each sequence may have a clock of its own.

    Raises
    ------
    OptionError
        if more than one is set, or a gap is not a positive number.
    """

    other_sequence: bool = False
    min_frame_gap: int | None = None
    min_time_gap_s: float | None = None

    def __post_init__(self) -> None:
        other: Any = self.other_sequence
        if not isinstance(other, bool):
            raise OptionError(f"other_sequence is {other!r}; it is True or False")
        frames: Any = self.min_frame_gap
        seconds: Any = self.min_time_gap_s
        if frames is not None:
            if isinstance(frames, bool) or not isinstance(frames, Integral) or not 1 <= int(frames) < _MOST_FRAMES:
                raise OptionError(f"min_frame_gap is {frames!r}; it has to be a whole number of frames, at least 1")
            object.__setattr__(self, "min_frame_gap", int(frames))
        if seconds is not None:
            number = isinstance(seconds, Real) and not isinstance(seconds, bool)
            if not number or not 0.0 < seconds < math.inf:
                raise OptionError(f"min_time_gap_s is {seconds!r}; it has to be a number of seconds above 0")
            object.__setattr__(self, "min_time_gap_s", float(seconds))
        if len(self.to_json()) > 1:
            raise OptionError(
                f"{' and '.join(self.to_json())} are given; choose one: pairs are excluded by sequence, by frames or "
                "by time"
            )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Exclusion:
        """The rule in the `params` of a collection; OptionError where there is none of this kind."""
        return cls(**{name: params[name] for name in RULES if name in params})

    def to_json(self) -> dict[str, Any]:
        """What is set, as JSON values."""
        return {name: value for name, value in vars(self).items() if value not in (None, False)}

    def __bool__(self) -> bool:
        return bool(self.to_json())

    def __str__(self) -> str:
        if self.min_frame_gap is not None:
            return f"pairs of one sequence that are fewer than {self.min_frame_gap:,} frames apart"
        if self.min_time_gap_s is not None:
            return f"pairs that are less than {self.min_time_gap_s:g} s apart"
        return "pairs of one sequence" if self.other_sequence else "no pairs"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule needs on both sides."""
        if self.min_time_gap_s is not None:
            return (TIME,)
        return (SEQUENCE, FRAME) if self.min_frame_gap is not None else (SEQUENCE,) if self.other_sequence else ()


def chosen_bands(names: Sequence[str]) -> tuple[bool, bool, bool]:
    """Which of the bands are among some names.

    Raises
    ------
    OptionError
        when there is none, or one that is no band.
    """
    if isinstance(names, str) or not names or any(name not in BANDS for name in names):
        raise OptionError(
            f"exclude_from is {names!r}; it has to be one or more of {', '.join(BANDS)}, such as ('positive',)"
        )
    return "positive" in names, "partial" in names, "zero" in names
