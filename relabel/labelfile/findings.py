"""What validation finds, and how checks report it without stopping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

from relabel.errors import LabelFileError
from relabel.labelfile.hdf import brief

Level = Literal["header", "structure", "content"]
Severity = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file, or odd about it."""

    level: Level
    """the validation level that found it"""
    severity: Severity
    path: str
    """where in the file"""
    message: str

    def to_json(self) -> dict[str, str]:
        """The finding as a JSON object."""
        return {"level": self.level, "severity": self.severity, "path": self.path, "message": self.message}


@dataclass(frozen=True)
class Report:
    """All findings of a validation."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)

    def note(self, level: Level, path: str, message: str, severity: Severity = "error") -> None:
        """Add a finding; a message that begins with the path loses it."""
        message = message.removeprefix(f"{path}: ").removeprefix(f"{path}, ")
        self.findings.append(Finding(level, severity, path, message))

    @contextmanager
    def attempt(self, level: Level, path: str) -> Iterator[None]:
        """A check whose own failure is a finding, so that the checks behind it still run."""
        try:
            yield
        except LabelFileError as error:
            self.note(level, path, str(error))
        except Exception as error:  # a damaged file can break a check in ways that nobody foresaw
            self.note(level, path, f"cannot be checked ({brief(error)}); the file is damaged")
