"""Which device is chosen, what is said where it cannot be had, and blocks that shrink where memory runs out."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from relabel.errors import MissingPackageError, OptionError
from relabel.surface import devices
from relabel.surface.devices import LEAST, SHARE, Budget, chosen, memory_budget


def fake_torch(*, gpu: bool, cuda: str | None = "12.8") -> SimpleNamespace:
    """What of torch is asked when a device is chosen."""
    return SimpleNamespace(
        __version__="2.9.0",
        version=SimpleNamespace(cuda=cuda, hip=None),
        cuda=SimpleNamespace(is_available=lambda: gpu, mem_get_info=lambda: (1000, 2000)),
    )


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has a GPU's driver."""
    monkeypatch.setattr(devices, "_driver_loads", lambda: True)


def importing(monkeypatch: pytest.MonkeyPatch, torch_or_error: object) -> None:
    """Let `import torch` give the module, or raise the error."""

    def load(name: str) -> object:
        if name != "torch":
            return importlib.import_module(name)
        if isinstance(torch_or_error, Exception):
            raise torch_or_error
        return torch_or_error

    monkeypatch.setattr(devices, "importlib", SimpleNamespace(import_module=load, util=importlib.util))


class TestChosen:
    """chosen()."""

    def test_cpu_loads_no_torch(self):
        """Neither does auto on a machine without a driver."""
        code = (
            "import sys\n"
            "from relabel.surface import devices\n"
            "devices._driver_loads = lambda: False\n"
            "assert [devices.chosen(d) for d in ('cpu', 'auto')] == ['cpu', 'cpu']\n"
            "assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize(("gpu", "device"), [(True, "cuda"), (False, "cpu")])
    def test_auto(self, monkeypatch, driver, gpu, device):
        """A GPU that torch can use, else the CPU."""
        importing(monkeypatch, fake_torch(gpu=gpu))
        assert chosen("auto") == device

    def test_auto_without_torch(self, monkeypatch, driver):
        """Where torch is not installed, nothing is said."""
        monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
        assert chosen("auto") == "cpu"

    def test_auto_with_broken_torch(self, monkeypatch, driver, caplog):
        """Where torch does not load it goes on without, and says so."""
        importing(monkeypatch, OSError("libcudart.so.12: cannot open shared object file"))
        with caplog.at_level(logging.WARNING):
            assert chosen("auto") == "cpu"
        assert "libcudart.so.12" in caplog.text

    def test_cuda(self, monkeypatch):
        """A GPU is there."""
        importing(monkeypatch, fake_torch(gpu=True))
        assert chosen("cuda") == "cuda"

    @pytest.mark.parametrize(
        ("found", "error", "message"),
        [
            (ModuleNotFoundError("no", name="torch"), MissingPackageError, r"not installed.*pip install.*--device cpu"),
            (ModuleNotFoundError("no sympy", name="sympy"), MissingPackageError, "does not load.*no sympy"),
            (OSError("libcudart"), MissingPackageError, "does not load.*libcudart"),
            (fake_torch(gpu=False), OptionError, "no GPU.*nvidia-smi.*--device cpu"),
            (fake_torch(gpu=False, cuda=None), OptionError, "2.9.0 is built without CUDA.*--device cpu"),
        ],
    )
    def test_cuda_that_is_not_there(self, monkeypatch, found, error, message):
        """What is missing is named, and the next step."""
        importing(monkeypatch, found)
        with pytest.raises(error, match=message):
            chosen("cuda")

    def test_unknown(self):
        """The names that are known are listed."""
        with pytest.raises(OptionError, match="'gpu' is not known; choose auto, cpu, cuda"):
            chosen("gpu")


class TestMemoryBudget:
    """memory_budget()."""

    def test_cpu(self):
        """What is given."""
        assert memory_budget("cpu", 12345) == 12345
        assert memory_budget("cpu") >= LEAST

    def test_cuda(self, monkeypatch):
        """A share of what is free, or less where less is given."""
        importing(monkeypatch, fake_torch(gpu=True))
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
        assert "smaller blocks, of 500 bytes" in caplog.text

    def test_smallest_block_fails(self):
        """The error tells how much there was not, and what to do."""
        tried = []

        def work(size: int) -> None:
            tried.append(size)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

        with pytest.raises(OptionError, match=r"blocks of 30 bytes \(CUDA out of memory.*GiB\).*--device cpu"):
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
