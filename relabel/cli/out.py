"""Results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from relabel.errors import OutputError


def echo_json(value: Any) -> None:
    """Print one JSON value; keys stay readable where stdout is UTF-8 and are escaped where it is not."""
    plain = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")
    echo_lines([json.dumps(value, indent=2, ensure_ascii=not plain, allow_nan=False)])


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines of text."""
    for line in lines:
        with _writing():
            click.echo(line)


def echo_bytes(pieces: Iterable[bytes | memoryview]) -> None:
    """Write UTF-8 text as it is."""
    if sys.stdout is None:  # a program may be started without one
        return
    for piece in pieces:
        with _writing():
            sys.stdout.buffer.write(piece)


def flush() -> None:
    """Hand all that was printed to the system."""
    if sys.stdout is not None:
        with _writing():
            sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has enough; see relabel.cli.app
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
