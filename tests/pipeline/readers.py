"""Readers of cameras that stand in one file of text, so that a dataset can be of any kind and grow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relabel.cameras import Cameras
from relabel.datasets.base import CameraSets


@dataclass(frozen=True)
class Rows:
    """Cameras of ``NAME.csv``: side, key, x, y, heading; those of the queries are the database where it has no other.

    With `is_geographic`, x and y are longitude and latitude.
    """

    root: Path
    name: str = "town"
    is_geographic: bool = False
    command = "relabel rows"

    @property
    def file(self) -> Path:
        """What is read."""
        return self.root / f"{self.name}.csv"

    def parameters(self) -> dict[str, Any]:
        return {"collection": self.name}

    def read(self) -> CameraSets:
        lines = [line.split(",") for line in self.file.read_text().splitlines()]
        query = self._side([line for line in lines if line[0] == "q"])
        others = [line for line in lines if line[0] == "d"]
        database = self._side(others) if others else query
        places = query.position, database.position
        return CameraSets(
            query=query,
            database=database,
            files=(self.file,),
            notes=("a note",),
            geographic=places if self.is_geographic else None,
        )

    def _side(self, lines: list[list[str]]) -> Cameras:
        numbers = np.array([[float(word) for word in line[2:]] for line in lines])
        return Cameras([line[1] for line in lines], numbers[:, :2], numbers[:, 2])


def write_rows(path: Path, *, queries: int, database: int, seed: int = 0, step: float = 10.0) -> list[str]:
    """A drive to and fro with some cameras without a heading; the lines."""
    rng = np.random.default_rng(seed)
    lines = []
    for side, count in (("q", queries), ("d", database)):
        for k in range(count):
            heading = "nan" if rng.random() < 0.1 else f"{rng.uniform(0, 360):.1f}"
            x, y = (rng.normal(k * step, step / 3.0), rng.normal(0.0, step))
            lines.append(f"{side},{side}{k},{x:.3f},{y:.3f},{heading}")
    path.write_text("".join(f"{line}\n" for line in lines))
    return lines
