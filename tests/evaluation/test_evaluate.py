"""relabel.training: evaluation sets of several places, search, and all scores together."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import relabel
from relabel.cameras import Cameras, Status
from relabel.errors import InputError, NotFoundError, OptionError
from relabel.evaluation import places
from relabel.evaluation.evaluate import assess, correlate, evaluation_text, search, write_per_query
from relabel.evaluation.ground_truth import EvaluationSet, Rule, default_rule, evaluation_set
from relabel.evaluation.metrics import spearman
from relabel.evaluation.places import Place
from tests.evaluation.evaluations import label_file, random_descriptors, town
from tests.similarities import similarity
from tests.trees import at_street, drop_column, edit, msls_tree, name_list, reverse_rows, street


def of_labels(path: Path, rule: Rule | None = None, **collections: relabel.Similarity) -> EvaluationSet:
    labels = label_file(path, **collections)
    return evaluation_set(places.of_labels([labels[name] for name in labels]), rule)


class TestEvaluationSet:
    """evaluation_set"""

    def test_by_distance(self, tmp_path: Path) -> None:
        """Panoramas are left out; cameras without a heading stay; positives are those of the cameras that stay."""
        psi = town(seed=2)
        c = psi.collection
        ground_truth = of_labels(tmp_path / "l.h5", Rule(within_m=20.0), a=psi)
        kept = [side.status != Status.PANORAMA for side in (c.query, c.database)]
        assert (c.query.status == Status.NO_HEADING).any()
        assert ground_truth.query.tolist() == c.query.key[kept[0]].tolist()
        assert ground_truth.left_out[1] == set(c.database.key[~kept[1]].tolist())
        apart = np.linalg.norm(c.query.position[kept[0]][:, None] - c.database.position[kept[1]], axis=2)
        assert [each.tolist() for each in ground_truth.positives.objects()] == [
            np.flatnonzero(row <= 20).tolist() for row in apart
        ]
        assert ground_truth.psi_known[0].tolist() == c.query.ok[kept[0]].tolist()
        np.testing.assert_array_equal(ground_truth.psi.toarray(), psi.matrix.toarray()[np.ix_(*kept)])

    def test_by_similarity(self, tmp_path: Path) -> None:
        """Only ok cameras take part, as the others' ψ is unknown."""
        psi = town()
        c = psi.collection
        ground_truth = of_labels(tmp_path / "l.h5", Rule(psi=0.3), a=psi)
        dense = psi.matrix.toarray()[np.ix_(c.query.ok, c.database.ok)]
        assert ground_truth.shape == dense.shape
        assert [each.tolist() for each in ground_truth.positives.objects()] == [
            np.flatnonzero(row >= np.float32(0.3)).tolist() for row in dense
        ]

    def test_exactly_the_similarity(self, tmp_path: Path) -> None:
        """ψ is compared as the float32 that is stored: 0.7 is at least 0.7, although as float32 it is less."""
        psi = similarity(4, 6, faults=False, density=1.0)
        psi = replace(psi, matrix=sparse.csr_array(np.full((4, 6), [0.7, 0.7, 0.7, 0.69, 0.69, 0.69], np.float32)))
        assert float(np.float32(0.7)) < 0.7
        ground_truth = of_labels(tmp_path / "l.h5", Rule(psi=0.7), a=psi)
        assert [each.tolist() for each in ground_truth.positives.objects()] == [[0, 1, 2]] * 4

    @pytest.mark.parametrize("rule", [Rule(within_m=25.0), Rule(psi=0.5)])
    def test_several_places(self, tmp_path: Path, rule: Rule) -> None:
        """Rows run on, positives stay in their own place, although both have the same positions."""
        parts = {"a": town(seed=1, prefix="a"), "b": town(seed=1, prefix="b"), "c": town(seed=2, prefix="c")}
        ground_truth = of_labels(tmp_path / "l.h5", rule, **parts)
        start = [0, 0]
        for i, (name, psi) in enumerate(parts.items()):
            alone = of_labels(tmp_path / f"{name}.h5", rule, **{name: psi})
            rows = np.flatnonzero(ground_truth.query_place == i)
            assert rows.tolist() == list(range(start[0], start[0] + alone.shape[0]))
            mine = [each.tolist() for each in ground_truth.positives.objects(rows)]
            assert mine == [(each + start[1]).tolist() for each in alone.positives.objects()]
            start = [start[0] + alone.shape[0], start[1] + alone.shape[1]]
        assert ground_truth.shape == tuple(start)

    def test_self_pairs(self, tmp_path: Path) -> None:
        """A query is neither a positive of itself nor an answer."""
        psi = similarity(20, self_pairs=True)
        for rule in (Rule(within_m=30.0), Rule(psi=0.2)):
            ground_truth = of_labels(tmp_path / f"{rule.psi}.h5", rule, a=psi)
            assert (
                ground_truth.query[ground_truth.twin >= 0].tolist()
                == ground_truth.database[ground_truth.twin[ground_truth.twin >= 0]].tolist()
                == ground_truth.query.tolist()
            )
            each = np.repeat(np.arange(ground_truth.shape[0]), ground_truth.positives.counts)
            assert len(each)
            assert not (ground_truth.positives.indices == ground_truth.twin[each]).any()

    def test_the_same_key_in_two_places(self, tmp_path: Path) -> None:
        """Frames of two scenes are often called the same; then one is evaluated at a time."""
        with pytest.raises(InputError, match=r"query key 'q000' is in a and in b .*FILE::NAME"):
            of_labels(tmp_path / "l.h5", a=town(), b=town(seed=5))

    @pytest.mark.parametrize("rule", [Rule(), Rule(within_m=5.0, psi=0.5)])
    def test_one_rule(self, rule: Rule) -> None:
        """Distance or ψ."""
        with pytest.raises(OptionError, match="either by distance"):
            evaluation_set([], rule)

    def test_heading_and_psi(self) -> None:
        """A limit of headings belongs to a distance."""
        with pytest.raises(OptionError, match="already depends on the headings"):
            evaluation_set([], Rule(psi=0.5, max_heading_difference_deg=30.0))

    def test_psi_without_labels(self) -> None:
        """There is no ψ without a label file."""
        side = Cameras(key=["a"], position=[[0.0, 0.0]], heading_deg=[0.0])
        with pytest.raises(OptionError, match="need a label file"):
            evaluation_set([Place("x", side, side)], Rule(psi=0.5))

    def test_no_place(self) -> None:
        """An empty label file."""
        with pytest.raises(InputError, match="no collection to evaluate"):
            evaluation_set([])

    def test_nothing_left(self) -> None:
        """Panoramas alone cannot be evaluated."""
        side = Cameras(key=["a"], position=[[0.0, 0.0]], heading_deg=[0.0], status=[Status.PANORAMA])
        with pytest.raises(InputError, match=r"x: no query camera takes part \(1 panorama\)"):
            evaluation_set([Place("x", side, side)])


class TestDefaultRule:
    """default_rule"""

    @pytest.mark.parametrize(
        ("method", "rule"),
        [("fov-sector", Rule(within_m=25.0)), ("surface", Rule(psi=0.5)), ("voxel-iou", Rule(psi=0.5))],
    )
    def test_by_method(self, tmp_path: Path, method: str, rule: Rule) -> None:
        """25 m on the street, ψ in rooms."""
        psi = town()
        psi = replace(psi, collection=replace(psi.collection, method=method))
        labels = label_file(tmp_path / "l.h5", a=psi)
        assert default_rule(places.of_labels([labels["a"]])) == rule

    def test_without_positions(self, tmp_path: Path) -> None:
        """Imported labels may have none."""
        c = similarity(5, 6, faults=False).collection
        bare = [Cameras(key=s.key, position=np.full((len(s), 2), np.nan), posed=False) for s in (c.query, c.database)]
        c = replace(c, query=bare[0], database=bare[1], method="imported", params={})
        labels = label_file(tmp_path / "l.h5", a=replace(similarity(5, 6, faults=False), collection=c))
        assert default_rule(places.of_labels([labels["a"]])) == Rule(psi=0.5)

    def test_words(self) -> None:
        """A rule says what it is."""
        assert str(Rule(within_m=25.0)) == "within 25 m"
        assert str(Rule(within_m=25.0, max_heading_difference_deg=40.0)) == "within 25 m and 40° of heading"
        assert str(Rule(psi=0.5)) == "ψ ≥ 0.5"
        assert Rule(psi=0.5).to_json() == {"psi": 0.5}


class TestPlaces:
    """relabel.evaluation.places"""

    def test_msls(self, tmp_path: Path) -> None:
        """Two cities in the order asked for, panoramas left out, positives of each by its own positions."""
        rows = [street(prefix="q"), street(prefix="d")]
        rows[1][0]["pano"] = True
        msls_tree(tmp_path, query=rows[0], database=rows[1], city="sf")
        msls_tree(tmp_path, query=street(3, prefix="x"), database=street(4, prefix="y"), city="cph")
        ground_truth = evaluation_set(places.of_paths([tmp_path], cities="val"))
        assert ground_truth.places == ("cph", "sf")
        assert ground_truth.database.tolist() == ["y0", "y1", "y2", "y3", "d1", "d2", "d3", "d4", "d5"]
        # Cameras stand every 10 m: those two steps away are within 25 m.
        expected = [[j for j in range(4) if abs(i - j) <= 2] for i in range(3)]
        expected += [[4 + j - 1 for j in range(1, 6) if abs(i - j) <= 2] for i in range(6)]
        assert [each.tolist() for each in ground_truth.positives.objects()] == expected

    def test_subtask(self, tmp_path: Path) -> None:
        """Only the cameras of the subtask, joined by key, on both sides."""
        rows = [street(prefix="q"), street(prefix="d")]
        for i, side in enumerate(rows):
            for j, row in enumerate(side):
                row["s2w"] = j % 2 == i
        msls_tree(tmp_path, query=rows[0], database=rows[1])
        reverse_rows(tmp_path / "train_val/amman/query/subtask_index.csv")
        chosen = places.in_subtask(places.of_paths([tmp_path]), tmp_path, "s2w")
        ground_truth = evaluation_set(chosen)
        assert ground_truth.query.tolist() == ["q0", "q2", "q4"]
        assert ground_truth.database.tolist() == ["d1", "d3", "d5"]
        assert ground_truth.left_out[0] == {"q1", "q3", "q5"}

    def test_subtask_without_cameras(self, tmp_path: Path) -> None:
        """A subtask may have none of a city."""
        rows = street(prefix="q", n2d=False)
        msls_tree(tmp_path, query=rows)
        with pytest.raises(InputError, match="no query camera is in the subtask"):
            evaluation_set(places.in_subtask(places.of_paths([tmp_path]), tmp_path, "n2d"))

    def test_subtask_faults(self, tmp_path: Path) -> None:
        """An unknown subtask, a city that is not there, a key without a row, a missing column."""
        msls_tree(tmp_path)
        chosen = places.of_paths([tmp_path])
        with pytest.raises(OptionError, match="s2w"):
            places.in_subtask(chosen, tmp_path, "x2y")
        with pytest.raises(NotFoundError, match="there is no city 'zurich'"):
            places.in_subtask([replace(chosen[0], name="zurich")], tmp_path, "all")
        path = tmp_path / "train_val/amman/query/subtask_index.csv"
        edit(path, "q3", "zz")
        with pytest.raises(InputError, match=r"subtask_index.csv: has no row of key 'q3'"):
            places.in_subtask(chosen, tmp_path, "all")
        drop_column(path, "all")
        with pytest.raises(InputError, match="column 'all' is missing"):
            places.in_subtask(chosen, tmp_path, "all")

    def test_names(self, tmp_path: Path) -> None:
        """Two lists of @ names."""
        lists = [name_list(tmp_path / f"{s}.txt", at_street(4, prefix=s)) for s in "qd"]
        ground_truth = evaluation_set(places.of_paths(lists))
        assert [each.tolist() for each in ground_truth.positives.objects()] == [
            [0, 1, 2],
            [0, 1, 2, 3],
            [0, 1, 2, 3],
            [1, 2, 3],
        ]

    def test_names_among_themselves(self, tmp_path: Path) -> None:
        """The same list twice."""
        path = name_list(tmp_path / "q.txt", at_street(3, step_m=20.0))
        ground_truth = evaluation_set(places.of_paths([path, path]))
        assert [each.tolist() for each in ground_truth.positives.objects()] == [[1], [0, 2], [1]]

    @pytest.mark.real_data
    def test_sf_xl(self, real_data: Path) -> None:
        """SF-XL val: every query has 7 to 13 positives within 25 m, as the dataset's own list has it."""
        folder = real_data / "sf_xs_val"
        ground_truth = evaluation_set(places.of_paths([folder / "queries.txt", folder / "database.txt"]))
        assert ground_truth.shape == (7993, 8015)
        assert (ground_truth.positives.counts.min(), ground_truth.positives.counts.max()) == (7, 13)


class TestSearch:
    """search"""

    def test_equals_all_distances(self, tmp_path: Path) -> None:
        """Over the database of all places, in the order of distance."""
        ground_truth = of_labels(tmp_path / "l.h5", a=town(prefix="a"), b=town(prefix="b", seed=3))
        query, database = random_descriptors(ground_truth)
        neighbours = search(ground_truth, query, database, [1, 5], top=7)
        apart = np.linalg.norm(query[:, None].astype(float) - database, axis=2)
        assert neighbours.indices.tolist() == np.argsort(apart, axis=1)[:, :7].tolist()

    def test_never_itself(self, tmp_path: Path) -> None:
        """Among self pairs the query's own image is left out, also where others look the same."""
        ground_truth = of_labels(tmp_path / "l.h5", a=similarity(20, self_pairs=True))
        n = ground_truth.shape[0]
        for described in (random_descriptors(ground_truth)[0], np.zeros((n, 3))):
            neighbours = search(ground_truth, described, described, [1], top=n + 5)
            assert neighbours.indices.shape == (n, n)
            for row, indices in enumerate(neighbours.indices.tolist()):
                assert sorted(indices) == [-1, *(i for i in range(n) if i != row)]
                assert indices[-1] == -1
        few = search(ground_truth, np.zeros((n, 3)), np.zeros((n, 3)), [1], top=2).indices
        assert few[:4].tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]

    def test_top(self, tmp_path: Path) -> None:
        """At least one answer."""
        ground_truth = of_labels(tmp_path / "l.h5", a=town())
        with pytest.raises(OptionError, match="top is 0"):
            search(ground_truth, *random_descriptors(ground_truth), top=0)


class TestAssess:
    """assess"""

    def test_by_place(self, tmp_path: Path) -> None:
        """The scores of a place are those of its queries; all scores are the mean over all queries."""
        ground_truth = of_labels(tmp_path / "l.h5", a=town(prefix="a"), b=town(12, 30, prefix="b", seed=3))
        described = random_descriptors(ground_truth)
        scores = assess(ground_truth, search(ground_truth, *described).indices, descriptors=described).to_json()
        assert scores["queries"] == sum(place["queries"] for place in scores["places"])
        for field in ("recall", "map"):
            total = sum(place[field]["5"] * place["queries"] for place in scores["places"])
            assert scores[field]["5"] == pytest.approx(total / scores["queries"])
        parts = [place["graded"] for place in scores["places"]]
        total = sum(part["psi_top1"] * part["queries"] for part in parts)
        assert scores["graded"]["psi_top1"] == pytest.approx(total / scores["graded"]["queries"])

    def test_perfect(self, tmp_path: Path) -> None:
        """Descriptors whose distance falls with ψ alone: nDCG 1 and Spearman -1 of the stored pairs."""
        psi = town()
        ground_truth = of_labels(tmp_path / "l.h5", Rule(psi=0.3), a=psi)
        rows = np.argsort(-ground_truth.psi.toarray(), axis=1, kind="stable")
        evaluation = assess(ground_truth, rows)
        assert evaluation.scores.recall[0] == evaluation.scores.map[0] == 1.0
        np.testing.assert_allclose(evaluation.graded.mean_ndcg, 1.0)
        assert evaluation.correlation is None

    def test_padding(self, tmp_path: Path) -> None:
        """Whatever a search fills up with, first or last: as -1 there, also in the table of every query."""
        ground_truth = of_labels(tmp_path / "l.h5", Rule(psi=0.3), a=town())
        rows = np.argsort(-ground_truth.psi.toarray(), axis=1, kind="stable")[:, :6]
        rows[::2, 0] = rows[1::2, 5] = -1
        expected = assess(ground_truth, rows)
        write_per_query(tmp_path / "expected.csv", expected)
        for number, padding in enumerate((ground_truth.shape[1], 4458766603700305201, np.nan)):
            evaluation = assess(ground_truth, np.where(rows < 0, padding, rows))
            assert evaluation.to_json() == expected.to_json()
            write_per_query(tmp_path / f"{number}.csv", evaluation)
            assert (tmp_path / f"{number}.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()

    def test_no_positive(self, tmp_path: Path) -> None:
        """Nothing to score is an error that says so."""
        ground_truth = of_labels(tmp_path / "l.h5", Rule(within_m=0.01), a=town())
        with pytest.raises(InputError, match=r"none of the \d+ queries has a positive \(within 0.01 m\)"):
            assess(ground_truth, np.zeros((ground_truth.shape[0], 1), int))

    def test_without_labels(self, tmp_path: Path) -> None:
        """No graded scores, and none in the output."""
        msls_tree(tmp_path)
        ground_truth = evaluation_set(places.of_paths([tmp_path]))
        described = random_descriptors(ground_truth)
        evaluation = assess(ground_truth, search(ground_truth, *described).indices, descriptors=described)
        assert set(evaluation.to_json()) == {
            *("positives", "database", "left_out", "queries", "queries_without_positive", "recall", "map", "places"),
        }
        with pytest.raises(InputError, match="label file"):
            correlate(ground_truth, *described)


class TestCorrelate:
    """correlate"""

    def test_stored_pairs(self, tmp_path: Path) -> None:
        """Equal to the correlation of all stored pairs of both places, one by one."""
        ground_truth = of_labels(tmp_path / "l.h5", a=town(prefix="a"), b=town(prefix="b", seed=3))
        query, database = random_descriptors(ground_truth)
        correlation = correlate(ground_truth, query, database)
        rows, columns = ground_truth.psi.toarray().nonzero()
        apart = np.linalg.norm(query[rows].astype(float) - database[columns], axis=1).astype(np.float32)
        values = ground_truth.psi.toarray()[rows, columns]
        assert correlation.stored == pytest.approx(spearman(apart, values), abs=1e-12)
        assert correlation.pairs == ground_truth.psi.nnz == correlation.zeros
        assert abs(correlation.overall) < 0.2  # they mean nothing

    def test_all_zeros(self, tmp_path: Path) -> None:
        """Where zeros are few, all are taken: of two sets of self pairs, each pair of known cameras but with itself."""
        parts = {}
        for name in "ab":
            psi = similarity(20 + len(parts), seed=len(parts), self_pairs=True, density=0.9)
            side = replace(psi.collection.query, key=np.char.add(name, psi.collection.query.key))
            parts[name] = replace(psi, collection=replace(psi.collection, query=side, database=side))
        ground_truth = of_labels(tmp_path / "l.h5", Rule(within_m=30.0), **parts)
        query, database = random_descriptors(ground_truth)
        same = (ground_truth.query_place[:, None] == ground_truth.database_place) & (
            ground_truth.query[:, None] != ground_truth.database
        )
        rows, columns = (same & ground_truth.psi_known[0][:, None] & ground_truth.psi_known[1]).nonzero()
        assert not ground_truth.psi_known[1].all()
        correlation = correlate(ground_truth, query, database)
        value = ground_truth.psi.toarray()[rows, columns]
        apart = np.linalg.norm(query[rows].astype(float) - database[columns], axis=1).astype(np.float32)
        assert (correlation.pairs, correlation.zeros) == ((value > 0).sum(), (value == 0).sum())
        assert correlation.overall == pytest.approx(spearman(apart, value), abs=1e-12)


class TestOutput:
    """relabel.evaluation.evaluate"""

    def test_per_query(self, tmp_path: Path) -> None:
        """A line a query; the means of its columns are the scores."""
        ground_truth = of_labels(tmp_path / "l.h5", a=town(prefix="a"), b=town(prefix="b", seed=3))
        described = random_descriptors(ground_truth)
        answers = search(ground_truth, *described)
        evaluation = assess(ground_truth, answers.indices, distances=answers.distances, descriptors=described)
        write_per_query(tmp_path / "q.csv", evaluation)
        lines = list(csv.DictReader((tmp_path / "q.csv").read_text(encoding="utf-8").splitlines()))
        assert [line["query"] for line in lines] == ground_truth.query.tolist()
        assert [line["place"] for line in lines] == [ground_truth.places[i] for i in ground_truth.query_place]
        for column, score in (("ap@5", evaluation.scores.map[1]), ("ndcg@10", evaluation.graded.mean_ndcg[2])):
            assert np.mean([float(line[column]) for line in lines if line[column]]) == pytest.approx(score)
        hits = [line["first_hit"] for line in lines if int(line["positives"])]
        assert np.mean([hit != "" and int(hit) <= 5 for hit in hits]) == pytest.approx(evaluation.scores.recall[1])
        assert float(lines[0]["distance"]) == pytest.approx(answers.distances[0, 0])
        assert lines[0]["answer"] == ground_truth.database[answers.indices[0, 0]]

    def test_text(self, tmp_path: Path) -> None:
        """One column a place beside all; scores with four digits."""
        ground_truth = of_labels(tmp_path / "l.h5", a=town(prefix="a"), b=town(prefix="b", seed=3))
        described = random_descriptors(ground_truth)
        evaluation = assess(ground_truth, search(ground_truth, *described).indices, descriptors=described)
        lines = evaluation_text(evaluation)
        assert lines[0] == "positives within 25 m"
        out = [len(keys) for keys in ground_truth.left_out]
        assert out[0] != out[1]
        assert lines[1] == f"left out: {out[0]} queries and {out[1]} images of the database"
        assert lines[2].split() == ["all", "a", "b"]
        row = next(line for line in lines if line.startswith("recall@5"))
        assert row.split()[1] == f"{evaluation.scores.recall[1]:.4f}"
        assert lines[-1].startswith("distance against ψ: Spearman")
