"""Every file that a labelling command reads, replaced by something else: an error that names it, never a traceback.

Nor may the command wait for ever, fill the memory, or leave half an output.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FULL
from tests.faults.conftest import CommandServer, contents
from tests.pipeline.rooms import room
from tests.trees import at_street, db_struct, msls_tree, name_list, scene_tree, tum_folder

Change = Callable[[Path], None]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(max(path.stat().st_size, 100)))


def zeros(path: Path) -> None:
    path.write_bytes(bytes(max(path.stat().st_size, 100)))


def one_long_line(path: Path) -> None:
    path.write_bytes(b"0" * 3_000_000)


def unclosed_quote(path: Path) -> None:
    path.write_bytes(b'"' + path.read_bytes())


def utf16(path: Path) -> None:
    path.write_bytes(path.read_bytes().decode("latin-1").encode("utf-16"))


def binary_tail(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\xff\x00\xfe\n")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


CHANGES = (empty, half, noise, zeros, one_long_line, unclosed_quote, utf16, binary_tail, folder, fifo, endless)
CHANGES += (dangling_link, link_to_itself)


def msls(root: Path) -> str:
    msls_tree(root)
    return "msls --root DATA -o new.h5"


def rgbd(root: Path) -> str:
    room(root, 3)
    return "rgbd --root DATA --layout folder -o new.h5"


def tum(root: Path) -> str:
    tum_folder(root)
    return "rgbd --root DATA --layout tum -o new.h5"


def seven_scenes(root: Path) -> str:
    scene_tree(root)
    return "7scenes --root DATA -o new.h5"


def names(root: Path) -> str:
    name_list(root / "queries.txt", at_street())
    return "names DATA/queries.txt -o new.h5"


def table(root: Path) -> str:
    root.mkdir(exist_ok=True)
    rows = "".join(f"k{i},{35.9 + i * 1e-4},31.95,{10 * i}\n" for i in range(8))
    (root / "table.csv").write_text(f"key,lon,lat,heading\n{rows}")
    return "table DATA/table.csv -o new.h5"


def poses(root: Path) -> str:
    root.mkdir(exist_ok=True)
    (root / "poses.txt").write_text("".join(f"1 0 0 {i} 0 1 0 0 0 0 1 {i}\n" for i in range(5)))
    return "table DATA/poses.txt --layout kitti -o new.h5"


def pitts(root: Path) -> str:
    db_struct(root / "pitts30k_val.mat")
    return "pitts --root DATA --heading north -o new.h5"


def imported(root: Path) -> str:
    root.mkdir(exist_ok=True)
    (root / "pairs.csv").write_text("query,database,value\na,x,0.5\nb,y,0.25\n")
    return "import csv DATA/pairs.csv --measure iou -o new.h5"


def predictions(root: Path) -> str:
    root.mkdir(exist_ok=True)
    (root / "predictions.txt").write_text("q0000 d0001 d0002\n")
    return "evaluate ../inputs/labels.h5::amman --predictions DATA/predictions.txt"


DATASETS = (msls, rgbd, tum, seven_scenes, names, table, poses, pitts, imported, predictions)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.__name__)
def test_any_file_may_be_anything(dataset: Callable[[Path], str], server: CommandServer, workplace: Path) -> None:
    """Each kind of file of the dataset, changed in each way."""
    whole = workplace / f"whole-{dataset.__name__}"
    dataset(whole)
    kinds: dict[str, str] = {}
    for name, data in contents(whole).items():
        if data is not None:
            kinds.setdefault("".join(c for c in name if not c.isdigit()), name)
    work = workplace / "hostile"
    failed = 0
    for turn, name in enumerate(kinds.values()):
        for change in CHANGES if FULL else CHANGES[turn % 4 :: 4]:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            line = dataset(work / "DATA")
            change(work / "DATA" / name)
            ended = server.run(work, tuple(line.split()), most_memory=1 << 30)
            case = f"{name} as {change.__name__}: {ended}"
            assert ended.code in (0, 1, 2), case
            ended.check_words()
            if ended.code:
                failed += 1
                assert Path(name).name in ended.stderr or "DATA" in ended.stderr, case
                left = {entry.name for entry in work.iterdir()} - {"DATA"}
                assert left <= {"new.h5.parts"}, case
                assert not left or "kept in new.h5.parts" in ended.stderr, case
    assert failed > 0
