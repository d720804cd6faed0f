"""What is known about the terms of the data sets that labels are made from, and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_CHECK = "**To be checked by the publisher.**"
_NOTES = {
    "relabel 7scenes": (
        "Made from the depth maps and poses of 7Scenes (RGB-D Dataset 7-Scenes, Microsoft Research). Its licence "
        "allows non-commercial use only, and asks that what is derived from it is passed on under the same terms, with "
        "a note of what was changed. The poses in this file are part of the data set, and the labels are derived from "
        f"it. {_CHECK}"
    ),
    "relabel import": (
        "Imported from labels that somebody else made: their terms hold for these too, and this card does not know "
        f"them. {_CHECK}"
    ),
    "relabel msls": (
        "Made from the metadata of Mapillary Street-Level Sequences (MSLS). The data set is handed out by Mapillary "
        "after a login, under terms of its own. They are often said to be CC BY-NC-SA 4.0; that was not checked for "
        f"this card, nor whether the terms reach labels made from the metadata. {_CHECK}"
    ),
    "relabel names": (
        "Made from the names of pictures, which tell places and headings. Many such sets are cut from street panoramas "
        "of others; San Francisco XL (SF-XL) is handed out on request, under terms that are not known here. Whose "
        f"pictures these are is not known here either. {_CHECK}"
    ),
    "relabel pitts": (
        "Made from the splits of Pittsburgh (30k or 250k), whose pictures are of Google Street View and are handed out "
        f"by the authors on request. No licence of it is known here. {_CHECK}"
    ),
    "relabel rgbd": (
        "Made from depth maps and poses of an RGB-D recording, which may be anybody's: this card does not know its "
        f"terms. The poses in this file are part of it. {_CHECK}"
    ),
    "relabel table": (
        "Made from a table of places and headings, which may be anybody's: this card does not know its terms. "
        f"GSV-Cities comes without a licence, and its pictures are of Google Street View. {_CHECK}"
    ),
    "relabel tb-places": (
        "Made from the poses of TB-Places, and perhaps from depth maps beside it. No licence of the data set is known "
        f"here. The poses in this file are part of it. {_CHECK}"
    ),
}
_UNKNOWN = f"The label file does not say what data set it was made from, so its terms are not known here. {_CHECK}"


def source_notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A note for each source that the provenance tells of; one that says that nothing is known where it tells none."""
    commands = {str(record["command"]) for record in records}
    return [note for command, note in _NOTES.items() if command in commands] or [_UNKNOWN]
