"""Where parts are computed: the names of executors, and that results, errors and dead workers come back."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

from relabel.errors import InputError, MissingPackageError, OptionError, RelabelError
from relabel.pipeline.executors import Done, Executor, parse
from tests.pipeline import stubs


class FakeDask(ModuleType):
    """As much of dask.distributed as the executor uses; everything is computed at once."""

    class KilledWorker(Exception):  # noqa: N818 - the name of theirs
        """A task that no worker survived."""

    status = "running"

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

    def nthreads(self) -> dict[str, int]:
        return {"tcp://10.0.0.2:1": 4}

    def get_executor(self, *, pure: bool) -> FakeDask:
        assert pure is False, "a pure task would be answered from memory, though the file may be gone"
        return self

    def shutdown(self, *, wait: bool) -> None:
        assert not wait

    def submit(self, function: Callable[..., Any], *task: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.killed:
            future.set_exception(self.KilledWorker("task-1", "tcp://10.0.0.2:1", 4))
        else:
            future.set_result(function(*task))
        return future


@pytest.fixture
def dask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeDask]:
    """Put the stand-in where the package would be."""

    def install(**state: bool) -> FakeDask:
        fake = FakeDask(**state)
        monkeypatch.setitem(sys.modules, "distributed", fake)
        return fake

    return install


def values(done: Iterable[Done[Any, Any]]) -> list[Any]:
    """The values of tasks all of which went well."""
    return [value for _, value, error in done if error is None or pytest.fail(str(error))]


def errors(done: Iterable[Done[Any, Any]]) -> dict[Any, Exception]:
    """What went wrong, by task."""
    return {task: error for task, _, error in done if error is not None}


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

    def test_results_and_errors_come_back(self) -> None:
        """Every task is done once, in another process, with its share of the threads; an error keeps class and words.

        What cannot be pickled, on the way there or back, is the error of its task alone. Another run has the same
        processes where they are kept, which end with the block.
        """
        tasks: list[tuple[Any, ...]] = [*((stubs.square, k) for k in range(5)), (stubs.refuse, 1)]
        tasks += [(stubs.gives_what_cannot_be_pickled, 1), (stubs.raises_what_cannot_be_unpickled, 1), (lambda: 1, 1)]
        with Executor("processes", workers=2).kept() as executor:
            done = list(executor.run(stubs.call, tasks, 6))
            processes = set(multiprocessing.active_children())
            values(executor.run(stubs.square, [(k,) for k in range(4)], 6))
            assert len(processes) == 2
            assert processes == set(multiprocessing.active_children())
        assert not multiprocessing.active_children()
        found = sorted(value for _, value, error in done if error is None)
        assert [(value, threads) for value, threads, _ in found] == [(k * k, 3) for k in range(5)]
        assert os.getpid() not in {process for _, _, process in found}
        refused, not_back, odd, not_there = (errors(done)[task] for task in tasks[5:])
        assert (type(refused), str(refused)) == (InputError, "1 is not good")
        assert "pickle" in str(not_back)
        assert str(odd) == "TwoArguments: a b"
        assert "cannot be sent to another process" in str(not_there)

    def test_a_dead_worker(self, tmp_path: Path) -> None:
        """The task of which workers die has failed, with what to try; what was with it, or is well alone, is done."""
        tasks = [(k, tmp_path / "marker") for k in range(5)]
        with Executor("processes", workers=2).kept() as executor:
            done = list(executor.run(stubs.die_of_2, tasks, 1))
            assert [value for value, *_ in values(executor.run(stubs.square, [(3,)], 1))] == [9]
        assert sorted(value for _, value, error in done if error is None) == [0, 1, 3, 4]
        ((task, error),) = errors(done).items()
        assert task[0] == 2
        assert "executor='processes:1'" in str(error)
        assert "memory" in str(error)


class TestGiven:
    """An object with the interface of concurrent.futures"""

    def test_tasks_are_not_handed_over_all_at_once(self) -> None:
        """A thread pool computes, one task at a time; two tasks wait for each of its workers."""
        taken: list[int] = []
        done: list[int] = []

        def tasks() -> Iterator[tuple[int]]:
            for k in range(20):
                taken.append(k)
                assert len(taken) - len(done) <= 5
                yield (k,)

        with ThreadPoolExecutor(2) as pool:
            for result in parse(pool).run(stubs.square, tasks(), 3):
                assert result.value is not None
                done.append(result.value[0])
                assert result.value[1] is None
        assert sorted(done) == [k * k for k in range(20)]

    def test_that_takes_no_more(self) -> None:
        """One that has been shut down is an error that says so."""
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        with pytest.raises(RelabelError, match="takes no more parts: cannot schedule new futures after shutdown"):
            list(parse(pool).run(stubs.square, [(1,)], 1))

    def test_none(self) -> None:
        """Something without submit() is no executor."""
        with pytest.raises(OptionError, match=r"has no submit\(\)"):
            parse(7)  # type: ignore[arg-type]


class TestDask:
    """Executor("dask").run"""

    def test_results_come_back(self, dask: Callable[..., FakeDask]) -> None:
        """The client gets the address and is closed; a worker decides itself how many threads it uses."""
        fake = dask()
        found = values(parse("dask:tcp://10.0.0.1:8786").run(stubs.square, [(k,) for k in range(3)], 6))
        assert sorted(found) == [(k * k, None, os.getpid()) for k in range(3)]
        assert (fake.addresses, fake.closed) == (["tcp://10.0.0.1:8786"], 1)

    def test_no_scheduler(self, dask: Callable[..., FakeDask]) -> None:
        """An address where nobody answers is named."""
        dask(down=True)
        with pytest.raises(OptionError, match="no dask scheduler answers at 'tcp://nowhere:1'"):
            list(parse("dask:tcp://nowhere:1").run(stubs.square, [(0,)], 1))

    def test_dead_workers(self, dask: Callable[..., FakeDask]) -> None:
        """A task whose workers died again and again has failed, and no other."""
        dask(killed=True)
        (error,) = errors(parse("dask:x").run(stubs.square, [(0,)], 1)).values()
        assert "dask workers died of it" in str(error)

    def test_package_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the package the error says how to get it."""
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'relabel-vpr\[cluster\]'"):
            list(parse("dask:x").run(stubs.square, [(0,)], 1))
