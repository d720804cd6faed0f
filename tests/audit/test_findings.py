"""relabel.audit.findings and codes: what is said where, what is an error, and the page that lists the codes."""

from __future__ import annotations

import logging
import math
import re

import pytest

from relabel.audit.codes import CODES, checked_codes
from relabel.audit.findings import AuditReport, Finding, NotChecked, refuse_warnings, rounded
from relabel.errors import AuditError, OptionError
from tests.conftest import REPOSITORY

NOTE = Finding("heading-filler", 2, 5, "2 of 5 cameras have the heading -1", keys=("a", "c"))
WARNING = Finding("heading-zero", 9, 90, "9 are 0", "0 is no heading", "mask them", {"share": 0.1}, "query")
REPORT = AuditReport((NOTE, WARNING), (NotChecked("depth against pose", "there is one frame"),))


class TestReport:
    def test_json(self) -> None:
        """What is empty is left out."""
        assert REPORT.to_json() == {
            "findings": [
                {
                    "code": "heading-filler",
                    "severity": "note",
                    "count": 2,
                    "total": 5,
                    "seen": "2 of 5 cameras have the heading -1",
                    "keys": ["a", "c"],
                },
                {
                    "code": "heading-zero",
                    "severity": "warning",
                    "count": 9,
                    "total": 90,
                    "seen": "9 are 0",
                    "side": "query",
                    "cause": "0 is no heading",
                    "remedy": "mask them",
                    "figures": {"share": 0.1},
                },
            ],
            "not_checked": [{"check": "depth against pose", "reason": "there is one frame"}],
        }

    def test_log(self, caplog: pytest.LogCaptureFixture) -> None:
        """Warnings are warnings unless they are accepted; what was not checked is for those who ask for more."""
        caplog.set_level(logging.DEBUG, "relabel")
        REPORT.log("amman")
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("INFO", "amman: heading-filler: 2 of 5 cameras have the heading -1"),
            ("WARNING", "amman: heading-zero: query: 9 are 0; 0 is no heading; mask them"),
            ("DEBUG", "amman: depth against pose: not checked, because there is one frame"),
        ]
        caplog.clear()
        REPORT.log("amman", allow={"heading-zero"})
        assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "DEBUG"]

    def test_strict(self) -> None:
        """Only warnings that are not accepted are errors."""
        refuse_warnings([("a", AuditReport((NOTE,)))])
        refuse_warnings([("a", REPORT)], allow={"heading-zero"})
        with pytest.raises(AuditError, match=r"^b: heading-zero: query: 9 are 0.* \(and 1 more\).*--allow"):
            refuse_warnings([("b", REPORT), ("c", REPORT)])

    def test_rounded(self) -> None:
        """Three digits, so that the last bits of a sum do not show."""
        assert [rounded(x) for x in (0.123456, 123456.0, -0.0000019999, 0.0)] == [0.123, 123000.0, -2e-06, 0.0]
        assert rounded(math.nan) is rounded(math.inf) is None


class TestCodes:
    def test_the_page_lists_them(self) -> None:
        """docs/audit.md has each code once, with its severity, in this order."""
        page = (REPOSITORY / "docs" / "audit.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `([a-z0-9-]+)` \| (note|warning) \|", page, re.MULTILINE)
        assert rows == list(CODES.items())

    def test_unknown(self) -> None:
        """The message lists those that there are."""
        assert checked_codes(["heading-zero", "heading-zero"]) == {"heading-zero"}
        with pytest.raises(OptionError, match="has the code 'zero'; there are heading-filler, "):
            checked_codes(["heading-zero", "zero"])
