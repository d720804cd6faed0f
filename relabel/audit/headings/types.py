"""The result of a heading audit, of sequences, sides and pairs of sides, and the thresholds behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.audit.headings.near_pairs import NearHeadings
from relabel.audit.headings.tracks import FACING, BoolArray
from relabel.cameras import FloatArray
from relabel.errors import OptionError

REASONS = ("constant", "jumping", "flipped", "alone", "against_travel")
DEFAULT_REASONS = ("constant", "jumping", "flipped")
STEPS_DEG = (90.0, 60.0, 45.0, 30.0, 22.5, 20.0, 15.0, 10.0, 5.0, 2.0, 1.0)


@dataclass(frozen=True)
class Thresholds:
    """When a heading is at fault.

    Attributes
    ----------
    step_m:
        two places have to be this far apart for the direction from one to the other to be the direction of travel.
    gap_m:
        frames farther apart than this say nothing about each other.
    constant_frames:
        a sequence with fewer headings is not called constant.
    jump_deg:
        a change of heading between two frames that the track does not explain is a jump from here on.
    flip_deg:
        headings that differ by more than this are turned by 180°.
    near_m, place_m:
        largest distance of near pairs, and of pairs at one place.
    against_deg:
        largest difference of compass and travel that is not against it.
    """

    step_m: float = 5.0
    gap_m: float = 50.0
    constant_frames: int = 5
    jump_deg: float = 60.0
    flip_deg: float = 150.0
    near_m: float = 25.0
    place_m: float = 5.0
    against_deg: float = 90.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("step_m", 0.0, np.inf),
            ("gap_m", self.step_m, np.inf),
            ("constant_frames", 1, np.inf),
            ("jump_deg", 0.0, 180.0),
            ("flip_deg", 90.0, 180.0),
            ("near_m", 0.0, np.inf),
            ("place_m", 0.0, np.inf),
            ("against_deg", 0.0, 180.0),
        ):
            value = getattr(self, name)
            if not low < value < np.inf or value > high:
                over = f"above {low:g}" + ("" if high == np.inf else f", {high:g} at most")
                raise OptionError(f"{name} is {value}; it has to be a number {over}")


@dataclass(frozen=True)
class SequenceAudit:
    """The audit of one sequence; counts are rows.

    `centre_deg` and `spread_deg` are the median of compass − travel and the median distance from it, None where fewer
    than five rows go straight on; `facing` is one of `tracks.FACING`.
    """

    side: str
    name: str
    rows: int
    missing: int
    straight: int
    centre_deg: float | None
    spread_deg: float | None
    facing: str
    faults: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class SideAudit:
    """The audit of one set of cameras.

    Attributes
    ----------
    name:
        ``query``, ``database``, or ``both`` for self pairs.
    key:
        (n,) of the cameras.
    rows, panoramas, unplaced, missing:
        all rows; those that are panoramas; other rows without a position; and of those with one, without a heading.
    distinct, step_deg:
        number of different headings, and the largest of `STEPS_DEG` that all are multiples of, None where none is.
    sequences:
        in the order in which they begin; empty where the cameras carry no column `sequence`.
    faults:
        (n,) bool by reason.
    position:
        (n, 2) metres on the map of the positions, NaN where there is none.
    heading_deg, travel_deg, offset_deg:
        (n,) headings of the audited cameras, direction of travel, and compass − travel in [-180, 180); NaN elsewhere.
    """

    name: str
    key: npt.NDArray[np.str_]
    rows: int
    panoramas: int
    unplaced: int
    missing: int
    distinct: int
    step_deg: float | None
    sequences: tuple[SequenceAudit, ...]
    faults: Mapping[str, BoolArray]
    position: FloatArray = field(repr=False)
    heading_deg: FloatArray = field(repr=False)
    travel_deg: FloatArray = field(repr=False)
    offset_deg: FloatArray = field(repr=False)

    def faulty(self, reasons: Collection[str]) -> BoolArray:
        """(n,) True where any of the reasons holds."""
        faulty = np.zeros(self.rows, bool)
        for name in reasons:
            faulty |= self.faults[name]
        return faulty

    def to_json(self, reasons: Collection[str] = DEFAULT_REASONS) -> dict[str, Any]:
        """As JSON values, without the arrays; `reasons` are those for which a camera should not be trusted."""
        away = np.abs(self.offset_deg[np.isfinite(self.offset_deg)])
        return {
            "side": self.name,
            "rows": self.rows,
            "panoramas": self.panoramas,
            "unplaced": self.unplaced,
            "missing": self.missing,
            "distinct": self.distinct,
            "step_deg": self.step_deg,
            "untrusted": {"cameras": int(self.faulty(reasons).sum()), "sequences": len(untrusted(self, reasons))},
            "faults": {name: int(rows.sum()) for name, rows in self.faults.items()},
            "compass_against_travel": {
                "rows": len(away),
                "within_45": int((away <= 45.0).sum()),
                "sideways": int(((away > 45.0) & (away < 135.0)).sum()),
                "beyond_135": int((away >= 135.0).sum()),
            },
            "facing": {name: sum(s.facing == name for s in self.sequences) for name in FACING}
            if self.sequences
            else {},
            "sequences": [{f.name: getattr(s, f.name) for f in fields(s)} for s in self.sequences],
        }


@dataclass(frozen=True, eq=False)
class Audit:
    """The audit of a pair of camera sets.

    Attributes
    ----------
    name:
        of the collection.
    sides:
        query and database, or the one set of self pairs.
    near:
        heading differences of near pairs, query with database.
    wrapped:
        rows whose heading was outside [0, 360), where the reader counts them.
    """

    name: str
    sides: tuple[SideAudit, ...]
    near: NearHeadings
    thresholds: Thresholds
    wrapped: int | None = None

    def to_json(self, reasons: Collection[str] = DEFAULT_REASONS) -> dict[str, Any]:
        """As JSON values; `reasons` are those for which a camera should not be trusted."""
        return {
            "name": self.name,
            "thresholds": asdict(self.thresholds),
            "out_of_range": self.wrapped,
            "sides": [side.to_json(reasons) for side in self.sides],
            "near_pairs": self.near.to_json(),
        }


def untrusted(side: SideAudit, reasons: Collection[str]) -> tuple[SequenceAudit, ...]:
    """The sequences that have a row with one of the reasons."""
    return tuple(s for s in side.sequences if any(s.faults[name] for name in reasons))
