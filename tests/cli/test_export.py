"""relabel export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import relabel
from relabel.exchange.registry import ALIASES, export_formats
from tests.similarities import on_map

Run = Callable[..., Result]


class TestExport:
    """relabel export"""

    def test_help_names_every_format(self, run: Run) -> None:
        """Each format has a line of its own in the help of --to FORMAT."""
        text = run("export", "--help").stdout
        assert "--to FORMAT" in text
        for name, spec in export_formats().items():
            assert f"  {name.ljust(11)}{spec.export_summary[:40]}" in text
        for name, other in ALIASES.items():
            assert f"  {name.ljust(11)}the same as {other}\n" in text

    @pytest.mark.parametrize("form", export_formats())
    def test_every_format(self, form: str, labels: Path, similarities: Any, tmp_path: Path, run: Run) -> None:
        """Each format prints the files that it wrote, says on stderr what it loses, and refuses to write them twice."""
        address = f"{labels}::redkitchen/train"
        if form == "geojson":  # which needs to know where on earth cameras are
            relabel.write(tmp_path / "map.h5", {"a": on_map(similarities["redkitchen/train"])})
            address = str(tmp_path / "map.h5")
        done = run("export", address, "--to", form, "-o", tmp_path / "out")
        assert done.exit_code == 0, done.stderr
        written = [Path(line) for line in done.stdout.splitlines()]
        assert written
        assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == set(written)
        assert done.stderr
        again = run("export", address, "--to", form, "-o", tmp_path / "out")
        assert again.exit_code == 1
        assert "--force" in again.stderr
        assert run("export", address, "--to", form, "-o", tmp_path / "out", "--force").exit_code == 0

    def test_by_the_name_of_who_reads_it(self, labels: Path, tmp_path: Path, run: Run) -> None:
        """hloc reads what the format pairs writes."""
        for form in ("pairs", "hloc"):
            done = run("export", f"{labels}::amman", "--to", form, "-o", tmp_path / form)
            assert done.exit_code == 0, done.stderr
        ours, theirs = ({p.name: p.read_bytes() for p in (tmp_path / form).iterdir()} for form in ("pairs", "hloc"))
        assert ours == theirs
        assert len(ours) == 2

    def test_all_collections(self, labels: Path, tmp_path: Path, run: Run) -> None:
        """Without a name all collections are written."""
        run("export", labels, "--to", "npz", "-o", tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["amman.npz", "redkitchen-train.npz"]

    def test_measure(self, one: Path, tmp_path: Path, run: Run) -> None:
        """Values can be converted on the way; the import says so when another is stated."""
        assert run("export", one, "--to", "parquet", "--measure", "dice", "-o", tmp_path).exit_code == 0
        done = run("import", "parquet", tmp_path / "amman.parquet", "--measure", "iou", "-o", tmp_path / "x.h5")
        assert done.exit_code == 2
        assert "'dice'" in done.stderr

    def test_wrong_use(self, one: Path, tmp_path: Path, run: Run) -> None:
        """An option that the format does not know and a size that is not allowed are errors with their exit status."""
        assert run("export", one, "--to", "csv", "--top", 3, "-o", tmp_path).exit_code == 2
        done = run("export", one, "--to", "gcl", "--max-bytes", 10, "-o", tmp_path)
        assert done.exit_code == 1
        assert "6,000 bytes" in done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_queries(self, similarities: Any, labels: Path, tmp_path: Path, run: Run) -> None:
        """Matches of the queries that are named, of a map; labels of a local frame are refused with the reason."""
        relabel.write(tmp_path / "map.h5", {"amman": on_map(similarities["amman"])})
        to = ("--to", "geojson", "-o", tmp_path / "out")
        done = run("export", tmp_path / "map.h5", *to, "--query", "q0001", "--query", "q0004", "--top", 2)
        assert done.exit_code == 0, done.stderr
        assert "amman-cameras.geojson: about" in done.stderr
        lines = json.loads((tmp_path / "out" / "amman-matches.geojson").read_text(encoding="utf-8"))["features"]
        assert {line["properties"]["query"] for line in lines} <= {"q0001", "q0004"}
        refused = run("export", labels, "--to", "geojson", "-o", tmp_path / "none")
        assert refused.exit_code == 1
        assert "local frame, whose location on earth is unknown" in refused.stderr
        assert not (tmp_path / "none").exists()
        assert run("export", labels, "--to", "csv", "-o", tmp_path / "none", "--query", "q0001").exit_code == 2

    def test_seed_only_where_it_matters(self, one: Path, tmp_path: Path, run: Run) -> None:
        """A seed is taken by the format that draws, and refused by the others."""
        assert run("export", one, "--to", "pml", "--seed", 3, "-o", tmp_path).exit_code == 0
        assert run("export", one, "--to", "npz", "--seed", 3, "-o", tmp_path).exit_code == 2
