"""Where parts are computed: the names of executors, and that results, errors and dead workers come back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Self

import pytest

from relabel.errors import InputError, MissingPackageError, OptionError, RelabelError
from relabel.pipeline.executors import Executor, parse
from tests.pipeline import stubs


class FakeFuture:
    def __init__(self, value: Any) -> None:
        self.value = value

    def result(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class FakeDask(ModuleType):
    """As much of dask.distributed as the executor uses; everything is computed at once, and comes back last first."""

    class KilledWorker(Exception):  # noqa: N818 - the name of theirs
        """A task that no worker survived."""

    def __init__(self, *, down: bool = False, killed: bool = False) -> None:
        super().__init__("distributed")
        self.down, self.killed = down, killed
        self.addresses: list[str] = []
        self.closed = 0

    def Client(self, address: str, timeout: float) -> FakeDask:  # noqa: N802 - the name of theirs
        if self.down:
            raise OSError(f"Timed out trying to connect to {address}")
        assert timeout > 0
        self.addresses.append(address)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed += 1

    def submit(self, function: Callable[..., Any], *task: Any, pure: bool) -> FakeFuture:
        assert pure is False, "a pure task would be answered from memory, though the file may be gone"
        if self.killed:
            return FakeFuture(self.KilledWorker("task-1", "tcp://10.0.0.2:1", 4))
        try:
            return FakeFuture(function(*task))
        except RelabelError as error:
            return FakeFuture(error)

    def as_completed(self, futures: Iterable[FakeFuture]) -> Iterator[FakeFuture]:
        return reversed(list(futures))


@pytest.fixture
def dask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeDask]:
    """Put the stand-in where the package would be."""

    def install(**state: bool) -> FakeDask:
        fake = FakeDask(**state)
        monkeypatch.setitem(sys.modules, "distributed", fake)
        return fake

    return install


class TestParse:
    """relabel.pipeline.executors.parse"""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("local", Executor("local")),
            ("processes", Executor("processes")),
            ("processes:3", Executor("processes", workers=3)),
            ("dask:tcp://10.0.0.1:8786", Executor("dask", address="tcp://10.0.0.1:8786")),
        ],
    )
    def test_known(self, text: str, expected: Executor) -> None:
        """Each form of the option is understood; an address keeps its colons."""
        assert parse(text) == expected
        assert expected.is_local == (text == "local")

    @pytest.mark.parametrize(
        "text", ["", "threads", "local:2", "processes:0", "processes:-1", "processes:two", "dask", "dask:", "Local"]
    )
    def test_unknown(self, text: str) -> None:
        """Anything else is refused with the text itself and what there is."""
        with pytest.raises(OptionError, match="local, processes, processes:N or dask:ADDRESS") as caught:
            parse(text)
        assert repr(text) in str(caught.value)


class TestProcesses:
    """Executor("processes").run"""

    def test_results_come_back(self) -> None:
        """Every task is done once, in another process, with its share of the threads."""
        executor = Executor("processes", workers=2)
        found = sorted(executor.run(stubs.square, [(k,) for k in range(5)], 6))
        assert [(value, threads) for value, threads, _ in found] == [(k * k, 3) for k in range(5)]
        assert os.getpid() not in {process for _, _, process in found}

    def test_an_error_comes_through(self) -> None:
        """What the function raises keeps its class and message."""
        with pytest.raises(InputError, match=r"^1 is not good$"):
            list(Executor("processes", workers=2).run(stubs.refuse, [(k,) for k in range(4)], 1))

    def test_a_dead_worker(self) -> None:
        """A worker that vanishes is an error that suspects memory and says what to try."""
        with pytest.raises(RelabelError, match="a worker process died") as caught:
            list(Executor("processes", workers=2).run(stubs.die, [(0,), (1,)], 1))
        assert "executor='processes:1'" in str(caught.value)
        assert "memory" in str(caught.value)


class TestDask:
    """Executor("dask").run"""

    def test_results_come_back(self, dask: Callable[..., FakeDask]) -> None:
        """The client gets the address and is closed; a worker decides itself how many threads it uses."""
        fake = dask()
        found = list(parse("dask:tcp://10.0.0.1:8786").run(stubs.square, [(k,) for k in range(3)], 6))
        assert sorted(found) == [(k * k, None, os.getpid()) for k in range(3)]
        assert (fake.addresses, fake.closed) == (["tcp://10.0.0.1:8786"], 1)

    def test_an_error_comes_through(self, dask: Callable[..., FakeDask]) -> None:
        """What the function raises comes through, and the client is closed."""
        fake = dask()
        with pytest.raises(InputError, match=r"^1 is not good$"):
            list(parse("dask:x").run(stubs.refuse, [(0,), (1,)], 1))
        assert fake.closed == 1

    def test_no_scheduler(self, dask: Callable[..., FakeDask]) -> None:
        """An address where nobody answers is named."""
        dask(down=True)
        with pytest.raises(OptionError, match="no dask scheduler answers at 'tcp://nowhere:1'"):
            list(parse("dask:tcp://nowhere:1").run(stubs.square, [(0,)], 1))

    def test_a_dead_worker(self, dask: Callable[..., FakeDask]) -> None:
        """So is a task whose workers died again and again."""
        dask(killed=True)
        with pytest.raises(RelabelError, match="a dask worker died"):
            list(parse("dask:x").run(stubs.square, [(0,)], 1))

    def test_package_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the package the error says how to get it."""
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'relabel-vpr\[cluster\]'"):
            list(parse("dask:x").run(stubs.square, [(0,)], 1))
