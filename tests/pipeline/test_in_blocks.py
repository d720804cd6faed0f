"""Collections made in blocks: the same bytes from every executor, share and state of an earlier run."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from relabel.fov import blocks as fov_blocks
from relabel.fov.params import FovParams
from relabel.labelfile import LabelFile
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.run import JobResult, label
from relabel.synthetic.msls import BUILDINGS, write_tree
from tests.pipeline.jobs import msls_parts
from tests.pipeline.readers import Rows, write_rows

ROWS = 12
"""Queries of a block, on average."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive of 100 queries, of which there are about eight blocks, and a database; not to be changed."""
    root = tmp_path_factory.mktemp("town")
    write_rows(root / "town.csv", queries=100, database=120)
    return root


@pytest.fixture(scope="module")
def whole(town: Path) -> bytes:
    """Its label file, made in one piece."""
    label(job(town), town / "whole.h5")
    return (town / "whole.h5").read_bytes()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def job(root: Path, *names: str, **params: Any) -> tuple[FovPart, ...]:
    """The parts of these collections."""
    return tuple(FovPart(Rows(root, name), FovParams(**params)) for name in names or ("town",))


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def computed(result: JobResult) -> int:
    """How many blocks a run has computed."""
    return sum(part.blocks - part.blocks_kept for part in result.parts)


def block_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*%block-*.h5"))


class TestSameBytes:
    """However a collection is made, the file is that of the run in one piece."""

    @pytest.mark.parametrize("kind", ["local", "threads", "keep_parts", "processes:2"])
    def test_executors(self, town: Path, out: Path, whole: bytes, kind: str) -> None:
        """In this process and in others; there are several blocks, and nothing but the file is left."""
        options: dict[str, Any] = {"executor": kind}
        with ThreadPoolExecutor(2) as pool:
            if kind == "threads":
                options = {"executor": pool}
            elif kind == "keep_parts":
                options = {"keep_parts": True}
            result = label(job(town), out / "x.h5", block_rows=ROWS, **options)
        assert result.parts[0].blocks == computed(result) > 4
        assert result.parts[0].notes == ("town: a note",)
        assert (out / "x.h5").read_bytes() == whole
        assert files(out) == (["x.h5", "x.h5.parts"] if kind == "keep_parts" else ["x.h5"])

    def test_several_collections(self, town: Path, tmp_path: Path, out: Path) -> None:
        """Each is cut, joined, and packed with the others."""
        shutil.copy(town / "town.csv", tmp_path)
        write_rows(tmp_path / "self.csv", queries=60, database=0, seed=1)
        write_rows(tmp_path / "a%b.csv", queries=20, database=30, seed=2)
        label(job(tmp_path, "town", "self", "a%b"), out / "whole.h5")
        label(job(tmp_path, "town", "self", "a%b"), out / "x.h5", block_rows=ROWS)
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        assert LabelFile(out / "x.h5")["self"].self_pairs
        assert files(out) == ["whole.h5", "x.h5"]

    @pytest.mark.parametrize("kind", ["geographic", "noise", "walls"])
    def test_kinds(self, tmp_path: Path, out: Path, kind: str) -> None:
        """Cameras in several map zones, expected values, and buildings that hide something."""
        if kind == "walls":
            write_tree(tmp_path / "tree", cameras=120, seed=4, buildings=True)
            houses = tmp_path / "tree" / "train_val" / "sampletown" / BUILDINGS
            parts, _ = msls_parts(tmp_path / "tree", None, params=FovParams(arc=6), occluders=houses)
        elif kind == "geographic":
            lines = write_rows(tmp_path / "town.csv", queries=50, database=60)
            words = [line.split(",") for line in lines]
            text = [
                f"{side},{key},{5.999 + float(x) * 4e-6:.7f},{51 + float(y) * 1e-5:.7f},{heading}\n"
                for side, key, x, y, heading in words
            ]
            (tmp_path / "town.csv").write_text("".join(text))
            parts = (FovPart(Rows(tmp_path, is_geographic=True)),)
        else:
            write_rows(tmp_path / "town.csv", queries=50, database=60)
            parts = job(tmp_path, heading_sigma_deg=4.0, position_sigma_m=1.0)
        label(parts, out / "whole.h5")
        label(parts, out / "x.h5", block_rows=ROWS)
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        assert next(iter(LabelFile(out / "x.h5").values())).nnz > 100

    def test_memory_is_that_of_a_block(self, town: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No pair of another block is ever computed with those of one."""
        sizes = []
        of_block = fov_blocks.FovBlock.source

        def source(self: fov_blocks.FovBlock, threads: int | None = None) -> fov_blocks.BlockSource:
            sizes.append((len(self.query), len(self.database)))
            return of_block(self, threads)

        monkeypatch.setattr(fov_blocks.FovBlock, "source", source)
        label(job(town), out / "x.h5", block_rows=ROWS)
        assert sum(rows for rows, _ in sizes) == 100
        assert max(around for _, around in sizes) < 80
