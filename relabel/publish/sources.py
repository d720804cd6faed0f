"""What is known about the terms of the data sets that labels are made from, and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NOTES = {
    "relabel msls": (
        "Made from the metadata of Mapillary Street-Level Sequences (MSLS). The data set is handed out by Mapillary "
        "after a login, under terms of its own. They are often said to be CC BY-NC-SA 4.0; that was not checked for "
        "this card, nor whether the terms reach labels made from the metadata. **To be checked by the publisher.**"
    ),
    "relabel import": (
        "Imported from labels that somebody else made: their terms hold for these too, and this card does not know "
        "them. **To be checked by the publisher.**"
    ),
}
_UNKNOWN = (
    "The label file does not say what data set it was made from, so its terms are not known here. **To be checked by "
    "the publisher.**"
)


def source_notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A note for each source that the provenance tells of; one that says that nothing is known where it tells none."""
    commands = {str(record["command"]) for record in records}
    return [note for command, note in _NOTES.items() if command in commands] or [_UNKNOWN]
