"""relabel.fit.fit: known parameters are recovered from labels that were made with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import relabel
from relabel import fov
from relabel.cameras import Cameras
from relabel.errors import InputError, NotFoundError, OptionError
from relabel.fit.fit import Fit, fit
from relabel.fit.models import Model, areas, beyond, residuals, values
from relabel.fit.published_pairs import sampled_pairs, subsample
from relabel.labelfile import LabelFile
from relabel.similarity import Similarity
from tests.trees import msls_tree, street

ALIKE = {"overlap", "overlap-database", "dice"}
"""Measures that are one where all views are alike."""


def town(n: int, seed: int, prefix: str) -> Cameras:
    """n cameras along streets 60 m apart, most of them looking along the street, one way or the other."""
    rng = np.random.default_rng(seed)
    along, aside, number = rng.uniform(0.0, 300.0, n), rng.normal(0.0, 3.0, n), rng.integers(0, 5, n)
    east = number % 2 == 0
    position = np.where(
        east[:, None], np.column_stack([along, number * 60 + aside]), np.column_stack([number * 60 + aside, along])
    )
    heading = np.where(east, 90.0, 0.0) + rng.choice([0.0, 180.0], n) + rng.normal(0.0, 15.0, n)
    heading += rng.choice([0.0, 0.0, 0.0, 90.0, 270.0], n)
    return Cameras(
        key=[f"{prefix}{i}" for i in range(n)], position=position + np.array([5e5, 4e6]), heading_deg=heading
    )


QUERY, DATABASE = town(120, 1, "q"), town(170, 2, "d")


def imported(source: Similarity, matrix: Any = None, **fields: Any) -> Similarity:
    """The same values as somebody else's labels, of which nothing is told."""
    given = {"method": "imported", "measure": "unknown", "params": {}} | fields
    if matrix is None:
        matrix = source.matrix
    matrix = sparse.csr_array(matrix.astype(np.float32))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return Similarity(replace(source.collection, **given), matrix)


def cut(source: Similarity, radius_m: float) -> Similarity:
    """Labels whose maker stopped at distance r."""
    matrix = source.matrix.tocoo()
    apart = np.hypot(
        *(source.collection.query.position[matrix.row] - source.collection.database.position[matrix.col]).T
    )
    near = apart <= radius_m
    return imported(
        source, sparse.csr_array((matrix.data[near], (matrix.row[near], matrix.col[near])), shape=matrix.shape)
    )


def noisy(source: Similarity) -> Similarity:
    """Labels with noise of 0.01, ten values that are wrong, and five pairs that should not be there."""
    rng = np.random.default_rng(0)
    matrix = source.matrix.copy()
    matrix.data = np.clip(matrix.data + rng.normal(0.0, 0.01, matrix.nnz), 1e-5, 1.0).astype(np.float32)
    matrix.data[rng.choice(matrix.nnz, 10, replace=False)] = rng.random(10)
    matrix = matrix.tolil()
    for i, j in zip(rng.integers(0, len(QUERY), 5), rng.integers(0, len(DATABASE), 5), strict=True):
        matrix[i, j] = rng.random()
    return imported(source, sparse.csr_array(matrix))


def fitted(path: Path, *sources: Similarity, sample: int = 600, **options: Any) -> Fit:
    """What `fit` finds in a file of these collections."""
    relabel.write(path, {f"c{i}": source for i, source in enumerate(sources)})
    labels = LabelFile(path)
    return fit([labels[name] for name in labels], sample=sample, **options)


def assert_near(found: Fit, fov_deg: float, radius_m: float) -> None:
    """Within half a degree and half a metre."""
    assert found.explained
    assert found.best.fov_deg == pytest.approx(fov_deg, abs=0.5)
    assert found.best.radius_m == pytest.approx(radius_m, abs=0.5)


class TestRecovery:
    """Labels of our own, with parameters that are known."""

    @pytest.mark.parametrize(
        ("fov_deg", "radius_m", "shape", "arc", "measure"),
        [
            (90.0, 50.0, "sector", 16, "iou"),
            (72.0, 80.0, "polygon", 1, "iou"),
            (130.0, 25.0, "polygon", 2, "dice"),
            (200.0, 30.0, "polygon", 6, "iou"),
        ],
    )
    def test_exact(self, tmp_path: Path, fov_deg: float, radius_m: float, shape: Any, arc: int, measure: Any) -> None:
        """θ, r, shape and measure come out of the values alone, to far below half a degree and half a metre."""
        source = fov.overlap(QUERY, DATABASE, fov_deg=fov_deg, radius_m=radius_m, shape=shape, arc=arc, measure=measure)
        found = fitted(tmp_path / "x.h5", imported(source))
        assert_near(found, fov_deg, radius_m)
        best = found.best
        assert (best.fov_deg, best.radius_m) == (pytest.approx(fov_deg, abs=1e-4), pytest.approx(radius_m, abs=1e-4))
        assert (best.shape, best.arc or 16, best.cut) == (shape, arc, False)
        assert measure in {best.measure, *found.same_values}
        assert set(found.same_values) == (ALIKE - {best.measure} if measure in ALIKE else set())
        assert found.not_told_apart == ()
        assert best.rms < 1e-6
        assert best.close_share == 1.0
        assert best.fov_sigma_deg is not None
        assert best.fov_sigma_deg < 1e-3

    @pytest.mark.parametrize(("arc", "measure"), [(5, "overlap"), (30, "iou")])
    def test_every_number_of_segments(self, tmp_path: Path, arc: int, measure: Any) -> None:
        """The number of segments is found, whatever it is, and the best other model is named with its residual."""
        source = fov.overlap(QUERY, DATABASE, shape="polygon", arc=arc, measure=measure)
        found = fitted(tmp_path / "x.h5", imported(source), sample=1000)
        best, other = found.best, found.runner_up
        assert (best.measure, best.shape, best.arc) == (measure, "polygon", arc)
        assert (best.fov_deg, best.radius_m) == (pytest.approx(90.0, abs=1e-4), pytest.approx(50.0, abs=1e-4))
        assert best.rms < 2e-8  # what float32 leaves
        assert found.not_told_apart == ()
        assert other is not None
        assert other.arc != arc
        assert other.rms == min(c.rms for c in found.candidates if c != best)
        assert other.rms > 3.0 * best.rms

    def test_runner_up_of_the_sector(self, tmp_path: Path) -> None:
        """Exact labels of sectors are told from polygons of many segments."""
        found = fitted(tmp_path / "x.h5", imported(fov.overlap(QUERY, DATABASE)))
        assert (found.best.shape, found.not_told_apart) == ("sector", ())
        assert found.runner_up is not None
        assert found.runner_up.shape == "polygon"

    def test_own_measure_is_kept(self, tmp_path: Path) -> None:
        """Where several measures have the same values, the one that the file names is named."""
        found = fitted(tmp_path / "x.h5", fov.overlap(QUERY, DATABASE, measure="dice"))
        assert (found.best.measure, set(found.same_values)) == ("dice", ALIKE - {"dice"})

    def test_sides_differ(self, tmp_path: Path) -> None:
        """Queries and database of different θ and r, though nothing says so."""
        source = fov.overlap(
            replace(QUERY, fov_deg=60.0, radius_m=40.0),
            replace(DATABASE, fov_deg=90.0, radius_m=50.0),
            measure="overlap",
        )
        found = fitted(tmp_path / "x.h5", imported(source, query=QUERY, database=DATABASE))
        assert_near(found, 60.0, 40.0)
        assert found.best.measure == "overlap"
        assert found.best.database_fov_deg == pytest.approx(90.0, abs=0.5)
        assert found.best.database_radius_m == pytest.approx(50.0, abs=0.5)

    def test_overlap_of_the_database(self, tmp_path: Path) -> None:
        """I/B, which the format does not have, is recognised where cameras bring views of their own."""
        query, database = replace(QUERY, fov_deg=50.0), replace(DATABASE, fov_deg=100.0)
        source = fov.overlap(database, query, measure="overlap")
        turned = imported(source, source.matrix.T, query=query, database=database,
                          query_extent=source.collection.database_extent,
                          database_extent=source.collection.query_extent)  # fmt: skip
        found = fitted(tmp_path / "x.h5", turned)
        assert (found.best.measure, found.best.fov_deg) == ("overlap-database", None)
        assert found.best.radius_m == pytest.approx(50.0, abs=0.5)

    def test_cut(self, tmp_path: Path) -> None:
        """Labels that were set to 0 beyond r are told from those that were not."""
        source = fov.overlap(QUERY, DATABASE, fov_deg=75.0, radius_m=45.0, shape="polygon", arc=3, measure="overlap")
        found = fitted(tmp_path / "x.h5", cut(source, 45.0))
        assert_near(found, 75.0, 45.0)
        assert (found.best.cut, found.best.shape) == (True, "polygon")

    @pytest.mark.parametrize("arc", [0, 1])
    def test_noise(self, tmp_path: Path, arc: int) -> None:
        """Noise of 0.01 and a few wrong labels cost less than half a degree and half a metre."""
        shape = {"shape": "polygon", "arc": arc} if arc else {}
        found = fitted(tmp_path / "x.h5", noisy(fov.overlap(QUERY, DATABASE, **shape)), sample=1200)
        assert_near(found, 90.0, 50.0)
        assert (found.best.measure, found.best.arc, found.best.cut) == ("iou", arc or None, False)
        # A triangle is like no other shape; a sector is like a polygon of many segments.
        assert {c.arc for c in found.not_told_apart} >= (set() if arc else {16, 32, 64})

    def test_collections_together(self, tmp_path: Path) -> None:
        """Two collections far from each other are fitted with one set of parameters; each counts the same."""
        far = replace(QUERY, position=QUERY.position + 1e6), replace(DATABASE, position=DATABASE.position + 1e6)
        one, two = fov.overlap(QUERY, DATABASE, fov_deg=70.0), fov.overlap(*far, fov_deg=70.0)
        found = fitted(tmp_path / "x.h5", one, two)
        assert_near(found, 70.0, 50.0)
        assert [c.name for c in found.collections] == ["c0", "c1"]
        assert [c.stored + c.absent for c in found.collections] == [300, 300]

    def test_not_explained(self, tmp_path: Path) -> None:
        """Values that have nothing to do with where cameras look are said to be none of these."""
        source = fov.overlap(QUERY, QUERY)
        matrix = source.matrix.copy()
        np.random.default_rng(0).shuffle(matrix.data)
        assert not fitted(tmp_path / "x.h5", imported(source, matrix), sample=200).explained


class TestRoot:
    """Cameras from a dataset."""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """A city whose queries and database images drive side by side, the images turned a little."""
        database = street(40, prefix="d", step_m=7.0)
        for i, row in enumerate(database):
            row["ca"] = float((90 + 37 * i) % 360)
        return msls_tree(tmp_path / "msls", query=street(40, step_m=7.0), database=database)

    @pytest.fixture
    def placeless(self, tree: Path, tmp_path: Path) -> Path:
        """Its labels, without positions, headings and extents."""
        city = relabel.datasets.msls.read(tree, city="amman")
        source = fov.overlap(city.query, city.database, fov_deg=80.0, radius_m=40.0)

        def bare(cameras: Cameras) -> Cameras:
            nowhere = np.full((len(cameras), 2), np.nan)
            return Cameras(key=cameras.key, position=nowhere, status=cameras.status, posed=False)

        sides = {"query": bare(city.query), "database": bare(city.database)}
        extents = {f"{side}_extent": np.full(40, np.nan) for side in sides}
        relabel.write(tmp_path / "x.h5", {"amman": imported(source, **sides, **extents)})
        return tmp_path / "x.h5"

    def test_joined_by_key(self, tree: Path, placeless: Path) -> None:
        """Positions and headings of the tree are found by key."""
        assert_near(fit([LabelFile(placeless)["amman"]], tree, sample=400), 80.0, 40.0)

    def test_needed(self, placeless: Path) -> None:
        """Without a tree such labels cannot be fitted, and the message says what is missing."""
        with pytest.raises(InputError, match=r"x\.h5::amman: no query camera .* root=…"):
            fit([LabelFile(placeless)["amman"]])

    def test_other_keys(self, placeless: Path, tmp_path: Path) -> None:
        """A tree with other keys is refused, with one of the keys that were looked for."""
        other = msls_tree(tmp_path / "other", query=street(3, prefix="x"), database=street(3, prefix="y"))
        with pytest.raises(InputError, match=r"no query camera .* is in .*other, for example 'q0'"):
            fit([LabelFile(placeless)["amman"]], other)

    def test_other_city(self, placeless: Path, tmp_path: Path) -> None:
        """So is one without the city, with those that it has."""
        other = msls_tree(tmp_path / "other", city="goa")
        with pytest.raises(NotFoundError, match="goa"):
            fit([LabelFile(placeless)["amman"]], other)


class TestRefused:
    """What cannot be fitted."""

    @pytest.mark.parametrize("method", ["surface", "voxel-iou"])
    def test_labels_from_depth_maps(self, tmp_path: Path, method: str) -> None:
        """No field of view explains them, and the file says how they were made."""
        source = fov.overlap(QUERY, DATABASE)
        with pytest.raises(InputError, match=rf"x\.h5::c0: {method} labels come from depth maps.*relabel info"):
            fitted(tmp_path / "x.h5", Similarity(replace(source.collection, method=method), source.matrix))

    def test_few_pairs(self, tmp_path: Path) -> None:
        """A handful of pairs tells nothing."""
        source = fov.overlap(QUERY.take(slice(3)), DATABASE)
        matrix = source.matrix.tolil()
        matrix[1:] = 0.0
        with pytest.raises(InputError, match=r"x\.h5: only \d+ stored pairs"):
            fitted(tmp_path / "x.h5", imported(source, sparse.csr_array(matrix)))

    def test_no_pairs(self, tmp_path: Path) -> None:
        """Neither does none."""
        source = fov.overlap(QUERY, replace(DATABASE, position=DATABASE.position + 1e5))
        with pytest.raises(InputError, match=r"x\.h5::c0: holds no pair"):
            fitted(tmp_path / "x.h5", source)

    def test_made_differently(self, tmp_path: Path) -> None:
        """Collections whose parameters differ, as far as the file tells, are not thrown together."""
        with pytest.raises(InputError, match="c0 and c1 were made in different ways"):
            fitted(tmp_path / "x.h5", fov.overlap(QUERY, DATABASE), fov.overlap(QUERY, DATABASE, fov_deg=60))

    def test_own_views_in_some(self, tmp_path: Path) -> None:
        """Nor are those of which only some bring views for each camera."""
        one, two = (imported(fov.overlap(q, DATABASE)) for q in (QUERY, replace(QUERY, fov_deg=60.0)))
        with pytest.raises(InputError, match="some collections have fov_deg"):
            fitted(tmp_path / "x.h5", one, two)

    def test_options(self, tmp_path: Path) -> None:
        """A sample of nothing, and no collection at all."""
        with pytest.raises(OptionError, match="sample is 10"):
            fitted(tmp_path / "x.h5", fov.overlap(QUERY, DATABASE), sample=10)
        with pytest.raises(OptionError, match="no collection"):
            fit([])


class TestResult:
    """relabel.fit.fit.Fit"""

    def test_repeats(self, tmp_path: Path) -> None:
        """Same seed, same result, as JSON; another seed takes other pairs."""
        source = fov.overlap(QUERY, DATABASE)
        relabel.write(tmp_path / "x.h5", {"a": source})
        stored = LabelFile(tmp_path / "x.h5")["a"]
        one, two = (fit([stored], sample=100, seed=1) for _ in range(2))
        assert json.dumps(one.to_json(), allow_nan=False) == json.dumps(two.to_json(), allow_nan=False)
        other = sampled_pairs([stored], None, size=100, rng=np.random.default_rng(2))
        assert not np.array_equal(one.published, other.value)
        rms = [c.rms for c in one.candidates]
        assert rms == sorted(rms)
        assert one.best.rms == pytest.approx(np.sqrt(np.mean((one.fitted - one.published) ** 2)), abs=1e-6)


class TestSampledPairs:
    """relabel.fit.published_pairs.sampled_pairs"""

    @pytest.mark.parametrize("self_pairs", [False, True])
    def test_pairs_are_those_of_the_file(self, tmp_path: Path, *, self_pairs: bool) -> None:
        """Each value is that of its pair, each absent pair is absent, no camera is paired with itself."""
        query = replace(QUERY, status=np.arange(len(QUERY)) % 10 == 0)
        source = fov.overlap(query, query if self_pairs else DATABASE)
        relabel.write(tmp_path / "x.h5", {"a": source})
        pairs = sampled_pairs([LabelFile(tmp_path / "x.h5")["a"]], None, size=500, rng=np.random.default_rng(0))
        assert len(pairs) == 500
        assert np.count_nonzero(pairs.stored) == 250
        # The views of a pair, moved to its query, have the overlap that the file has.
        psi = values("iou", *areas(pairs, 0, np.array([90.0, 50.0])))
        np.testing.assert_allclose(np.where(psi > 1e-6, psi, 0.0), pairs.value, atol=1e-6)
        assert (pairs.distance_m > 0.0).all()
        assert (pairs.query.position == 0.0).all()

    def test_spread_over_values(self, tmp_path: Path) -> None:
        """Every bin of ψ gives the same number of pairs, as far as it has them."""
        source = fov.overlap(QUERY, DATABASE)
        relabel.write(tmp_path / "x.h5", {"a": source})
        pairs = sampled_pairs([LabelFile(tmp_path / "x.h5")["a"]], None, size=200, rng=np.random.default_rng(0))
        have, drawn = (
            np.bincount(np.minimum((v * 10).astype(int), 9), minlength=10)
            for v in (source.matrix.data.astype(float), pairs.value[pairs.stored])
        )
        full = have > drawn
        assert np.ptp(drawn[full]) <= 1
        assert (drawn[~full] == have[~full]).all()
        assert drawn.sum() == 100

    def test_subsample_keeps_shares(self, tmp_path: Path) -> None:
        """A part of a sample has stored and absent pairs as the whole does."""
        relabel.write(tmp_path / "x.h5", {"a": fov.overlap(QUERY, DATABASE)})
        pairs = sampled_pairs([LabelFile(tmp_path / "x.h5")["a"]], None, size=400, rng=np.random.default_rng(0))
        part = subsample(pairs, 100)
        assert (len(part), np.count_nonzero(part.stored)) == (100, 50)
        assert len(subsample(pairs, 1000)) == 400


class TestModels:
    """relabel.fit.models"""

    @pytest.fixture
    def pairs(self, tmp_path: Path) -> Any:
        """A sample of a small town."""
        relabel.write(tmp_path / "x.h5", {"a": fov.overlap(QUERY, DATABASE)})
        return sampled_pairs([LabelFile(tmp_path / "x.h5")["a"]], None, size=100, rng=np.random.default_rng(0))

    @pytest.mark.parametrize("change", [np.copy, np.zeros_like, lambda psi: psi + 0.1])
    def test_residuals(self, pairs: Any, change: Callable[[Any], Any]) -> None:
        """The difference where a pair is stored; where it is absent, what exceeds the bound."""
        psi = change(pairs.value)
        for k, residual in enumerate(residuals(pairs, psi)):
            expected = psi[k] - pairs.value[k] if pairs.value[k] > 0 else max(0.0, psi[k] - pairs.bound[k])
            assert residual == expected

    def test_sides_alike(self, pairs: Any) -> None:
        """Two sides with the same parameters are one."""
        one, two = (areas(pairs, 0, np.array(x)) for x in ([70.0, 40.0], [70.0, 40.0, 70.0, 40.0]))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_beyond(self, pairs: Any) -> None:
        """A cut is at the range of the query, its own where it has one."""
        assert (beyond(pairs, 30.0) == (pairs.distance_m > 30.0)).all()
        own = replace(pairs, query=replace(pairs.query, radius_m=10.0))
        assert (beyond(own, 30.0) == (pairs.distance_m > 10.0)).all()

    def test_shape(self) -> None:
        """No segment stands for the sector."""
        assert [Model("iou", arc).shape for arc in (0, 3)] == ["sector", "polygon"]
