"""The data of a training run: sampler, dataset and loader in one, which can start at any pair of any epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relabel.errors import OptionError, RelabelError
from relabel.images.loading import Batch, CameraDataset, Grouped, PairDataset, loader
from relabel.images.paths import ImagePaths, camera_image_paths
from relabel.sampling.batch_sampler import BatchSimilarity, GradedBatchSampler
from relabel.sampling.pair_sampler import GradedPairSampler
from relabel.similarity import SimilaritySource
from relabel.training.config import TrainConfig
from relabel.training.loss_registry import LOSSES
from relabel.training.processes import Processes

_SAMPLER_OPTIONS = (
    *("bands", "seed", "hard_negatives_m"),
    *("other_sequence", "min_frame_gap", "min_time_gap_s", "exclude_from"),
)


class TrainingBatches:
    """Batches of pairs; for losses that train on batches, of twice as many images: two images count as a pair.

    Parameters
    ----------
    config, sources, paths:
        the recipe, the collections by name, and the paths of their images.
    workers, pinned:
        as for `loader`.
    processes:
        the processes that train together: each takes its share of every batch.

    Raises
    ------
    OptionError, InputError, MissingPackageError
        as for the samplers and datasets.
    """

    def __init__(
        self,
        config: TrainConfig,
        sources: Mapping[str, SimilaritySource],
        paths: ImagePaths,
        *,
        workers: int = 0,
        pinned: bool = False,
        processes: Processes = Processes(),  # noqa: B008  is a tuple
    ) -> None:
        options: dict[str, Any] = {name: getattr(config, name) for name in _SAMPLER_OPTIONS}
        options |= {"rank": processes.rank, "world_size": processes.world_size}
        self._names = list(sources)
        self.sampler: GradedBatchSampler | GradedPairSampler
        if LOSSES[config.loss].trains_on == "batches":
            if processes.world_size > 1:
                raise OptionError(
                    f"the loss {config.loss} looks at whole batches, which {processes.world_size} processes would not "
                    "have; train it in one process"
                )
            self._pairs_per_item, self._items_per_pair = config.batch_size, 2
            self.sampler = GradedBatchSampler(
                sources, 2 * config.batch_size, length=config.batches_per_epoch, **options
            )
            cameras = CameraDataset(camera_image_paths([*sources.values()], paths), config.size)
            self._loader = loader(cameras, self.sampler, workers=workers, pinned=pinned)
        else:
            self._pairs_per_item, self._items_per_pair = 1, 1
            self.sampler = GradedPairSampler(sources, length=config.pairs_per_epoch, **options)
            _check_shares(config, self.sampler.report().exact_round or 1, processes.world_size)
            pairs = PairDataset(paths, config.size)
            share = Grouped(self.sampler, config.batch_size // processes.world_size)
            self._loader = loader(pairs, share, workers=workers, pinned=pinned)
        self._processes = processes

    def batches(self, epoch: int, position: int) -> Iterator[Batch]:
        """The batches of an epoch that follow its first `position` pairs.

        Raises
        ------
        RelabelError
            when a process that reads images has died.
        """
        self.sampler.load_state_dict(self.state(epoch, position))
        batches = iter(self._loader)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise RelabelError(
                    f"a process that reads images has died ({error}); if memory ran out, use fewer workers"
                ) from None
            yield batch

    def state(self, epoch: int, position: int) -> dict[str, Any]:
        """The state of the sampler after `position` pairs of an epoch over all processes, however far the loader is."""
        own = position // (self._pairs_per_item * self._processes.world_size)
        return self.sampler.state_dict(0) | {"epoch": epoch, "position": own}

    def digests(self) -> dict[str, str]:
        """Digest of the content of each collection, by name."""
        return dict(zip(self._names, self.sampler.state_dict()["setup"]["labels"], strict=True))

    def report(self) -> str:
        """What the sampler draws, one line per band, with the number of queries that lack it."""
        return str(self.sampler.report())

    def pairs(self, items: int) -> int:
        """Number of pairs that a number of items of a `Batch` counts as."""
        return items // self._items_per_pair

    def similarity(self, cameras: Sequence[int]) -> BatchSimilarity:
        """The similarities of a batch of cameras, for losses that train on batches."""
        assert isinstance(self.sampler, GradedBatchSampler)
        return self.sampler.similarity(cameras)


def _check_shares(config: TrainConfig, exact_round: int, processes: int) -> None:
    """Refuse sizes that several processes could not share without drawing other pairs than one process."""
    unit = exact_round * processes
    for name in ("batch_size", "pairs_per_epoch"):
        value = getattr(config, name)
        if processes > 1 and value % unit:
            least = -(-value // unit) * unit
            raise OptionError(
                f"{name} is {value}; {processes} processes share it in rounds of {exact_round} pairs: make it a "
                f"multiple of {unit}, such as {least}"
            )
