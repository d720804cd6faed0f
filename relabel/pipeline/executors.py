"""Where the parts of a job are computed: in this process, in several, or on a cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from relabel.cores import available_cores
from relabel.errors import MissingPackageError, OptionError, RelabelError
from relabel.stopping import begin_worker, prepare_workers, signals_held

T = TypeVar("T")
KNOWN = "local, processes, processes:N or dask:ADDRESS"


@dataclass(frozen=True)
class Executor:
    """A place to compute in.

    Attributes
    ----------
    kind:
        ``local``, ``processes`` or ``dask``.
    workers:
        the number of processes; None for as many as there are cores.
    address:
        of the dask scheduler.
    """

    kind: Literal["local", "processes", "dask"]
    workers: int | None = None
    address: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether everything happens in this process."""
        return self.kind == "local"

    def run(
        self, function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], threads: int | None
    ) -> Generator[T, None, None]:
        """Results of ``function(*task, threads)`` for all tasks, as they are ready; tasks may not depend on each other.

        `threads` is what all processes may use together; a dask worker gets as many as it has.

        Raises
        ------
        RelabelError
            when a worker dies; what the function raises comes through as it is.
        """
        if self.kind == "dask":
            yield from self._run_on_dask(function, tasks)
            return
        cores = available_cores()
        workers = min(self.workers or cores, len(tasks))
        share = max(1, (threads or cores) // workers)
        # Spawned, not forked: a forked child inherits the threads of numba and HDF5 in a state it cannot use.
        context = multiprocessing.get_context("spawn")
        others = set(multiprocessing.active_children())
        prepare_workers()
        with ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker) as pool:
            try:
                with signals_held():
                    futures: list[Future[T]] = [pool.submit(function, *task, share) for task in tasks]
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool:
                raise RelabelError(
                    "a worker process died, most likely because memory ran out; use fewer processes "
                    f"(executor='processes:{max(1, workers // 2)}') or executor='local'; finished parts are kept"
                ) from None
            except (KeyboardInterrupt, GeneratorExit):
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()  # what they have not finished is not waited for
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _run_on_dask(self, function: Callable[..., T], tasks: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        try:
            import distributed  # noqa: PLC0415 - an optional package
        except ImportError:
            raise MissingPackageError(
                "executor='dask' needs the package distributed: pip install 'relabel-vpr[cluster]'"
            ) from None
        try:
            client = distributed.Client(self.address, timeout=10)
        except (OSError, ValueError) as error:
            raise OptionError(f"no dask scheduler answers at {self.address!r}: {error}") from None
        with client:
            futures = [client.submit(function, *task, None, pure=False) for task in tasks]
            try:
                for future in distributed.as_completed(futures):
                    yield future.result()
            except distributed.KilledWorker:
                raise RelabelError(
                    "a dask worker died, most likely because memory ran out; give the workers more memory or start "
                    "fewer per machine; finished parts are kept"
                ) from None


def parse(text: str) -> Executor:
    """The executor that an option names.

    Raises
    ------
    OptionError
        when it names none.
    """
    kind, _, rest = text.partition(":")
    if kind == "local" and not rest:
        return Executor("local")
    if kind == "processes" and (not rest or (rest.isdecimal() and int(rest) > 0)):
        return Executor("processes", workers=int(rest) if rest else None)
    if kind == "dask" and rest:
        return Executor("dask", address=rest)
    raise OptionError(f"executor {text!r} is not known; use {KNOWN}")
