"""How many cores there are."""

from __future__ import annotations

import os

import pytest

from relabel.cores import available_cores


class TestAvailableCores:
    """relabel.cores.available_cores"""

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin processes to cores")
    def test_those_of_this_process(self) -> None:
        """A process that is pinned to one core has one."""
        before = os.sched_getaffinity(0)
        assert available_cores() == len(before)
        os.sched_setaffinity(0, {min(before)})
        try:
            assert available_cores() == 1
        finally:
            os.sched_setaffinity(0, before)

    @pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
    def test_where_the_system_does_not_tell(
        self, count: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on macOS: all cores of the machine, and at least one."""
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: count)
        assert available_cores() == expected
