"""Computations that a browser polls until they are done."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Progress = Callable[[int], object]
T = TypeVar("T")


def has_failed(future: Future[Any]) -> bool:
    """Whether it ended with an error. Errors are not kept: a file that could not be read may be back."""
    return future.done() and (future.cancelled() or future.exception() is not None)


class Job(Generic[T]):
    """A computation in a thread, with the number of rows read so far; it can be stopped between two blocks."""

    def __init__(self, workers: ThreadPoolExecutor, compute: Callable[[Progress], T]) -> None:
        self.rows = 0
        self._stopped = False
        self.future: Future[T] = workers.submit(compute, self._advance)

    def _advance(self, rows: int) -> None:
        if self._stopped:
            raise CancelledError
        self.rows += rows

    def stop(self) -> None:
        """End it as soon as possible."""
        self._stopped = True
        self.future.cancel()


class Jobs(Generic[T]):
    """The newest few computations by request; older ones are stopped, and their results dropped.

    Parameters
    ----------
    most:
        how many to keep, which bounds the memory of results and the work that requests can queue.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: dict[Hashable, Job[T]] = {}
        self._workers = ThreadPoolExecutor(1)

    def ask(self, key: Hashable, compute: Callable[[Progress], T]) -> Job[T]:
        """The job of this key, started unless it exists; one that has failed is started again by the next request."""
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
