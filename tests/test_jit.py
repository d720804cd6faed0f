"""Threads and the kernel cache."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

from relabel import jit
from relabel.cores import available_cores
from relabel.errors import OptionError
from tests.conftest import REPOSITORY


class TestThreadsSet:
    def test_the_setting_comes_back_even_after_an_error(self):
        before = numba.get_num_threads()
        seen = []
        with pytest.raises(ZeroDivisionError), jit.threads_set(1) as count:
            seen += [count, numba.get_num_threads(), 1 / 0]
        with jit.threads_set(1) as count:
            seen += [count, numba.get_num_threads()]
        assert seen == [1, 1]
        assert numba.get_num_threads() == before

    def test_torch_keeps_its_own(self):
        """Numba's first parallel loop in a process does not change how many threads torch computes on."""
        code = (
            "import torch; from relabel import jit; torch.set_num_threads(1)\nprint(torch.get_num_threads())\n"
            "with jit.threads_set(None): print(torch.get_num_threads())\n"
            "print(torch.get_num_threads())"
        )
        environment = os.environ | {"NUMBA_NUM_THREADS": "2", "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["1", "1", "1"]

    def test_none_takes_all_and_more_than_all_is_all(self):
        most = min(available_cores(), numba.config.NUMBA_NUM_THREADS)
        assert jit.thread_count(None) == most
        assert jit.thread_count(10_000) == numba.config.NUMBA_NUM_THREADS

    def test_no_thread_at_all(self):
        with pytest.raises(OptionError, match="at least one"):
            jit.thread_count(0)


class TestCompiled:
    def test_works_where_no_cache_can_be_written(self, tmp_path):
        """A read-only install without a home: slower to start, but no crash."""
        blocked = tmp_path / "file"
        blocked.write_text("")
        module = tmp_path / "kernel.py"
        module.write_text(
            "from relabel.jit import compiled\n@compiled()\ndef double(x):\n    return 2 * x\nprint(double(21))\n"
        )
        # Python run from a string has no file that a cache could stand beside.
        code = f"import sys; exec(compile(open({str(module)!r}).read(), '/nowhere/kernel.py', 'exec'))"
        environment = os.environ | {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked), "NUMBA_CACHE_DIR": ""}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == "42", done.stderr
