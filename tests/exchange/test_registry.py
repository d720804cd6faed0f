"""The registry of formats: it says of each what its functions are, and other distributions add to it."""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.errors import MissingPackageError, OptionError
from relabel.exchange import registry
from relabel.exchange.entries import ImportRequest, ImportResult, PairList, result_of_pairs
from relabel.exchange.exporting import export
from relabel.exchange.folder import ExportFolder
from relabel.exchange.importing import load
from relabel.exchange.registry import FormatSpec
from relabel.labelfile import write
from relabel.similarity import SimilaritySource, gather
from tests.similarities import similarity

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "exchange.md"


def write_counts(source: SimilaritySource, name: str, folder: ExportFolder, *, top: int = 0) -> list[str]:
    """The writer of another distribution."""
    folder.claim([f"{name}.count"])
    with folder.file(f"{name}.count") as private:
        private.write_text(f"{gather(source).matrix.nnz} {top}")
    return [f"{name}: only the number of pairs is kept"]


def read_one_pair(request: ImportRequest) -> ImportResult:
    """The reader of another distribution."""
    query, database, value = request.path.read_text().split()
    first = np.zeros(1, np.int32)
    pairs = PairList(first, first, np.array([float(value)]), [query], [database], lambda _: str(request.path), {})
    return result_of_pairs(request, pairs)


SPEC = FormatSpec(
    "count",
    writer=f"{__name__}:write_counts",
    export_summary="the number of pairs",
    export_options=("top",),
    reader=f"{__name__}:read_one_pair",
    import_summary="one pair",
)
NO_SPEC = {"name": "count"}
SECOND_GCL = FormatSpec("gcl", writer=f"{__name__}:write_counts")
NO_WRITER = FormatSpec("count", writer=f"{__name__}:is_not_there", reader="no_such_module:read")


class Distribution(importlib.metadata.Distribution):
    """An installed distribution of which only the name is known."""

    def read_text(self, filename: str) -> str | None:
        return "Name: relabel-count\nVersion: 1.0\n" if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make entry points of the formats' group, as if a distribution called relabel-count was installed."""

    def pretend(*values: str) -> None:
        points = [importlib.metadata.EntryPoint("count", value, registry.GROUP) for value in values]
        for point in points:
            vars(point)["dist"] = Distribution()
        selected = importlib.metadata.EntryPoints(points)
        monkeypatch.setattr(importlib.metadata, "entry_points", selected.select)
        registry._of_distributions.cache_clear()

    yield pretend
    monkeypatch.undo()
    registry._of_distributions.cache_clear()


class TestBuiltIn:
    """relabel.exchange.registry.BUILT_IN"""

    @pytest.mark.parametrize("spec", registry.BUILT_IN, ids=lambda spec: spec.name)
    def test_options_are_those_of_the_functions(self, spec: FormatSpec) -> None:
        """Writers and readers exist, and take exactly the options that the registry says."""
        functions = (
            (spec.writer, registry.writer, spec.export_options),
            (spec.reader, registry.reader, spec.import_options),
        )
        for home, function_of, options in functions:
            if home is not None:
                parameters = inspect.signature(function_of(spec)).parameters.values()
                assert {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} == set(options)
        assert spec.writer or spec.reader

    def test_names(self) -> None:
        """No two formats have one name, and each has a line of help for what it does."""
        names = [spec.name for spec in registry.BUILT_IN]
        assert len(set(names)) == len(names)
        for spec in registry.BUILT_IN:
            assert bool(spec.writer) == bool(spec.export_summary)
            assert bool(spec.reader) == bool(spec.import_summary)

    def test_the_document_names_every_format(self) -> None:
        """docs/exchange.md has a row for each format that is written, and one that names each that is read."""
        exported, _, imported = DOCUMENT.read_text(encoding="utf-8").partition("## Import")
        rows = [line for line in exported.splitlines() if line.startswith("|")]
        assert [row.split("`")[1] for row in rows if row.startswith("| `")][1:] == list(registry.export_formats())
        named = " ".join(line.split("|")[1] for line in imported.splitlines() if line.startswith("|"))
        assert all(f"`{name}`" in named for name in registry.import_formats())

    def test_loads_nothing(self) -> None:
        """The registry is looked at by the command line, and loads none of what formats are written with."""
        code = "import sys, relabel.exchange.registry; sys.stdout.write(' '.join(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
        assert not {"numpy", "scipy", "pyarrow", "h5py", "relabel.similarity"} & set(loaded)


class TestEntryPoints:
    """relabel.exchange.registry.formats with other distributions"""

    def test_export(self, install: Callable[..., None], tmp_path: Path) -> None:
        """A format of another distribution is written like the others, and takes the options that it names."""
        install(f"{__name__}:SPEC")
        psi = similarity(5, 6, seed=1)
        done = export({"c": psi}, "count", tmp_path, top=7)
        assert (tmp_path / "c.count").read_text() == f"{psi.matrix.nnz} 7"
        assert done.notes == ("c: only the number of pairs is kept",)
        with pytest.raises(OptionError, match=r"seed does not apply to format count; it is for pml"):
            export({"c": psi}, "count", tmp_path, seed=1)
        with pytest.raises(OptionError, match=r"top does not apply to format npy; it is for pairs, geojson, count"):
            export({"c": psi}, "npy", tmp_path, top=1)

    def test_import(self, install: Callable[..., None], tmp_path: Path) -> None:
        """It is read like the others, with the same record of provenance."""
        install(f"{__name__}:SPEC")
        (tmp_path / "x.count").write_text("a b 0.5")
        imported = load("count", tmp_path / "x.count", measure="iou")
        assert gather(imported.source).matrix.toarray().tolist() == [[0.5]]
        assert imported.record["command"] == "relabel import count"
        assert imported.record["parameters"]["format"] == "count"

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("no_such_module_at_all:SPEC", "cannot be loaded: ModuleNotFoundError"),
            (f"{__name__}:NOT_THERE", "cannot be loaded: AttributeError"),
            (f"{__name__}:NO_SPEC", "is a dict, not a FormatSpec"),
            (f"{__name__}:SECOND_GCL", "adds 'gcl', which already exists"),
        ],
    )
    def test_broken(
        self, value: str, message: str, install: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One that is broken is left out with a warning that names the distribution, and nothing else suffers."""
        install(value, f"{__name__}:SPEC")
        with caplog.at_level(logging.WARNING, "relabel"):
            assert list(registry.formats()) == [*(spec.name for spec in registry.BUILT_IN), "count"]
        (record,) = caplog.records
        assert "distribution relabel-count" in record.getMessage()
        assert message in record.getMessage()
        caplog.clear()
        export({"c": similarity(2, 3)}, "npz", tmp_path)
        assert registry.formats()["gcl"] is registry.BUILT_IN[0]

    def test_built_in_formats_load_no_other(
        self, install: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A format of this package is written without a look at those of others."""
        install("no_such_module_at_all:SPEC")
        with caplog.at_level(logging.WARNING, "relabel"):
            export({"c": similarity(2, 3)}, "npz", tmp_path)
        assert caplog.records == []

    def test_function_that_is_not_there(self, install: Callable[..., None], tmp_path: Path) -> None:
        """A writer or reader that cannot be loaded is an error that names the format."""
        install(f"{__name__}:NO_WRITER")
        with pytest.raises(MissingPackageError, match=r"format count: .*:is_not_there cannot be loaded"):
            export({"c": similarity(2, 3)}, "count", tmp_path)
        with pytest.raises(MissingPackageError, match="format count: no_such_module:read cannot be loaded"):
            load("count", tmp_path / "x", measure="iou")


class TestInstalled:
    """The command line beside a distribution that adds formats"""

    @pytest.fixture
    def relabel(self, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
        """Run the command with two distributions on the path: one that adds a format, and one that is broken."""
        site = tmp_path / "site"
        for name, value in (("good", "good_formats:SPEC"), ("broken", "broken_formats:SPEC")):
            info = site / f"relabel_{name}-1.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: relabel-{name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[relabel.formats]\n{name} = {value}\n")
        (site / "broken_formats.py").write_text("raise RuntimeError('half installed')\n")
        (site / "good_formats.py").write_text(
            "from relabel.exchange.registry import FormatSpec\n"
            "SPEC = FormatSpec('good', writer='good_formats:write', export_summary='names of collections')\n"
            "def write(source, name, folder):\n"
            "    folder.claim([f'{name}.good'])\n"
            "    with folder.file(f'{name}.good') as private:\n"
            "        private.write_text(name)\n"
            "    return []\n"
        )
        paths: Mapping[str, Any] = {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}

        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", "from relabel.cli import main; main()", *map(str, arguments)]
            return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **paths})

        return run

    def test_help_and_export(self, relabel: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
        """The format is in the help and can be written; the broken one is named in a warning and stops nothing."""
        shown = relabel("export", "--help")
        assert shown.returncode == 0
        assert "good       names of collections" in shown.stdout
        warning = "distribution relabel-broken cannot be loaded: RuntimeError: half installed"
        assert shown.stderr.count(warning) == 1
        labels = write(tmp_path / "l.h5", {"c": similarity(3, 4)})
        done = relabel("export", labels, "--to", "good", "-o", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(warning) == 1
        assert (tmp_path / "out/c.good").read_text() == "c"
        assert relabel("export", labels, "--to", "csv", "-o", tmp_path / "csv").returncode == 0

    def test_other_commands(self, relabel: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        """Commands that have nothing to do with formats do not see them."""
        for arguments in (["--help"], ["merge", "--help"], ["publish", "--help"]):
            done = relabel(*arguments)
            assert (done.returncode, done.stderr) == (0, "")
