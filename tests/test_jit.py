"""Threads and the kernel cache."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import numba
import numpy as np
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
        pytest.importorskip("torch")
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


class TestInPieces:
    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize(
        ("ends", "pieces"),
        [
            ([], set()),
            ([3], set()),
            ([0, 0, 2, 2, 5, 5], {(0, 2), (2, 5)}),
            (list(range(101)), {(k, k + 1) for k in range(100)}),
        ],
    )
    def test_each_piece_once(self, threads: int, ends: list[int], pieces: set[tuple[int, int]]) -> None:
        """By whatever thread; pieces without anything are left out."""
        done: list[tuple[int, int]] = []
        with jit.threads_set(threads):
            jit.in_pieces(lambda first, stop: done.append((first, stop)), np.array(ends, np.int64))
        assert len(done) == len(pieces)
        assert set(done) == pieces

    @pytest.mark.parametrize("threads", [1, 2])
    def test_error(self, threads: int) -> None:
        """What a piece raises is raised."""

        def fail(first: int, _stop: int) -> None:
            if first == 7:
                raise ZeroDivisionError

        with jit.threads_set(threads), pytest.raises(ZeroDivisionError):
            jit.in_pieces(fail, np.arange(20))


class TestWideVectors:
    @pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="there are no vectors without the jit")
    def test_vectors_are_as_wide_as_lanes(self):
        @jit.inlined
        def squares(x, out):
            jit.wide_vectors()
            for k in range(x.size):
                out[k] = x[k] * x[k] + 1.0

        x, out = np.arange(100.0), np.empty(100)
        squares(x, out)
        np.testing.assert_array_equal(out, x**2 + 1.0)
        (assembly,) = squares.inspect_asm().values()
        assert ("zmm" in assembly) == jit.FAST_WIDE_VECTORS == (jit.LANES == 8)


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


KERNEL = """\
from relabel.jit import compiled
@compiled()
def double(x):
    return 2 * x
print(double(21), double(0.5))
"""
DAMAGED = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "garbage": lambda data: b"garbage",
    # As of machine code, which would then run.
    "one bit": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "zeros": lambda data: bytes(len(data)),
}


class TestCache:
    """A damaged cache, or one that cannot be written, costs time and a sentence, never a command."""

    @pytest.fixture
    def kernel(self, tmp_path):
        """A module with a kernel."""
        path = tmp_path / "kernel.py"
        path.write_text(KERNEL)
        return path

    def run(self, kernel, **limits):
        """What a process prints that runs the kernel, and what it says on stderr; limits are of `resource`."""
        folder = kernel.parent / "cache"
        start = "".join(f"resource.setrlimit(resource.{name}, ({n}, {n}));" for name, n in limits.items())
        code = f"import resource, runpy; {start} runpy.run_path({str(kernel)!r})"
        environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(REPOSITORY)}
        environment.pop("NUMBA_DISABLE_JIT", None)
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["42", "1.0"]
        return done.stderr, sorted(folder.rglob("*.nb[ic]"))

    def test_nothing_is_said_of_a_good_one(self, kernel):
        """The second process takes what the first one kept."""
        said, files = self.run(kernel)
        kept = [(path, path.stat().st_ino) for path in files]
        assert len(kept) == 3  # an index and two signatures
        assert said == ""
        assert self.run(kernel) == ("", files)
        assert [(path, path.stat().st_ino) for path in files] == kept

    def test_damage(self, kernel):
        """Is said once with what to do, and mended: a process after that finds a good cache."""
        _, files = self.run(kernel)
        path = next(path for path in files if path.suffix == ".nbc")
        path.write_bytes(DAMAGED["one bit"](path.read_bytes()))
        said, _ = self.run(kernel)
        assert said.count("is damaged") == 1
        assert "compiled again," in said
        assert "set NUMBA_CACHE_DIR to a writable folder" in said
        assert self.run(kernel)[0] == ""

    def test_a_called_function_changes(self, tmp_path, monkeypatch):
        """The name of what is cached changes with the file of a function that is called by way of another."""
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "inner_kernels.py").write_text("import numba\n@numba.njit\ndef twice(x):\n    return 2 * x\n")
        (tmp_path / "middle_kernels.py").write_text(
            "import numba\nfrom inner_kernels import twice\n@numba.njit\ndef half(x):\n    return twice(x) / 4\n"
        )
        half = importlib.import_module("middle_kernels").half

        outer = types.FunctionType(compile("half(1)", "outer", "eval"), {"half": half})
        before = jit._stamps_of_called(outer)
        assert len(before) == 2
        os.utime(tmp_path / "inner_kernels.py", (1, 1))
        assert jit._stamps_of_called(outer) != before

    @pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="there are no intrinsics without the jit")
    def test_an_intrinsic_is_called(self):
        """The file of an intrinsic counts as that of a compiled function does."""
        outer = types.FunctionType(compile("apart()", "outer", "eval"), {"apart": jit.arrays_apart})
        state = Path(jit.__file__).stat()
        assert jit._stamps_of_called(outer) == [(state.st_mtime, state.st_size)]

    @pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
    @pytest.mark.parametrize("ending", ["nbi", "nbc"])
    def test_every_damage_is_noticed(self, tmp_path, ending, damage):
        """Before anything is unpickled or run."""
        files = jit._CheckedFiles(cache_path=str(tmp_path), filename_base="a", source_stamp=1)
        files.save("key", bytes(1000))
        assert files.load("key") == bytes(1000)
        path = next(tmp_path.glob(f"*.{ending}"))
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(ValueError, match=rf"the digest of a.*\.{ending} does not match"):
            files.load("key")
        files.flush()
        assert files.load("key") is None

    def test_full_disk(self, kernel):
        """No file may grow past 100 bytes, as where a quota is used up."""
        said, files = self.run(kernel, RLIMIT_FSIZE=100)
        assert said.count("cannot be cached in") == 1
        assert "Traceback" not in said
        assert all(path.stat().st_size <= 100 for path in files)
        assert self.run(kernel)[0] == ""

    def test_a_folder_in_the_way(self, kernel):
        """An index that cannot be read, nor replaced."""
        _, files = self.run(kernel)
        index = next(path for path in files if path.suffix == ".nbi")
        index.unlink()
        index.mkdir()
        (index / "a").write_text("")
        assert self.run(kernel)[0].count("NUMBA_CACHE_DIR") == 1
