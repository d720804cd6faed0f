"""relabel.audit.audit as a whole: whatever the cameras, and on real data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.audit.audit import audit
from relabel.cameras import Cameras
from relabel.datasets import names
from relabel.datasets.base import CameraSets
from relabel.datasets.msls import city as msls
from relabel.datasets.seven_scenes.scene import readers

NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 90.0, 359.9, 1e-9, 1e6, -4.2e6, 1e300, np.nan])


class TestAnything:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_never_fails(self, data: st.DataObject) -> None:
        """Cameras of all kinds give a report that is JSON, the same each time."""
        n = data.draw(st.sampled_from([0, 1, 2, 19, 20, 45]))
        width = data.draw(st.sampled_from([2, 3]))
        position = np.array(data.draw(st.lists(NUMBERS, min_size=n * width, max_size=n * width))).reshape(n, width)
        if data.draw(st.booleans()):
            position = np.arange(n * width, dtype=float).reshape(n, width) + np.nan_to_num(position[:1])
        heading = np.array(data.draw(st.lists(NUMBERS, min_size=n, max_size=n)), dtype=float)
        pose = None
        if data.draw(st.booleans()) and width == 3:
            pose = np.tile(np.eye(4), (n, 1, 1)) * data.draw(st.sampled_from([1.0, 0.0, np.nan]))
            pose[:, :3, 3] = position
        extra = {}
        if data.draw(st.booleans()):
            extra = {"sequence": np.array([f"s{k % 2}" for k in range(n)]), "frame": np.arange(n)[::-1]}
        params = data.draw(st.sampled_from([{}, {"up": "z", "layout": "tum"}, {"axes": "ahead=z,up=-y"}]))
        cameras = Cameras([f"{k}" for k in range(n)], position, heading_deg=heading, pose=pose, extra=extra)
        sets = CameraSets(query=cameras, database=cameras, params=params)
        report = audit(sets).to_json()
        assert json.loads(json.dumps(report, allow_nan=False)) == report == audit(sets).to_json()


@pytest.mark.real_data
class TestRealData:
    def test_amman(self, real_data: Path) -> None:
        """Its sequences were put together by hand, and leap."""
        report = audit(msls.read(real_data / "msls", city="amman"), thorough=True)
        assert [(finding.code, finding.side, finding.count) for finding in report.findings] == [
            ("track-jumps", "query", 5),
            ("track-jumps", "database", 3),
        ]

    def test_san_francisco(self, real_data: Path) -> None:
        """Nothing."""
        folder = real_data / "sf_xs_val"
        assert audit(names.read(folder / "queries.txt", folder / "database.txt")).findings == ()

    def test_redkitchen(self, real_data: Path) -> None:
        """Nothing, and all was checked."""
        for reader in readers(real_data / "7scenes"):
            report = audit(reader.read())
            assert report.findings == ()
            assert report.not_checked == ()
