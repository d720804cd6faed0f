"""The rules of who may import whom, read from the source of every module, and what a light start may load."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import relabel

PACKAGE = Path(relabel.__file__).parent

# Rooms from the ground up. A room may import itself, the rooms named here, and the third-party packages named here.
# A package or room behind a "~" may only be imported inside a function: it is optional, or slow to load.
BASE = "display errors input_files fixed_width measures keys cameras exclusion excluded_pairs similarity"
CALLED = (
    "cameras",
    "measures",
    "similarity",
    "atomic",
    "fov",
    "surface",
    "datasets",
    "synthetic",
    "reference",
    "audit",
    "labelfile",
    "compose",
    "pipeline",
    "fit",
    "verify",
    "exchange",
    "evaluation",
    "training",
    "report",
    "figures",
    "plot",
    "publish",
    "view",
    "doctor",
)
CALLED_LATE = " ".join(f"~{room}" for room in CALLED)
ROOMS: dict[str, tuple[str, str]] = {
    # the ground: no room of its own to look into
    "_version": ("", ""),
    "_lazy": ("", ""),
    "errors": ("", ""),
    "cores": ("", ""),
    "plugins": ("", ""),
    "locks": ("", ""),
    "clutter": ("", ""),
    "stopping": ("", ""),
    "atomic": ("errors locks clutter stopping", ""),
    "claims": ("errors locks atomic", ""),
    "csv_text": ("", ""),
    "source_date": ("errors", ""),
    "input_files": ("errors", ""),
    "fixed_width": ("errors", "numpy"),
    "optional": ("errors", "~open3d"),
    "devices": ("errors", "~torch"),
    "figures": ("errors atomic optional", "~matplotlib"),
    "display": ("errors", "numpy"),
    "measures": ("errors", "~numpy"),
    "keys": ("fixed_width", "numpy"),
    "cameras": ("display errors fixed_width", "numpy"),
    "frames": ("display errors cameras", "numpy"),
    "exclusion": ("errors", ""),
    "excluded_pairs": ("display errors cameras exclusion", "numpy"),
    "similarity": ("display errors measures cameras exclusion excluded_pairs", "numpy ~scipy"),
    "tables": ("display errors optional measures cameras similarity", "numpy ~scipy ~pyarrow ~pandas ~anndata ~torch"),
    "jit": ("errors cores", "numpy numba llvmlite"),
    "geometry": ("errors fixed_width cameras", "numpy ~pyproj"),
    # a tree of files goes in, cameras and frames come out
    "datasets": (
        "_lazy plugins clutter display errors input_files fixed_width keys cameras exclusion frames geometry",
        "numpy ~scipy pyarrow ~shapely ~PIL",
    ),
    "synthetic": ("errors cores atomic optional cameras geometry datasets", "numpy ~pyarrow ~PIL"),
    # overlaps, fast and slow
    "fov": ("_lazy errors measures cameras similarity geometry jit", "numpy scipy numba"),
    "surface": (
        "_lazy errors input_files devices measures cameras similarity frames jit",
        "numpy scipy numba PIL ~torch",
    ),
    "reference": ("errors input_files optional measures cameras frames geometry", "numpy scipy shapely ~PIL"),
    # inputs looked through before they are labelled
    "audit": ("_lazy display errors cameras frames geometry jit datasets surface", "numpy scipy"),
    # label files, written and read
    "labelfile": (
        f"_version {BASE} tables optional stopping cores clutter atomic source_date",
        "numpy ~scipy h5py deflate ~fsspec ~aiohttp",
    ),
    "compose": (f"{BASE} geometry labelfile", "numpy"),
    "pipeline": (
        (
            f"{BASE} jit stopping atomic clutter claims cores devices frames geometry datasets fov surface ~reference "
            "audit labelfile"
        ),
        "numpy ~scipy ~distributed",
    ),
    "fit": (f"{BASE} jit datasets fov labelfile pipeline", "numpy scipy"),
    "verify": (f"{BASE} frames geometry datasets fov surface reference labelfile pipeline", "numpy scipy"),
    # everything to the right reads label files only
    "images": (f"{BASE} stopping datasets", "numpy ~PIL"),
    "exchange": (
        f"plugins {BASE} tables stopping atomic csv_text geometry datasets labelfile images",
        "numpy scipy h5py pyarrow ~shapely",
    ),
    "sampling": (f"_lazy {BASE} geometry jit labelfile", "numpy scipy"),
    "evaluation": (
        f"{BASE} optional atomic csv_text devices geometry datasets labelfile exchange images",
        "numpy scipy ~torch",
    ),
    "training": (
        f"_lazy _version {BASE} optional atomic claims devices images sampling ~evaluation",
        "numpy ~torch ~torchvision ~timm ~PIL",
    ),
    "report": (
        f"{BASE} atomic csv_text optional figures frames geometry reference audit labelfile",
        "numpy scipy h5py pyarrow ~PIL",
    ),
    "view": (f"{BASE} atomic frames geometry datasets audit labelfile images report", "numpy ~tornado ~PIL"),
    "plot": (
        f"_lazy {BASE} figures geometry audit labelfile images exchange report",
        "numpy ~matplotlib ~shapely",
    ),
    "publish": (
        f"{BASE} atomic source_date figures datasets labelfile exchange report view",
        "numpy packaging ~pyarrow",
    ),
    "doctor": ("_version cores optional", "~numpy ~numba ~h5py ~torch"),
    # Commands may call anything, inside their functions. What they show of datasets, formats and parameters is light.
    "cli": (
        (
            "_version errors input_files stopping source_date optional measures exclusion devices datasets audit "
            f"exchange fov ~display surface training {CALLED_LATE}"
        ),
        "click ~tqdm ~numpy",
    ),
    "__main__": ("cli", ""),
    # `relabel/__init__.py` names the public things for type checkers and loads them on demand.
    "": (
        (
            "_version _lazy ~cameras ~similarity ~frames ~tables ~datasets ~audit ~fov ~surface ~labelfile ~sampling "
            "~evaluation ~training ~figures ~plot"
        ),
        "",
    ),
}
# Modules whose classes are torch modules have to import torch at their top; `relabel.training` loads them on demand.
WITH_TORCH = {
    "relabel.images.loading",
    *(
        f"relabel.training.{name}"
        for name in (
            *("backbones", "losses", "model", "pooling", "weights", "whitening"),
            *("checkpoint", "data", "processes", "run_folder", "steps", "trainer"),
            "loaders",
        )
    ),
}
# The only module whose classes are those of tornado; `relabel report` needs none of it.
WITH_TORNADO = {"relabel.view.server"}
# The only modules of datasets that see click: the options of the commands.
WITH_CLICK = re.compile(r"relabel\.datasets\.(options|\w+\.command)")
STANDARD = sys.stdlib_module_names
HEAVY = ("torch", "open3d", "numba", "shapely", "h5py", "scipy", "numpy", "pyarrow", "pyproj", "tqdm", "distributed")


class Import(NamedTuple):
    """One import statement's target, seen from one module."""

    module: str
    target: str
    lazy: bool
    line: int


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(source: str, module: str, *, package: bool = False) -> Iterator[Import]:
    """All imports of a module, those of functions and of type checking included."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inside = True
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, alias.name, lazy, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    up = module.split(".")[: len(module.split(".")) - child.level + package]
                    base = ".".join([*up, base]).rstrip(".")
                for alias in child.names:
                    # `from relabel import doctor` imports relabel.doctor
                    target = f"{base}.{alias.name}" if base == "relabel" else base
                    yield Import(module, target, lazy, child.lineno)
            elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module"):
                yield from (
                    Import(module, str(a.value), True, child.lineno)
                    for a in child.args[:1]
                    if isinstance(a, ast.Constant)
                )
            yield from walk(child, inside)

    yield from walk(ast.parse(source), lazy=False)


@functools.cache
def all_imports() -> list[Import]:
    return [
        found
        for path in modules()
        for found in imports(path.read_text(encoding="utf-8"), name_of(path), package=path.name == "__init__.py")
    ]


def faults(found: Import) -> str | None:
    """What is wrong with one import, or None."""
    room = room_of(found.module)
    rooms, packages = (names.split() for names in ROOMS[room])
    top = found.target.split(".")[0]
    if top == "relabel":
        target, allowed = room_of(found.target), rooms
        if target not in ROOMS:
            return f"imports {found.target}, which is in no room"
        if target == room:
            return None
    elif top in STANDARD:
        return None
    else:
        extra = [
            *(["torch"] if found.module in WITH_TORCH else []),
            *(["tornado"] if found.module in WITH_TORNADO else []),
            *(["click"] if WITH_CLICK.fullmatch(found.module) else []),
        ]
        target, allowed = top, [*packages, *extra]
    if target in allowed or (found.lazy and f"~{target}" in allowed):
        return None
    return f"imports {found.target}" + (" at its top" if f"~{target}" in allowed else "")


class TestRooms:
    """Imports only go down the table of rooms."""

    def test_every_module_is_in_a_room(self) -> None:
        """The table names every module and package right under relabel/."""
        assert {room_of(name_of(path)) for path in modules()} <= set(ROOMS)

    def test_imports_go_down(self) -> None:
        """No module imports a room or a package that its own room may not."""
        wrong = [f"{i.module}:{i.line} {fault}" for i in all_imports() if (fault := faults(i))]
        assert wrong == []

    def test_the_table_has_no_cycle(self) -> None:
        """Each room allows only rooms that stand before it, the package itself and the command line last."""
        names = list(ROOMS)
        for name, (rooms, _) in ROOMS.items():
            below = [room.removeprefix("~") for room in rooms.split()]
            assert all(names.index(room) < names.index(name) for room in below), name

    def test_nothing_imports_the_command_line(self) -> None:
        """Only relabel.cli itself imports relabel.cli, and `python -m relabel`, which is nothing else."""
        above = ("cli", "__main__")
        assert [i for i in all_imports() if room_of(i.target) == "cli" and room_of(i.module) not in above] == []

    def test_one_importer_of_pyproj(self) -> None:
        """Only geometry/projection.py sees pyproj, so that there is one place for conventions of projections."""
        seen = {i.module for i in all_imports() if i.target.split(".")[0] == "pyproj"}
        assert seen <= {"relabel.geometry.projection"}

    def test_no_circles(self) -> None:
        """No two modules import each other, over whatever way, inside functions or for types alone."""
        known = {name_of(path) for path in modules()}
        graph: dict[str, set[str]] = {module: set() for module in known}
        for path in modules():
            module = name_of(path)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module in known:
                    for alias in node.names:
                        inner = f"{node.module}.{alias.name}"
                        graph[module].add(inner if inner in known else node.module)
            graph[module].discard(module)
        while leaves := {module for module, targets in graph.items() if not targets & graph.keys()}:
            graph = {module: targets for module, targets in graph.items() if module not in leaves}
        assert sorted(graph) == []

    def test_training_names_evaluation_in_one_place(self) -> None:
        """Only the facade `relabel.training` does."""
        seen = {
            i.module for i in all_imports() if room_of(i.module) == "training" and room_of(i.target) == "evaluation"
        }
        assert seen <= {"relabel.training"}

    def test_kernels_never_see_files(self) -> None:
        """A module that imports numba or the jit imports neither h5py nor the label file, and the other way round."""
        compiled = {"numba", "relabel.jit", "llvmlite"}
        seen: dict[str, set[str]] = {}
        for found in all_imports():
            seen.setdefault(found.module, set()).update((found.target, found.target.split(".")[0]))
        for module, targets in seen.items():
            if module != "relabel.doctor" and targets & compiled:
                assert not targets & {"h5py", "relabel.labelfile"}, module

    @pytest.mark.parametrize(
        ("module", "source", "fault"),
        [
            ("relabel.fov.sector", "import h5py", "imports h5py"),
            ("relabel.labelfile.writer", "def f():\n    import numba", "imports numba"),
            ("relabel.labelfile.writer", "from relabel.jit import compiled", "imports relabel.jit"),
            ("relabel.datasets.msls", "from ..cli import main", "imports relabel.cli"),
            ("relabel.surface.gpu", "import torch", "imports torch at its top"),
            ("relabel.surface.gpu", "def f():\n    import torch", None),
            ("relabel.training.losses", "import torch", None),
            ("relabel.sampling.pair_sampler", "import torch", "imports torch at its top"),
            ("relabel.cli.inspect", "from relabel.report import look", "imports relabel.report at its top"),
            ("relabel.cameras", "from . import similarity", "imports relabel.similarity"),
            ("relabel.cameras", "import importlib\nimportlib.import_module('scipy')", "imports scipy"),
        ],
    )
    def test_the_rules_bite(self, module: str, source: str, fault: str | None) -> None:
        """An import that breaks a rule is found, wherever in the module and in whatever form it stands."""
        found = [fault for i in imports(source, module) if (fault := faults(i))]
        assert found == ([fault] if fault else [])


def loaded_after(statements: str) -> set[str]:
    """Top-level names in sys.modules of a fresh Python that ran the statements."""
    code = f"{statements}\nimport sys\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in done.stderr.split()}


class TestStart:
    """What a fresh Python loads."""

    def test_import_relabel_is_light(self) -> None:
        """`import relabel` loads no third-party package at all."""
        assert not loaded_after("import relabel") & {*HEAVY, "click"}

    def test_rooms_are_within_reach(self) -> None:
        """`dir(relabel)` lists all that is public, and the rooms of training come without torch."""
        assert set(relabel.__all__) <= set(dir(relabel))
        assert {"evaluation", "sampling", "training"} <= set(dir(relabel))
        used = "import relabel\nrelabel.training, relabel.evaluation, relabel.sampling.GradedPairSampler"
        assert "torch" not in loaded_after(used)

    def test_help_is_light(self) -> None:
        """`relabel --help` loads click and nothing heavier."""
        run = "import sys\nfrom relabel.cli import main\nsys.argv = ['relabel', '--help']\n"
        assert not loaded_after(run + "try:\n    main()\nexcept SystemExit:\n    pass") & set(HEAVY)

    def test_what_commands_show_is_light(self) -> None:
        """What the modules of commands import at their top, names and defaults for options, loads click alone."""
        tops = {i.target for i in all_imports() if room_of(i.module) == "cli" and not i.lazy}
        own = sorted(target for target in tops if target.startswith("relabel."))
        assert not loaded_after(f"import {', '.join(own)}") & set(HEAVY)

    def test_help_loads_no_command(self) -> None:
        """The list of commands is written from the table, without loading one of them."""
        run = "import sys\nfrom relabel.cli.app import app\nfrom click.testing import CliRunner\n"
        run += "CliRunner().invoke(app, ['--help'])\n"
        run += "assert 'relabel.cli.inspect' not in sys.modules, 'info was loaded'"
        loaded_after(run)

    @pytest.mark.parametrize(
        ("module", "unwanted"),
        [
            ("relabel.labelfile", {"scipy", "numba", "pyarrow", "shapely", "torch", "click", "pandas", "anndata"}),
            ("relabel.cameras", {"scipy", "h5py", "numba"}),
            ("relabel.datasets", {"h5py", "numba", "pyarrow"}),
            ("relabel.training", {"torch", "torchvision", "timm", "h5py", "numba"}),
        ],
    )
    def test_rooms_stay_apart(self, module: str, unwanted: set[str]) -> None:
        """Loading one room does not load the packages of another on the way."""
        assert not loaded_after(f"import {module}") & unwanted
