"""relabel msls on the real metadata of a city, against a brute force that shares no code with it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import shapely
from click.testing import CliRunner, Result
from scipy import sparse

Runner = Callable[..., Result]

pytestmark = pytest.mark.real_data

SEGMENTS = 256
NEAR_M = 100.0
"""Twice the range: fields of view farther apart than that share nothing."""


class Side(NamedTuple):
    """What the CSV files say, read with nothing but the standard library."""

    key: list[str]
    east_m: np.ndarray
    north_m: np.ndarray
    heading_deg: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Side:
        with (folder / "raw.csv").open(newline="") as raw, (folder / "postprocessed.csv").open(newline="") as post:
            pairs = list(zip(csv.DictReader(raw), csv.DictReader(post), strict=True))
        assert all(a["key"] == b["key"] for a, b in pairs)
        rows = [a | b for a, b in pairs]
        columns = (np.array([float(row[name]) for row in rows]) for name in ("easting", "northing", "ca"))
        return cls([row["key"] for row in rows], *columns)

    def polygon(self, i: int) -> shapely.Polygon:
        """The field of view of a camera: a quarter circle of 50 m around its heading."""
        middle = np.pi / 2 - np.radians(self.heading_deg[i])
        angle = np.linspace(middle - np.pi / 4, middle + np.pi / 4, SEGMENTS + 1)
        arc = np.column_stack([self.east_m[i] + 50 * np.cos(angle), self.north_m[i] + 50 * np.sin(angle)])
        return shapely.Polygon([(self.east_m[i], self.north_m[i]), *arc])


@pytest.fixture(scope="module")
def root(real_data: Path) -> Path:
    """The real tree."""
    return real_data / "msls"


@pytest.fixture(scope="module")
def file(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labels of the real city."""
    from relabel.cli.app import app

    path = tmp_path_factory.mktemp("real") / "amman.h5"
    result = CliRunner().invoke(app, ["msls", "--root", str(root), "-o", str(path)])
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def sides(root: Path) -> tuple[Side, Side]:
    """Queries and database, in metres from the middle of the city, so that float64 has digits to spare."""
    query, database = (Side.read(root / "train_val/amman" / side) for side in ("query", "database"))
    east, north = query.east_m.mean(), query.north_m.mean()
    moved = (side._replace(east_m=side.east_m - east, north_m=side.north_m - north) for side in (query, database))
    return tuple(moved)


@pytest.fixture(scope="module")
def matrix(file: Path) -> sparse.csr_array:
    """ψ, with plain h5py and scipy."""
    with h5py.File(file) as labels:
        group = labels["amman/similarity"]
        arrays = tuple(group[name][()] for name in ("data", "indices", "indptr"))
        return sparse.csr_array(arrays, shape=tuple(group.attrs["shape"]))


class TestAmman:
    """The real city."""

    def test_equals_brute_force(self, sides: tuple[Side, Side], matrix: sparse.csr_array) -> None:
        """Every pair within 100 m has the value of shapely; no pair beyond is stored."""
        query, database = sides
        assert matrix.shape == (len(query.key), len(database.key))
        away = np.hypot(query.east_m[:, np.newaxis] - database.east_m, query.north_m[:, np.newaxis] - database.north_m)
        rows, columns = np.nonzero(away <= NEAR_M)
        assert len(rows) > 10_000
        of_query, of_database = (
            np.array([side.polygon(i) for i in range(len(side.key))]) for side in (query, database)
        )
        common = shapely.area(shapely.intersection(of_query[rows], of_database[columns]))
        whole = shapely.area(of_query)[rows] + shapely.area(of_database)[columns] - common
        expected = np.zeros(matrix.shape)
        expected[rows, columns] = common / whole
        found = matrix.toarray()
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-4)
        assert not found[away > NEAR_M].any()
        assert (found[expected > 1e-4] > 0.0).all()

    def test_rows_are_those_of_the_csv(self, file: Path, sides: tuple[Side, Side]) -> None:
        """Every image has its row, in the order of raw.csv."""
        with h5py.File(file) as labels:
            for name, side in zip(("queries", "database"), sides, strict=True):
                assert [key.decode() for key in labels[f"amman/{name}/key"][()]] == side.key

    def test_verify_finds_no_mismatch(self, run: Runner, file: Path, root: Path) -> None:
        """A sample recomputed with the oracle, and all cameras compared with the dataset."""
        result = run("verify", file, "--root", root, "--sample", 200, "--json")
        assert result.exit_code == 0, result.stdout
        found = json.loads(result.stdout)
        assert (found["checked"], found["mismatches"], found["findings"]) == (200, 0, [])
        assert found["max_abs_diff"] < 1e-5

    def test_is_valid(self, run: Runner, file: Path) -> None:
        """At every level."""
        assert run("validate", file, "--json").exit_code == 0

    def test_opens_with_anndata(self, file: Path, matrix: sparse.csr_array, anndata: Any) -> None:
        """The group is read as what it is, a CSR matrix."""
        with h5py.File(file) as labels:
            read = anndata.io.read_elem(labels["amman/similarity"])
        assert read.shape == matrix.shape
        assert (read != matrix).nnz == 0

    def test_travel(self, run: Runner, root: Path, tmp_path: Path) -> None:
        """The direction of travel, recomputed in the same way, has no mismatch either."""
        path = tmp_path / "travel.h5"
        assert run("msls", "--root", root, "-o", path, "--heading", "travel").exit_code == 0
        assert run("verify", path, "--root", root, "--sample", 20).exit_code == 0
