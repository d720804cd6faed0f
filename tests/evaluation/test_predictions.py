"""relabel.evaluation.predictions: text in, rows out, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, MissingFileError, OutputError, OutputExistsError
from relabel.evaluation.ground_truth import EvaluationSet, Rule, evaluation_set
from relabel.evaluation.places import Place
from relabel.evaluation.predictions import match, read_predictions, shorter_than, write_predictions


@pytest.fixture
def street() -> EvaluationSet:
    """Queries q0 … q3, of which q3 is far from everything, and a panorama; database d0 … d3 and a panorama."""

    def side(letter: str, far: int) -> Cameras:
        position = [[10.0 * i, 0.0] for i in range(4)] + [[0.0, 0.0]]
        position[3][0] += far
        status = [Status.OK] * 4 + [Status.PANORAMA]
        key = [f"{letter}{i}" for i in range(4)] + [f"{letter}-pano"]
        return Cameras(key=key, position=position, heading_deg=np.zeros(5), status=status)

    return evaluation_set([Place("street", side("q", 500), side("d", 0))], Rule(within_m=15.0))


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


GOOD = ("q0 d0 d1", "q1 d1", "q2 d2 d1 d3")


class TestReadPredictions:
    """read_predictions"""

    def test_the_form_of_the_benchmark(self, tmp_path: Path) -> None:
        """Comments, blank lines, other white space, line ends of Windows and a byte order mark are no trouble."""
        path = tmp_path / "p.txt"
        path.write_bytes("\ufeff# Each row contains\n\nq0 d0\td1 \r\n  q1   d1\n#x\nq2".encode())
        predictions = read_predictions(path)
        assert predictions.query == ["q0", "q1", "q2"]
        assert predictions.answers == [["d0", "d1"], ["d1"], []]
        assert predictions.line == [3, 4, 6]

    def test_missing(self, tmp_path: Path) -> None:
        """There is no such file, or it is a folder."""
        with pytest.raises(MissingFileError, match="no such file of predictions"):
            read_predictions(tmp_path / "p.txt")
        with pytest.raises(InputError, match="cannot be read"):
            read_predictions(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a head\n"])
    def test_empty(self, tmp_path: Path, content: bytes) -> None:
        """A file without a line of predictions says what a line is."""
        (tmp_path / "p.txt").write_bytes(content)
        with pytest.raises(InputError, match="holds no predictions; expected lines of"):
            read_predictions(tmp_path / "p.txt")

    def test_not_text(self, tmp_path: Path) -> None:
        """An array by mistake."""
        np.save(tmp_path / "p.npy", np.full(3, -1))
        with pytest.raises(InputError, match="not UTF-8 text"):
            read_predictions(tmp_path / "p.npy")

    def test_a_query_twice(self, tmp_path: Path) -> None:
        """Both lines are named."""
        with pytest.raises(InputError, match="query 'q0' is on lines 1 and 3"):
            read_predictions(written(tmp_path / "p.txt", "q0 d0", "q1 d0", "q0 d1"))

    @given(st.binary(max_size=60))
    def test_any_bytes(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        """Whatever a file holds, it is read or refused."""
        path = tmp_path_factory.mktemp("any") / "p"
        path.write_bytes(content)
        try:
            predictions = read_predictions(path)
        except InputError as error:
            said = str(error)
        else:
            said = f"{path}: read"
            assert len(predictions.query) == len(set(predictions.query)) == len(predictions.line) > 0
        assert said.startswith(f"{path}: ")


class TestMatch:
    """match"""

    def test_rows(self, street: EvaluationSet, tmp_path: Path) -> None:
        """In the order of the set, short lines filled up; a query without a positive needs no line."""
        matched = match(read_predictions(written(tmp_path / "p.txt", *reversed(GOOD))), street)
        assert matched.rows.tolist() == [[0, 1, -1], [1, -1, -1], [2, 1, 3], [-1, -1, -1]]
        assert matched.lengths.tolist() == [2, 1, 3, 0]
        assert matched.notes == []

    def test_left_out(self, street: EvaluationSet, tmp_path: Path) -> None:
        """A panorama is a miss that takes up its rank, and a line for one is passed over; both are told."""
        lines = ("q0 d-pano d0", *GOOD[1:], "q-pano d0")
        matched = match(read_predictions(written(tmp_path / "p.txt", *lines)), street)
        assert matched.rows[0].tolist() == [-1, 0, -1]
        assert matched.notes == [
            "1 of 4 lines are for queries that are not evaluated",
            "1 prediction names an image that is left out of the database; they count as misses",
        ]

    def test_repeated(self, street: EvaluationSet, tmp_path: Path) -> None:
        """An image twice in a line is told with the line."""
        matched = match(read_predictions(written(tmp_path / "p.txt", "# head", "q0 d1 d0 d1", *GOOD[1:])), street)
        assert matched.notes == [
            "1 line predicts an image twice, the first on line 2 ('d1'); only the first occurrence counts"
        ]

    def test_unknown_images(self, street: EvaluationSet, tmp_path: Path) -> None:
        """The line and three of each are shown; they are misses where that is allowed."""
        predictions = read_predictions(written(tmp_path / "p.txt", "q0 d0 w x", "q1 y", "q2 z d2"))
        with pytest.raises(
            InputError, match=r"line 1: 4 predictions .*'w', 'x', 'y', …; the database has 'd0', 'd1', 'd2', …"
        ):
            match(predictions, street)
        allowed = match(predictions, street, allow_unknown=True)
        assert allowed.rows.tolist() == [[0, -1, -1], [-1, -1, -1], [-1, 2, -1], [-1, -1, -1]]
        assert "4 predictions name unknown images, the first on line 1" in allowed.notes[0]

    def test_unknown_queries(self, street: EvaluationSet, tmp_path: Path) -> None:
        """An error, unless it is allowed; then they are passed over."""
        predictions = read_predictions(written(tmp_path / "p.txt", *GOOD, "s d0", "t d0"))
        with pytest.raises(InputError, match=r"line 4: 2 of 5 queries are not known: 's', 't'; .*allow_unknown=True"):
            match(predictions, street)
        notes = match(predictions, street, allow_unknown=True).notes
        assert notes == ["2 of 5 lines are for queries that are not evaluated"]

    @pytest.mark.parametrize(
        ("lines", "advice"),
        [
            (("a b", "c d"), "do the predictions belong to this dataset"),
            (("q0.jpg d0.jpg",), "without folder and file extension"),
            (("query/q0.jpg d0",), "without folder and file extension"),
            (("q0,q1 d0,d1",), "sequences"),
        ],
    )
    def test_another_data_set(self, street: EvaluationSet, tmp_path: Path, lines: tuple[str, ...], advice: str) -> None:
        """Where no query is known, that is an error even if unknown ones are allowed, with what to do."""
        with pytest.raises(InputError, match=advice):
            match(read_predictions(written(tmp_path / "p.txt", *lines)), street, allow_unknown=True)

    def test_only_left_out(self, street: EvaluationSet, tmp_path: Path) -> None:
        """A file for another subtask, say."""
        with pytest.raises(InputError, match=r"have no line|none of its 1 queries"):
            match(read_predictions(written(tmp_path / "p.txt", "q-pano d0")), street)

    def test_missing_queries(self, street: EvaluationSet, tmp_path: Path) -> None:
        """Every query with a positive needs a line."""
        with pytest.raises(InputError, match="2 of the 3 queries with a positive have no line: 'q1', 'q2'"):
            match(read_predictions(written(tmp_path / "p.txt", GOOD[0])), street)

    def test_itself(self, tmp_path: Path) -> None:
        """Among self pairs a query is no answer to itself."""
        side = Cameras(key=["a", "b"], position=[[0.0, 0.0], [1.0, 0.0]], heading_deg=[0.0, 0.0])
        ground_truth = evaluation_set([Place("room", side, side, self_pairs=True)])
        matched = match(read_predictions(written(tmp_path / "p.txt", "a a b", "b a")), ground_truth)
        assert matched.rows.tolist() == [[-1, 1], [0, -1]]
        assert matched.notes == ["1 query predicts itself, which counts as a miss"]


class TestShorterThan:
    """shorter_than"""

    def test_told(self) -> None:
        """Only queries that count, and only where k is not reached."""
        lengths, counted = np.array([5, 3, 0]), np.array([True, True, False])
        assert shorter_than(lengths, counted, [1, 3]) is None
        assert shorter_than(lengths, counted, [5, 4]) == (
            "1 query has fewer than 5 predictions (the fewest: 3); missing ones count as misses"
        )


class TestWritePredictions:
    """write_predictions"""

    def test_read_back(self, street: EvaluationSet, tmp_path: Path) -> None:
        """What is written is read as it was, and numpy.loadtxt, with which the benchmark reads, agrees."""
        rows = np.array([[3, 1], [0, 1], [2, 3], [1, 2]])
        write_predictions(tmp_path / "p.txt", street.query, street.database, rows)
        assert match(read_predictions(tmp_path / "p.txt"), street).rows.tolist() == rows.tolist()
        table = np.loadtxt(tmp_path / "p.txt", ndmin=2, dtype=str)
        assert table.tolist() == [[f"q{i}", *(f"d{j}" for j in row)] for i, row in enumerate(rows.tolist())]

    def test_negative_rows_are_left_out(self, tmp_path: Path) -> None:
        """No answer is no key."""
        write_predictions(tmp_path / "p.txt", np.array(["a"]), np.array(["b"]), np.array([[-1, 0]]))
        assert (tmp_path / "p.txt").read_text() == "a b\n"

    @pytest.mark.parametrize("row", [-9, -(2**63), float("nan"), None])
    def test_no_answer(self, tmp_path: Path, row: object) -> None:
        """However a search says that there is none."""
        write_predictions(tmp_path / "p.txt", np.array(["a"]), np.array(["b"]), np.array([[row, 0]]))
        assert (tmp_path / "p.txt").read_text() == "a b\n"

    @pytest.mark.parametrize("kind", [np.int64, np.uint64, object])
    @pytest.mark.parametrize("row", [1, 4458766603700305201, 2**63 - 1])
    def test_rows_beyond_the_database(self, tmp_path: Path, row: int, kind: type) -> None:
        """They name no image, and nothing is written."""
        rows = np.array([[0, row]], kind)
        with pytest.raises(
            InputError, match=rf"prediction 1 of query 'a' .* is row {row} of the database, which has 1;"
        ):
            write_predictions(tmp_path / "p.txt", np.array(["a"]), np.array(["b"]), rows)
        with pytest.raises(InputError, match=r"prediction 0 of query 0 .* 0.5, which is not a whole number"):
            write_predictions(tmp_path / "p.txt", np.array(["a"]), np.array(["b"]), np.array([[0.5]]))
        with pytest.raises(InputError, match="one row per query"):
            write_predictions(tmp_path / "p.txt", np.array(["a"]), np.array(["b"]), np.array([[0], [0]]))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("key", ["a b", "#a", "a\u00a0b", " a", "a\n"])
    def test_keys_that_cannot_be_written(self, tmp_path: Path, key: str) -> None:
        """A file that could not be read back is not written."""
        with pytest.raises(InputError, match="cannot be written to a file of predictions"):
            write_predictions(tmp_path / "p.txt", np.array([key]), np.array(["b"]), np.array([[0]]))
        assert list(tmp_path.iterdir()) == []

    def test_there_already(self, tmp_path: Path) -> None:
        """It is replaced only when that is said."""
        path = written(tmp_path / "p.txt", "old")
        arrays = np.array(["a"]), np.array(["b"]), np.array([[0]])
        with pytest.raises(OutputExistsError):
            write_predictions(path, *arrays)
        assert path.read_text() == "old\n"
        write_predictions(path, *arrays, overwrite=True)
        assert path.read_text() == "a b\n"
        with pytest.raises(OutputError, match="does not exist"):
            write_predictions(tmp_path / "no" / "p.txt", *arrays)
