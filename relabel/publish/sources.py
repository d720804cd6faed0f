"""What is known about the terms of the data that labels are made from, and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relabel.datasets.registry import find_recorded

_CHECK = "**To be checked by the publisher.**"
_IMPORTED = (
    "Imported from labels that somebody else made: their terms hold for these too, and this card does not know them."
)
_UNKNOWN = "The label file does not say what data set it was made from, so its terms are not known here."


def source_notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A note for each source that the provenance names; one that says that nothing is known where it names none."""
    notes = []
    for command in sorted({str(record["command"]) for record in records}):
        spec = find_recorded(command)
        if spec is not None:
            notes.append(spec.licence)
        elif command == "relabel import":
            notes.append(_IMPORTED)
    return [f"{note} {_CHECK}" for note in notes or [_UNKNOWN]]
