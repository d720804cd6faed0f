"""The published text of the format and the code agree."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from relabel.labelfile import provenance, schema, write
from relabel.measures import MEASURES
from tests.labelfile import oracle
from tests.similarities import similarity

TEXT = (Path(__file__).resolve().parents[2] / "formats" / "label-file-v1.md").read_text(encoding="utf-8")


class TestFormat:
    def test_the_example_runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The lines that show how to read a file without this package do read one."""
        source = similarity(9, 8)
        write(tmp_path / "labels.h5", {"amman": source})
        (block,) = re.findall(r"(?:^    .*\n)*^    import h5py.*\n(?:^    .*\n)+", TEXT, re.MULTILINE)
        monkeypatch.chdir(tmp_path)
        found: dict[str, object] = {}
        exec(textwrap.dedent(block), found)
        np.testing.assert_array_equal(found["psi"].toarray(), source.matrix.toarray())
        assert found["query"].tolist() == source.collection.query.key.tolist()
        assert found["database"].tolist() == source.collection.database.key.tolist()
        assert found["measure"] == "iou"
        assert found["known"].tolist() == source.collection.query.ok.tolist()

    def test_every_name_and_number_is_in_the_text(self) -> None:
        """No attribute, dataset, status, method, measure or limit of the schema is missing from the text."""
        names = {*schema.ATTRIBUTES, *schema.COLUMNS, *schema.ARRAYS, *schema.METHODS, *MEASURES, *schema.MEMBERS}
        missing = {name for name in names if not re.search(rf"\b{re.escape(name)}\b", TEXT)}
        assert missing == set()
        for name, code in schema.STATUS_NAMES.items():
            assert f"{code} `{name}`" in TEXT
        for name, value in schema.ENCODING.items():
            assert re.search(rf'{name} +text +"{value}"', TEXT)
        assert f'"{schema.FORMAT}"' in TEXT
        assert f'"{schema.FORMAT_VERSION}"' in TEXT
        assert f"{schema.CHUNK_ENTRIES:,} entries" in TEXT
        assert f"{schema.ATTRIBUTE_BYTES:,} bytes" in TEXT

    def test_types_are_those_of_the_text(self) -> None:
        """The tree gives each dataset the type that the schema gives it."""
        for column in schema.TABLE:
            kind = {"utf-8": "text", "uint8": "enum"}.get(column.dtype, column.dtype)
            assert re.search(rf"── {column.name} +\(n.*?\) +{kind} ", TEXT), column.name
        for name, dtype in schema.ARRAYS.items():
            assert re.search(rf"── {name} +\(n.*?\) +{dtype} ", TEXT), name

    def test_digests_can_be_recomputed(self, tmp_path: Path) -> None:
        """A second implementation, written from the text, finds the same digests."""
        sources = {"a/é": similarity(9, 8), "b": similarity(7, self_pairs=True)}
        oracle.check_digests(write(tmp_path / "a.h5", sources, provenance=[provenance.step("x", {"y": "é\n"})]))
