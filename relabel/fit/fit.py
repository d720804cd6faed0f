"""How were published labels made? Field of view, range, shape and measure, recovered from the labels themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from relabel.cameras import FloatArray
from relabel.errors import InputError, OptionError
from relabel.fit.models import ARCS, FIT_MEASURES, Model, Solution, predicted, spread
from relabel.fit.published_pairs import SampledPairs, sampled_pairs
from relabel.fit.search import same_everywhere, search
from relabel.labelfile import StoredCollection
from relabel.pipeline.parts import Bar

GOOD_RMS = 0.02
"""Residual (rms of all pairs except the worst two percent) beyond which a model does not explain the labels."""
CLOSE = 0.01
"""A residual up to this counts as close."""
DEPTH_METHODS = ("surface", "voxel-iou")
"""Methods that no field of view explains."""
_KEPT = 0.98
_LEAST_PAIRS = 20
_DISTINCT = 12.0  # difference of cost that distinguishes models: one sigma is 1, so chance alone rarely causes as much


@dataclass(frozen=True)
class Candidate:
    """A model with the parameters that fit the labels best.

    Attributes
    ----------
    fov_deg, radius_m:
        θ in degrees and r in metres; None if the cameras of the file have their own.
    shape, arc:
        ``sector``, or ``polygon`` and its number of segments.
    measure:
        ``iou``, ``overlap``, ``dice``, or ``overlap-database``: I/B, which the label file format does not have.
    cut:
        pairs farther apart than r have 0 even where their views overlap.
    database_fov_deg, database_radius_m:
        those of the database cameras, if they differ from those of the queries.
    rms, max_residual:
        rms and largest value of model minus label over all sampled pairs.
    close_share:
        share of the pairs whose residual is at most `CLOSE`.
    fov_sigma_deg, radius_sigma_m:
        one standard deviation, assuming independent residuals; None if unknown.
    """

    fov_deg: float | None
    radius_m: float | None
    shape: str
    arc: int | None
    measure: str
    cut: bool
    database_fov_deg: float | None
    database_radius_m: float | None
    rms: float
    max_residual: float
    close_share: float
    fov_sigma_deg: float | None
    radius_sigma_m: float | None

    @property
    def name(self) -> str:
        """The model in words, without its parameters."""
        shape = self.shape if self.arc is None else f"polygon of {self.arc} segment{'s'[: self.arc > 1]}"
        sides = ", sides differ" if self.database_fov_deg is not None else ""
        return f"{self.measure}, {shape}{sides}{', cut at r' if self.cut else ''}"


@dataclass(frozen=True)
class CollectionFit:
    """How well the best model fits one collection."""

    name: str
    stored: int
    absent: int
    rms: float


@dataclass(frozen=True, eq=False)
class Fit:
    """The models that fit published labels best.

    Attributes
    ----------
    best:
        the simplest of the models that fit best.
    same_values:
        measures that give exactly the same values as that of `best`: ``overlap``, ``overlap-database`` and ``dice``
        if all views are alike.
    not_told_apart:
        further models whose residuals are as good within the noise, best first.
    runner_up:
        the best of all other models, whether it can be distinguished or not; None if there is no other.
    candidates:
        all models that were tried, by rms.
    explained:
        whether the best model explains the labels, see `GOOD_RMS`.
    collections:
        the share of each collection in the sample, and its own rms.
    published, fitted, distance_m:
        (m,) the sampled pairs: published ψ (0 where absent), that of the best model, and the distance.
    """

    best: Candidate
    same_values: tuple[str, ...]
    not_told_apart: tuple[Candidate, ...]
    runner_up: Candidate | None
    candidates: tuple[Candidate, ...]
    explained: bool
    collections: tuple[CollectionFit, ...]
    published: FloatArray = field(repr=False)
    fitted: FloatArray = field(repr=False)
    distance_m: FloatArray = field(repr=False)

    @property
    def stored(self) -> int:
        """Stored pairs in the sample."""
        return sum(part.stored for part in self.collections)

    @property
    def absent(self) -> int:
        """Absent pairs in the sample."""
        return sum(part.absent for part in self.collections)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "best": asdict(self.best),
            "explained": self.explained,
            "same_values": list(self.same_values),
            "not_told_apart": [asdict(candidate) for candidate in self.not_told_apart],
            "runner_up": None if self.runner_up is None else asdict(self.runner_up),
            "sampled": {"stored": self.stored, "absent": self.absent},
            "collections": [asdict(part) for part in self.collections],
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }


def fit(
    collections: Sequence[StoredCollection],
    root: Path | None = None,
    *,
    sample: int = 4000,
    seed: int = 0,
    bar: Bar | None = None,
) -> Fit:
    """Recover the parameters behind labels, by least squares over a sample of their pairs.

    Models are all measures with the sector and with polygons, each with and without a cut at distance r. If the
    labels are exact enough to distinguish them, polygons of every number of segments up to 64 are tried, and more if
    none of them fits. Several collections are fitted together, with one set of parameters.

    Parameters
    ----------
    collections:
        of one file; imported ones, or any with values of ψ.
    root:
        MSLS tree to take positions and headings from, joined by key; None takes them from the file.
    sample:
        number of pairs, the same for each collection.
    seed:
        the same seed gives the same sample.
    bar:
        makes a progress bar over the models.

    Raises
    ------
    OptionError
        when the sample is too small, or there is no collection.
    InputError
        when labels come from depth maps, cameras have no positions, there are too few stored pairs, or collections
        were made in different ways according to the file.
    DatasetNotFoundError, NotFoundError, LabelFileError
        when the dataset or the file cannot be read.
    """
    if sample < 2 * _LEAST_PAIRS:
        raise OptionError(f"sample is {sample}; at least {2 * _LEAST_PAIRS} pairs are needed")
    if not collections:
        raise OptionError("there is no collection to fit")
    _check_alike(collections)
    pairs = sampled_pairs(collections, root, size=sample, rng=np.random.default_rng(seed))
    if np.count_nonzero(pairs.stored) < _LEAST_PAIRS:
        raise InputError(
            f"{collections[0].path}: only {np.count_nonzero(pairs.stored)} stored pairs have cameras with position and "
            f"heading; at least {_LEAST_PAIRS} are needed to identify a field of view"
        )
    measures, same = _measures(pairs, collections[0].measure)
    models = [Model(measure, arc, cut) for measure in measures for cut in (False, True) for arc in (0, *ARCS)]
    both = not all(stored.self_pairs for stored in collections)
    with bar("models", len(models)) if bar is not None else nullcontext(_no_progress) as progress:
        solutions = search(pairs, models, sides=both and bool(same), progress=progress)
    return _result(pairs, collections, solutions, same)


def _no_progress(_: int) -> None:
    pass


def _check_alike(collections: Sequence[StoredCollection]) -> None:
    def made(stored: StoredCollection) -> tuple[object, ...]:
        params = (stored.params.get(name) for name in ("shape", "arc", "fov_deg", "radius_m"))
        return stored.method, stored.measure, *params

    for stored in collections:
        if stored.method in DEPTH_METHODS:
            raise InputError(
                f"{stored.path}::{stored.name}: {stored.method} labels come from depth maps, which no field of view "
                "explains; their parameters are in the file: relabel info"
            )
    first = collections[0]
    other = next((stored for stored in collections if made(stored) != made(first)), None)
    if other is not None:
        raise InputError(
            f"{first.path}: {first.name} and {other.name} were made in different ways; fit them separately, as "
            f"{first.path}::{first.name}"
        )


def _measures(pairs: SampledPairs, known: str) -> tuple[list[Any], tuple[str, ...]]:
    """The measures to distinguish, and those that coincide because all views are alike; none do if views differ."""
    if not same_everywhere(pairs):
        return list(FIT_MEASURES), ()
    same = ("overlap", "overlap-database", "dice")
    shown = "dice" if known == "dice" else "overlap"
    return ["iou", shown], (shown, *(name for name in same if name != shown))


def _result(
    pairs: SampledPairs, collections: Sequence[StoredCollection], solutions: list[Solution], same: tuple[str, ...]
) -> Fit:
    leader = min(solutions, key=lambda s: s.rms)
    noise = spread(pairs, leader.residual)
    leader = min(solutions, key=lambda s: s.cost(noise))
    close = [s for s in solutions if s.cost(noise) <= leader.cost(noise) + _DISTINCT]
    best = min(close, key=lambda s: (s.model.sides, s.model.cut, s.model.arc != 0, s.cost(noise)))
    # It means nothing that separate parameters for each side fit as well as common ones.
    others = sorted((s for s in close if s is not best and s.model.sides <= best.model.sides), key=lambda s: s.rms)
    runner_up = min((s for s in solutions if s is not best), key=lambda s: s.rms, default=None)
    parts = []
    for number, stored in enumerate(collections):
        in_collection = pairs.collection == number
        count = int(np.count_nonzero(pairs.stored & in_collection))
        rms = math.sqrt(float(np.mean(best.residual[in_collection] ** 2)))
        parts.append(CollectionFit(stored.name, count, int(np.count_nonzero(in_collection)) - count, rms))
    kept = np.sort(np.abs(best.residual))[: max(1, int(_KEPT * len(pairs)))]
    alike = same if not best.model.sides and best.model.measure in same else ()
    return Fit(
        best=_candidate(pairs, best),
        same_values=tuple(name for name in alike if name != best.model.measure),
        not_told_apart=tuple(_candidate(pairs, s) for s in others),
        runner_up=None if runner_up is None else _candidate(pairs, runner_up),
        candidates=tuple(_candidate(pairs, s) for s in sorted(solutions, key=lambda s: s.rms)),
        explained=bool(math.sqrt(float(np.mean(kept**2))) <= GOOD_RMS),
        collections=tuple(parts),
        published=pairs.value,
        fitted=predicted(pairs, best.model, best.x),
        distance_m=pairs.distance_m,
    )


def _candidate(pairs: SampledPairs, solution: Solution) -> Candidate:
    model, x, residual = solution.model, solution.x, np.abs(solution.residual)
    sides = (pairs.query, pairs.database)
    own_fov, own_radius = (all(getattr(s, name) is not None for s in sides) for name in ("fov_deg", "radius_m"))
    sigma = [float(s) if math.isfinite(s) else None for s in solution.sigma]
    return Candidate(
        fov_deg=None if own_fov else float(x[0]),
        radius_m=None if own_radius else float(x[1]),
        shape=model.shape,
        arc=model.arc or None,
        measure=model.measure,
        cut=model.cut,
        database_fov_deg=float(x[2]) if model.sides else None,
        database_radius_m=float(x[3]) if model.sides else None,
        rms=solution.rms,
        max_residual=float(residual.max()),
        close_share=float(np.mean(residual <= CLOSE)),
        fov_sigma_deg=None if own_fov else sigma[0],
        radius_sigma_m=None if own_radius else sigma[1],
    )
