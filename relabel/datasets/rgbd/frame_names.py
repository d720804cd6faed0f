"""Names of frames, which may be spelled differently by depth maps, poses, images and lists of one sequence.

    depth/000010.png   pose/10.txt   color/frame-000010.jpg   10 1 0 0 …   10.0 …

Equal names belong together; of the remaining names, those with the same number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TypeVar

from relabel.errors import InputError
from relabel.keys import RowsByKey, nfc

Value = TypeVar("Value")

_SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".txt", ".depth", ".color", ".pose")
_NUMBER = re.compile(r"(?:frame|depth|pose|color|rgb|image|img)?[-_]?(\d+(?:\.\d+)?)", re.IGNORECASE | re.ASCII)


def plain(name: str) -> str:
    """A name without folder and suffixes; for a number, also without the word before it and redundant zeros."""
    stem = nfc(name).replace("\\", "/").rpartition("/")[2]
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    number = _NUMBER.fullmatch(stem)
    if number is None:
        return stem
    whole, _, decimals = number[1].partition(".")
    return f"{whole.lstrip('0') or '0'}.{decimals.rstrip('0')}".rstrip(".")


def partners(names: Collection[str], others: Collection[str], where: str) -> dict[str, str]:
    """The partner of each name: the same name, otherwise the only remaining one with the same plain form.

    Parameters
    ----------
    names:
        the names of files, or in a list.
    others:
        the names of the depth maps.
    where:
        the folder or list of the names, for messages.

    Returns
    -------
    dict
        partners by name; names without a partner are left out.

    Raises
    ------
    InputError
        when several remaining names have the same plain form, such as those of two cameras in separate folders.
    """
    rows, spelled = RowsByKey(others), list(others)
    found = {name: spelled[row] for name in names if (row := rows.get(name)) >= 0}
    taken = set(found.values())
    left: dict[str, list[str]] = {}
    for name in names:
        if name not in found:
            left.setdefault(plain(name), []).append(name)
    for other in others:
        if other in taken or (text := plain(other)) not in left:
            continue
        same = left[text]
        if len(same) > 1 or same[0] in found:
            shown = f"{same[0]} and {same[1]}" if len(same) > 1 else f"{other} and {found[same[0]]}"
            raise InputError(
                f"{where}: {shown} differ only in folders, suffixes and zeros, so the frame is ambiguous; keep the "
                "names of one camera and sequence"
            )
        found[same[0]] = other
    return found


def joined(named: Mapping[str, Value], names: Collection[str], what: str, where: str) -> tuple[dict[str, Value], str]:
    """The files of one kind by the names of their depth maps, and a note if the names differ.

    Parameters
    ----------
    named:
        the files by their own names.
    names:
        of the depth maps.
    what, where:
        what the files are, and the folder of the sequence, for messages.

    Raises
    ------
    InputError
        as `partners` does.
    """
    partner = partners(named, names, where)
    other = [name for name, own in partner.items() if nfc(name) != nfc(own)]
    note = (
        f"{len(other):,} {what} are joined with depth maps by number: {other[0]} with {partner[other[0]]}"
        if other
        else ""
    )
    return {partner.get(name, name): value for name, value in named.items()}, note
