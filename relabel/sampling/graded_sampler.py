"""What all samplers share: the labels, the way pairs are drawn from them, and epochs that can be resumed anywhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from relabel.display import Displayed, Summary
from relabel.errors import OptionError
from relabel.exclusion import Exclusion, chosen_bands
from relabel.sampling import bands as band
from relabel.sampling import hard_negatives
from relabel.sampling.pair_table import BandExclusion, Labels, PairTable
from relabel.sampling.plan import Order, Weights, plain_weights, sampling_plan
from relabel.sampling.report import SamplerReport, sampler_report

T = TypeVar("T")

_STATE_VERSION = 1
_WORDS = 2**64  # seed and epoch are the two words of the generator's key


@dataclass(frozen=True)
class SamplerOptions:
    """What every sampler takes besides its labels, as `relabel.training.GradedPairSampler` describes it."""

    bands: Sequence[float]
    seed: int
    length: int | None
    hard_negatives_m: tuple[float, float] | None
    weights: Weights
    rank: int
    world_size: int
    other_sequence: bool
    min_frame_gap: int | None
    min_time_gap_s: float | None
    exclude_from: Sequence[str]


class GradedSampler(Displayed, ABC, Generic[T]):
    """An iterable over one epoch after another, like a sampler of torch, but without torch.

    Iterating starts at the beginning of the epoch, or where a loaded state stood. Iterating again once all items of an
    epoch have been given begins the next, so that a loop that never calls `set_epoch` still gets new items each time.

    Parameters
    ----------
    labels:
        a collection, a `LabelFile`, or a list of them.
    options:
        what all samplers take.
    order:
        what is drawn first, a band for a pair or a query.
    own:
        the further arguments of the class, as its `__init__` takes them and `state_dict` records them.

    Attributes
    ----------
    seed, epoch, rank, world_size, bands, hard_negatives_m, excluded:
        what the draws depend on.
    position:
        how many items of the epoch the latest iterator has given.

    Raises
    ------
    OptionError, InputError, LabelFileError
        as for `relabel.training.GradedPairSampler`.
    """

    def __init__(self, labels: Labels, options: SamplerOptions, order: Order, own: Mapping[str, Any]) -> None:
        self._arguments = {**vars(options), **own}
        self._own = own
        self._order: Order = order
        self.seed = whole_number("seed", options.seed, 0, _WORDS)
        self.world_size = whole_number("world_size", options.world_size, 1)
        self.rank = whole_number("rank", options.rank, 0, self.world_size)
        self.bands = band.checked(options.bands)
        distances = options.hard_negatives_m
        self.hard_negatives_m = None if distances is None else hard_negatives.check_range(distances)
        rule = Exclusion(options.other_sequence, options.min_frame_gap, options.min_time_gap_s)
        self.excluded = BandExclusion(rule, chosen_bands(options.exclude_from))
        self._pairs = PairTable(labels, self.hard_negatives_m, self.excluded)
        self._plan = sampling_plan(self._pairs, self.bands, order, options.weights, self.hard_negatives_m)
        total = self._default_length() if options.length is None else whole_number("length", options.length, 1)
        self._length = self._length_of_rank(total)
        self.epoch = 0
        self.position = 0
        self._start = 0
        self._done = False

    @property
    def collections(self) -> list[str]:
        """The names of the collections."""
        return list(self._pairs.names)

    def report(self) -> SamplerReport:
        """What is drawn: the pairs and the share of each band, and the queries that have no pair of it."""
        return sampler_report(self._pairs, self._plan, self._order)

    def lost_queries(self, name: str) -> dict[str, npt.NDArray[np.str_]]:
        """The keys of those queries, by collection, all of whose pairs of a band are excluded.

        Parameters
        ----------
        name:
            ``positive``, ``partial`` or ``zero``.

        Raises
        ------
        OptionError
            when it is none of these.
        """
        if name not in band.NAMES:
            raise OptionError(f"{name!r} is not a band; choose {', '.join(band.NAMES)}")
        lost = self._pairs.lost()[band.NAMES.index(name)]
        starts = self._pairs.query_start
        return {
            collection: source.collection.query.key[lost[starts[i] : starts[i + 1]]]
            for i, (collection, source) in enumerate(self._pairs.labels.items())
        }

    def _summary(self) -> Summary:
        place = f"epoch {self.epoch}, {self.position:,} of {len(self):,} items drawn"
        ranks = "" if self.world_size == 1 else f", rank {self.rank} of {self.world_size}"
        labels, *bands = str(self.report()).splitlines()
        rows = [("labels", labels), *(("draws", band.strip()) for band in bands)]
        hard = self.hard_negatives_m
        rows += [] if hard is None else [("zeros", f"from {hard[0]:g} to {hard[1]:g} m away")]
        rules = [rule for rule in dict.fromkeys(self._pairs.rules) if rule]
        rows += [("excludes", rule) for rule in rules]
        return Summary(f"{type(self).__name__}: seed {self.seed}, {place}{ranks}", rows)

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
            # An iterator of another epoch that continues does not move the sampler. The last item ends the epoch: a
            # loop that counts its items does not ask for one more.
            if self.epoch == epoch:
                self.position = at
                self._done = at == self._length
            yield item
        if self.epoch == epoch:
            self._done = True

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch; the position of a loaded state is kept if the state is of that epoch.

        Raises
        ------
        OptionError
            if it is not a whole number of 0 or more.
        """
        number = whole_number("epoch", epoch, 0, _WORDS)
        if number != self.epoch or self._done:
            self.epoch, self.position, self._start, self._done = number, 0, 0, False

    def state_dict(self, position: int | None = None) -> dict[str, Any]:
        """The state of the sampler as plain values (JSON, or torch files read with `weights_only`).

        Parameters
        ----------
        position:
            how many items of the epoch have been used, where the caller knows better: a loader with workers asks the
            sampler for batches ahead of those it has given out. By default `position`.
        """
        at = self.position if position is None else whole_number("position", position, 0, self._length + 1)
        return {"version": _STATE_VERSION, "epoch": self.epoch, "position": at, "setup": self._setup()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of a sampler of the same setup; any rank may load the state of any other.

        Raises
        ------
        OptionError
            if it is not the state of a sampler, or of one with another setup; the message names the first difference.
        """
        try:
            version, epoch, at, setup = (state[name] for name in ("version", "epoch", "position", "setup"))
            recorded = dict(setup)
        except (KeyError, TypeError, ValueError, IndexError):
            raise OptionError(
                "the state is not that of a sampler: version, epoch, position and setup are expected"
            ) from None
        if version != _STATE_VERSION:
            raise OptionError(f"the state has version {version}; this program reads version {_STATE_VERSION}")
        for name, mine in self._setup().items():
            if recorded.get(name) != mine:
                raise OptionError(
                    f"the state is of a sampler with another {name}: {recorded.get(name)!r}, and this one has "
                    f"{mine!r}; create the sampler as before, or start over"
                )
        position = whole_number("the state's position", at, 0, self._length + 1)
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

    def _setup(self) -> dict[str, Any]:
        """Everything that the draws depend on except rank and epoch, as plain values."""
        return {
            "kind": type(self).__name__,
            "seed": self.seed,
            "bands": list(self.bands),
            **self._own,
            "hard_negatives_m": None if self.hard_negatives_m is None else list(self.hard_negatives_m),
            "excluded": self.excluded.rule.to_json(),
            "exclude_from": list(compress(band.NAMES, self.excluded.bands)) if self.excluded.rule else None,
            "weights": plain_weights(self._arguments["weights"]),
            "world_size": self.world_size,
            # Last, since they may differ because of an argument, which is then the difference to name.
            "labels": self._pairs.digests,
            "length": len(self),
        }

    @abstractmethod
    def _default_length(self) -> int:
        """Items of an epoch over all ranks, if the caller gives no number."""

    @abstractmethod
    def _length_of_rank(self, total: int) -> int:
        """Items of an epoch that one rank gives, if all ranks together give that many."""

    @abstractmethod
    def _items(self, epoch: int, first: int, stop: int) -> Iterator[T]:
        """The items of this rank from `first` up to, but not including, `stop`."""


def whole_number(name: str, value: Any, least: int, below: int | None = None) -> int:
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
