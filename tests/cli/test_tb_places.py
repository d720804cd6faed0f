"""relabel tb-places: surfaces where there are depth maps, else fields of view, and how it answers bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from relabel import fov
from relabel.cameras import Cameras
from relabel.cli.labelling import labelling_command
from relabel.datasets import registry
from relabel.fov.params import FovParams
from relabel.labelfile import LabelFile, validate
from relabel.surface.params import SurfaceParams
from tests.trees import depth_png, tb_set

Runner = Callable[..., Result]
DEPTH = ("--intrinsics", "57,58,31.5,23.5", "--depth-unit", "0.001")

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One set of three cameras, with depth maps."""
    tb_set(tmp_path / "tb" / "W17.json")
    for i in range(3):
        depth_png(tmp_path / "tb/maps/cam0" / f"{i:06d}.png", size=(64, 48))
    return tmp_path / "tb"


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


class TestGood:
    """A set becomes a label file."""

    def test_fields_of_view(self, run: Runner, root: Path, here: Path) -> None:
        """Without depth maps: sectors on the ground, and it is said."""
        result = done(run("tb-places", "--root", root, "--axes", "ahead=z,up=-y", "--fov", 60, "--radius", 5))
        assert "there are no depth maps (--depth), so these are overlaps of fields of view" in result.stderr
        assert [path.name for path in here.iterdir()] == ["tb-places.h5"]
        assert validate("tb-places.h5").findings == []
        stored = LabelFile("tb-places.h5")["W17"]
        assert stored.method == "fov-sector"
        assert stored.params["axes"] == "ahead=z,up=-y"
        place = np.column_stack([0.1 * np.arange(3), np.zeros(3)])
        cameras = Cameras(["a", "b", "c"], place, heading_deg=np.zeros(3))  # type: ignore[arg-type]
        expected = fov.overlap(cameras, cameras, fov_deg=60, radius_m=5).matrix.toarray()
        np.testing.assert_allclose(stored.to_scipy().toarray(), expected, atol=1e-6)
        checked = run("verify", "tb-places.h5", "--root", root, "--sample", 10, "--json")
        assert json.loads(done(checked).stdout)["mismatches"] == 0

    def test_surface(self, run: Runner, root: Path) -> None:
        """With depth maps: shared surface, which verifies as well."""
        given = ("--depth", root / "maps", *DEPTH, "--axes", "ahead=z,down=y", "--tolerance", "0.3")
        done(run("tb-places", "--root", root, *given))
        stored = LabelFile("tb-places.h5")["W17"]
        assert (stored.method, stored.self_pairs) == ("surface", True)
        assert stored.to_scipy()[0, 1] > 0.5
        checked = run("verify", "tb-places.h5", "--root", root, "--sample", 10, "--json")
        assert json.loads(done(checked).stdout)["mismatches"] == 0

    def test_sets(self, run: Runner, root: Path) -> None:
        """Each set is a collection; other JSON files are skipped, with a warning."""
        tb_set(root / "W16" / "W16.json")
        (root / "info.json").write_text("{}")
        result = done(run("tb-places", "--root", root, "--axes", "ahead=z,up=-y"))
        assert "info.json: skipped" in result.stderr
        assert list(LabelFile("tb-places.h5")) == ["W16", "W17"]
        done(run("tb-places", "--root", root, "--axes", "ahead=z,up=-y", "--sets", "W16", "--force"))
        assert list(LabelFile("tb-places.h5")) == ["W16"]


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            ([], 2, "set it with --axes"),
            (["--axes", "ahead=z"], 2, "which axis of the world is up"),
            (["--axes", "ahead=w,up=z"], 2, "an axis one of x, -x"),
            (["--axes", "ahead=z,up=z", "--tolerance", "0.1"], 2, "--tolerance needs --depth"),
            (["--axes", "ahead=z,up=z", "--intrinsics", "1,1,1,1"], 2, "--intrinsics needs --depth"),
            (["--axes", "ahead=z,down=y", "--depth", "maps", "--fov", "60"], 2, "--fov is for fields of view"),
            (["--axes", "ahead=z,down=y", "--depth", "maps"], 2, "--depth needs --intrinsics"),
            (["--axes", "ahead=z,down=y", "--depth", "maps", *DEPTH], 1, "maps: does not exist"),
            (["--axes", "ahead=y,up=y"], 1, "(3 no_heading); see --axes"),
            (["--axes", "ahead=z,up=z", "--sets", "W18"], 1, "no set 'W18'; there are W17"),
            (["--axes", "ahead=z,up=z", "--quaternion", "zyxw"], 2, "zyxw"),
        ],
    )
    def test_is_refused(self, run: Runner, root: Path, here: Path, arguments: list[str], code: int, text: str) -> None:
        """Every option that can be wrong."""
        result = run("tb-places", "--root", root, *arguments)
        *_, last = result.stderr.splitlines()
        assert last.startswith("relabel: error: ")
        assert text in last
        assert (result.exit_code, result.stdout) == (code, "")
        assert list(here.iterdir()) == []


class TestOptions:
    """relabel.datasets.tb_places.command"""

    def test_every_option_belongs_to_a_kind(self) -> None:
        """Every parameter of both kinds of labels is an option of the one command."""
        command = labelling_command(registry.dataset("tb-places"))
        names = {parameter.name for parameter in command.params}
        assert {*FovParams.__dataclass_fields__, *SurfaceParams.__dataclass_fields__, "occluders", "device"} <= names
