"""Index formats: numpy arrays that name, for every query, its positives by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Status
from relabel.datasets.msls.spec import IMAGE_PATH
from relabel.display import several
from relabel.exchange.folder import ExportFolder, file_name
from relabel.exchange.image_names import default_image_path, unopened_notes
from relabel.exchange.known_cameras import KnownSource, all_but_panoramas
from relabel.exchange.positive_rows import RowLists, rows_above, rows_not_zero, rows_within, with_self
from relabel.fixed_width import joined
from relabel.images.paths import image_paths
from relabel.similarity import SimilaritySource

MSLS_FILES = ("qImages.npy", "dbImages.npy", "qIdx.npy", "pIdx.npy", "nonNegIdx.npy")


def write_npy(
    source: SimilaritySource,
    name: str,
    folder: ExportFolder,
    *,
    threshold: float = 0.5,
    within_m: float | None = None,
    image_path: str | None = None,
    drop_unknown: bool = False,
    drop_panoramas: bool = False,
) -> list[str]:
    """Validation lists as OpenVPRLab, gsv-cities, MixVPR and salad load them.

    ``NAME_dbImages.npy`` and ``NAME_qImages.npy`` are str; ``NAME_gt.npy`` has the positives of every query, an object
    array aligned with qImages; ``NAME_qIdx.npy`` lists the queries that have one, and ``NAME_pIdx.npy`` their
    positives, aligned with qIdx. All numbers are rows of dbImages and qImages.

    Parameters
    ----------
    source, name, folder:
        the collection, its name, and where the files go.
    threshold:
        the least ψ of a positive.
    within_m:
        if given, a positive is a camera at most this many metres away, whatever its ψ.
    image_path:
        as for `image_paths`; by default that of MSLS for labels of MSLS.
    drop_unknown:
        leave out cameras that are not ok.
    drop_panoramas:
        leave out panoramas only, like the lists of MSLS that are made by distance.

    Returns
    -------
    list of str
        the losses of the format, one sentence each.
    """
    stem = file_name(name)
    files = [f"{stem}_{part}.npy" for part in ("dbImages", "qImages", "gt", "qIdx", "pIdx")]
    folder.claim(files)
    notes: list[str] = []
    whole, image_path = source, default_image_path(source, image_path)
    if drop_unknown:
        notes.append(
            f"{name}: {several(_not_ok(source), 'camera that is not ok is', 'cameras that are not ok are')} left out"
        )
        source = KnownSource(source)
    elif drop_panoramas:
        notes.append(f"{name}: {several(_panoramas(source), 'panorama is', 'panoramas are')} left out")
        source = KnownSource(source, all_but_panoramas)
    c = source.collection
    database = image_paths(c.database, image_path, collection=name, side="database")
    query = image_paths(c.query, image_path, collection=name, side="query")
    notes += unopened_notes(whole, name, query, database)
    positives = rows_above(source, threshold) if within_m is None else rows_within(c, within_m)
    with_positive = np.flatnonzero(positives.counts)
    arrays = (database, query, positives.objects(), with_positive, positives.objects(with_positive))
    for file, array in zip(files, arrays, strict=True):
        folder.write_array(file, array)
    rule = f"ψ ≥ {threshold:g}" if within_m is None else f"within {within_m:g} m"
    notes.append(f"{name}: only whether a pair is a positive ({rule}) is kept, not ψ; {_without(positives)}")
    unknown = int((~c.query.ok).sum())
    if unknown and within_m is None:
        have = several(
            unknown, "query whose similarities are unknown has", "queries whose similarities are unknown have"
        )
        notes.append(
            f"{name}: {have} an empty list in gt, which an evaluation counts as a miss; drop_unknown=True leaves "
            f"{'it' if unknown == 1 else 'them'} out"
        )
    return notes


def write_msls_idx(
    collections: Mapping[str, SimilaritySource],
    folder: ExportFolder,
    *,
    threshold: float = 0.5,
    image_path: str | None = None,
) -> list[str]:
    """The index arrays that the dataset class of mapillary_sls uses, over all collections in order.

    Rows are numbered consecutively over the collections: ``qIdx`` numbers rows of ``qImages`` and has only queries with
    a positive; ``pIdx`` (ψ ≥ `threshold`) and ``nonNegIdx`` (every ψ that is stored, and excluded pairs) are aligned
    with it and number rows of ``dbImages``. A negative drawn outside nonNegIdx is then a true zero: the class leaves
    out panoramas, and here all cameras that are not ok are left out. Images are named as MSLS keeps them under its
    root, unless `image_path` says otherwise.
    """
    folder.claim(MSLS_FILES)
    image_path = image_path or IMAGE_PATH
    query: list[npt.NDArray[Any]] = [np.empty(0, np.str_)]
    database: list[npt.NDArray[Any]] = [np.empty(0, np.str_)]
    numbers: list[npt.NDArray[Any]] = [np.empty(0, np.int64)]
    positive: list[npt.NDArray[Any]] = [np.empty(0, object)]
    non_negative: list[npt.NDArray[Any]] = [np.empty(0, object)]
    notes, left_out, first_query, first_database = [], 0, 0, 0
    for name, whole in collections.items():
        left_out += _not_ok(whole)
        source = KnownSource(whole)
        c = source.collection
        query.append(image_paths(c.query, image_path, collection=name, side="query"))
        database.append(image_paths(c.database, image_path, collection=name, side="database"))
        positives, stored = rows_above(source, threshold), with_self(rows_not_zero(source), c)
        with_positive = np.flatnonzero(positives.counts)
        numbers.append(with_positive + first_query)
        for lists, arrays in ((positives, positive), (stored, non_negative)):
            arrays.append(RowLists(lists.indptr, lists.indices + first_database).objects(with_positive))
        notes += [f"{name}: {_without(positives)}", *unopened_notes(whole, name, query[-1], database[-1])]
        first_query, first_database = first_query + c.shape[0], first_database + c.shape[1]
    parts: tuple[list[npt.NDArray[Any]], ...] = (query, database, numbers, positive, non_negative)
    for file, arrays in zip(MSLS_FILES, parts, strict=True):
        folder.write_array(file, joined(arrays))
    notes.append(f"only ψ ≥ {threshold:g}, 0 < ψ and absent are distinguished; ψ itself is lost")
    if left_out:
        notes.append(
            f"{several(left_out, 'camera that is not ok is', 'cameras that are not ok are')}"
            " left out of qImages and dbImages, as their "
            "similarities are unknown"
        )
    return notes


def write_deep_vg(
    source: SimilaritySource,
    name: str,
    folder: ExportFolder,
    *,
    threshold: float = 0.5,
    image_path: str | None = None,
) -> list[str]:
    """Positives as the datasets of deep-visual-geo-localization-benchmark hold them.

    ``NAME_database_paths.npy`` and ``NAME_queries_paths.npy`` are sorted, as by its loader;
    images are numbered database first, then queries. ``NAME_hard_positives_per_query.npy`` has ψ ≥ `threshold`,
    ``NAME_soft_positives_per_query.npy`` every stored ψ, and excluded pairs: all others may be drawn as negatives.
    Queries without a hard positive are left out of all three, and cameras that are not ok are left out of everything.
    """
    stem = file_name(name)
    parts = ("database_paths", "queries_paths", "soft_positives_per_query", "hard_positives_per_query")
    files = [f"{stem}_{part}.npy" for part in parts]
    folder.claim(files)
    left_out = _not_ok(source)
    whole, image_path = source, default_image_path(source, image_path)
    source = KnownSource(source)
    c = source.collection
    database = image_paths(c.database, image_path, collection=name, side="database")
    query = image_paths(c.query, image_path, collection=name, side="query")
    order = np.argsort(database)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    hard, soft = rows_above(source, threshold), with_self(rows_not_zero(source), c)
    rows = np.argsort(query)
    rows = rows[hard.counts[rows] > 0]
    sorted_lists = [_renumbered(lists, place).objects(rows) for lists in (soft, hard)]
    for file, array in zip(files, (database[order], query[rows], *sorted_lists), strict=True):
        folder.write_array(file, array)
    notes = [f"{name}: only ψ ≥ {threshold:g} (hard) and 0 < ψ (soft) are distinguished; {_without(hard)} and left out"]
    notes += unopened_notes(whole, name, query, database)
    if left_out:
        notes.append(
            f"{name}: {several(left_out, 'camera that is not ok is', 'cameras that are not ok are')}"
            " left out of both path lists"
        )
    return notes


def _renumbered(lists: RowLists, place: npt.NDArray[np.int64]) -> RowLists:
    rows = np.repeat(np.arange(len(lists.counts)), lists.counts)
    columns = place[lists.indices]
    return RowLists(lists.indptr, columns[np.lexsort((columns, rows))])


def _not_ok(source: SimilaritySource) -> int:
    """The number of cameras that are not ok; a camera that is both query and database counts twice."""
    return sum(int((~side.ok).sum()) for side in (source.collection.query, source.collection.database))


def _panoramas(source: SimilaritySource) -> int:
    sides = (source.collection.query, source.collection.database)[: 2 - source.collection.self_pairs]
    return sum(int((side.status == Status.PANORAMA).sum()) for side in sides)


def _without(lists: RowLists) -> str:
    none, total = int((lists.counts == 0).sum()), len(lists.counts)
    return f"{none:,} of {total:,} queries are without a positive"
