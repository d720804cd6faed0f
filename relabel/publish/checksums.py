"""SHA256SUMS, as `sha256sum -c` reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SUMS = "SHA256SUMS"


def sums_text(files: Iterable[Mapping[str, Any]]) -> str:
    """One line a file, sorted by name; `files` is what `relabel.labelfile.provenance.describe` returns."""
    return "".join(_line(file["path"], file["sha256"]) for file in sorted(files, key=lambda file: str(file["path"])))


def _line(name: str, digest: str) -> str:
    # A backslash in front of the line says that the name is escaped.
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"
