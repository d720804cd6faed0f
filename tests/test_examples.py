"""The examples run, on labels and images made here."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch

import relabel
from tests.conftest import REPOSITORY
from tests.similarities import similarity

EXAMPLES = REPOSITORY / "examples"
TEMPLATE = "{side}/images/{key}.jpg"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of a small city, and images of noise where the template says."""
    root = tmp_path_factory.mktemp("city")
    psi = similarity(24, 30, seed=4)
    relabel.write(root / "labels.h5", {"amman": psi})
    rng = np.random.default_rng(0)
    for side, cameras in (("query", psi.collection.query), ("database", psi.collection.database)):
        (root / side / "images").mkdir(parents=True)
        for key in cameras.key:
            noise = Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8))
            noise.save(root / TEMPLATE.format(side=side, key=key))
    return root


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """The module of an example by name, loaded as Python loads a script's neighbours."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return __import__


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors on one thread: several test processes on few cores would wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arguments(tree: Path) -> list[str]:
    return [str(tree / "labels.h5"), "amman", str(tree / TEMPLATE)]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What an example prints when Python runs it as a script; in this process, which has loaded torch already."""

    def run(name: str, *given: str) -> str:
        path = str(EXAMPLES / name)
        monkeypatch.syspath_prepend(EXAMPLES)
        monkeypatch.setattr(sys, "argv", [path, *given])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out

    return run


def test_all_are_known_here() -> None:
    """No example without a test, and every one says how it is run."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"gcl_loader.py", "metric_learning.py", "plain_pytorch.py"}
    for path in EXAMPLES.glob("*.py"):
        assert f"python examples/{path.name} LABELS.h5" in path.read_text(encoding="utf-8")


class TestPlainPytorch:
    """examples/plain_pytorch.py"""

    def test_repeats(self, tree: Path, example: Callable[[str], Any]) -> None:
        """Losses are finite, change from step to step, and are the same in a second run."""
        first, second = (example("plain_pytorch").main(*arguments(tree), steps=3) for _ in range(2))
        assert np.isfinite(first).all()
        assert len(set(first)) == 3
        assert first == second

    def test_script(self, tree: Path, script: Callable[..., str]) -> None:
        """It prints a line a step."""
        lines = script("plain_pytorch.py", *arguments(tree), "3").splitlines()
        assert len(lines) == 3
        assert all(re.fullmatch(r"step \d+ loss \d\.\d{4}", line) for line in lines)


class TestMetricLearning:
    """examples/metric_learning.py"""

    def test_batch_pairs(self, tree: Path, example: Callable[[str], Any]) -> None:
        """Positive and negative pairs of a batch are those of the dense matrix; the rest is in neither."""
        stored = relabel.LabelFile(tree / "labels.h5")["amman"]
        rows, columns = np.array([3, 7, 3, 0]), np.arange(20)
        found = example("metric_learning").batch_pairs(stored, rows, columns)
        dense = stored.to_scipy().toarray()[np.ix_(rows, columns)]
        known = stored.query.ok[rows][:, None] & stored.database.ok[columns]
        assert all(each.dtype == torch.int64 for each in found)
        wanted = (*np.nonzero(dense >= 0.5), *np.nonzero((dense == 0) & known))
        assert [each.tolist() for each in found] == [each.tolist() for each in wanted]

    def test_loss(self, tree: Path, example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
        """The package's loss pulls exactly those pairs and pushes exactly those, worked out here with numpy."""
        module, seen = example("metric_learning"), []

        class Seen(module.ContrastiveLoss):  # type: ignore[misc, name-defined]
            def forward(self, x0: torch.Tensor, *, indices_tuple: Any, ref_emb: torch.Tensor) -> torch.Tensor:
                value = super().forward(x0, indices_tuple=indices_tuple, ref_emb=ref_emb)
                distance = np.linalg.norm(x0.detach().numpy()[:, None] - ref_emb.detach().numpy(), axis=2)
                a, p, b, n = (each.numpy() for each in indices_tuple)
                pulled, pushed = distance[a, p], np.maximum(0.5 - distance[b, n], 0.0)
                # Each mean is over the pairs that have a loss.
                seen.append(sum(losses[losses > 0].mean() for losses in (pulled, pushed) if (losses > 0).any()))
                return value

        monkeypatch.setattr(module, "ContrastiveLoss", Seen)
        assert module.main(*arguments(tree), steps=3) == pytest.approx(seen, rel=1e-4)
        assert min(seen) > 0

    def test_repeats(self, tree: Path, example: Callable[[str], Any]) -> None:
        """Losses are finite, change from step to step, and are the same in a second run."""
        first, second = (example("metric_learning").main(*arguments(tree), steps=3) for _ in range(2))
        assert np.isfinite(first).all()
        assert len(set(first)) == 3
        assert first == second

    def test_script(self, tree: Path, script: Callable[..., str]) -> None:
        """It prints a line a step."""
        lines = script("metric_learning.py", *arguments(tree), "2").splitlines()
        assert [re.fullmatch(r"step (\d+) loss \d\.\d{4}", line)[1] for line in lines] == ["0", "1"]  # type: ignore[index]


class TestGclLoader:
    """examples/gcl_loader.py"""

    def test_pairs(self, tree: Path, tmp_path: Path, example: Callable[[str], Any]) -> None:
        """Every pair that is drawn has its ψ of the label file, all three classes come up, and unknown ones never."""
        module = example("gcl_loader")
        module.main(str(tree / "labels.h5"), "amman", str(tmp_path))
        stored = relabel.LabelFile(tree / "labels.h5")["amman"]
        dense = stored.to_scipy().toarray()
        ok = {"query": set(stored.query.key[stored.query.ok]), "database": set(stored.database.key[stored.database.ok])}
        place = {key: i for keys in (stored.query.key, stored.database.key) for i, key in enumerate(keys.tolist())}
        drawn = [each for seed in range(20) for each in module.pairs(tmp_path, "amman", seed)]
        for query, database, psi in drawn:
            keys = Path(query).stem, Path(database).stem
            assert query == f"train_val/amman/query/images/{keys[0]}.jpg"
            assert keys[0] in ok["query"]
            assert keys[1] in ok["database"]
            assert dense[place[keys[0]], place[keys[1]]] == np.float32(psi)
        shares = np.mean([[psi >= 0.5, 0 < psi < 0.5, psi == 0] for _, _, psi in drawn], axis=0)
        np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.1)

    def test_script(self, tree: Path, tmp_path: Path, script: Callable[..., str]) -> None:
        """It prints pairs with their ψ."""
        lines = script("gcl_loader.py", str(tree / "labels.h5"), "amman", str(tmp_path)).splitlines()
        assert lines
        assert all(re.fullmatch(r"\S+\.jpg \S+\.jpg [01]\.\d{4}", line) for line in lines)
