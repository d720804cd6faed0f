"""Every command that reads a whole collection refuses one that is damaged, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from click.testing import Result

from relabel.errors import LabelFileError
from relabel.labelfile import LabelFile, write
from tests.labelfile import damage
from tests.similarities import similarity

Runner = Callable[..., Result]

COMMANDS: dict[str, list[Any]] = {
    "convert": ["convert", "FILE", "--measure", "dice", "-o", "NEW"],
    "convert to what it is": ["convert", "FILE", "--measure", "iou", "-o", "NEW"],
    "subset": ["subset", "FILE", "--band", "0.5:", "-o", "NEW"],
    "subset of all": ["subset", "FILE", "-o", "NEW"],
    "merge": ["merge", "FILE", "-o", "NEW"],
    "merge of what is repeated": ["merge", "GOOD", "FILE", "-o", "NEW"],
    "export": ["export", "FILE", "--to", "csv", "-o", "NEW"],
    "export of a matrix": ["export", "FILE", "--to", "npz", "-o", "NEW"],
    "compare": ["compare", "GOOD", "FILE"],
    "compare with itself": ["compare", "FILE", "FILE"],
    "compare in another measure": ["compare", "FILE", "GOOD", "--measure", "dice"],
    "stats": ["stats", "FILE"],
    "dump": ["dump", "FILE"],
    "fit": ["fit", "FILE", "--pairs", "60"],
    "publish": ["publish", "FILE", "-o", "NEW"],
}
CHANGES = {name: damage.CONTENT[name] for name in ("move_pair", "change_value", "change_key")} | damage.STORED


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label file of so few pairs that one can change its row and columns still rise."""
    return write(tmp_path_factory.mktemp("labels") / "one.h5", {"amman": similarity(30, 40, seed=1, density=0.1)})


class TestWholeCollections:
    @pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_damage_is_refused(self, change: Any, arguments: list[str], run: Runner, one: Path, tmp_path: Path) -> None:
        """Status 1, an error that names the file, and no new file; without the damage the command ends well."""
        bad = Path(shutil.copy(one, tmp_path / "bad.h5"))
        change(bad, "amman")
        paths = {"FILE": bad, "GOOD": one, "NEW": tmp_path / "new"}
        result = run(*(paths.get(argument, argument) for argument in arguments))
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)
        assert "bad.h5" in result.stderr or str(tmp_path / "new") in result.stderr
        assert [entry.name for entry in tmp_path.rglob("*") if entry.is_file()] == ["bad.h5"]

    @pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
    def test_what_the_file_digest_tells(self, arguments: list[str], run: Runner, one: Path, tmp_path: Path) -> None:
        """A collection under another name is as it was, but the file is not."""
        bad = Path(shutil.copy(one, tmp_path / "bad.h5"))
        damage.rename_collection(bad, "amman")
        paths = {"FILE": bad, "GOOD": one, "NEW": tmp_path / "new"}
        result = run(*(paths.get(argument, argument) for argument in arguments))
        assert result.exit_code == 1, result.output
        assert "bad.h5: " in result.stderr
        assert "content_sha256 does not match the writer, the names and digests" in result.stderr
        assert [entry.name for entry in tmp_path.rglob("*") if entry.is_file()] == ["bad.h5"]

    @pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
    def test_all_is_well_without(self, arguments: list[str], run: Runner, one: Path, tmp_path: Path) -> None:
        """The same commands on the file as it was written."""
        paths = {"FILE": one, "GOOD": one, "NEW": tmp_path / "new"}
        result = run(*(paths.get(argument, argument) for argument in arguments))
        assert result.exit_code == 0, result.output

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_samplers_and_evaluation(self, change: Any, one: Path, tmp_path: Path) -> None:
        """A sampler is not made of damaged labels, nor is an evaluation."""
        from relabel.evaluation import places
        from relabel.evaluation.ground_truth import evaluation_set
        from relabel.sampling.pair_sampler import GradedPairSampler

        bad = Path(shutil.copy(one, tmp_path / "bad.h5"))
        change(bad, "amman")
        with pytest.raises(LabelFileError, match=r"bad\.h5"):
            GradedPairSampler(LabelFile(bad)["amman"])
        with pytest.raises(LabelFileError, match=r"bad\.h5"):
            evaluation_set(places.of_labels([LabelFile(bad)["amman"]]))


class TestNoCollection:
    @pytest.mark.parametrize(
        "arguments", [["info"], ["stats"], ["export", "--to", "csv", "-o", "NEW"], ["dump"], ["row", "q0001"]]
    )
    def test_is_an_error(self, arguments: list[str], run: Runner, one: Path, tmp_path: Path) -> None:
        """A file without a collection has nothing to show."""
        bad = Path(shutil.copy(one, tmp_path / "bad.h5"))
        with h5py.File(bad, "r+") as file:
            del file["amman"]
        command = [arguments[0], bad, *arguments[1:]]
        result = run(*(tmp_path / "new" if argument == "NEW" else argument for argument in command))
        assert (result.exit_code, result.stdout) == (1, "")
        assert "bad.h5: holds no collection; relabel validate" in result.stderr
        assert not (tmp_path / "new").exists()
