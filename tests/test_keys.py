"""relabel.keys: the same text is the same key, whichever form of Unicode it is in, in every join."""

from __future__ import annotations

import json
import tracemalloc
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Cameras
from relabel.cli.app import app
from relabel.datasets.mask import read as read_mask
from relabel.errors import NotFoundError
from relabel.evaluation.ground_truth import Rule, evaluation_set
from relabel.evaluation.places import Place
from relabel.evaluation.predictions import match, read_predictions
from relabel.images.paths import find_camera_images
from relabel.keys import RowsByKey, composed, rows_of, spelled_as
from relabel.labelfile import LabelFile, write
from relabel.report.differences import join
from tests.similarities import similarity

NAMES = ["Zürich/été.jpg", "plain.jpg", "한국.jpg"]
FORMS = [("NFC", "NFD"), ("NFD", "NFC")]


def in_form(form: Any) -> list[str]:
    """The names in a form of Unicode."""
    return [unicodedata.normalize(form, name) for name in NAMES]


class TestRowsOf:
    """relabel.keys.rows_of and RowsByKey"""

    LETTERS = st.sampled_from(["a", "b", "e\u0301", "\u00e9", "\u212b", "\u00c5", "\uac00", "\u1100\u1161"])

    @given(st.lists(st.lists(LETTERS, max_size=3).map("".join), unique=True), st.lists(st.text("abcd", max_size=3)))
    def test_agrees_with_a_dictionary(self, keys: list[str], wanted: list[str]) -> None:
        """The row of each name, or -1: of the name itself, else of the only one that normalises to the same."""
        wanted = [*wanted, *(unicodedata.normalize(form, key) for key in keys for form in ("NFC", "NFD"))]

        def expected(name: str) -> int:
            if name in keys:
                return keys.index(name)
            same = [k for k in keys if unicodedata.normalize("NFC", k) == unicodedata.normalize("NFC", name)]
            return keys.index(same[0]) if len(same) == 1 else -1

        rows = rows_of(np.array(keys, np.str_), np.array(wanted, np.str_))
        assert rows.tolist() == [expected(name) for name in wanted]
        assert [RowsByKey(keys).get(name) for name in wanted] == rows.tolist()

    def test_ascii_is_left_alone(self) -> None:
        """No copy is made where nothing can change."""
        keys = np.array(["a", "b", "\u00e9"])
        assert composed(keys) is keys

    @pytest.mark.parametrize(("keys", "wanted"), [(2_000, 1), (1, 2_000)])
    def test_one_long_text(self, keys: int, wanted: int) -> None:
        """One text of a megabyte does not make all others as wide as itself, which would take 8 GB."""
        names = [f"k{number}" for number in range(max(keys, wanted))]
        texts = [names[:number] if number > 1 else ["x" * 1_000_000] for number in (keys, wanted)]
        tracemalloc.start()
        try:
            rows = rows_of(*(np.array(text, np.str_) for text in texts))
            assert tracemalloc.get_traced_memory()[1] < 100_000_000
        finally:
            tracemalloc.stop()
        assert rows.tolist() == [-1] * wanted

    def test_spelled_as(self) -> None:
        """Names take the spelling of those that they are the same as."""
        assert spelled_as({"e\u0301": 1, "x": 2}, ["\u00e9"]) == {"\u00e9": 1, "x": 2}


@pytest.mark.parametrize(("stored", "asked"), FORMS)
class TestJoins:
    """Everything that joins by key or by file name."""

    @pytest.fixture
    def labels(self, tmp_path: Path, stored: str) -> Path:
        """A file of self pairs with these keys."""
        made = similarity(3, self_pairs=True, density=1.0, faults=False)
        cameras = replace(made.collection.query, key=in_form(stored))
        collection = replace(made.collection, query=cameras, database=cameras)
        write(tmp_path / "x.h5", {"c": replace(made, collection=collection)})
        return tmp_path / "x.h5"

    def test_rows(self, labels: Path, asked: str, stored: str) -> None:
        """Keys are stored as they came, and a row is there by its key in the other form."""
        collection = LabelFile(labels)["c"]
        assert collection.query.key.tolist() == in_form(stored)
        for one, other in zip(in_form(stored), in_form(asked), strict=True):
            assert collection.row(other)[0].tolist() == collection.row(one)[0].tolist()
        with pytest.raises(NotFoundError):
            collection.row("ete.jpg")
        done = CliRunner().invoke(app, ["row", f"{labels}::c", in_form(asked)[0], "--json"])
        assert done.exit_code == 0, done.output
        expected = collection.row(in_form(stored)[0])[0].tolist()
        assert [match["key"] for match in json.loads(done.stdout)["matches"]] == expected != []

    def test_subset(self, labels: Path, asked: str, stored: str, tmp_path: Path) -> None:
        """A list of keys to keep."""
        (tmp_path / "keys.txt").write_text("\n".join(in_form(asked)[:2]), encoding="utf-8")
        arguments = ["subset", str(labels), "--keys", str(tmp_path / "keys.txt"), "-o", str(tmp_path / "y.h5")]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert LabelFile(tmp_path / "y.h5")["c"].query.key.tolist() == in_form(stored)[:2]

    def test_compare(self, asked: str, stored: str) -> None:
        """Two files."""
        a, b = (Cameras(in_form(form), np.zeros((3, 2)), heading_deg=np.zeros(3)) for form in (stored, asked))
        b = b.take([2, 0, 1])
        found = join(a, b)
        assert found.of_b.tolist() == [2, 0, 1]
        assert found.of_a.tolist() == [1, 2, 0]

    def test_predictions(self, asked: str, stored: str, tmp_path: Path) -> None:
        """A file of predictions."""
        cameras = Cameras(in_form(stored), np.arange(6.0).reshape(3, 2), heading_deg=np.zeros(3))
        truth = evaluation_set([Place("p", cameras, cameras.take([2, 1, 0]))], Rule(within_m=15.0))
        lines = [" ".join([query, *in_form(asked)]) for query in in_form(asked)]
        (tmp_path / "p.txt").write_text("\n".join(lines), encoding="utf-8")
        rows = match(read_predictions(tmp_path / "p.txt"), truth).rows
        assert rows.tolist() == [[2, 1, 0]] * 3  # the database has the names in reverse

    def test_images(self, asked: str, stored: str, tmp_path: Path) -> None:
        """Files on a disk have the form that the disk gave them."""
        for name in in_form(stored):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        cameras = Cameras(in_form(asked), np.zeros((3, 2)), heading_deg=np.zeros(3))
        assert find_camera_images(cameras, tmp_path).tolist() == [str(tmp_path / name) for name in in_form(stored)]

    def test_masks(self, asked: str, stored: str, tmp_path: Path) -> None:
        """A mask, with semicolons; a table with tabs."""
        rows = [f"{key}\t{10 * i}\t0\t90" for i, key in enumerate(in_form(stored))]
        (tmp_path / "t.tsv").write_text("\n".join(["key\tx\ty\theading", *rows]) + "\n", encoding="utf-8")
        mask = tmp_path / "mask.csv"
        mask.write_text(f"key;side\n{in_form(asked)[0]};\n", encoding="utf-8")
        assert read_mask(mask).key.tolist() == in_form(asked)[:1]
        arguments = ["table", str(tmp_path / "t.tsv"), "--mask", str(mask), "-o", str(tmp_path / "x.h5")]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert LabelFile(tmp_path / "x.h5")["t"].query.status_counts() == {"ok": 2, "masked": 1}

    def test_imports(self, asked: str, stored: str, tmp_path: Path) -> None:
        """Pairs and cameras of an import, with semicolons as well."""
        first, second, _ = in_form(asked)
        (tmp_path / "p.csv").write_text(
            f"query;database;value\n{first};{second};0.5\n{second};{first};0.5\n", encoding="utf-8"
        )
        (tmp_path / "c.txt").write_text("\n".join(in_form(stored)), encoding="utf-8")
        out = tmp_path / "y.h5"
        arguments = ["import", "csv", str(tmp_path / "p.csv"), "--queries", str(tmp_path / "c.txt"), "-o", str(out)]
        done = CliRunner().invoke(app, [*arguments, "--measure", "iou"])
        assert done.exit_code == 0, done.output
        (name,) = LabelFile(out)
        assert LabelFile(out)[name].row(first)[0].tolist() == in_form(stored)[1:2]
