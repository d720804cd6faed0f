"""relabel pack and unpack."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from relabel.claims import claimed
from relabel.labelfile import LabelFile, provenance, validate, write
from tests.similarities import similarity

Run = Callable[..., Result]


def test_there_and_back(run: Run, tmp_path: Path) -> None:
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
    assert "bytes in 1 shard)" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "room-00000.h5"]


def test_what_is_no_address(run: Run, both: tuple[Path, Path]) -> None:
    """A wrong name lists the right ones, also where a whole file is expected; the manifest names the folder."""
    for command in ("info", "row", "validate"):
        words = ("key",) if command == "row" else ()
        result = run(command, f"{both[1]}::nope", *words)
        assert "there is no collection 'nope'; there are amman, room" in result.stderr
    for command in ("info", "ls", "dump"):
        assert f"name the folder, {both[1]}" in run(command, both[1] / "manifest.json").stderr


@pytest.fixture
def both(run: Run, tmp_path: Path) -> tuple[Path, Path]:
    """The same labels as a file and as a folder of shards."""
    sources = {"amman": similarity(30, 40, density=0.5), "room": similarity(9, self_pairs=True)}
    file = write(tmp_path / "a.h5", sources, provenance=[provenance.step("sample", {})])
    assert run("unpack", file, "-o", tmp_path / "a.labels", "--shard-pairs", 50).exit_code == 0
    return file, tmp_path / "a.labels"


READING = {
    "info": "info FILE --json",
    "ls": "ls FILE",
    "ls --side": "ls FILE::room --side queries",
    "row": "row FILE::amman q0003 --json",
    "stats": "stats FILE",
    "dump": "dump FILE::room",
    "export": "export FILE --to csv -o NEW-csv",
    "export in another measure": "export FILE --to pairs --measure dice -o NEW-pairs",
    "convert": "convert FILE --measure dice -o NEW.h5",
    "subset": "subset FILE --band 0.5: -o NEW.h5",
    "merge": "merge FILE -o NEW.h5",
    "report": "report FILE::amman -o NEW.html",
}


@pytest.mark.parametrize("command", READING)
def test_every_command_reads_both(command: str, run: Run, both: tuple[Path, Path], tmp_path: Path) -> None:
    """What a command prints, and the labels that it writes, are the same from a file and from a folder."""
    results = []
    for source in both:
        words = READING[command].replace("FILE", str(source)).replace("NEW", str(tmp_path / f"new-{source.suffix[1:]}"))
        done = run(*words.split())
        assert done.exit_code == 0, done.stderr
        results.append(done.stdout.replace(str(source), "").replace(f"new-{source.suffix[1:]}", "new"))
    assert results[0] == results[1]
    if (new := tmp_path / "new-h5.h5").exists():
        digests = [[c.content_sha256 for c in LabelFile(tmp_path / f"new-{k}.h5").values()] for k in ("h5", "labels")]
        assert digests[0] == digests[1]
        assert validate(new).findings == []


@pytest.mark.parametrize(
    "command", ["merge FILE", "subset FILE --ok-only", "convert FILE --measure dice", "import csv CSV --measure iou"]
)
def test_every_command_writes_shards(command: str, run: Run, both: tuple[Path, Path], tmp_path: Path) -> None:
    """An output that ends with .labels is a valid folder, with the digests of the file that is made in one piece."""
    assert run("export", f"{both[0]}::amman", "--to", "csv", "-o", tmp_path / "csv").exit_code == 0
    csv = next((tmp_path / "csv").glob("*.csv"))
    words = command.replace("FILE", str(both[1])).replace("CSV", str(csv)).split()
    for output in ("x.h5", "x.labels"):
        done = run(*words, "-o", tmp_path / output)
        assert done.exit_code == 0, done.stderr
    one, folder = LabelFile(tmp_path / "x.h5"), LabelFile(tmp_path / "x.labels")
    assert {n: c.content_sha256 for n, c in one.items()} == {n: c.content_sha256 for n, c in folder.items()}
    assert folder.provenance() == one.provenance()
    assert validate(tmp_path / "x.labels").findings == []
    done = run(*words, "-o", tmp_path / "x.labels")
    assert done.exit_code == 1
    assert "is not empty" in done.stderr
    assert "--force" in done.stderr


def test_inputs_of_a_folder_are_its_manifest(run: Run, both: tuple[Path, Path], tmp_path: Path) -> None:
    """Which has the digests of all shards."""
    assert run("merge", both[1], "-o", tmp_path / "m.h5").exit_code == 0
    (entry,) = LabelFile(tmp_path / "m.h5").provenance()[-1]["inputs"]
    data = (both[1] / "manifest.json").read_bytes()
    assert entry == {
        "path": "a.labels/manifest.json",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_publish(run: Run, both: tuple[Path, Path], tmp_path: Path) -> None:
    """The folder is copied as it is, listed file by file, replaced by --force, and loaded as the card says."""
    (both[1] / "notes.txt").touch()
    page = tmp_path / "page"
    done = run("publish", both[1], "-o", page)
    assert done.exit_code == 0, done.stderr
    copied = {path.name: path.read_bytes() for path in (page / "a.labels").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in both[1].iterdir() if path.name != "notes.txt"}
    listed = [line.split("  ")[1] for line in (page / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    assert sorted(listed) == sorted(
        path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file() and path.name != "SHA256SUMS"
    )
    assert run("publish", both[1], "-o", page, "--force").exit_code == 0
    code = (page / "README.md").read_text(encoding="utf-8").split("alone:\n\n```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(
        code.replace("'a.labels'", repr(str(page / "a.labels"))).replace('"a.labels"', repr(str(page / "a.labels"))),
        found,
    )
    stored = LabelFile(both[0])["amman"]
    np.testing.assert_array_equal(found["psi"].toarray(), stored.to_scipy().toarray())
    assert found["query"] == stored.query.key.tolist()
    (page / "a.labels" / "mine.txt").touch()
    done = run("publish", both[1], "-o", page, "--force")
    assert done.exit_code == 1
    assert "a.labels/mine.txt" in done.stderr


def test_labelling(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of one part and one of several write folders; a run that lives keeps others off, and leaves nothing."""
    monkeypatch.chdir(tmp_path)
    table = "key,x,y,heading\n" + "".join(f"c{i},{i * 3},0,{i * 10}\n" for i in range(20))
    Path("t.csv").write_text(table, encoding="utf-8")
    words = ["table", "t.csv", "--self-pairs", "--columns", "key=key,x=x,y=y,heading=heading", "--crs", "EPSG:32636"]
    for more in ([], ["--executor", "processes:1"]):
        for output in ("one.h5", "all.labels"):
            done = run(*words, *more, "-o", output, "--force")
            assert done.exit_code == 0, done.stderr
        ours, theirs = LabelFile("one.h5"), LabelFile("all.labels")
        assert [c.content_sha256 for c in ours.values()] == [c.content_sha256 for c in theirs.values()]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["all.labels", "one.h5", "t.csv"]
        with claimed(Path("all.labels"), beside=True):
            assert sorted(p.suffix for p in Path("all.labels").iterdir()) == [".h5", ".json"]
            done = run(*words, *more, "-o", "all.labels", "--force")
            assert done.exit_code == 1
            assert "another run is writing it" in done.stderr


def test_the_name_of_a_folder(run: Run, tmp_path: Path) -> None:
    """It ends with .labels, as every command knows it by."""
    file = write(tmp_path / "a.h5", {"amman": similarity(3, 4)})
    for name in ("shards", ".labels"):
        result = run("unpack", file, "-o", tmp_path / name)
        assert result.exit_code == 2
        assert "write -o NAME.labels" in result.stderr
