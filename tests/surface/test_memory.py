"""How much memory may be used."""

from __future__ import annotations

from relabel.surface import memory


class TestBudget:
    def test_what_is_given_is_taken(self):
        assert memory.budget(1) == 1

    def test_else_a_share_of_what_is_free(self, monkeypatch):
        """And never next to nothing."""
        monkeypatch.setattr(memory, "free_bytes", lambda: 2**34)
        assert memory.budget(None) == 2**32
        monkeypatch.setattr(memory, "free_bytes", lambda: 0)
        assert memory.budget(None) == 2**26


class TestFreeBytes:
    def test_there_is_some(self):
        assert 2**20 < memory.free_bytes() < 2**50

    def test_a_control_group_may_allow_less(self, tmp_path, monkeypatch):
        """What it allows less what it uses; "max" is no limit."""
        monkeypatch.setattr(memory, "_CGROUP", tmp_path)
        whole = memory.free_bytes()
        (tmp_path / "memory.max").write_text("1000000\n")
        (tmp_path / "memory.current").write_text("400000\n")
        assert memory.free_bytes() == 600_000
        (tmp_path / "memory.current").write_text("4000000\n")
        assert memory.free_bytes() == 0
        (tmp_path / "memory.max").write_text("max\n")
        assert memory.free_bytes() > whole / 2
