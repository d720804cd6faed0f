"""Claims: a run claims the parts of an output that it is going to write, so that no other run writes them meanwhile.

Beside an output ``o.h5`` each run has a file ``.o.h5.XXXXXXXX.run``, locked as long as the run lives, that says who it
is and what it has claimed. They are looked through and made while ``.o.h5.relabel-lock`` is locked, for a moment.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import socket
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from relabel import locks
from relabel.atomic import output_errors
from relabel.errors import OutputInUseError


class Run(NamedTuple):
    """A run that is writing an output, or parts of it."""

    process: int
    host: str
    since: str
    command: str
    parts: tuple[str, ...] | None
    """what it has claimed; None for the whole output"""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}: {self.command}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values, but for what it has claimed."""
        return {name: value for name, value in self._asdict().items() if name != "parts"}


def living_runs(output: Path, *, beside: bool = False) -> Iterator[Run]:
    """The runs that have claimed an output or parts of it, as far as locks can tell; nothing is changed.

    `output` and `beside` are as for `claimed`.
    """
    with suppress(FileNotFoundError):
        for path in _run_files(_prefix(output, beside=beside)):
            record = _read(path)
            if record and locks.is_held(path):
                parts = record["parts"]
                values = {name: record[name] for name in ("process", "host", "since", "command")}
                yield Run(**values, parts=None if parts is None else tuple(parts))


class Claim:
    """What a run has claimed of an output; `claimed` makes them.

    Several runs share the parts of one job; what they share they may not remove.
    """

    def __init__(self, output: Path, parts: frozenset[str] | None, job: str, *, beside: bool) -> None:
        self._output, self._parts, self._job = output, parts, job
        self._prefix = _prefix(output, beside=beside)
        self._lock: locks.Lock | None = None

    def make_exclusive(self) -> None:
        """Claim the whole output: for packing the parts, and for removing them.

        Raises
        ------
        OutputInUseError
            when another run still works on parts of its own.
        """
        with _registry(self._prefix):
            self._check(None)
            self._parts = None
            self._write()

    def is_shared(self) -> bool:
        """Whether other runs have claimed parts of the same output."""
        with _registry(self._prefix):
            return bool(self._others())

    def begin(self) -> None:
        """Make the claim."""
        with _registry(self._prefix):
            self._check(self._parts)
            lock = None
            while lock is None:  # until the name is one that no other run has drawn
                lock = locks.acquire(_file(self._prefix, f"{secrets.token_hex(4)}.run"))
            self._lock = lock
            self._write()

    def end(self) -> None:
        """Give it up."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(OSError), _registry(self._prefix):
                lock.release(remove=True)

    def _others(self) -> list[tuple[Path, dict[str, Any]]]:
        """The files of other runs that live, and what they say."""
        others = []
        for path in _run_files(self._prefix):
            if self._lock is not None and path == self._lock.path:
                continue
            is_held, record = locks.is_held(path), _read(path)
            if is_held is False and (record or not path.stat().st_size):  # its run is dead
                path.unlink()
            if is_held:
                others.append((path, record))
        return others

    def _check(self, parts: frozenset[str] | None) -> None:
        for path, record in self._others():
            theirs = record.get("parts")
            if parts is None or theirs is None or record.get("job") != self._job or parts.intersection(theirs):
                raise OutputInUseError(
                    f"{self._output}: another run is writing it: {_holder(record, path)}; wait until it has finished, "
                    "or "
                    "choose another output"
                )

    def _write(self) -> None:
        assert self._lock is not None
        record = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
            "command": _command(),
            "job": self._job,
            "parts": None if self._parts is None else sorted(self._parts),
        }
        self._lock.write(json.dumps(record).encode())


@contextmanager
def claimed(
    output: Path, parts: Iterable[str] | None = None, *, job: str = "", beside: bool = False
) -> Iterator[Claim]:
    """Claim an output, or parts of it, as long as the block runs.

    Parameters
    ----------
    output:
        the file to be, in a folder that exists; or a folder that exists, whose files are written.
    parts:
        names of those that this run is going to write; None for the whole output.
    job:
        what the parts belong to: only runs of the same job share an output.
    beside:
        `output` is a folder to be, which is replaced as a whole, so that nothing may be put into it.

    Raises
    ------
    OutputInUseError
        when another run has claimed what this one asks for; says which.
    OutputError
        when the folder cannot be written.
    """
    claim = Claim(output, None if parts is None else frozenset(parts), job, beside=beside)
    try:
        with output_errors(output):
            claim.begin()
        yield claim
    finally:
        claim.end()


@contextmanager
def _registry(prefix: Path) -> Iterator[None]:
    lock = None
    while lock is None:  # one that waits for the lock gets it
        lock = locks.acquire(_file(prefix, "relabel-lock"), wait=True)
    try:
        yield
    finally:
        lock.release(remove=not _run_files(prefix) and not lock.path.stat().st_size)


def _run_files(prefix: Path) -> list[Path]:
    start = _file(prefix, "")
    pattern = re.compile(re.escape(start.name) + r"[0-9a-f]{8}\.run")
    return [path for path in prefix.parent.iterdir() if pattern.fullmatch(path.name) and _is_regular(path)]


def _is_regular(path: Path) -> bool:
    """False for a pipe, folder or link of that name, which no run has made."""
    return stat.S_ISREG(path.lstat().st_mode)


def _prefix(output: Path, *, beside: bool) -> Path:
    """What hidden files of claims begin with: beside an output, or in a folder whose files are written."""
    return output / ".relabel" if output.is_dir() and not beside else output.with_name(f".{output.name}")


def _file(prefix: Path, ending: str) -> Path:
    return prefix.with_name(f"{prefix.name}.{ending}")


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # of another user, say
        return {}
    return record if isinstance(record, dict) and _is_record(record) else {}


def _is_record(record: dict[str, Any]) -> bool:
    """Whether it is what `Claim` writes, and not what somebody else has put into a file of that name."""
    parts = record.get("parts")
    return record.keys() >= {"process", "host", "since", "command", "job"} and (
        parts is None or (isinstance(parts, list) and all(isinstance(part, str) for part in parts))
    )


def _holder(record: dict[str, Any], path: Path) -> str:
    if not record:
        return f"one whose file {path} cannot be read (remove it if that run is dead)"
    return "process {process} on {host}, since {since}: {command}".format(**record)


def _command() -> str:
    """The command line of this process, as a user would type it."""
    program, *arguments = sys.argv or [""]
    name = Path(program).name
    return shlex.join(["relabel" if name == "__main__.py" else name or "python", *arguments])
