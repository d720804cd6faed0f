"""ψ of two extents by the definition of each measure."""

from __future__ import annotations

from typing import TypeVar

from relabel.cameras import FloatArray
from relabel.measures import Measure

Number = TypeVar("Number", float, FloatArray)


def psi(common: Number, query: Number, database: Number, measure: Measure) -> Number:
    """What two cameras have in common as a share: ``iou`` I/(A+B-I), ``overlap`` I/A, ``dice`` 2I/(A+B).

    Parameters
    ----------
    common:
        I, area or count; one number, or an array like the other two.
    query, database:
        A and B, the extents of the two cameras.
    """
    whole = {"iou": query + database - common, "overlap": query, "dice": (query + database) / 2}[measure]
    return common / whole
