"""How a program is stopped by signals, whatever it is doing, and that whoever uses relabel keeps their own handlers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from relabel.labelfile import write
from relabel.stopping import SIGNALS, Stopped, orderly_stop, stop_signal
from tests.conftest import REPOSITORY
from tests.similarities import similarity

PATIENCE_S = 300.0

PROGRAM = """
import ctypes, os, sys
from pathlib import Path
from relabel import stopping

def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()

def block_in_c():
    # Locked twice, a mutex waits for ever, and signals do not wake it: a kernel that does not return.
    mutex, lock = ctypes.create_string_buffer(256), ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    try:
        say("blocked")
        lock(mutex)
    except stopping.Stopped:  # it came between the two
        pass
    lock(mutex)

half = Path("half")
half.write_text("unfinished")
stopping._GRACE_S, stopping._SAME_S = {grace}, {same}
with stopping.orderly_stop(), stopping.unfinished(half):
    {body}
"""


def program(folder: Path, body: str, *, grace: str = "1e9", same: str = "1e9") -> subprocess.Popen[str]:
    code = PROGRAM.format(body=body.replace("\n", "\n    "), grace=grace, same=same)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class TestOrderlyStop:
    """relabel.stopping.orderly_stop"""

    @pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
    def test_unwinds(self, number: signal.Signals) -> None:
        """A signal is an exception in the main thread that knows its number, and that no `except Exception` takes."""
        went_on = cleaned = False

        def work() -> None:
            nonlocal went_on, cleaned
            try:
                signal.raise_signal(number)
                went_on = True
            except Exception:
                went_on = True
            finally:
                cleaned = True

        with orderly_stop():
            with pytest.raises(KeyboardInterrupt) as caught:
                work()
            assert stop_signal() == number
        assert isinstance(caught.value, Stopped)
        assert (caught.value.number, went_on, cleaned, stop_signal()) == (number, False, True, None)

    def test_all_is_as_before(self) -> None:
        """Handlers and the descriptor that Python writes signals to are put back, after an error as well."""
        before = [signal.getsignal(number) for number in SIGNALS]
        read, write_end = os.pipe()
        os.set_blocking(write_end, False)
        own = signal.set_wakeup_fd(write_end)
        try:
            with pytest.raises(ZeroDivisionError), orderly_stop():
                raise ZeroDivisionError
            assert [signal.getsignal(number) for number in SIGNALS] == before
        finally:
            assert signal.set_wakeup_fd(own) == write_end
            os.close(read)
            os.close(write_end)

    def test_what_others_have_set_stays(self) -> None:
        """A signal that is ignored, as after nohup, and one with a handler of its own are left alone."""
        received: list[int] = []
        before = (
            signal.signal(signal.SIGHUP, signal.SIG_IGN),
            signal.signal(signal.SIGTERM, lambda n, _: received.append(n)),
        )
        try:
            with orderly_stop():
                signal.raise_signal(signal.SIGHUP)
                signal.raise_signal(signal.SIGTERM)
            assert received == [signal.SIGTERM]
        finally:
            signal.signal(signal.SIGHUP, before[0])
            signal.signal(signal.SIGTERM, before[1])

    def test_sent_twice_at_once(self, tmp_path: Path) -> None:
        """`timeout` sends its signal to its child and to the group of that: the cleaning up is not cut short."""
        body = "try:\n    import signal; say('ready'); signal.pause()\nfinally:\n    import time\n"
        body += "    os.kill(os.getpid(), 15); time.sleep(0.1); say('cleaned up')"
        with program(tmp_path, body) as process:
            assert line(process) == "ready"
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        assert stdout == "cleaned up\n"
        assert "relabel.stopping.Stopped: SIGTERM" in stderr

    def test_second_signal(self, tmp_path: Path) -> None:
        """One that comes later ends the process at once, though the main thread is in a kernel."""
        with program(tmp_path, "block_in_c()", same="0.0") as process:
            assert line(process) == "blocked"
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None:
                assert time.monotonic() < deadline
                process.send_signal(signal.SIGINT)
                time.sleep(0.01)
            stdout, stderr = process.communicate()
        assert (process.returncode, stdout, stderr) == (130, "", "relabel: interrupted\n")
        assert list(tmp_path.iterdir()) == []

    def test_main_thread_does_not_react(self, tmp_path: Path) -> None:
        """A kernel that takes too long does not keep the process from an orderly end."""
        with program(tmp_path, "block_in_c()", grace="0.1") as process:
            assert line(process) == "blocked"
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, stdout, stderr) == (143, "", "relabel: stopped by SIGTERM\n")
        assert list(tmp_path.iterdir()) == []

    def test_exception_is_swallowed(self, tmp_path: Path) -> None:
        """So it is where a library takes the exception for nothing."""
        body = "try:\n    os.kill(os.getpid(), 15)\nexcept BaseException:\n    block_in_c()"
        with program(tmp_path, body, grace="0.1") as process:
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, stdout, stderr) == (143, "blocked\n", "relabel: stopped by SIGTERM\n")
        assert list(tmp_path.iterdir()) == []


class TestCallers:
    """What Python programs that use relabel have set"""

    def test_write_keeps_handlers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A handler that raises, of any signal, waits for HDF5; afterwards all handlers are those of before."""
        from relabel.labelfile import safe_h5file

        class Alarm(Exception):  # noqa: N818
            """As a test runner raises when its time is over."""

        def alarm(*_: object) -> None:
            raise Alarm

        write_at = safe_h5file._Disk.write
        inside = []

        def send(disk: Any, data: Any) -> int:
            if not inside:
                for number in (signal.SIGALRM, *SIGNALS):
                    signal.raise_signal(number)
            inside.append(write_at(disk, data))
            return inside[-1]

        monkeypatch.setattr(safe_h5file._Disk, "write", send)
        before = {number: signal.signal(number, alarm) for number in (signal.SIGALRM, *SIGNALS)}
        try:
            with pytest.raises(Alarm):
                write(tmp_path / "x.h5", {"x": similarity(3, 3, seed=1)})
            assert inside
            assert {signal.getsignal(number) for number in before} == {alarm}
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        assert list(tmp_path.iterdir()) == []
