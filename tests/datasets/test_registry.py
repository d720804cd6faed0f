"""relabel.datasets.registry: what is built in, what another distribution adds, and that every command knows of it."""

from __future__ import annotations

import csv
import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

from relabel.cli.app import app
from relabel.cli.labelling import labelling_command
from relabel.datasets import registry
from relabel.datasets.registry import DatasetSpec, ReaderSelection
from relabel.errors import DatasetNotFoundError, NotFoundError, RelabelError
from tests.conftest import REPOSITORY
from tests.trees import at_name

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "relabel-walks"
version = "1.2"

[project.entry-points."relabel.datasets"]
walks = "relabel_walks:SPEC"

[tool.setuptools]
packages = ["relabel_walks"]
"""
SPEC = """
from relabel.datasets.registry import DatasetSpec

SPEC = DatasetSpec(
    name="walks",
    summary="Label walks with a camera.",
    command="relabel_walks.command",
    readers={"fov": "relabel_walks.reader:WalkReader"},
    licence="Walks belong to whoever walked them.",
    default_output="walks.h5",
    default_fov_deg=70.0,
    image_paths=("frames/{key}.webp",),
    from_paths="relabel_walks.reader:from_paths",
)
"""
COMMAND = '''
import click

from relabel.datasets import options
from relabel.datasets.registry import ReaderSelection

OPTIONS = (options.root, click.option("--mirror", is_flag=True, help="Walk westwards."))


def select(root, mirror):
    """Label the steps of a walk.

    DIR holds steps.txt.
    """
    from relabel_walks.reader import WalkReader

    return ReaderSelection([WalkReader(root, mirror)], ["lunch: skipped: nobody walked"])
'''
READER = """
from dataclasses import dataclass
from pathlib import Path

from relabel import Cameras
from relabel.datasets.base import CameraSets
from relabel.datasets.registry import ReaderSelection


@dataclass(frozen=True)
class WalkReader:
    root: Path
    mirror: bool = False
    name = "walk"
    command = "relabel walks"

    def parameters(self):
        return {"collection": self.name, "mirror": self.mirror}

    @classmethod
    def from_parameters(cls, parameters, root):
        parameters.pop("collection")
        return cls(root, parameters.pop("mirror"))

    def read(self):
        path = self.root / "steps.txt"
        rows = [line.split() for line in path.read_text().splitlines()]
        sign = -1.0 if self.mirror else 1.0
        position = [(sign * float(x), float(y)) for _, x, y, _ in rows]
        cameras = Cameras(key=[row[0] for row in rows], position=position, heading_deg=[float(row[3]) for row in rows])
        return CameraSets(query=cameras, database=cameras, files=(path,), params={"heading": "walk"}, notes=("a walk",))


def from_paths(paths, *, cities=None, columns=None):
    if len(paths) != 1 or not (paths[0] / "steps.txt").is_file():
        return None
    return ReaderSelection([WalkReader(paths[0])])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution of its own installed in it, by pip, from a project with a build file."""
    for tool in ("pip", "setuptools"):  # looked for only, since importing both gets in the way of distutils
        if importlib.util.find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed")
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text(PROJECT)
    package = project / "relabel_walks"
    package.mkdir()
    for name, text in (("__init__", SPEC), ("command", COMMAND), ("reader", READER)):
        (package / f"{name}.py").write_text(text)
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    install += ["--no-deps", "--no-build-isolation", "--target", str(target), str(project)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    return target


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Cameras 10 m apart along a street to the north; the last one looks back."""
    root = tmp_path / "walk"
    root.mkdir()
    (root / "steps.txt").write_text("".join(f"s{k} 0 {10 * k} {180 if k == 5 else 0}\n" for k in range(6)))
    return root


class Relabel:
    """`relabel` in a folder, with a distribution installed beside it: in this process, or in one of its own."""

    def __init__(self, site: Path, folder: Path) -> None:
        self.site, self.folder = site, folder

    def __call__(self, *arguments: object, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="relabel")
        assert result.exit_code == exit_code, result.stderr
        return result

    def process(self, *arguments: object) -> None:
        search = os.pathsep.join([str(self.site), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "relabel", *map(str, arguments)]
        subprocess.run(command, cwd=self.folder, env=os.environ | {"PYTHONPATH": search}, check=True)


@contextmanager
def installed_beside(site: Path, folder: Path) -> Iterator[Relabel]:
    """The command as a process in `folder` would run it that finds the distributions in `site`."""
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.chdir(folder)
        registry._of_distributions.cache_clear()
        yield Relabel(site, folder)
    registry._of_distributions.cache_clear()
    for name in set(sys.modules) - modules:
        if name.startswith("relabel_walks"):
            del sys.modules[name]


@pytest.fixture
def relabel(installed: Path, tmp_path: Path) -> Iterator[Relabel]:
    with installed_beside(installed, tmp_path) as command:
        yield command


class TestOtherDistribution:
    """A dataset that another distribution adds by an entry point of the group relabel.datasets."""

    def test_help(self, relabel: Relabel) -> None:
        """It is among the commands, and has its own options and those of every labelling command."""
        assert "Label walks with a camera." in relabel("--help").stdout
        text = relabel("walks", "--help").stdout
        for part in ("Label the steps of a walk.", "--mirror", "--root DIR", "--max-heading-difference", "--resume"):
            assert part in text
        assert "--voxel" not in text
        assert "[default: 70.0]" in text
        assert "did you mean 'walks'?" in relabel("walk", exit_code=2).stderr

    def test_from_labels_to_checks(self, relabel: Relabel, walk: Path) -> None:
        """Labelling, verify, publish and a changed dataset."""
        done = relabel("walks", "--root", walk, "--mirror", "--json")
        assert "lunch: skipped: nobody walked" in done.stderr
        assert "walk: a walk" in done.stderr
        (collection,) = json.loads(done.stdout)["collections"]
        assert (collection["name"], collection["params"]["fov_deg"], collection["shape"]) == ("walk", 70.0, [6, 6])
        checked = json.loads(relabel("verify", "walks.h5", "--root", walk, "--sample", "20", "--json").stdout)
        assert checked["checked"] > 0
        assert checked["mismatches"] == 0
        relabel("publish", "walks.h5", "-o", "upload")
        assert "Walks belong to whoever walked them." in (relabel.folder / "upload/README.md").read_text()
        (walk / "steps.txt").write_text((walk / "steps.txt").read_text().replace("s1 0 10", "s1 0 11"))
        relabel("verify", "walks.h5", "--root", walk, exit_code=1)

    def test_headings(self, relabel: Relabel, walk: Path) -> None:
        """By its files, and by name."""
        told = relabel("headings", walk, "--json").stdout
        assert json.loads(told)["collections"][0]["name"] == "walk"
        assert relabel("headings", walk, "--source", "walks", "--json").stdout == told
        assert "is not data of names" in relabel("headings", walk, "--source", "names", exit_code=1).stderr

    def test_audit(self, relabel: Relabel, walk: Path) -> None:
        """It is audited with its own options, as the built-in ones are."""
        assert "--mirror" in relabel("audit", "walks", "--help").stdout
        done = relabel("audit", "walks", "--root", walk, "--mirror", "--json")
        assert json.loads(done.stdout)["collections"] == [
            {"name": "walk", "reader_notes": ["a walk"], "findings": [], "not_checked": []}
        ]
        assert "lunch: skipped: nobody walked" in done.stderr

    def test_evaluate(self, relabel: Relabel, walk: Path) -> None:
        """Its cameras are those that predictions are scored against; within 25 m, the nearest are right."""
        with (relabel.folder / "predictions.txt").open("w") as file:
            csv.writer(file, delimiter=" ").writerows([f"s{k}", f"s{max(k - 1, 0) or 1}"] for k in range(6))
        done = relabel("evaluate", "--root", walk, "--predictions", "predictions.txt", "-k", "1", "--json")
        scores = json.loads(done.stdout)
        assert [place["name"] for place in scores["places"]] == ["walk"]
        assert scores["recall"]["1"] == 5 / 6  # s0 is answered by s1, s1 by itself, which does not count

    def test_resume_in_other_processes(self, relabel: Relabel, walk: Path) -> None:
        """Workers find the dataset as well."""
        relabel.process("walks", "--root", walk, "--executor", "processes:2", "-o", "a.h5")
        relabel("walks", "--root", walk, "-o", "b.h5")
        assert (relabel.folder / "a.h5").read_bytes() == (relabel.folder / "b.h5").read_bytes()


class TestBrokenDistribution:
    """An entry point that is at fault leaves everything else working."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("nowhere:SPEC", "dataset left out: entry point 'x' of distribution broken cannot be loaded"),
            ("json:dumps", "is a function, not a DatasetSpec"),
            ("relabel.datasets.msls.spec:SPEC", "adds 'msls', which already exists"),
        ],
    )
    def test_is_named(self, tmp_path: Path, value: str, text: str) -> None:
        """With its distribution, wherever all datasets are wanted; and one that is built in works without a word."""
        info = tmp_path / "broken-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[relabel.datasets]\nx = {value}\n")
        with installed_beside(tmp_path, tmp_path) as relabel:
            assert relabel("msls", "--help").stderr == ""
            done = relabel("--help")
        assert "Label MSLS" in done.stdout
        assert text in done.stderr


class TestReaders:
    """DatasetSpec.select"""

    def test_one_that_lacks_something(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is named with all that it lacks, before anything is read."""

        class Bare:
            name = "bare"

            def read(self) -> None: ...

        command = ModuleType("bare_command")
        command.select = lambda: ReaderSelection([Bare()])  # type: ignore[attr-defined, list-item]
        monkeypatch.setitem(sys.modules, "bare_command", command)
        spec = DatasetSpec("bare", "", "bare_command", {"fov": "bare:Bare"}, "")
        with pytest.raises(RelabelError, match=r"^dataset bare: its reader Bare lacks command, root, parameters;"):
            spec.select()


class TestBuiltIn:
    """What each specification of this package says."""

    @pytest.mark.parametrize("name", ["msls", "pitts", "names", "table", "7scenes", "tb-places", "rgbd"])
    def test_leads_somewhere(self, name: str) -> None:
        """To readers that find their way back, a command with help, and words about the terms."""
        spec = registry.dataset(name)
        assert isinstance(spec, DatasetSpec)
        assert registry.find_recorded(f"relabel {spec.name}") is spec
        for kind in spec.readers:
            reader = spec.reader_class(kind)
            assert reader.command == spec.recorded_command
            assert callable(reader.from_parameters)
        command = labelling_command(spec)
        assert isinstance(command, click.Command)
        assert command.help
        assert command.help.startswith("Label ")
        assert spec.licence.endswith(".")

    def test_two_kinds_say_which_option_is_whose(self) -> None:
        """A dataset that can be labelled by either kind has a word for the options of the other."""
        for spec in registry.built_in().values():
            assert set(spec.other_kind) == (set(spec.readers) if len(spec.readers) > 1 else set())

    def test_unknown(self) -> None:
        with pytest.raises(NotFoundError, match="there is no dataset 'x'; there are msls, pitts"):
            registry.dataset("x")
        assert registry.find_recorded("somebody else") is None

    def test_specifications_are_light(self) -> None:
        """All specifications together load neither numpy nor click."""
        code = (
            "import sys; from relabel.datasets import registry; registry.built_in()\n"
            "assert not {'numpy', 'click', 'pyarrow', 'numba'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestSelectPaths:
    """relabel.datasets.registry.select_paths"""

    def test_of_no_dataset(self, tmp_path: Path) -> None:
        """A folder that might be an MSLS tree is refused as one; two folders are lists of names."""
        with pytest.raises(DatasetNotFoundError, match="MSLS"):
            registry.select_paths([tmp_path])
        with pytest.raises(DatasetNotFoundError, match=r"is not data of rgbd; .*--source"):
            registry.select_paths([tmp_path], dataset_name="rgbd")

    def test_by_files(self, tmp_path: Path) -> None:
        """Tables by their endings, else lists of names."""
        spec, selection = registry.select_paths([tmp_path / "q.csv", tmp_path / "d.parquet"])
        assert (spec.name, len(selection.readers)) == ("table", 1)
        spec, selection = registry.select_paths([tmp_path / "q.txt", tmp_path / "d.txt"])
        assert (spec.name, selection.readers[0].command) == ("names", "relabel names")

    @pytest.mark.parametrize("options", [{}, {"columns": "key=a"}, {"cities": "train"}])
    @pytest.mark.parametrize("name", ["nothing.csv", "folder.csv", "folder"])
    def test_one_path_that_is_no_file_is_a_tree(self, tmp_path: Path, name: str, options: dict[str, str]) -> None:
        """It is no table, whatever its name and the options are: the message is about the tree that was expected."""
        if name.startswith("folder"):
            (tmp_path / name).mkdir()
        message = rf"{name}: (is not an MSLS tree|does not exist; give the folder)"
        with pytest.raises(DatasetNotFoundError, match=message):
            registry.select_paths([tmp_path / name], **options)

    def test_names_in_one_folder(self, tmp_path: Path) -> None:
        """A folder of @ names is recognised, with columns or without, but not where cities were asked for."""
        (tmp_path / at_name()).touch()
        for columns in (None, "key=a"):
            assert registry.select_paths([tmp_path], columns=columns)[0].name == "names"
        with pytest.raises(DatasetNotFoundError, match="is not an MSLS tree"):
            registry.select_paths([tmp_path], cities="train")

    def test_columns_make_a_table(self, tmp_path: Path) -> None:
        """Files are tables where columns are named, be it none of them."""
        (tmp_path / "a.txt").touch()
        assert registry.select_paths([tmp_path / "a.txt"], columns="")[0].name == "table"
        assert registry.select_paths([tmp_path / "a.txt"])[0].name == "names"
        with pytest.raises(DatasetNotFoundError, match=r"b\.csv: does not exist"):
            registry.select_paths([tmp_path / "b.csv"], dataset_name="table")

    def test_no_warning_without_entry_points(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert list(registry.datasets())[: len(registry.built_in())] == list(registry.built_in())
        assert caplog.records == []


class TestPage:
    """docs/datasets.md"""

    def test_lists_all(self) -> None:
        """The table is what the specifications say."""
        rows = ["| dataset | labels | default file | images lie at | |", "|---|---|---|---|---|"]
        for spec in registry.built_in().values():
            labels = " or ".join({"fov": "field of view", "surface": "surface"}[kind] for kind in spec.readers)
            images = f"`{spec.image_paths[0]}`" if spec.image_paths else ""
            rows.append(f"| `relabel {spec.name}` | {labels} | `{spec.default_output}` | {images} | {spec.summary} |")
        page = (REPOSITORY / "docs/datasets.md").read_text(encoding="utf-8")
        assert "\n".join(rows) in page
