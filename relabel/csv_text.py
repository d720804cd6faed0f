"""Cells and lines of CSV files as RFC 4180 has them, so that every reader gets every cell back as it was."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(cell: str, separator: str = ",") -> str:
    """A cell as it stands in the file: in quotes, which double those inside, only where it must be."""
    if not any(mark in cell for mark in (separator, '"', "\n", "\r")):
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def csv_line(cells: Iterable[object]) -> str:
    """One line of the file, ended by a line feed; None is an empty cell.

    The csv module of the standard library leaves a carriage return unquoted where lines end with a line feed (before
    Python 3.13), and its own reader then takes that for the end of a line.
    """
    return ",".join("" if cell is None else quoted(str(cell)) for cell in cells) + "\n"
