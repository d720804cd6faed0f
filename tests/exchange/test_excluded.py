"""Pairs that a collection excludes, in other formats: neither positive nor negative where these are told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import relabel
from relabel.exchange.exporting import export
from relabel.exchange.importing import load
from relabel.exchange.pml import indices_tuple
from relabel.exchange.positive_rows import rows_not_zero, rows_within
from relabel.labelfile import LabelFile
from relabel.similarity import Similarity
from tests.similarities import similarity


@pytest.fixture(params=[False, True], ids=["two sides", "self pairs"])
def psi(request: pytest.FixtureRequest) -> Similarity:
    """Sequences of four cameras, of which those of one sequence are excluded."""
    made = similarity(16, 18, seed=4, density=0.5, self_pairs=request.param)

    def with_columns(cameras: relabel.Cameras) -> relabel.Cameras:
        return replace(cameras, extra={"sequence": np.arange(len(cameras)) // 4})

    c = made.collection
    query = with_columns(c.query)
    database = query if c.self_pairs else with_columns(c.database)
    return Similarity(
        replace(c, query=query, database=database, params={**c.params, "other_sequence": True}), made.matrix
    )


def excluded(psi: Similarity) -> np.ndarray:
    """(queries, database) pairs of two ok cameras of one sequence, those of a camera with itself among them."""
    c = psi.collection
    one = np.equal.outer(np.arange(psi.shape[0]) // 4, np.arange(psi.shape[1]) // 4)
    return one & np.logical_and.outer(c.query.ok, c.database.ok)


def other(psi: Similarity) -> np.ndarray:
    """(queries, database) excluded pairs of two cameras."""
    return excluded(psi) & ~(np.eye(*psi.shape, dtype=bool) & psi.collection.self_pairs)


def test_lists_of_positives(psi: Similarity, tmp_path: Path) -> None:
    """Positives by ψ and by distance are without them, and what may not be a negative is with them."""
    dense, out = psi.matrix.toarray(), excluded(psi)
    assert ((dense >= 0.5) & other(psi)).any()
    assert ((dense == 0) & other(psi)).any()
    made = export({"a": psi}, "npy", tmp_path / "npy")
    gt = np.load(tmp_path / "npy" / "a_gt.npy", allow_pickle=True)
    assert [row.tolist() for row in gt] == [np.flatnonzero(row).tolist() for row in (dense >= 0.5) & ~out]
    assert any(
        f"a: {other(psi).sum()} pairs that the collection excludes (pairs of one sequence) are left out" in note
        for note in made.notes
    )
    near = rows_within(replace(psi.collection, params={}), 30.0)
    kept = [np.setdiff1d(row, np.flatnonzero(o)) for row, o in zip(near.objects(), out, strict=True)]
    found = [row.tolist() for row in rows_within(psi.collection, 30.0).objects()]
    # By distance status does not count, nor does it in the rule.
    same = [[k for k in row if k // 4 != i // 4] for i, row in enumerate(near.objects())]
    assert found == same
    assert sum(map(len, kept)) >= sum(map(len, same))
    assert [row.tolist() for row in rows_not_zero(psi).objects()] == [
        np.flatnonzero(row).tolist() for row in (dense > 0) | out
    ]


def test_msls_idx(psi: Similarity, tmp_path: Path) -> None:
    """What is outside nonNegIdx is a true zero of two ok cameras of different sequences."""
    export({"a": psi}, "msls-idx", tmp_path)
    c = psi.collection
    dense, out = (m[np.ix_(c.query.ok, c.database.ok)] for m in (psi.matrix.toarray(), excluded(psi)))
    positive = (dense >= 0.5) & ~out
    rows = np.flatnonzero(positive.any(axis=1))
    assert np.load(tmp_path / "qIdx.npy").tolist() == rows.tolist()
    for name, wanted in (("pIdx", positive), ("nonNegIdx", (dense > 0) | out)):
        lists = np.load(tmp_path / f"{name}.npy", allow_pickle=True)
        assert [row.tolist() for row in lists] == [np.flatnonzero(row).tolist() for row in wanted[rows]], name


def test_pairs_for_metric_learning(psi: Similarity, tmp_path: Path) -> None:
    """Neither list of a batch, nor of the file, has one; all other pairs are where they were."""
    relabel.write(tmp_path / "x.h5", {"a": psi})
    stored = LabelFile(tmp_path / "x.h5")["a"]
    dense, out, c = psi.matrix.toarray(), excluded(psi), psi.collection
    batch = indices_tuple(stored, np.arange(psi.shape[0]), np.arange(psi.shape[1]))
    positive, negative = np.zeros(psi.shape, bool), np.zeros(psi.shape, bool)
    positive[batch.a1, batch.p] = True
    negative[batch.a2, batch.n] = True
    assert (positive == ((dense >= 0.5) & ~out)).all()
    known = np.logical_and.outer(c.query.ok, c.database.ok) & ~(np.eye(*psi.shape, dtype=bool) & c.self_pairs)
    assert (negative == ((dense == 0) & known & ~out)).all()
    export({"a": stored}, "pml", tmp_path)
    with np.load(tmp_path / "a-pml.npz") as arrays:
        assert sorted(zip(arrays["a1"], arrays["p"], strict=True)) == sorted(zip(*np.nonzero(positive), strict=True))
        assert (arrays["psi"] == dense[arrays["a1"], arrays["p"]]).all()
        assert negative[arrays["a2"], arrays["n"]].all()


def test_pairs_to_match(psi: Similarity, tmp_path: Path) -> None:
    """The text of pairs has all others, with their ψ."""
    export({"a": psi}, "pairs", tmp_path)
    lines = (tmp_path / "a-pairs-scores.txt").read_text().splitlines()
    c = psi.collection
    rows, columns = np.nonzero((psi.matrix.toarray() > 0) & ~excluded(psi))
    assert {tuple(line.split()[:2]) for line in lines} == set(
        zip(c.query.key[rows], c.database.key[columns], strict=True)
    )


def test_all_values(psi: Similarity, tmp_path: Path) -> None:
    """Formats that state ψ state that of excluded pairs too, and the export says that the rule stays behind."""
    made = export({"a": psi}, "gcl", tmp_path, image_path="{key}.jpg")
    with h5py.File(tmp_path / "a_gt.h5") as file:
        assert ((file["fov"][()] > 0) == (psi.matrix.toarray() > 0)).sum() >= psi.matrix.nnz
    assert any("are written with their ψ like all others" in note for note in made.notes)


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_a_rule_that_is_not_imported(psi: Similarity, form: str, tmp_path: Path) -> None:
    """Files that state the parameters of labels state the rule; that the import has none is said."""
    export({"a": psi}, form, tmp_path)
    imported = load(form, tmp_path / f"a.{form}", measure=psi.collection.measure)
    assert not imported.source.collection.exclusion
    assert [note for note in imported.notes if "excluded" in note] == [
        "the file says that pairs of one sequence are excluded from training and scoring; imported labels do not say so"
    ]
    plain = replace(psi, collection=replace(psi.collection, params={}))
    export({"a": plain}, form, tmp_path / "plain")
    notes = load(form, tmp_path / "plain" / f"a.{form}", measure=psi.collection.measure).notes
    assert not any("excluded" in note for note in notes)
