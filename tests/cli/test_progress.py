"""Progress bars: on a terminal, and only there."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator

import pytest

from relabel.cli.terminal import bar


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _said() -> Iterator[None]:
    logger = logging.getLogger("relabel")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


def drawn(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **options: bool) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    with bar("amman", 3, unit="rows", **options) as step:
        step(1)
        step(2)
    return stream.getvalue()


class TestBar:
    """relabel.cli.terminal.bar"""

    def test_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The words and the total are drawn."""
        text = drawn(monkeypatch, Terminal())
        assert "amman" in text
        assert "/3" in text

    def test_without_a_total(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is drawn again while nothing is reported, and shows the time."""
        drawn_again = threading.Event()

        class Counting(Terminal):
            def write(self, text: str) -> int:
                if self.getvalue().count("reading: 00:0") > 2:
                    drawn_again.set()
                return super().write(text)

        monkeypatch.setattr("sys.stderr", Counting())
        monkeypatch.setattr("relabel.cli.terminal._REDRAW_S", 0.01)
        with bar("reading", None):
            assert drawn_again.wait(60)

    def test_not_in_a_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A log file stays free of bars."""
        assert drawn(monkeypatch, io.StringIO()) == ""

    def test_not_when_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """--no-progress hides it."""
        assert drawn(monkeypatch, Terminal(), hidden=True) == ""

    def test_not_when_quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """-q hides it."""
        logging.getLogger("relabel").setLevel(logging.WARNING)
        assert drawn(monkeypatch, Terminal()) == ""
