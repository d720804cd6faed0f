"""The way back from a record to a dataset never is outside the folder that the user named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relabel.errors import InputError
from relabel.pipeline.records import part_from_record

SHA256 = "0" * 64


def record(command: str, inputs: str = "q.txt", **parameters: Any) -> dict[str, Any]:
    return {
        "command": f"relabel {command}",
        "parameters": {"collection": "x", "fov_deg": 90.0, "radius_m": 50.0} | parameters,
        "inputs": [{"path": inputs, "bytes": 1, "sha256": SHA256}],
    }


class TestPaths:
    @pytest.mark.parametrize("path", ["/etc/passwd", "../elsewhere/q.txt", "a/../../q.txt", ".."])
    @pytest.mark.parametrize(
        ("command", "parameters"),
        [
            ("names", {"queries": "PATH"}),
            ("names", {"queries": "q.txt", "database": "PATH"}),
            ("names", {"queries": "q.txt", "join_msls": "PATH"}),
            ("table", {"queries": "PATH"}),
            ("rgbd", {"sequences": ["a", "PATH"], "method": "surface"}),
            ("7scenes", {"scene": "PATH", "method": "surface"}),
            ("tb-places", {"set": "PATH"}),
            ("pitts", {"split": "PATH"}),
            ("msls", {"city": "PATH"}),
            ("names", {"queries": "q.txt", "occluders": "PATH"}),
            ("names", {"queries": "q.txt", "mask": {"name": "PATH", "sha256": SHA256}}),
            ("names", {"queries": "q.txt", "inputs": "PATH"}),
        ],
    )
    def test_that_lead_out(self, command: str, parameters: dict[str, Any], path: str, tmp_path: Path) -> None:
        """They are refused with the path, whatever parameter or input names them, before anything is opened."""

        def put(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: put(member) for name, member in value.items()}
            return [put(v) for v in value] if isinstance(value, list) else path if value == "PATH" else value

        with pytest.raises(InputError, match=rf"names {path!r} \(.*is outside"):
            part_from_record(record(command, **put(parameters)), tmp_path)

    def test_inside(self, tmp_path: Path) -> None:
        """Dots in a name are none of a path."""
        part = part_from_record(record("names", queries="a..b/..c/q.txt"), tmp_path)
        assert part is not None
        assert part.reader.queries == tmp_path / "a..b/..c/q.txt"
