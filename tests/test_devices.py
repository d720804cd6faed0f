"""relabel.devices: which device is chosen, and what is said where it cannot be had."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from relabel import devices
from relabel.devices import chosen, device_of, is_bf16, peak_bytes, seeded, torch_threads
from relabel.errors import MissingPackageError, OptionError

pytestmark = pytest.mark.gpu


def fake_torch(*, gpu: bool, cuda: str | None = "12.8") -> SimpleNamespace:
    """What of torch is asked when a device is chosen."""
    return SimpleNamespace(
        __version__="2.9.0",
        version=SimpleNamespace(cuda=cuda, hip=None),
        cuda=SimpleNamespace(is_available=lambda: gpu),
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

    util = SimpleNamespace(find_spec=lambda name: name)  # there, even where the tests have no torch
    monkeypatch.setattr(devices, "importlib", SimpleNamespace(import_module=load, util=util))


class TestChosen:
    """chosen()."""

    def test_cpu_loads_no_torch(self):
        """Neither does auto on a machine without a driver."""
        code = (
            "import sys\n"
            "from relabel import devices\n"
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
            (ModuleNotFoundError("no", name="torch"), MissingPackageError, r"not installed.*pip install.*device='cpu'"),
            (ModuleNotFoundError("no sympy", name="sympy"), MissingPackageError, "does not load.*no sympy"),
            (OSError("libcudart"), MissingPackageError, "does not load.*libcudart"),
            (fake_torch(gpu=False), OptionError, "no GPU.*nvidia-smi.*device='cpu'"),
            (fake_torch(gpu=False, cuda=None), OptionError, "2.9.0 was built without CUDA.*device='cpu'"),
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


@pytest.fixture
def torch() -> Any:
    """The package torch; a test that asks for it is skipped where it is not installed."""
    return pytest.importorskip("torch")


class TestOfTorch:
    """What is told in torch's own types."""

    def test_without_a_gpu(self, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is no GPU auto is the CPU, and cuda is refused."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert device_of("auto") == device_of("cpu") == torch.device("cpu")
        with pytest.raises(OptionError, match="use device='cpu'"):
            device_of("cuda")

    def test_with_a_gpu(self, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A GPU that is there is taken, and bfloat16 if it has it."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        assert device_of("cuda").type == "cuda"
        assert is_bf16("auto", torch.device("cuda"))
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
        assert not is_bf16("auto", torch.device("cuda"))

    def test_precision_on_a_cpu(self, torch: Any) -> None:
        """On a CPU bfloat16 has to be asked for."""
        assert [is_bf16(name, torch.device("cpu")) for name in ("auto", "bf16", "float32")] == [False, True, False]

    def test_peak_bytes(self, torch: Any) -> None:
        """The peak of a process that has loaded torch is between 50 MB and what any machine has."""
        assert 50e6 < peak_bytes(torch.device("cpu")) < 1e13

    def test_threads(self, torch: Any) -> None:
        """Inside the block torch computes on that many threads, afterwards on as many as before; None changes none."""
        before = torch.get_num_threads()
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
        with torch_threads(None):
            assert torch.get_num_threads() == before
        assert torch.get_num_threads() == before

    def test_seeded(self, torch: Any) -> None:
        """A seed gives the same numbers each time, and outside nothing has happened."""
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            before = torch.get_rng_state()
            with seeded(5):
                first = torch.rand(3)
            with seeded(5):
                assert torch.equal(first, torch.rand(3))
            assert torch.equal(before, torch.get_rng_state())

    def test_importing_the_module_loads_no_torch(self) -> None:
        """The command line imports it for the names of devices alone."""
        code = "import sys, relabel.devices; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the system does not tell the two apart")
def test_peak_of_a_process_is_its_own() -> None:
    """And not that of a larger process that started it."""
    ballast = bytearray(b"x") * 300_000_000
    code = "from relabel.devices import process_peak_bytes; print(process_peak_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1_000_000 < int(done.stdout) < len(ballast) < devices.process_peak_bytes()
