"""The installed `relabel` as a process of its own: streams, pipes, signals and exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SCRIPT

Script = Callable[..., "subprocess.CompletedProcess[str]"]


class TestStreams:
    """Data on stdout, everything else on stderr."""

    def test_data_only_on_stdout(self, script: Script, labels: Path) -> None:
        """A good run says nothing on stderr, however loud."""
        done = script("-v", "info", labels, "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["format"] == "relabel.labels"

    def test_errors_only_on_stderr(self, script: Script, tmp_path: Path) -> None:
        """A failing run prints one line on stderr, which names the file, and nothing on stdout."""
        done = script("info", tmp_path / "missing.h5")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("relabel: error: ")
        assert "missing.h5" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_wrong_usage(self, script: Script) -> None:
        """Status 2."""
        assert script("info").returncode == 2

    def test_a_terminal_without_utf8(self, script: Script, labels: Path) -> None:
        """Letters that the terminal does not have are escaped, and nothing fails."""
        environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
        done = script("stats", labels, env=environment, encoding="latin-1")
        assert done.returncode == 0
        assert "\\u03c8" in done.stdout  # ψ


class TestModule:
    """python -m relabel"""

    def test_is_the_command(self, script: Script) -> None:
        """It prints what the script prints, with the name of the script in usage and errors."""
        for arguments, code in (["--version"], 0), (["info", "--help"], 0), (["info"], 2), (["inof"], 2):
            done = subprocess.run(
                [sys.executable, "-m", "relabel", *arguments], check=False, capture_output=True, text=True, timeout=60
            )
            by_script = script(*arguments)
            assert (done.returncode, done.stdout, done.stderr) == (code, by_script.stdout, by_script.stderr)
            assert "__main__" not in done.stdout + done.stderr
            assert "relabel" in done.stdout + done.stderr


class TestClosedPipe:
    """relabel dump FILE | head -1"""

    def test_head(self, large: Path) -> None:
        """When the reader has enough, the program ends silently and as a success."""
        command = f'set -o pipefail; "{SCRIPT}" dump "{large}" | head -1; echo "${{PIPESTATUS[0]}}"'
        done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, timeout=60)
        assert done.stdout == "query,database,value\n0\n"
        assert done.stderr == ""

    def test_closed_at_once(self, labels: Path) -> None:
        """So it does for a short output that is still buffered when the reader goes."""
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            done = subprocess.run(
                [SCRIPT, "info", labels], check=False, stdout=pipe, stderr=subprocess.PIPE, timeout=60
            )
        assert (done.returncode, done.stderr) == (0, b"")

    def test_without_poll(self, labels: Path) -> None:
        """Some builds of Python for macOS have no poll; the closed pipe is noticed all the same."""
        code = "import select; del select.poll\nfrom relabel.cli import main\nmain()"
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            done = subprocess.run(
                [sys.executable, "-c", code, "info", labels],
                check=False,
                stdout=pipe,
                stderr=subprocess.PIPE,
                timeout=60,
            )
        assert (done.returncode, done.stderr) == (0, b"")

    def test_no_stdout(self, labels: Path) -> None:
        """A program started without a stdout does not fall over it."""
        done = subprocess.run(
            ["bash", "-c", f'"{SCRIPT}" info "{labels}" >&-'], check=False, capture_output=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
class TestFullDisk:
    """relabel dump FILE > /dev/full"""

    @pytest.mark.parametrize("arguments", [["info"], ["dump"]])
    def test_is_an_error(self, large: Path, arguments: list[str]) -> None:
        """Output that could not be written is no success; one line says why."""
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [SCRIPT, *arguments, large], check=False, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
            )
        assert done.returncode == 1
        assert done.stderr == "relabel: error: cannot write to standard output: No space left on device\n"


class TestInterrupt:
    """Ctrl-C"""

    def test_status_130(self, large: Path) -> None:
        """Interrupted while the pipe is full, it stops at once with status 130 and one line."""
        with subprocess.Popen([SCRIPT, "dump", large], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(5) == b"query"  # it runs, and has more to say than the pipe takes
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
            assert process.stderr.read() == b"relabel: interrupted\n"
