"""Epochs that can be left and taken up again anywhere: what all samplers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from relabel.errors import OptionError
from relabel.sampling.pair_table import PairTable

T = TypeVar("T")

_STATE_VERSION = 1
_WORDS = 2**64  # seed and epoch are the two words of the generator's key


class GradedSampler(ABC, Generic[T]):
    """An iterable over one epoch after another, as a torch sampler, without torch.

    Iterating starts at the beginning of the epoch, or where a loaded state stood. Iterating again once all items of an
    epoch have been given begins the next, so that a loop that never calls `set_epoch` still gets new items each time.

    Attributes
    ----------
    seed, epoch, rank, world_size:
        what the draws depend on.
    position:
        how many items of the epoch the latest iterator has given.
    """

    _pairs: PairTable
    _arguments: dict[str, Any]
    """what a sampler is made with besides its labels"""

    def __init__(self, seed: int, rank: int, world_size: int) -> None:
        self.seed = whole("seed", seed, 0, _WORDS)
        self.world_size = whole("world_size", world_size, 1)
        self.rank = whole("rank", rank, 0, self.world_size)
        self.epoch = 0
        self.position = 0
        self._start = 0
        self._done = False
        self._length = 0

    def __len__(self) -> int:
        """How many items this rank gives in a whole epoch."""
        return self._length

    def __iter__(self) -> Iterator[T]:
        # The next epoch begins here and not where the last one ends: a loader asks for items ahead of those that have
        # been used, and the state is to be that of the epoch in use.
        if self._done:
            self.set_epoch(self.epoch + 1)
        self.position = self._start
        return self._run(self.epoch, self._start)

    def _run(self, epoch: int, at: int) -> Iterator[T]:
        for item in self._items(epoch, at, self._length):
            at += 1
            # An iterator of another epoch that goes on says nothing about where the sampler stands. The last item ends
            # the epoch: a loop that counts its items does not ask for one more.
            if self.epoch == epoch:
                self.position = at
                self._done = at == self._length
            yield item
        if self.epoch == epoch:
            self._done = True

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch; a loaded state keeps its place where it is of that epoch.

        Raises
        ------
        OptionError
            when it is not a whole number from 0.
        """
        number = whole("epoch", epoch, 0, _WORDS)
        if number != self.epoch or self._done:
            self.epoch, self.position, self._start, self._done = number, 0, 0, False

    def state_dict(self, position: int | None = None) -> dict[str, Any]:
        """Where the sampler stands, as plain values (JSON, or torch files read with `weights_only`).

        Parameters
        ----------
        position:
            how many items of the epoch have been used, where the caller knows better: a loader with workers asks the
            sampler for batches ahead of those it has given out. By default `position`.
        """
        at = self.position if position is None else whole("position", position, 0, self._length + 1)
        return {"version": _STATE_VERSION, "epoch": self.epoch, "position": at, "setup": self._setup()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where a sampler of the same setup stood; any rank may load the state of any other.

        Raises
        ------
        OptionError
            when it is no state of a sampler, or one of another setup; the message names the first difference.
        """
        try:
            version, epoch, at, setup = (state[name] for name in ("version", "epoch", "position", "setup"))
            told = dict(setup)
        except (KeyError, TypeError, ValueError, IndexError):
            raise OptionError(
                "the state is none of a sampler: version, epoch, position and setup are expected"
            ) from None
        if version != _STATE_VERSION:
            raise OptionError(f"the state has version {version}; this program reads version {_STATE_VERSION}")
        for name, mine in self._setup().items():
            if told.get(name) != mine:
                raise OptionError(
                    f"the state is of a sampler with another {name}: {told.get(name)!r}, and this one has {mine!r}; "
                    "make the sampler as it was, or start anew"
                )
        position = whole("the state's position", at, 0, self._length + 1)
        self.set_epoch(epoch)
        self.position = self._start = position

    def __getstate__(self) -> dict[str, Any]:
        return {
            "labels": self._pairs.labels,
            "arguments": self._arguments,
            "state": self.state_dict(),
            "start": self._start,
            "done": self._done,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["labels"], **state["arguments"])  # type: ignore[misc]
        self.load_state_dict(state["state"])
        self._start, self._done = state["start"], state["done"]

    @abstractmethod
    def _items(self, epoch: int, first: int, stop: int) -> Iterator[T]:
        """The items of this rank from `first` to before `stop`."""

    @abstractmethod
    def _setup(self) -> dict[str, Any]:
        """Plain values of all that the draws depend on, but for rank and epoch."""


def whole(name: str, value: Any, least: int, below: int | None = None) -> int:
    """The whole number in [least, below) that an argument is.

    Raises
    ------
    OptionError
        when it is none.
    """
    number: int | None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != value or number < least or (below is not None and number >= below):
        end = "" if below is None else f" to {below - 1}"
        raise OptionError(f"{name} is {value!r}; it has to be a whole number from {least}{end}")
    return number
