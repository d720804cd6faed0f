"""relabel pack and unpack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from relabel.labelfile import provenance, validate, write
from tests.similarities import similarity

Invoke = Callable[..., Result]


def test_there_and_back(run: Invoke, tmp_path: Path) -> None:
    """A file in shards and packed again has its bytes; --force replaces, and no step is recorded."""
    file = write(
        tmp_path / "a.h5",
        {"amman": similarity(30, 40, density=0.5), "room": similarity(9, self_pairs=True)},
        provenance=[provenance.step("sample", {})],
    )
    folder = tmp_path / "a.labels"
    result = run("unpack", file, "-o", folder, "--shard-pairs", 100, "--json")
    assert result.exit_code == 0, result.stderr
    assert [c["name"] for c in json.loads(result.stdout)["collections"]] == ["amman", "room"]
    shards = list(folder.glob("*.h5"))
    assert len(shards) > 4
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert f"({size:,} bytes in {len(shards)} shards)" in result.stderr
    assert validate(folder).findings == []
    result = run("pack", folder, "-o", tmp_path / "b.h5")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "b.h5").read_bytes() == file.read_bytes()
    result = run("unpack", f"{file}::room", "-o", folder)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    result = run("unpack", f"{file}::room", "-o", folder, "--force")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "room-00000.h5"]


def test_the_name_of_a_folder(run: Invoke, tmp_path: Path) -> None:
    """It ends with .labels, as every command knows it by."""
    file = write(tmp_path / "a.h5", {"amman": similarity(3, 4)})
    result = run("unpack", file, "-o", tmp_path / "shards")
    assert result.exit_code == 2
    assert "write -o NAME.labels" in result.stderr
