"""Index formats against what their loaders do, and against positives counted in the dense matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Cameras, Status
from relabel.cli.app import app
from relabel.errors import InputError, OptionError
from relabel.exchange.exporting import export
from relabel.exchange.positive_rows import rows_above, rows_not_zero, rows_within
from relabel.labelfile import LabelFile
from relabel.similarity import Similarity
from tests.similarities import similarity
from tests.trees import msls_tree


def lists(path: Path) -> list[list[int]]:
    """An object array of index arrays, as its consumers load it."""
    array = np.load(path, allow_pickle=True)
    assert array.ndim == 1
    return [np.asarray(each).tolist() for each in array]


class TestRowsAbove:
    """relabel.exchange.positive_rows.rows_above"""

    @given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 999), st.sampled_from([0.1, 0.3, 0.5, 1.0]))
    def test_against_dense(self, n: int, m: int, seed: int, threshold: float) -> None:
        """The lists are the columns at or above the threshold, which is compared as float32."""
        psi = similarity(n, m, seed=seed)
        dense = psi.matrix.toarray()
        for lists, wanted in (
            (rows_above(psi, threshold), dense >= np.float32(threshold)),
            (rows_not_zero(psi), dense > 0),
        ):
            assert [each.tolist() for each in lists.objects()] == [np.flatnonzero(row).tolist() for row in wanted]

    @pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan"), 1e-7])
    def test_threshold(self, threshold: float) -> None:
        """A threshold that cannot tell stored pairs from absent ones is refused."""
        with pytest.raises(OptionError, match="threshold"):
            rows_above(similarity(), threshold)


class TestRowsWithin:
    """relabel.exchange.positive_rows.rows_within"""

    @pytest.mark.parametrize("self_pairs", [False, True])
    def test_against_all_distances(self, self_pairs: bool) -> None:
        """All cameras at most so far away, those at exactly that distance included, but a camera itself."""
        c = similarity(60, 70, seed=2, self_pairs=self_pairs).collection
        with np.errstate(invalid="ignore"):
            gap = np.hypot(*(c.query.position[:, None] - c.database.position[None]).transpose(2, 0, 1))
            radius = gap[(gap > 20.0) & (gap == np.rint(gap))].min()
            wanted = gap <= radius
        if self_pairs:
            np.fill_diagonal(wanted, val=False)
        assert (gap[wanted] == radius).any()
        assert [each.tolist() for each in rows_within(c, radius).objects()] == [
            np.flatnonzero(row).tolist() for row in wanted
        ]

    def test_no_positions(self) -> None:
        """Without any position there is no nearness."""
        c = similarity(3, 3, faults=False).collection
        lost = Cameras(c.query.key, np.full((3, 2), np.nan))
        with pytest.raises(InputError, match="position"):
            rows_within(replace(c, query=lost), 25.0)
        with pytest.raises(OptionError, match="within"):
            rows_within(c, 0.0)


class TestWriteNpy:
    """relabel.exchange.positive_lists.write_npy"""

    def test_as_its_loaders_read_it(self, tmp_path: Path) -> None:
        """Names load without pickle; gt belongs to qImages and pIdx to qIdx, which has only queries with a positive."""
        psi = similarity(30, 40, seed=3)
        dense = psi.matrix.toarray() >= 0.5
        export({"c": psi}, "npy", tmp_path, image_path="{collection}/{side}/{key}.jpg")
        names = {part: np.load(tmp_path / f"c_{part}.npy") for part in ("dbImages", "qImages", "qIdx")}
        assert names["dbImages"].tolist() == [f"c/database/{key}.jpg" for key in psi.collection.database.key]
        assert names["qImages"].tolist() == [f"c/query/{key}.jpg" for key in psi.collection.query.key]
        assert lists(tmp_path / "c_gt.npy") == [np.flatnonzero(row).tolist() for row in dense]
        assert names["qIdx"].tolist() == np.flatnonzero(dense.any(axis=1)).tolist()
        chosen = names["qImages"][names["qIdx"]]
        positives = lists(tmp_path / "c_pIdx.npy")
        assert len(chosen) == len(positives) > 0
        assert positives == [np.flatnonzero(row).tolist() for row in dense if row.any()]

    def test_recall_of_a_perfect_search(self, tmp_path: Path) -> None:
        """A search that returns the best ψ first has recall@1 of 1 over qIdx, as evaluations count it."""
        psi = similarity(30, 40, seed=3)
        export({"c": psi}, "npy", tmp_path)
        best = psi.matrix.toarray().argsort(axis=1)[:, ::-1]
        truth = lists(tmp_path / "c_pIdx.npy")
        rows = np.load(tmp_path / "c_qIdx.npy")
        assert all(np.isin(best[row, :1], positives).any() for row, positives in zip(rows, truth, strict=True))

    def test_equally_long_lists(self, tmp_path: Path) -> None:
        """Lists of one length stay a list of arrays and do not become a table."""
        psi = similarity(4, 4, density=1.0, faults=False)
        full = psi.matrix.copy()
        full.data[:] = 0.75
        export({"c": Similarity(psi.collection, full)}, "npy", tmp_path)
        assert lists(tmp_path / "c_gt.npy") == [[0, 1, 2, 3]] * 4

    def test_by_distance(self, tmp_path: Path) -> None:
        """With a distance the positives are those within it."""
        psi = similarity(30, 40, seed=3)
        export({"c": psi}, "npy", tmp_path, within_m=25.0)
        assert lists(tmp_path / "c_gt.npy") == [each.tolist() for each in rows_within(psi.collection, 25.0).objects()]

    def test_unknown_queries(self, tmp_path: Path) -> None:
        """Queries that count as a miss are counted, or left out where that is asked for."""
        psi = similarity(30, 40, seed=3)
        ok = psi.collection.query.ok
        assert any(f"{(~ok).sum()} queries" in note for note in export({"c": psi}, "npy", tmp_path).notes)
        export({"c": psi}, "npy", tmp_path, drop_unknown=True, overwrite=True)
        assert len(lists(tmp_path / "c_gt.npy")) == ok.sum()

    def test_without_panoramas(self, tmp_path: Path) -> None:
        """By distance only panoramas go: cameras whose heading is not known have a place all the same."""
        psi = similarity(60, 70, seed=3)
        c = psi.collection
        keep = [np.flatnonzero(side.status != Status.PANORAMA) for side in (c.query, c.database)]
        assert 0 < (~c.query.ok).sum() != 60 - len(keep[0])
        notes = export({"c": psi}, "npy", tmp_path, within_m=25.0, drop_panoramas=True).notes
        assert any(f"{130 - len(keep[0]) - len(keep[1])} panoramas are left out" in note for note in notes)
        with np.errstate(invalid="ignore"):
            near = np.hypot(*(c.query.position[:, None] - c.database.position[None]).transpose(2, 0, 1)) <= 25.0
        assert np.load(tmp_path / "c_qImages.npy").tolist() == c.query.key[keep[0]].tolist()
        assert np.load(tmp_path / "c_dbImages.npy").tolist() == c.database.key[keep[1]].tolist()
        assert lists(tmp_path / "c_gt.npy") == [np.flatnonzero(row).tolist() for row in near[np.ix_(*keep)]]

    def test_values_without_panoramas(self, tmp_path: Path) -> None:
        """By ψ the numbers are those of the cameras that are left."""
        psi = similarity(60, 70, seed=3)
        keep = [
            np.flatnonzero(side.status != Status.PANORAMA) for side in (psi.collection.query, psi.collection.database)
        ]
        export({"c": psi}, "npy", tmp_path, drop_panoramas=True)
        wanted = (psi.matrix.toarray() >= 0.5)[np.ix_(*keep)]
        assert lists(tmp_path / "c_gt.npy") == [np.flatnonzero(row).tolist() for row in wanted]


class TestNamesThatOpen:
    """Loaders open what stands in the lists, under a root of theirs."""

    @pytest.mark.parametrize("measure", ["iou", "dice"])
    def test_msls(self, measure: Any, tmp_path: Path) -> None:
        """Labels of MSLS name the images as the tree has them, so that they open under its root."""
        root = msls_tree(tmp_path / "msls")
        assert CliRunner().invoke(app, ["msls", "--root", str(root), "-o", str(tmp_path / "m.h5"), "-q"]).exit_code == 0
        labels = LabelFile(tmp_path / "m.h5")
        city = next(iter(labels))
        for form, prefix in (("npy", f"{city}_"), ("msls-idx", "")):
            notes = export({city: labels[city].in_measure(measure)}, form, tmp_path / form).notes
            assert not any("not names of image files" in note for note in notes)
            for part, side in (("qImages", "query"), ("dbImages", "database")):
                for image in np.load(tmp_path / form / f"{prefix}{part}.npy").tolist():
                    folder, name = image.rsplit("/", 1)
                    assert folder == f"train_val/{city}/{side}/images"
                    assert name.endswith(".jpg")
                    assert name.removesuffix(".jpg") in getattr(labels[city], side).key

    @pytest.mark.parametrize("form", ["npy", "deep-vg"])
    def test_warned(self, form: str, tmp_path: Path) -> None:
        """Keys that are not names of image files are counted, with what to do; with --image-path nothing is said."""
        psi = similarity(30, 40, seed=3, faults=False)
        (note,) = [note for note in export({"c": psi}, form, tmp_path / "a").notes if "image" in note]
        assert "of 70 image names" in note or form == "deep-vg"
        assert "image_path='{key}.jpg'" in note
        notes = export({"c": psi}, form, tmp_path / "b", image_path="{side}/{key}.PNG").notes
        assert not any("image files" in note for note in notes)


class TestWriteMslsIdx:
    """relabel.exchange.positive_lists.write_msls_idx"""

    def test_over_two_cities(self, tmp_path: Path) -> None:
        """Numbers run on across collections, and triplets drawn as the dataset class draws them are right."""
        cities = {"a": similarity(20, 25, seed=4), "b": similarity(25, 20, seed=5)}
        export(cities, "msls-idx", tmp_path, image_path="{collection}/{key}")
        queries, database, chosen = (np.load(tmp_path / f"{part}.npy") for part in ("qImages", "dbImages", "qIdx"))
        positive, non_negative = (lists(tmp_path / f"{part}.npy") for part in ("pIdx", "nonNegIdx"))
        value: dict[tuple[str, str], float] = {}
        expected = []
        for name, psi in cities.items():
            c, dense = psi.collection, psi.matrix.toarray()
            for i in np.flatnonzero(c.query.ok):
                row = {f"{name}/{c.database.key[j]}": dense[i, j] for j in np.flatnonzero(c.database.ok)}
                value |= {(f"{name}/{c.query.key[i]}", key): psi_ij for key, psi_ij in row.items()}
                if any(each >= 0.5 for each in row.values()):
                    expected.append(f"{name}/{c.query.key[i]}")
        assert queries[chosen].tolist() == expected
        assert len(chosen) == len(positive) == len(non_negative)
        for query, p, keep in zip(queries[chosen], positive, non_negative, strict=True):
            assert {value[query, database[j]] >= 0.5 for j in p} == {True}
            assert set(p) <= set(keep)
            city = query[0]
            others = {str(name) for name in np.delete(database, keep) if name[0] == city}
            # Whatever is left for a negative is known to share nothing.
            assert {value[query, name] for name in others} <= {0.0}
            assert len(others) + len(keep) == (cities[city].collection.database.ok).sum()

    def test_a_query_is_no_negative_of_its_own(self, tmp_path: Path) -> None:
        """Where the database is the set of queries, each query keeps out of its own negatives."""
        export({"c": similarity(20, seed=6, self_pairs=True)}, "msls-idx", tmp_path)
        chosen = np.load(tmp_path / "qIdx.npy").tolist()
        keep, positive = lists(tmp_path / "nonNegIdx.npy"), lists(tmp_path / "pIdx.npy")
        assert all(row in each and each == sorted(each) for row, each in zip(chosen, keep, strict=True))
        assert not any(row in each for row, each in zip(chosen, positive, strict=True))


class TestWriteDeepVg:
    """relabel.exchange.positive_lists.write_deep_vg"""

    def test_numbers_are_those_of_sorted_files(self, tmp_path: Path) -> None:
        """The loader sorts the files it finds; hard and soft positives number that order, and belong to the queries."""
        psi = similarity(25, 30, seed=7)
        c, rng = psi.collection, np.random.default_rng(1)
        shuffled = [replace(side, key=rng.permutation(side.key)) for side in (c.query, c.database)]
        psi = Similarity(replace(c, query=shuffled[0], database=shuffled[1]), psi.matrix)
        export({"c": psi}, "deep-vg", tmp_path, image_path="{side}/{key}.jpg")
        c, dense = psi.collection, psi.matrix.toarray()
        files = sorted(f"database/{key}.jpg" for key in c.database.key[c.database.ok])
        assert np.load(tmp_path / "c_database_paths.npy").tolist() == files
        queries = np.load(tmp_path / "c_queries_paths.npy").tolist()
        row_of = {f"query/{key}.jpg": i for i, key in enumerate(c.query.key)}
        assert queries == sorted(name for name, i in row_of.items() if (dense[i] >= 0.5).any())
        for part, wanted in (("hard", dense >= 0.5), ("soft", dense > 0)):
            for name, each in zip(queries, lists(tmp_path / f"c_{part}_positives_per_query.npy"), strict=True):
                keys = {f"database/{key}.jpg" for key in c.database.key[wanted[row_of[name]]]}
                assert {files[j] for j in each} == keys
                assert each == sorted(set(each))


class TestImagePath:
    """relabel.images.paths.image_paths"""

    def test_columns(self, tmp_path: Path) -> None:
        """A further column can be named, and one called path is the default."""
        psi = similarity(3, 3, faults=False)
        c = psi.collection
        named = replace(c.query, extra={"path": np.array(["x/1.png", "x/2.png", "x/3.png"]), "frame": np.arange(3)})
        psi = Similarity(replace(c, query=named), psi.matrix)
        export({"c": psi}, "npy", tmp_path)
        assert np.load(tmp_path / "c_qImages.npy").tolist() == ["x/1.png", "x/2.png", "x/3.png"]
        assert np.load(tmp_path / "c_dbImages.npy").tolist() == c.database.key.tolist()
        with pytest.raises(OptionError, match=r"'frame'.*there are collection, scene, side, key"):
            export({"c": psi}, "npy", tmp_path, image_path="{frame}", overwrite=True)

    def test_one_picture_of_two_cameras(self, tmp_path: Path) -> None:
        """A template that does not tell cameras apart is refused."""
        with pytest.raises(InputError, match="more than one database camera"):
            export({"c": similarity()}, "npy", tmp_path, image_path="{side}.jpg")


class TestExport:
    """relabel.exchange.exporting.export"""

    def test_options_that_say_nothing(self, tmp_path: Path) -> None:
        """An option that the format would pass over is refused, with the formats that take it."""
        with pytest.raises(OptionError, match="top does not apply to format npy; it is for pairs"):
            export({"c": similarity()}, "npy", tmp_path, top=3)
        with pytest.raises(OptionError, match=r"format 'xls'.*gcl"):
            export({"c": similarity()}, "xls", tmp_path)

    def test_names_that_clash(self, tmp_path: Path) -> None:
        """Two collections whose files would have one name are refused."""
        psi = similarity()
        with pytest.raises(InputError, match="share files"):
            export({"a/b": psi, "a-b": psi}, "npz", tmp_path)

    def test_statuses_differ(self) -> None:
        """The similarities of these tests have cameras of several statuses, or they would prove little."""
        assert len(set(similarity(60, 60, seed=3).collection.query.status.tolist()) & set(Status)) > 2
