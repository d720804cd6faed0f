"""The parameters of the overlap of fields of view: their ranges, how they are recorded, and that they load at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from relabel import fov
from relabel.errors import OptionError
from relabel.fov.params import FovParams


class TestFovParams:
    """relabel.fov.params.FovParams"""

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"fov_deg": 0.0}, "the field of view is 0°; it has to be above 0° and at most 360°"),
            ({"fov_deg": 360.5}, "the field of view is 360.5°"),
            ({"fov_deg": float("nan")}, "the field of view is nan°"),
            ({"radius_m": 0.0}, "the radius is 0 m; it has to be from 1e-06 to 1e"),
            ({"radius_m": 2e7}, "the radius is 2e"),
            ({"shape": "circle"}, "shape 'circle' is not known; choose sector or polygon"),
            ({"measure": "jaccard"}, "measure 'jaccard' is not known"),
            ({"measure": "unknown"}, "the measure of these values is unknown,"),
            ({"min_value": 1.0}, "min_value is 1.0"),
            ({"min_value": -0.1}, "min_value is -0.1"),
            ({"heading_sigma_deg": 46.0}, "heading_sigma_deg is 46°; it has to be from 0° to 45°"),
            ({"position_sigma_m": -1.0}, "position_sigma_m is -1 m; it has to be from 0 m to 1e"),
            ({"max_heading_difference_deg": 0.0}, "the largest heading difference is 0°"),
            ({"max_height_difference_m": 0.0}, "the largest height difference is 0 m; it has to be above 0 m"),
            ({"max_height_difference_m": float("nan")}, "the largest height difference is nan m"),
        ],
    )
    def test_ranges(self, values: dict[str, Any], message: str) -> None:
        """What cannot be is refused before a camera is read."""
        with pytest.raises(OptionError, match=message):
            FovParams(**values)

    def test_defaults_in_json(self) -> None:
        """Only what has an effect."""
        assert FovParams().to_json() == {
            "fov_deg": 90.0,
            "radius_m": 50.0,
            "shape": "sector",
            "measure": "iou",
            "min_value": 1e-6,
        }

    def test_everything_in_json(self) -> None:
        """In the order of the fields."""
        values = {"fov_deg": 60.0, "radius_m": 20.0, "shape": "polygon", "arc": 5, "measure": "dice", "min_value": 0.25}
        values |= {"heading_sigma_deg": 3.0, "position_sigma_m": 1.0, "max_heading_difference_deg": 90.0}
        values["max_height_difference_m"] = 4.0
        assert list(FovParams(**values).to_json().items()) == list(values.items())

    def test_spelling_does_not_show(self) -> None:
        """90 and 90.0 are one field of view, also in the text of a record."""
        whole = FovParams(90, 50, min_value=0, position_sigma_m=2, max_heading_difference_deg=90)
        assert repr(whole) == repr(
            FovParams(90.0, 50.0, min_value=0.0, position_sigma_m=2.0, max_heading_difference_deg=90.0)
        )


class TestLoading:
    """relabel.fov, in a fresh interpreter"""

    def test_params_are_light(self) -> None:
        """The command line can take its defaults from them."""
        code = "import sys, relabel.fov.params; print([m for m in ('numpy', 'numba', 'scipy') if m in sys.modules])"
        assert _run(code) == "[]"

    @pytest.mark.parametrize(
        "first", ["import relabel.fov.planar, relabel.fov.geographic", "from relabel.fov import overlap"]
    )
    def test_names_are_the_public_ones(self, first: str) -> None:
        """Whatever is loaded first: a module never takes the place of a function."""
        code = f"{first}; import relabel, relabel.fov.planar; from relabel import fov; print(*map(type, ("
        code += "fov.overlap, fov.source, fov.pair_overlap, relabel.fov.overlap, fov.geographic)))"
        assert _run(code) == " ".join([*["<class 'function'>"] * 4, "<class 'module'>"])

    def test_all_can_be_loaded(self) -> None:
        """Every public name is there, and listed."""
        assert set(fov.__all__) <= set(dir(fov))
        assert all(getattr(fov, name) is not None for name in fov.__all__)


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
