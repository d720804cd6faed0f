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

from relabel.labelfile import LabelFile, validate
from tests.cli.conftest import SCRIPT

Script = Callable[..., "subprocess.CompletedProcess[str]"]


class TestStreams:
    """Data on stdout, everything else on stderr."""

    def test_data_only_on_stdout(self, script: Script, labels: Path) -> None:
        """However much it says of its steps."""
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


def gone() -> int:
    """The end to write to of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


class TestClosedStreams:
    """Streams that are closed, full or without a reader change what is said, and nothing else."""

    @pytest.mark.parametrize("redirection", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full", ">&3", "2>&3", ">&3 2>&3"])
    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["merge", "FILE", "-o", "new.h5"], 0),
            (["validate", "BAD"], 1),  # a result that nobody reads is not good for that
            (["info", "BAD"], 1),
            (["info"], 2),
        ],
        ids=["merge", "validate", "error", "usage"],
    )
    def test_same_status_and_files(
        self, arguments: list[str], code: int, redirection: str, labels: Path, here: Path
    ) -> None:
        """3 is a pipe whose reader has gone."""
        (here / "bad.h5").write_bytes(labels.read_bytes()[:3000])
        words = {"FILE": str(labels), "BAD": "bad.h5"}
        command = " ".join(f"'{word}'" for word in [SCRIPT, *(words.get(word, word) for word in arguments)])
        nobody = gone()
        try:
            done = subprocess.run(
                ["bash", "-c", f"exec {command} {redirection.replace('&3', f'&{nobody}')}"],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
                pass_fds=[nobody],
            )
        finally:
            os.close(nobody)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert sorted(path.name for path in here.iterdir()) == ["bad.h5", *(["new.h5"] if code == 0 else [])]
        if code == 0:
            assert LabelFile(here / "new.h5").keys() == LabelFile(labels).keys()
            assert validate(here / "new.h5").valid

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_files_never_take_their_place(self, closed: str, here: Path) -> None:
        """What a library writes to stdout or stderr never goes into a file that is opened later."""
        code = "from relabel.cli.streams import open_streams\nopen_streams()\nimport os, sys\n"
        code += (
            "file = open('file', 'w')\nassert file.fileno() > 2\nos.write(1, b'x'), os.write(2, b'x'), os.read(0, 1)\n"
        )
        code += "print('x', flush=True), print('x', file=sys.stderr, flush=True)"
        command = f'"{sys.executable}" -c "{code}" {closed}'
        done = subprocess.run(["bash", "-c", command], check=False, stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert (here / "file").read_bytes() == b""


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
