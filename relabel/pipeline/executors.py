"""Where the parts of a job are computed: in this process, in several, on a cluster, or wherever an executor takes them.

Every executor is used through the interface of `concurrent.futures`. A task travels as bytes, and what becomes of it
comes back as plain values, so that an object that cannot be pickled is the error of its task alone.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
import multiprocessing
import pickle
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import relabel.errors
from relabel.cores import available_cores
from relabel.errors import MissingPackageError, OptionError, RelabelError
from relabel.stopping import begin_worker, prepare_workers, signals_held

T = TypeVar("T")
Task = TypeVar("Task", bound=tuple[Any, ...])

KNOWN = "local, processes, processes:N or dask:ADDRESS"
_AHEAD_OF_UNKNOWN = 64
"""Tasks that are handed to an executor that does not say how many workers it has."""
_LOOK_S = 5.0
"""How often it is looked whether a scheduler is still there."""

log = logging.getLogger(__name__)


class Done(NamedTuple, Generic[Task, T]):
    """What became of a task: a value, or an error."""

    task: Task
    value: T | None
    error: Exception | None = None


class _Answer(NamedTuple):
    """What comes back from a worker, of types that any process can read."""

    value: bytes | None
    error: str = ""
    """the class of what was raised"""
    message: str = ""
    trace: str = ""


class _Workers:
    """So many worker processes, which are started when they are first needed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def pool(self) -> ProcessPoolExecutor:
        """The pool of them."""
        if self._pool is None:
            self._pool = self._stack.enter_context(_processes(self._count))
        return self._pool

    def end(self, error: BaseException | None = None) -> None:
        """End them; others are started when they are needed again. After an error, what they do is not waited for."""
        self._pool = None
        stop = None if error is None else GeneratorExit()
        self._stack.__exit__(None if stop is None else GeneratorExit, stop, None)


@dataclass(frozen=True)
class Executor:
    """A place to compute in.

    Attributes
    ----------
    kind:
        ``local``, ``processes``, ``dask``, or ``given`` for an object with the interface of `concurrent.futures`.
    workers:
        the number of processes; None for as many as there are cores.
    address:
        of the dask scheduler.
    pool:
        the object that was given.
    """

    kind: Literal["local", "processes", "dask", "given"]
    workers: int | None = None
    address: str | None = None
    pool: concurrent.futures.Executor | None = None
    kept_workers: _Workers | None = None
    """processes that stay from one run to the next; None where each run starts its own"""

    @contextmanager
    def kept(self) -> Iterator[Executor]:
        """The same place, but that processes stay from one `run` to the next: each takes a second to start."""
        if self.kind != "processes":
            yield self
            return
        workers = _Workers(self.workers or available_cores())
        try:
            yield replace(self, kept_workers=workers)
        except BaseException as error:
            workers.end(error)
            raise
        workers.end()

    @property
    def is_local(self) -> bool:
        """Whether everything happens in this process."""
        return self.kind == "local"

    def check_installed(self) -> None:
        """Raise MissingPackageError unless the package that it needs can be loaded."""
        if self.kind == "dask":
            _distributed()

    def run(
        self, function: Callable[..., T], tasks: Iterable[Task], threads: int | None
    ) -> Generator[Done[Task, T], None, None]:
        """What becomes of ``function(*task, threads)`` for all tasks, as they are ready.

        Tasks do not depend on each other; they are taken as there is room, a few more than there are workers. One that
        fails does not keep the others from being computed. `threads` is what all processes may use together; elsewhere
        a task gets as many as it finds.

        Raises
        ------
        OptionError, MissingPackageError
            when there is no such place.
        RelabelError
            when the place is gone: a scheduler that has been ended, or an executor that takes no more tasks.
        """
        if self.kind == "processes":
            yield from self._in_processes(function, iter(tasks), threads)
        elif self.kind == "dask":
            with _dask_pool(str(self.address)) as (pool, room, check):
                yield from _all(pool, function, iter(tasks), None, room, check)
        elif self.pool is not None:
            size = getattr(self.pool, "_max_workers", None) or getattr(self.pool, "num_workers", None)
            ahead = 2 * size if isinstance(size, int) else _AHEAD_OF_UNKNOWN
            yield from _all(self.pool, function, iter(tasks), None, lambda: ahead, lambda: None)
        else:
            for task in tasks:
                try:
                    done = Done(task, function(*task, threads))
                except Exception as error:
                    done = Done(task, None, error)
                yield done

    def _in_processes(
        self, function: Callable[..., T], tasks: Iterator[Task], threads: int | None
    ) -> Iterator[Done[Task, T]]:
        cores = available_cores()
        workers = self.workers or cores
        share = max(1, (threads or cores) // workers)
        while True:
            lost: list[Task] = []
            kept = self.kept_workers
            with _processes(workers) if kept is None else nullcontext(kept.pool()) as pool:
                yield from _all(pool, function, tasks, share, lambda: workers + 1, lambda: None, lost)
            if not lost:
                return
            if kept is not None:
                kept.end()
            # A process has died, and nobody can tell of which of the tasks: each is tried by itself.
            log.warning(
                "a worker process died, most likely because memory ran out; %d parts that were being computed are "
                "tried one at a time",
                len(lost),
            )
            for task in lost:
                with _processes(1) as pool:
                    died: list[Task] = []
                    yield from _all(pool, function, iter([task]), threads or cores, lambda: 1, lambda: None, died)
                if died:
                    yield Done(task, None, _died(workers))


def _died(workers: int) -> RelabelError:
    return RelabelError(
        "a worker process died, most likely because memory ran out; use fewer processes "
        f"(executor='processes:{max(1, workers // 2)}') or executor='local'"
    )


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: a forked child inherits the threads of numba and HDF5 in a state it cannot use.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    prepare_workers()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker) as pool:
        try:
            yield pool
        except (KeyboardInterrupt, GeneratorExit):
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # what they have not finished is not waited for
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _all(
    pool: concurrent.futures.Executor,
    function: Callable[..., T],
    tasks: Iterator[Task],
    threads: int | None,
    room: Callable[[], int],
    check: Callable[[], None],
    lost: list[Task] | None = None,
) -> Iterator[Done[Task, T]]:
    """What becomes of all tasks, at most ``room()`` of which are handed over at a time.

    Where the pool breaks, the tasks that it had go to `lost` and the others stay in the iterator; without that list,
    each of them has failed. `check` is called now and then, and raises where there is no use in waiting.
    """
    pending: dict[Future[_Answer], Task] = {}
    broken, more = False, True
    try:
        while True:
            while more and not broken and len(pending) < room():
                task = next(tasks, None)
                if task is None:
                    more = False
                    break
                try:
                    sent = pickle.dumps((function, (*task, threads)))
                except Exception as error:
                    yield Done(task, None, RelabelError(f"cannot be sent to another process: {error}"))
                    continue
                try:
                    with signals_held():  # a pool starts its processes when it gets a task
                        pending[pool.submit(_answer, sent)] = task
                except BrokenProcessPool:
                    broken = True
                    pending[_failed(BrokenProcessPool())] = task
                except RuntimeError as error:
                    raise RelabelError(f"the executor takes no more parts: {error}; finished parts are kept") from None
            if not pending:
                return
            ready, _ = wait(pending, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            if not ready:
                check()
            for future in ready:
                task = pending.pop(future)
                try:
                    answer = future.result()
                except BrokenProcessPool as error:
                    broken = True
                    if lost is None:
                        yield Done(task, None, RelabelError(f"the executor lost its workers: {error}"))
                    else:
                        lost.append(task)
                except concurrent.futures.CancelledError:
                    check()
                    yield Done(task, None, RelabelError("was cancelled by the executor"))
                except Exception as error:
                    check()
                    yield Done(task, None, RelabelError(_of_executor(error)))
                else:
                    yield _done(task, answer)
    finally:
        for future in pending:
            future.cancel()


def _failed(error: Exception) -> Future[_Answer]:
    future: Future[_Answer] = Future()
    future.set_exception(error)
    return future


def _of_executor(error: Exception) -> str:
    if type(error).__name__ == "KilledWorker":
        return (
            "dask workers died of it, most likely because memory ran out; give the workers more memory or start "
            "fewer per machine"
        )
    return f"the executor failed: {type(error).__name__}: {error}"


def _done(task: Task, answer: _Answer) -> Done[Task, Any]:
    if answer.value is not None:
        return Done(task, pickle.loads(answer.value))  # noqa: S301  of our own worker
    kind = getattr(relabel.errors, answer.error, None)
    if isinstance(kind, type) and issubclass(kind, RelabelError):
        return Done(task, None, kind(answer.message))
    log.debug("%s", answer.trace)
    return Done(task, None, RelabelError(f"{answer.error}: {answer.message}"))


_ONE_AT_A_TIME = threading.Lock()
"""A part uses all threads and memory of its process, even where that has several threads for tasks."""


def _answer(sent: bytes) -> _Answer:
    """In a worker: do a task, whatever happens."""
    with _ONE_AT_A_TIME:
        try:
            function, arguments = pickle.loads(sent)  # noqa: S301  of the process that started the job
            return _Answer(pickle.dumps(function(*arguments)))
        except Exception as error:
            return _Answer(None, type(error).__name__, str(error), traceback.format_exc())


@contextmanager
def _dask_pool(
    address: str,
) -> Iterator[tuple[concurrent.futures.Executor, Callable[[], int], Callable[[], None]]]:
    """The executor of a dask cluster, how many tasks it may have, and what raises where its scheduler has gone."""
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise OptionError(f"no dask scheduler answers at {address!r}: {error}") from None

    def check() -> None:
        if client.status != "running":
            raise RelabelError(
                f"the dask scheduler at {address!r} does not answer any more; finished parts are kept, and the same "
                "command goes on from there"
            )

    def room() -> int:
        check()
        try:
            return max(2, 2 * len(client.nthreads()))
        except OSError:
            return 0  # it has just gone

    with _quiet("distributed"), client:
        if not client.nthreads():
            log.warning("the dask scheduler at %r has no workers yet; waiting for them", address)
        pool = client.get_executor(pure=False)  # else a task would be answered from memory, though its file may be gone
        try:
            yield pool, room, check
        finally:
            if client.status == "running":
                pool.shutdown(wait=False)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library, whose loggers have levels of their own, from logging what is said here in other words."""
    names = [name, *(known for known in logging.root.manager.loggerDict if known.startswith(f"{name}."))]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise MissingPackageError(
            "executor='dask' needs the package distributed: pip install 'relabel-vpr[cluster]'"
        ) from None


def parse(given: str | concurrent.futures.Executor) -> Executor:
    """The executor that an option names, or that was given.

    Raises
    ------
    OptionError
        when it is none.
    """
    if not isinstance(given, str):
        if not callable(getattr(given, "submit", None)):
            raise OptionError(
                f"executor {given!r} has no submit(); use {KNOWN}, or an object like those of concurrent.futures"
            )
        return Executor("given", pool=given)
    kind, _, rest = given.partition(":")
    if kind == "local" and not rest:
        return Executor("local")
    if kind == "processes" and (not rest or (rest.isdecimal() and int(rest) > 0)):
        return Executor("processes", workers=int(rest) if rest else None)
    if kind == "dask" and rest:
        return Executor("dask", address=rest)
    raise OptionError(f"executor {given!r} is not known; use {KNOWN}")
