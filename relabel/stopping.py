"""How a program and its worker processes are stopped: by a signal, and when their parent has gone.

The command line runs inside `orderly_stop`, and worker processes begin with `begin_worker`.
Whoever calls relabel from Python keeps their own handlers.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; `timeout`, batch systems and `docker stop`; a terminal that is closed."""

_GRACE_S = 5.0  # to unwind, which waits for kernels and threads; `docker stop` kills after 10 s
_SAME_S = 1.0  # `timeout` sends its signal twice, to its child and to the group of that
_ALL: tuple[int, ...] = tuple(signal.valid_signals())
_unfinished: set[Path] = set()
_requested: int | None = None


class Stopped(KeyboardInterrupt):
    """A signal has asked the program to stop; `number` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(name_of(number))
        self.number = number


def name_of(number: int) -> str:
    """The name of a signal, such as ``SIGTERM``."""
    return signal.Signals(number).name


def stop_signal() -> int | None:
    """The signal that has asked this program to stop, or None.

    What runs when a signal comes may turn `Stopped` into another error, as an import does.
    """
    return _requested


def farewell(number: int) -> str:
    """What a program says that a signal has stopped."""
    return "relabel: interrupted" if number == signal.SIGINT else f"relabel: stopped by {name_of(number)}"


@contextmanager
def unfinished(path: Path) -> Iterator[None]:
    """While the block runs, a file or folder at `path` is removed where the process is ended from outside."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _unfinished.discard(path)


def keep(path: Path) -> None:
    """From here on in its block, what is `unfinished` at `path` is needed by whoever cleans up after this process."""
    _unfinished.discard(path)


@contextmanager
def orderly_stop() -> Iterator[None]:
    """Inside the block the first signal of `SIGNALS` raises `Stopped` in the main thread, which unwinds and cleans up.

    Where that takes longer than a few seconds, in a kernel for example, and at a second signal the process ends at
    once; what is `unfinished` is removed then too. A signal that is ignored, as after ``nohup``, stays so, and so does
    a handler that somebody else has set. All is as before at the end of the block.
    """
    global _requested  # noqa: PLW0603
    # None: set by something other than Python
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]

    def stop(number: int, frame: FrameType | None) -> None:
        global _requested  # noqa: PLW0603
        del frame
        if _requested is None and not over:  # one more must not interrupt the cleaning up
            _requested = number
            raise Stopped(number)

    over = False
    with _signal_numbers() as numbers:
        watch = threading.Thread(target=_end_late, args=(numbers, ours), name="relabel-signals", daemon=True)
        watch.start()
        try:
            for number in ours:
                signal.signal(number, stop)
            yield
        finally:
            over = True
            for number in ours:
                signal.signal(number, before[number])
            _requested = None
    watch.join()


@contextmanager
def _signal_numbers() -> Iterator[int]:
    """A descriptor that a byte can be read from for each signal, whatever the main thread is doing; in the end none."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    previous = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(previous)
        os.close(write)


def _end_late(numbers: int, ours: list[signal.Signals]) -> None:
    """End the process if it does not end by itself soon after the first signal, or at a second one."""
    first: int | None = None
    begun = 0.0
    while True:
        left = None if first is None else max(0.0, begun + _GRACE_S - time.monotonic())
        if not select.select([numbers], [], [], left)[0] and first is not None:
            _end(128 + first, farewell(first))
        byte = os.read(numbers, 1)
        if not byte:
            os.close(numbers)
            return
        if byte[0] in ours:
            if first is None:
                first, begun = byte[0], time.monotonic()
            elif time.monotonic() - begun > _SAME_S:
                _end(128 + first, farewell(first))


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Python's signal handlers, whoever set them, run at the end of the block; they only ever run in the main thread.

    For what an exception at any moment would leave in pieces.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in _ALL if callable(handler := signal.getsignal(number))}
    received: list[tuple[int, FrameType | None]] = []

    def put_back() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    try:
        for number in handlers:
            signal.signal(number, lambda *arguments: received.append(arguments))
        yield
    finally:
        try:
            put_back()
        except BaseException:  # of a handler that was back already
            put_back()
            raise
        for number, frame in received:
            handlers[number](number, frame)


def begin_worker() -> None:
    """To be called first in a worker process that was started inside `signals_held`.

    It ends at once, and removes what is `unfinished`, at a signal of `SIGNALS` and when its parent has gone. Its exit
    status is 0 then: to parents that watch their workers, as torch does, it has not failed.
    """
    from multiprocessing import current_process, parent_process  # noqa: PLC0415  every command loads this module

    parent = parent_process()
    if parent is None:
        raise RuntimeError("this is no worker process")
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _not_in_main_thread)

    def wait() -> NoReturn:
        while parent.sentinel not in select.select([parent.sentinel, read], [], [])[0]:
            if os.read(read, 1)[0] in SIGNALS:
                break
        # Not get_temp_dir, which makes one: the main thread, on its way out, would find it gone and print a traceback.
        if (made := current_process()._config.get("tempdir")) is not None:  # type: ignore[attr-defined]  # noqa: SLF001
            _unfinished.add(Path(made))
        _end(0)

    threading.Thread(target=wait, name="relabel-parent", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_workers() -> None:
    """Have the workers of this process end now, without waiting for what they are doing."""
    processes = sys.modules.get("multiprocessing")
    for worker in processes.active_children() if processes is not None else ():
        worker.terminate()


def prepare_workers() -> None:
    """To be called before worker processes are spawned: what keeps their locks must outlive a signal to all of them.

    Python's own process for that takes no SIGINT and SIGTERM, but would die of a SIGHUP, and the next one would
    print tracebacks about locks that it does not know.
    """
    from multiprocessing import resource_tracker  # noqa: PLC0415  every command loads this module

    with signals_held():
        resource_tracker.ensure_running()


@contextmanager
def signals_held() -> Iterator[None]:
    """Processes started in this block take a signal only once they have begun, else it may print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_in_main_thread(number: int, frame: FrameType | None) -> None:
    """The thread of `begin_worker` reacts, whatever the main thread is doing."""


def _end(status: int, message: str = "") -> NoReturn:
    """End this process now, whatever its other threads are doing."""
    from shutil import rmtree  # noqa: PLC0415  every command loads this module

    for path in list(_unfinished):
        with suppress(OSError):
            if path.is_dir():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    # A stderr that nobody reads must not keep the process.
    with suppress(OSError, ValueError, AttributeError):
        if message and select.select([], [sys.stderr], [], 0)[1]:
            os.write(sys.stderr.fileno(), f"{message}\n".encode())
    os._exit(status)
