"""The parameters of the overlap of surfaces: how they are recorded, and that they load at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from relabel import surface
from relabel.surface.params import SurfaceParams


class TestSurfaceParams:
    """relabel.surface.params.SurfaceParams; what is refused is in test_frame_pairs.py"""

    def test_json(self) -> None:
        """What was left open does not show."""
        assert SurfaceParams().to_json() == {
            "method": "surface",
            "tolerance_m": 0.05,
            "measure": "iou",
            "min_value": 1e-6,
        }
        values = {"method": "voxel-iou", "tolerance_m": 0.1, "voxel_m": 0.04, "stride": 3, "nearest_m": 0.5}
        values |= {"farthest_m": 4.0, "measure": "dice", "min_value": 0.01}
        assert list(SurfaceParams(**values).to_json().items()) == list(values.items())

    def test_spelling_does_not_show(self) -> None:
        """1 and 1.0 are one length, also in the text of a record."""
        whole = SurfaceParams(tolerance_m=1, voxel_m=1, nearest_m=1, farthest_m=3, min_value=0)
        assert repr(whole) == repr(SurfaceParams("surface", 1.0, 1.0, None, 1.0, 3.0, "iou", 0.0))

    def test_params_of_labels(self) -> None:
        """The voxels that are used, and the tolerance only where it says something."""
        chosen = {"voxel_m": 0.0275, "stride": 2, "nearest_m": 0.0, "farthest_m": None}
        assert SurfaceParams().with_stride(2).label_params() == {"tolerance_m": 0.05} | chosen
        assert SurfaceParams("voxel-iou").with_stride(2).label_params() == chosen | {"voxel_m": 0.05}


class TestLoading:
    """relabel.surface, in a fresh interpreter"""

    def test_params_are_light(self) -> None:
        """The command line can take its defaults from them."""
        code = "import sys, relabel.surface.params; print([m for m in ('numpy', 'numba', 'PIL') if m in sys.modules])"
        assert _run(code) == "[]"

    @pytest.mark.parametrize(
        "first", ["import relabel.surface.estimate, relabel.surface.frame_pairs", "from relabel.surface import overlap"]
    )
    def test_names_are_the_public_ones(self, first: str) -> None:
        """Whatever is loaded first: a module never takes the place of a function."""
        code = f"{first}; import relabel, relabel.surface.estimate, relabel.surface.frame_pairs"
        code += "; from relabel import surface; print(*map(type, ("
        code += "surface.overlap, surface.source, surface.plan, relabel.surface.overlap)))"
        assert _run(code) == " ".join(["<class 'function'>"] * 4)

    def test_all_can_be_loaded(self) -> None:
        """Every public name is there, and listed."""
        assert set(surface.__all__) <= set(dir(surface))
        assert all(getattr(surface, name) is not None for name in surface.__all__)


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
