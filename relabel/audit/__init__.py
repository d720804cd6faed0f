"""The audit of inputs: guessed conventions, filler values, depth that does not fit the poses, bad headings.

sets = relabel.datasets.table.read("queries.csv", "database.csv")
print(relabel.audit.check(sets))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily

if TYPE_CHECKING:
    from relabel.audit.audit import check
    from relabel.audit.findings import AuditReport, Finding

__all__ = ["AuditReport", "Finding", "check"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "AuditReport": "relabel.audit.findings:AuditReport",
        "Finding": "relabel.audit.findings:Finding",
        "check": "relabel.audit.audit:check",
    },
)
