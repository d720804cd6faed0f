"""Findings of the audit of one collection, as values, as text and as JSON."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from relabel.audit.codes import CODES, Severity
from relabel.errors import AuditError

log = logging.getLogger(__name__)
_DIGITS = 3


def rounded(value: float) -> float | None:
    """The value to three significant digits, so that records do not depend on the last bits; None where not finite."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


@dataclass(frozen=True)
class Finding:
    """One observation of the audit.

    Attributes
    ----------
    code:
        one of `CODES`.
    count, total:
        how many cameras, frames or pairs show it, of how many that were looked at.
    seen:
        what was seen, a clause with its figures.
    cause:
        the most likely cause; empty if nothing is wrong.
    remedy:
        the option or step that fixes it; empty if nothing needs fixing.
    figures:
        numbers by name, to three significant digits.
    side:
        ``query``, ``database``, or empty for both or self pairs.
    keys:
        of the first `relabel.datasets.fillers.MOST_KEYS` cameras that show it, empty where it is all of them or none in
        particular; of a leap, of the camera behind it.
    """

    code: str
    count: int
    total: int
    seen: str
    cause: str = ""
    remedy: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    side: str = ""
    keys: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """Whether it is a note or a warning, which depends on the code alone."""
        return CODES[self.code]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        texts = {name: getattr(self, name) for name in ("side", "cause", "remedy") if getattr(self, name)}
        return {
            "code": self.code,
            "severity": self.severity,
            "count": self.count,
            "total": self.total,
            "seen": self.seen,
            **texts,
            **({"figures": dict(self.figures)} if self.figures else {}),
            **({"keys": list(self.keys)} if self.keys else {}),
        }

    def __str__(self) -> str:
        side = f"{self.side}: " if self.side else ""
        return "; ".join(filter(None, (f"{self.code}: {side}{self.seen}", self.cause, self.remedy)))


@dataclass(frozen=True)
class NotChecked:
    """A check that could not be made, and why."""

    check: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """As JSON values."""
        return {"check": self.check, "reason": self.reason}


@dataclass(frozen=True)
class AuditReport:
    """The audit of one collection."""

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are more than notes."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "not_checked": [check.to_json() for check in self.not_checked],
        }

    def __str__(self) -> str:
        return "\n".join(self.lines("audit"))

    def lines(self, name: str) -> list[str]:
        """As lines of text, about the collection of this name."""
        lines = [f"{name}: {len(self.warnings)} warnings, {len(self.findings) - len(self.warnings)} notes"]
        for finding in self.findings:
            side = f"{finding.side}: " if finding.side else ""
            lines.append(f"  {finding.severity} {finding.code}: {side}{finding.seen}")
            lines += [f"      {text}" for text in (finding.cause, finding.remedy) if text]
        by_reason: dict[str, list[str]] = {}
        for check in self.not_checked:
            by_reason.setdefault(check.reason, []).append(check.check)
        lines += [f"  {', '.join(checks)}: not checked, because {reason}" for reason, checks in by_reason.items()]
        return lines

    def log(self, name: str, *, allow: Collection[str] = ()) -> None:
        """Log the findings for the collection of this name; checks that could not be made only with ``-v``."""
        for finding in self.findings:
            serious = finding.severity == "warning" and finding.code not in allow
            log.log(logging.WARNING if serious else logging.INFO, "%s: %s", name, finding)
        for check in self.not_checked:
            log.debug("%s: %s: not checked, because %s", name, check.check, check.reason)


EMPTY = AuditReport()


def refuse_warnings(reports: Iterable[tuple[str, AuditReport]], *, allow: Collection[str] = ()) -> None:
    """Raise an `AuditError` where a report of a collection, with its name before it, has a warning not in `allow`."""
    refused = [
        f"{name}: {finding}" for name, report in reports for finding in report.warnings if finding.code not in allow
    ]
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise AuditError(
            f"{refused[0]}{more}; with --strict this is an error: correct the input, or accept it with --allow CODE"
        )
