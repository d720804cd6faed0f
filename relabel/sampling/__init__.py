"""Drawing pairs and batches by bands of ψ from label files, with numpy and numba alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily

if TYPE_CHECKING:
    from relabel.sampling._draw import DrawnPairs
    from relabel.sampling.batch_sampler import BatchSimilarity, GradedBatchSampler
    from relabel.sampling.pair_sampler import GradedPairSampler
    from relabel.sampling.report import SamplerReport

__all__ = ["BatchSimilarity", "DrawnPairs", "GradedBatchSampler", "GradedPairSampler", "SamplerReport"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "BatchSimilarity": "relabel.sampling.batch_sampler:BatchSimilarity",
        "DrawnPairs": "relabel.sampling._draw:DrawnPairs",
        "GradedBatchSampler": "relabel.sampling.batch_sampler:GradedBatchSampler",
        "GradedPairSampler": "relabel.sampling.pair_sampler:GradedPairSampler",
        "SamplerReport": "relabel.sampling.report:SamplerReport",
    },
)
