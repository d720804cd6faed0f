"""What a job would cost, told before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relabel.pipeline.fov_part import Part
from relabel.pipeline.surface_part import SceneSource

# Rules of thumb, for a first idea; benchmarks/bench_pipeline.py prints what they are worth.
STORED_SHARE = 0.6  # of the candidates of street data that overlap
PAIR_BYTES = 4.6  # stored, compressed
CAMERA_BYTES = 21.0
COLLECTION_BYTES = 80e3  # what HDF5 itself takes
BASE_MEMORY = 250e6
CAMERA_MEMORY = 600.0
CANDIDATE_MEMORY = 30.0


@dataclass(frozen=True)
class Estimate:
    """The size of one part.

    Attributes
    ----------
    name:
        of the collection.
    queries, database:
        rows of either side; those that can be labelled follow in `labelled_queries` and `labelled_database`.
    candidates:
        pairs whose fields of view are near enough to be computed; counted, not estimated.
    output_bytes, memory_bytes:
        rough size of the file and peak memory.
    """

    name: str
    queries: int
    database: int
    labelled_queries: int
    labelled_database: int
    candidates: int
    output_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class SceneEstimate(Estimate):
    """The size of a part that is labelled by surface, told from a few of its depth maps.

    Attributes
    ----------
    frames:
        depth maps to decode.
    seconds:
        what decoding and all pairs take about, on this machine.
    """

    frames: int
    seconds: float


def estimates(parts: Sequence[Part], *, threads: int | None = None) -> list[Estimate]:
    """Read every part's dataset and count its candidate pairs, without computing any overlap.

    Of scenes only a few depth maps are decoded, and all pairs are candidates that their plan does not rule out.
    """
    return [_estimate(part, threads) for part in parts]


def _estimate(part: Part, threads: int | None) -> Estimate:
    source = part.open(threads=threads).source
    if isinstance(source, SceneSource):
        return _of_scene(part.name, source, threads)
    collection = source.collection
    cameras = len(collection.query) + len(collection.database)
    candidates = source.candidates()
    return Estimate(
        part.name,
        *collection.shape,
        int(collection.query.ok.sum()),
        int(collection.database.ok.sum()),
        candidates,
        round(candidates * STORED_SHARE * PAIR_BYTES + cameras * CAMERA_BYTES + COLLECTION_BYTES),
        round(BASE_MEMORY + cameras * CAMERA_MEMORY + min(candidates, source.block) * CANDIDATE_MEMORY),
    )


def _of_scene(name: str, source: SceneSource, threads: int | None) -> SceneEstimate:
    query, database = source.scene.query.cameras, source.scene.database.cameras
    plan = source.plan(threads=threads)
    return SceneEstimate(
        name,
        len(query),
        len(database),
        int(query.ok.sum()),
        int(database.ok.sum()),
        plan.pairs,
        plan.output_bytes,
        plan.memory_bytes,
        plan.frames,
        plan.seconds,
    )
