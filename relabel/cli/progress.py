"""Progress bars, drawn on a terminal only."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, total: int | None, *, unit: str = "", hidden: bool = False) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr for the time of the block; the block calls what it is given with each step's size.

    Nothing is drawn where `hidden`, where stderr is no terminal, or after `-q`.

    Parameters
    ----------
    what:
        the words in front of the bar.
    total:
        the sum of all steps, or None where it is not known.
    unit:
        what is counted, for example ``rows``.
    hidden:
        the value of `--no-progress`.
    """
    quiet = not logging.getLogger("relabel").isEnabledFor(logging.INFO)
    if hidden or quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=f" {unit}", unit_scale=True, file=sys.stderr, leave=False) as drawn:

        def step(size: int) -> None:
            drawn.update(size)

        yield step
