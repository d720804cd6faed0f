"""How relabel compiles its kernels: lazily, cached on disk where that can be, and never with fast-math.

Without fast-math every pair is computed by the same IEEE operations whatever vector width, thread or block it falls
into, so that results are the same bits everywhere.

LLVM avoids vectors of 512 bits on Intel processors, since they slow down the clock of the first ones that have them. A
kernel that is bound by arithmetic asks for them by `wide_vectors` where they do not. One that is not a parallel loop
says by `arrays_apart` that what it writes is nothing that it reads.

Numba notices a change of the file that a cached driver stands in, but not of those that the functions it calls stand
in: their times and sizes are part of the name of what is cached.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from relabel.cores import available_cores
from relabel.errors import OptionError

log = logging.getLogger(__name__)

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
            dispatcher = compile_(cache=True)
        except (RuntimeError, OSError) as error:
            # A read-only install without a writable user cache has no place for the cache (numba issue 4908).
            _say_once(f"there is no folder to cache compiled code in ({_brief(error)})")
            return compile_(cache=False)
        dispatcher._cache = _Cache(function)  # type: ignore[attr-defined]  # noqa: SLF001  numba asks there
        return dispatcher

    return decorate


FAST_WIDE_VECTORS = "+avx512vbmi2" in get_host_cpu_features()  # since Ice Lake and Zen 4
LANES = 8 if FAST_WIDE_VECTORS else 4
"""How many float64 a loop that calls `wide_vectors` computes at a time, at the most."""


if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def wide_vectors() -> None:
        """Without the jit there are no vectors."""

    def arrays_apart() -> None:
        """Without the jit nothing depends on it."""

else:

    @intrinsic
    def wide_vectors(_typing: Any) -> Any:
        """Says that the function, or body of a parallel loop, that calls it may use vectors of 512 bits."""

        def code(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
            if FAST_WIDE_VECTORS:
                # Not by their own `add`, which knows only some attributes.
                set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.void(), code

    @intrinsic
    def arrays_apart(_typing: Any) -> Any:
        """Says that no array into which the function that calls it writes overlaps another of its arguments.

        Numba says so itself of the bodies of parallel loops. Without it, the compiler reads again after each write what
        might have changed: a tenth of the time of `relabel.fov`'s kernel.
        """

        def code(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
            for argument in builder.function.args:
                if argument.type.is_pointer:
                    argument.add_attribute("noalias")
            return context.get_dummy_value()

        return types.void(), code


class _Cache(FunctionCache):
    """Numba's cache of one function, which costs time and never a command where it is damaged or cannot be written."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFiles(
            cache_path=self._cache_path,
            # A name of their own, so that files without a digest are not taken for damaged ones.
            filename_base=f"{self._impl.filename_base}.checked",
            source_stamp=(self._impl.locator.get_source_stamp(), *_stamps_of_called(function)),
        )

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # whatever damaged files make pickle or LLVM raise
            try:
                self.flush()
            except OSError:
                self.disable()
            _say_once(f"compiled code cached in {self.cache_path} is damaged ({_brief(error)})")
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)
        except Exception as error:  # a full disk, or a folder that cannot be written
            self.disable()
            _say_once(f"compiled code cannot be cached in {self.cache_path} ({_brief(error)})")


def _stamps_of_called(function: Callable[..., Any]) -> list[tuple[float, int]]:
    """Times and sizes of the files of compiled functions and intrinsics that a function calls, and that these call."""
    called: set[Callable[..., Any]] = set()
    functions = [function]
    while functions:
        own = functions.pop()
        values: list[Any] = [own.__globals__.get(name) for name in own.__code__.co_names]
        # of compiled functions, and of intrinsics such as `wide_vectors`
        sources = [getattr(value, "py_func", getattr(value, "_defn", None)) for value in values]
        inner: set[Callable[..., Any]] = {source for source in sources if source is not None}
        functions += inner - called
        called |= inner
    files = sorted({own.__code__.co_filename for own in called})
    states = [Path(name).stat() for name in files if Path(name).exists()]
    return [(state.st_mtime, state.st_size) for state in states]


class _CheckedFiles(IndexDataCacheFile):
    """The files of a cache with a digest at the end: of damaged machine code nothing can be caught any more."""

    @contextmanager
    def _open_for_write(self, path: str) -> Iterator[Any]:
        content = io.BytesIO()
        yield content
        with super()._open_for_write(path) as file:
            file.write(content.getvalue())
            file.write(hashlib.sha256(content.getvalue()).digest())

    def _load_index(self) -> Any:
        try:
            _check_digest(self._index_path)
        except FileNotFoundError:
            return {}
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check_digest(self._data_path(name))
        return super()._load_data(name)


def _check_digest(path: str) -> None:
    content = Path(path).read_bytes()
    size = len(content) - hashlib.sha256().digest_size
    if size <= 0 or hashlib.sha256(content[:size]).digest() != content[size:]:
        raise ValueError(f"the digest of {Path(path).name} does not match")


def _brief(error: Exception) -> str:
    """The reason of an error in a line."""
    reason = getattr(error, "strerror", None) or str(error)
    return reason.splitlines()[0] if reason else type(error).__name__


_said: list[str] = []
"""what this process has said of the cache"""


def _say_once(fault: str) -> None:
    if not _said:
        _said.append(fault)
        log.warning(
            "%s, so some code is compiled again, which takes seconds to minutes and does not change results; if this "
            "recurs, set NUMBA_CACHE_DIR to a writable folder with free space",
            fault,
        )


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
    if not isinstance(threads, int | np.integer) or threads < 1:
        raise OptionError(f"threads is {threads!r}; a whole number of at least one is needed")
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


def in_pieces(function: Callable[[int, int], object], ends: npt.NDArray[np.integer[Any]]) -> None:
    """Call `function(first, stop)` for each of the pieces that `ends` cuts a whole into, on `current_threads` threads.

    For kernels that are not parallel themselves, beside other threads of this process. A thread of OpenMP that has
    nothing left to do keeps its core busy for some milliseconds, in case there is more to do, and all wait for the one
    that something else delays; these take the next piece when they have done one.

    Parameters
    ----------
    function:
        what runs without the GIL.
    ends:
        (pieces + 1,) where each piece begins, and where the last one ends, ascending.
    """
    pieces = [(int(first), int(stop)) for first, stop in pairwise(ends) if first < stop]
    left = iter(pieces)

    def work() -> None:
        for first, stop in left:  # the GIL gives each piece to one thread
            function(first, stop)

    threads = min(current_threads(), len(pieces))
    if threads < 2:
        work()
        return
    with ThreadPoolExecutor(threads - 1, thread_name_prefix="relabel-kernel") as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            other.result()


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
