"""Computations that a browser asks for again and again until they are done."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Progress = Callable[[int], object]
T = TypeVar("T")


def has_failed(future: Future[Any]) -> bool:
    """Whether it ended with an error, which is not kept: what could not be read may be there again."""
    return future.done() and (future.cancelled() or future.exception() is not None)


class Job(Generic[T]):
    """A computation in a thread, and how many rows it has read; stopped between two blocks of rows."""

    def __init__(self, workers: ThreadPoolExecutor, compute: Callable[[Progress], T]) -> None:
        self.rows = 0
        self._stopped = False
        self.future: Future[T] = workers.submit(compute, self._advance)

    def _advance(self, rows: int) -> None:
        if self._stopped:
            raise CancelledError
        self.rows += rows

    def stop(self) -> None:
        """End it as soon as may be."""
        self._stopped = True
        self.future.cancel()


class Jobs(Generic[T]):
    """The newest few computations, by what was asked for; older ones are stopped, and their results forgotten.

    Parameters
    ----------
    most:
        how many, which bounds the memory of results and the work that requests can pile up.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: dict[Hashable, Job[T]] = {}
        self._workers = ThreadPoolExecutor(1)

    def ask(self, key: Hashable, compute: Callable[[Progress], T]) -> Job[T]:
        """The job of this key, begun unless it is there; one that has failed is begun again the next time."""
        job = self._jobs.pop(key, None) or Job(self._workers, compute)
        if has_failed(job.future):
            return job
        self._jobs[key] = job
        while len(self._jobs) > self._most:
            self._jobs.pop(next(iter(self._jobs))).stop()
        return job

    def close(self) -> None:
        """Stop all of them."""
        for job in self._jobs.values():
            job.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)
