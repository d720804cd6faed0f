"""The direction of travel as heading, for datasets without headings of their own (``--heading travel``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets.conventions import TRAVEL_GAP_M, TRAVEL_STEP_M
from relabel.display import several
from relabel.errors import OptionError
from relabel.geometry.travel import travel

PLANE = (np.array([1.0, 0.0]), np.array([0.0, 1.0]))
"""East and north on a map."""


@dataclass(frozen=True)
class AlongTrack:
    """How headings are derived from tracks: by steps of at least `step_m`, over gaps of at most `gap_m`, metres.

    Raises
    ------
    OptionError
        when one of them is not positive.
    """

    step_m: float = TRAVEL_STEP_M
    gap_m: float = TRAVEL_GAP_M

    def __post_init__(self) -> None:
        for option, value in (("--travel-step", self.step_m), ("--travel-gap", self.gap_m)):
            if not 0.0 < value < np.inf:
                raise OptionError(f"{option} {value:g}: a distance along a track has to be more than 0 metres")
        if self.step_m > self.gap_m:
            raise OptionError(f"--travel-step {self.step_m:g} is more than --travel-gap {self.gap_m:g}")

    def headings(
        self, points: FloatArray, compass: tuple[FloatArray, FloatArray], sequence: npt.ArrayLike, order: npt.ArrayLike
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """(n,) headings, and notes about them; arguments as for `relabel.geometry.travel.travel`."""
        found = travel(points, compass, sequence, order, step_m=self.step_m, gap_m=self.gap_m)
        placed = np.isfinite(points).all(axis=1)
        lost = int((placed & np.isnan(found.heading_deg)).sum())
        stands = int((found.stands & ~np.isnan(found.heading_deg)).sum())
        notes = ["headings are the direction of travel"]
        if stands:
            notes.append(
                f"{several(stands, 'camera is stationary and keeps', 'cameras are stationary and keep')}"
                " the direction in which they arrived or, at the "
                "start, in which they leave"
            )
        if lost:
            notes.append(
                f"{several(lost, 'camera has', 'cameras have')}"
                " no direction of travel: their track is a single position"
            )
        return found.heading_deg, tuple(notes)
