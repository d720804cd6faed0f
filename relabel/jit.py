"""How relabel compiles its kernels: lazily, cached on disk where that can be, and never with fast-math.

Without fast-math every pair is computed by the same IEEE operations whatever vector width, thread or block it falls
into, so that results are the same bits everywhere.

Numba notices a change of the file that a cached driver stands in, but not of the functions it calls elsewhere: what a
driver calls stands in its own module.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
import numpy as np

from relabel.cores import available_cores
from relabel.errors import OptionError

F = TypeVar("F", bound=Callable[..., Any])


def inlined(function: F) -> F:
    """A scalar function that is compiled into its callers; division by zero gives inf or nan as in IEEE 754."""
    return cast("F", numba.njit(forceinline=True, error_model="numpy")(function))


def compiled(*, parallel: bool = False) -> Callable[[F], F]:
    """A top-level driver, compiled on first use without the GIL and kept in numba's cache."""

    def decorate(function: F) -> F:
        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            return _as_numpy_divides(function)

        def compile_(*, cache: bool) -> F:
            return cast("F", numba.njit(cache=cache, error_model="numpy", parallel=parallel, nogil=True)(function))

        try:
            return compile_(cache=True)
        except RuntimeError:
            # A read-only install without a writable user cache has no place for the cache (numba issue 4908).
            return compile_(cache=False)

    return decorate


def _as_numpy_divides(function: F) -> F:
    """The plain function with the error model of the compiled one: division by zero is no event."""

    @functools.wraps(function)
    def quiet(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return cast("F", quiet)


def thread_count(threads: int | None) -> int:
    """The number of threads to use: `threads`, or all that this process may run on.

    Raises
    ------
    OptionError
        when fewer than one thread is asked for.
    """
    if threads is None:
        return max(1, min(available_cores(), _most_threads()))
    if threads < 1:
        raise OptionError(f"threads is {threads}; at least one is needed")
    return min(threads, _most_threads())


def _most_threads() -> int:
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def current_threads() -> int:
    """How many threads numba's parallel loops run on now.

    Numba starts its threads when it is first asked. Where they are OpenMP's, that also sets the number of threads that
    torch computes on, on which the bits of a training run depend; torch gets its own number back.
    """
    torch = sys.modules.get("torch")
    torch_threads = None if torch is None else torch.get_num_threads()
    threads = int(numba.get_num_threads())
    if torch is not None and torch.get_num_threads() != torch_threads:
        torch.set_num_threads(torch_threads)
    return threads


@contextmanager
def threads_set(threads: int | None) -> Iterator[int]:
    """Run numba's parallel loops on `threads` threads inside the block; the old setting comes back at its end."""
    before = current_threads()
    count = thread_count(threads)
    numba.set_num_threads(count)
    try:
        yield count
    finally:
        numba.set_num_threads(before)
