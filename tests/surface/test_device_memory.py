"""relabel.surface.device_memory: what blocks may take, and blocks that shrink where memory runs out."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from relabel.errors import OptionError
from relabel.surface import device_memory
from relabel.surface.device_memory import LEAST, SHARE, Budget, memory_budget

pytestmark = pytest.mark.gpu

torch = pytest.importorskip("torch")


class TestMemoryBudget:
    """memory_budget()."""

    def test_cpu(self):
        """What is given."""
        assert memory_budget("cpu", 12345) == 12345
        assert memory_budget("cpu") >= LEAST

    def test_cuda(self, monkeypatch):
        """A share of what is free, or less where less is given."""
        free = SimpleNamespace(cuda=SimpleNamespace(mem_get_info=lambda: (1000, 2000)))
        monkeypatch.setattr(device_memory, "load_torch", lambda: free)
        assert memory_budget("cuda") == memory_budget("cuda", 10**9) == int(1000 * SHARE)
        assert memory_budget("cuda", 100) == 100


class TestBudget:
    """Budget.within()."""

    def test_nothing_happens(self):
        """The first size serves."""
        assert Budget(64).within(lambda size: size) == 64

    def test_halves_and_says_so_once(self, caplog):
        """Until there is room; later work begins where this ended."""
        tried = []

        def work(size: int) -> int:
            tried.append(size)
            if size > 300:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate …\nmore")
            return size

        budget = Budget(1000, least=10)
        with caplog.at_level(logging.INFO):
            assert budget.within(work) == 250
            assert budget.within(work) == 250
        assert tried == [1000, 500, 250, 250]
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "smaller blocks, of at most 500 bytes" in caplog.text

    def test_smallest_block_fails(self):
        """The error tells how much there was not, and what to do."""
        tried = []

        def work(size: int) -> None:
            tried.append(size)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

        with pytest.raises(OptionError, match=r"blocks of 30 bytes \(CUDA out of memory.*GiB\).*device='cpu'"):
            Budget(100, least=30).within(work)
        assert tried == [100, 50, 30]

    def test_other_errors_pass(self):
        """Only a lack of memory is a reason to try again."""

        def work(size: int) -> None:
            raise RuntimeError("index out of range")

        with pytest.raises(RuntimeError, match="index out of range"):
            Budget(100, least=30).within(work)

    def test_memory_is_let_go_before_the_next_try(self):
        """What a failed try held is gone when the next begins."""
        import weakref

        held = []

        def work(size: int) -> bool:
            if held:
                return held[0]() is None
            block = torch.zeros(10)
            held.append(weakref.ref(block))
            raise torch.cuda.OutOfMemoryError("out of memory")

        assert Budget(100, least=30).within(work)


class TestMemory:
    def test_what_is_given_is_taken(self):
        assert device_memory.ram_budget(1) == 1

    def test_else_a_share_of_what_is_free(self, monkeypatch):
        """And never next to nothing."""
        monkeypatch.setattr(device_memory, "free_bytes", lambda: 2**34)
        assert device_memory.ram_budget(None) == 2**32
        monkeypatch.setattr(device_memory, "free_bytes", lambda: 0)
        assert device_memory.ram_budget(None) == 2**26


class TestFreeBytes:
    def test_there_is_some(self):
        assert 2**20 < device_memory.free_bytes() < 2**50

    def test_without_the_files_of_linux(self, tmp_path, monkeypatch):
        """Then the system is asked for its free pages, and where it does not tell these, half of all count as free."""
        monkeypatch.setattr(device_memory, "_MEMINFO", tmp_path / "meminfo")
        monkeypatch.setattr(device_memory, "_CGROUP", tmp_path)
        told = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2000, "SC_AVPHYS_PAGES": 700}

        def sysconf(name):
            if name not in told:
                raise ValueError("unrecognized configuration name")
            return told[name]

        monkeypatch.setattr("os.sysconf", sysconf)
        assert device_memory.free_bytes() == 700 * 4096
        del told["SC_AVPHYS_PAGES"]
        assert device_memory.free_bytes() == 1000 * 4096

    def test_a_control_group_may_allow_less(self, tmp_path, monkeypatch):
        """What it allows less what it uses; "max" is no limit."""
        monkeypatch.setattr(device_memory, "_CGROUP", tmp_path)
        whole = device_memory.free_bytes()
        (tmp_path / "memory.max").write_text("1000000\n")
        (tmp_path / "memory.current").write_text("400000\n")
        assert device_memory.free_bytes() == 600_000
        (tmp_path / "memory.current").write_text("4000000\n")
        assert device_memory.free_bytes() == 0
        (tmp_path / "memory.max").write_text("max\n")
        assert device_memory.free_bytes() > whole / 2
