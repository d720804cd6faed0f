"""The examples run, on labels and pictures made here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import relabel
from tests.conftest import REPOSITORY
from tests.similarities import similarity

EXAMPLES = REPOSITORY / "examples"
TEMPLATE = "{side}/images/{key}.jpg"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of a small city, and pictures of noise where the template says."""
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


def script(name: str, *given: str) -> str:
    """What an example prints when it is run as its first lines say."""
    command = [sys.executable, str(EXAMPLES / name), *given]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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

    def test_script(self, tree: Path) -> None:
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

    def test_loop(self, tree: Path, example: Callable[[str], Any]) -> None:
        """The loop hands any such loss two sets of descriptors and pairs that number them."""
        calls = []

        def loss(x: torch.Tensor, *, indices_tuple: tuple[torch.Tensor, ...], ref_emb: torch.Tensor) -> torch.Tensor:
            a, p, b, n = indices_tuple
            calls.append((len(a), len(b)))
            pulled, pushed = (x[a] - ref_emb[p]).square().sum(), (x[b] * ref_emb[n]).sum()
            return pulled + pushed

        example("metric_learning").main(*arguments(tree), steps=3, loss=loss)
        assert len(calls) == 3
        assert all(positives and negatives for positives, negatives in calls)

    def test_package(self, tree: Path, example: Callable[[str], Any], pml: None, capsys: Any) -> None:
        """The package's own loss takes them."""
        example("metric_learning").main(*arguments(tree), steps=5)
        values = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
        assert len(values) == 5
        assert min(values) > 0


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

    def test_script(self, tree: Path, tmp_path: Path) -> None:
        """It prints pairs with their ψ."""
        lines = script("gcl_loader.py", str(tree / "labels.h5"), "amman", str(tmp_path)).splitlines()
        assert lines
        assert all(re.fullmatch(r"\S+\.jpg \S+\.jpg [01]\.\d{4}", line) for line in lines)


@pytest.fixture
def pml() -> None:
    """Passed over where pytorch-metric-learning is not installed."""
    try:
        import pytorch_metric_learning  # noqa: F401
    except ImportError as error:
        pytest.skip(f"pytorch-metric-learning cannot be loaded: {error}")
