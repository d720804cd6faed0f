"""The commands that pages show run, one after the other, on small datasets that bear the names used there."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from functools import partial, reduce
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import relabel
from relabel.cli.app import app
from relabel.datasets import registry
from relabel.pipeline import blocks as pipeline_blocks
from relabel.synthetic.msls import write_tree
from relabel.verify import surface_labels
from tests.docs.test_pages import DOCS, PAGES, blocks, commands
from tests.trees import (
    at_street,
    db_struct,
    depth_png,
    drive,
    msls_tree,
    name_list,
    scene_tree,
    street,
    tb_set,
    tum_folder,
)

# Run on real data with the very output of the page, or from nothing, by tests of their own.
ELSEWHERE = {"label-files.md", "start.md"}
# Why a command is looked up only, by the words that it begins with.
NOT_RUN = {
    "view": "serves until it is stopped; tests/view",
    "train msls.h5 --images MSLS --backbone resnet50": "needs torchvision and its weights",
    "msls --root MSLS -o msls.h5 --executor": "starts processes, or needs a scheduler; tests/pipeline",
}
# A training run is as long as these say.
SHORT = ["--epochs", "1", "--pairs-per-epoch", "16", "--size", "64x48", "--device", "cpu", "--threads", "1"]
DIRECTORIES = {"pitts": "pitts", "tb-places": "tb", "rgbd": "rgbd_dataset_freiburg1_desk", "evaluate": "descriptors"}


def run(*words: str) -> None:
    result = CliRunner().invoke(app, list(words), prog_name="relabel")
    assert result.exit_code == 0, f"relabel {' '.join(words)}\n{result.output}"


def table(path: str, header: str, rows: list[str]) -> None:
    Path(path).write_text("\n".join([header, *rows, ""]), encoding="utf-8")


def noise(path: Path, seed: int) -> None:
    """An image of noise."""
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)).save(path)


def images(folder: Path, queries: list[str], database: list[str]) -> None:
    """Images of a city where MSLS has them."""
    for side, keys in (("query", queries), ("database", database)):
        for number, key in enumerate(keys):
            noise(folder / side / "images" / f"{key}.jpg", number)


def city(cameras: int = 150) -> None:
    """MSLS/train_val/amman: the synthetic city; msls.h5: its labels."""
    run("-q", "sample", "msls", "MSLS", "--cameras", str(cameras))
    Path("MSLS/train_val/sampletown").rename("MSLS/train_val/amman")
    run("-q", "msls", "--root", "MSLS", "-o", "msls.h5")
    labels = relabel.LabelFile("msls.h5")["amman"]
    images(Path("MSLS/train_val/amman"), labels.query.key.tolist(), labels.database.key.tolist())


def names() -> None:
    """Lists and folders of @ names: queries and database are two drives along one street."""
    queries, database = at_street(), at_street(8, prefix="d", step_m=9.0)
    name_list(Path("QUERIES"), queries)
    name_list(Path("DATABASE"), database)
    name_list(Path("IMAGES"), queries)
    name_list(Path("queries.txt"), queries)
    name_list(Path("database.txt"), database)
    folder = Path("descriptors")
    folder.mkdir()
    for side, keys in (("query", queries), ("database", database)):
        name_list(folder / f"{side}.txt", keys)
        np.save(folder / f"{side}.npy", np.random.default_rng(len(keys)).normal(size=(len(keys), 8)).astype(np.float32))


def tables() -> None:
    """Tables, tracks and poses."""
    import pyarrow.csv
    import pyarrow.parquet

    cells = [f"c{i},{13.4 + 1e-4 * i:.6f},52.5,{90 + i}" for i in range(30)]
    table("QUERIES.csv", "key,lon,lat,heading", cells)
    pyarrow.parquet.write_table(pyarrow.csv.read_csv("QUERIES.csv"), "DATABASE.parquet")
    for folder in ("street.parquet", "drive-2.parquet"):
        Path(folder).mkdir()
        shutil.copy("DATABASE.parquet", folder)
    table("track.csv", "key,lon,lat", [cell.rpartition(",")[0] for cell in cells])
    header = "place_id,year,month,northdeg,city_id,lat,lon,panoid"
    for name in ("London", "Bangkok"):
        table(
            f"{name}.csv", header, [f"{i},2016,7,90,{name},52.5,{13.4 + 1e-4 * i:.6f},pano{i:03d}" for i in range(30)]
        )
    table("poses.txt", "1 0 0 0 0 1 0 0 0 0 1 0", [f"1 0 0 0 0 1 0 0 0 0 1 {0.8 * i:.2f}" for i in range(1, 30)])


def two_tables() -> None:
    """queries.csv and database.csv."""
    for name in ("queries", "database"):
        table(f"{name}.csv", "key,x,y,heading", [f"{name}{i},{8 * i},0,{90 + i}" for i in range(30)])


def panoramas() -> None:
    """Pittsburgh, with a table of where its panoramas have their north."""
    db_struct(Path("pitts/pitts30k_val.mat"))
    rows = [f"{number},{10 * i}" for i, number in enumerate([*drive(), *drive(3, first=100)])]
    table("north.csv", "panorama,north_offset_deg", rows)


def depth_maps() -> None:
    """7Scenes with images, TUM RGB-D, TB-Places."""
    for scene in ("chess", "redkitchen"):
        scene_tree(Path("7scenes"), scene=scene, train={1: range(8)}, step_m=0.5)
    for number, image in enumerate(Path("7scenes").rglob("*.color.png")):
        noise(image, number)
    for depth_map in (tum_folder(Path(DIRECTORIES["rgbd"])) / "depth").iterdir():
        depth_png(depth_map, 10_000)
    tb_set(Path("tb/W17.json"))
    run("-q", "7scenes", "--root", "7scenes", "-o", "7scenes.h5")


def labels_of_others() -> None:
    """amman_gt.h5 as the loader of GCL reads it."""
    run("-q", "export", "msls.h5", "--to", "gcl", "-o", "gcl")
    shutil.copy("gcl/amman_gt.h5", "amman_gt.h5")


def validation_city() -> None:
    """A city of MSLS for validation instead, with images, its labels, and answers to its queries."""
    shutil.rmtree("MSLS", ignore_errors=True)
    msls_tree(Path("MSLS"), query=street(8), database=street(9, prefix="d"), city="cph")
    images(Path("MSLS/train_val/cph"), [f"q{i}" for i in range(8)], [f"d{i}" for i in range(9)])
    run("-q", "msls", "--root", "MSLS", "-o", "msls.h5", "--force")
    shutil.copy("msls.h5", "val.h5")
    Path("predictions.txt").write_text("".join(f"q{i} d{i} d0\n" for i in range(8)), encoding="utf-8")


PREPARED: dict[str, tuple[Callable[[], None], ...]] = {
    "README.md": (city, depth_maps),
    "audit.md": (city, depth_maps, two_tables),
    "datasets.md": (city, names, tables, panoramas, depth_maps),
    "field-of-view.md": (names,),
    "headings.md": (partial(city, 1000), names, tables),  # large enough to have a stuck compass
    "index.md": (city, depth_maps),
    "plots.md": (city,),
    "publish.md": (city, labels_of_others),
    "scale.md": (),  # its first command makes the city
    "street-data.md": (names, tables, panoramas),
    "surface.md": (depth_maps,),
    "training.md": (city, names, depth_maps, validation_city),
    "viewer.md": (city, depth_maps),
}


PYTHON_OF = {
    "README.md": ("../README.md", "label-files.md"),  # the second reads what the first writes
    "audit.md": ("audit.md",),
    "plots.md": ("plots.md",),
    "scale.md": ("scale.md",),
    "surface.md": ("surface.md",),
}
"""Pages whose Python code runs after their commands; start.md, numbers.md, training.md and publish.md have tests."""


def filled(words: list[str]) -> list[str]:
    """The words of a command with its placeholders filled, and what makes it quick and lets it write again."""
    command = words[0] if words[0] != "audit" else words[1]
    if any(word.endswith(("=DIR", "DIR")) for word in words):
        words = [DIRECTORIES[command] if word == "DIR" else word for word in words]
    if "KEY" in words:
        path, _, name = words[1].partition("::")
        some = iter(relabel.LabelFile(path)[name].query.key.tolist())
        words = [next(some) if word == "KEY" else word for word in words]
    writes = {"-o", "--plot", "--write-predictions", "--per-query"} & set(words)
    if words[0] == "train":
        return [*words, *SHORT]
    if words[0] == "verify":
        return [*words, "--sample", "5"]  # of two, the last counts
    if words[0] == "sample" and "--cameras" in words:
        words[words.index("--cameras") + 1] = "150"
    return [*words, "--force"] if writes or words[0] in registry.datasets() else words


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name not in ELSEWHERE and p.name in PREPARED], ids=lambda p: p.name
)
def test_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the page ends well."""
    if page.name == "surface.md":
        pytest.importorskip("open3d")
    if page.name == "training.md":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    if page.name == "scale.md":
        monkeypatch.setattr(pipeline_blocks, "AVERAGE_ROWS", 40)  # several parts of a small city
    monkeypatch.setattr(surface_labels, "_DEFINED", 12)  # each pair takes the definition a fifth of a second
    for prepare in PREPARED[page.name]:
        prepare()
    ran = 0
    for words in commands(page.read_text(encoding="utf-8")):
        line = " ".join(words)
        if {"COMMAND", "…"} & set(words) or any(line.startswith(start) for start in NOT_RUN):
            continue
        run(*filled(words))
        ran += 1
        assert words[0] != "pack" or len(list(Path("msls.h5.parts").glob("*%block-*.h5"))) > 2
    assert ran
    names = run_python(PYTHON_OF.get(page.name, ()))
    if page.name == "README.md":
        assert names["stored"].shape == names["psi"].shape == names["matrix"].shape
        assert len(names["joined"]) == np.count_nonzero(names["matrix"].data >= 0.5)


def run_python(pages: tuple[str, ...]) -> dict[str, Any]:
    """Run the Python code of pages in the folder in which their commands ran, and return what it defines."""
    code = [block for page in pages for block in blocks((DOCS / page).read_text(encoding="utf-8"))]
    names: dict[str, Any] = {"relabel": relabel}
    for block in code:
        needed = re.findall(r"^(?:from|import) (mpi4py|ray|torch)\b", block, re.MULTILINE)
        if not all(map(find_spec, needed)):
            continue
        if re.search(r"^(import \w|from \w+(\.\w+)* import |with |\w+ = relabel\.)", block, re.MULTILINE):
            exec(compile(re.sub(r'"[\w-]{22}"', lambda _: repr(some_query()), block), str(pages), "exec"), names)
    return names


def test_training_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python code of training.md runs in the order of the page, but for the trainer's section.

    What the page takes for granted (a model, descriptors) is there; Lightning is played, which tests/training runs.
    """
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    validation_city()
    Path("predictions.txt").unlink()
    scene_tree(Path("7scenes"), train={1: range(12)}, step_m=0.3)
    run("-q", "7scenes", "--root", "7scenes", "-o", "7scenes.h5")
    fitted: list[Any] = []
    trainer = SimpleNamespace(fit=lambda _module, datamodule: fitted.extend(datamodule))
    monkeypatch.setitem(sys.modules, "lightning", SimpleNamespace(Trainer=lambda max_epochs: trainer))
    played = SimpleNamespace(GradedDataModule=lambda batches: batches)
    monkeypatch.setitem(sys.modules, "relabel.training.lightning", played)

    names: dict[str, Any] = {"torch": torch, "module": None}
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
    vectors = torch.nn.functional.normalize(torch.randn(9, 64, generator=torch.Generator().manual_seed(0)))
    given = {
        "x0, x1": {"x0": torch.rand(1_000, 2), "x1": torch.rand(1_000, 2)},
        "model(images), psi": {"model": model, "images": torch.rand(8, 3, 12, 16), "descriptors": torch.rand(8, 4)},
        "x[i], x[j]": {"x": torch.rand(8, 4)},
        "descriptors = model(images)": {"images": torch.rand(2, 3, 48, 64)},
        "descriptors_of_the_database": {"descriptors_of_the_database": vectors.numpy()},
        "database_descriptors": {"database_descriptors": vectors.numpy(), "query_descriptors": vectors[:8].numpy()},
        "query_keys": {
            s + "_keys": np.array([f"{s[0]}{i}" for i in range(n)]) for s, n in (("query", 8), ("database", 9))
        },
    }
    changes = {  # to what is quick, and not to be downloaded
        'msls.h5"), "MSLS", batch_size=32, size=(320, 240), workers=4': 'msls.h5"), "MSLS", size=(64, 48), length=32',
        "places=30, images_per_place=4, size=(320, 320), workers=4": "places=2, images_per_place=4, size=(64, 64)",
        '"resnet50", pool="gem", pretrained=True': '"tiny", pool="gem"',
        "batch_size=32, partners=3": "batch_size=8, partners=3",
        "draw(1_000_000)": "draw(1_000)",
        "dim=512": "dim=8",
    }
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("\n## Training\n")
    code = [block for part in (before, rest.partition("\n## ")[2]) for block in blocks(part)]
    code = [block for block in code if not re.match(r"\s*relabel ", block)]
    for phrase in (*changes, *given):
        assert sum(phrase in block for block in code) == 1, phrase
    for block in code:
        for phrase, values in given.items():
            names |= values if phrase in block else {}
        quick = reduce(lambda text, change: text.replace(*change), changes.items(), block)
        exec(compile(quick, "training.md", "exec"), names)
        if "similarity(batch)" in block:
            names["psi"], names["known"] = map(torch.from_numpy, names["sampler"].similarity(names["batch"]))
    assert [tuple(part.shape) for part in fitted[0]] == [(32, 3, 48, 64), (32, 3, 48, 64), (32,)]
    assert names["descriptors"].shape == (2, 64)
    assert Path("predictions.txt").read_text(encoding="utf-8").startswith("q0 ")


def some_query() -> str:
    """The key of a query that has matches, in the place of that of a page, which is of another city."""
    labels = relabel.LabelFile("msls.h5")["amman"]
    return str(labels.query.key[np.diff(labels.to_scipy().indptr).argmax()])


def test_blocks_of_scale_md(tmp_path: Path) -> None:
    """The city of scale.md is cut where the page says; computed from its keys alone."""
    page = (DOCS / "scale.md").read_text(encoding="utf-8")
    (cameras,) = [words[words.index("--cameras") + 1] for words in commands(page) if words[0] == "sample"]
    raw = write_tree(tmp_path, cameras=int(cameras)) / "query" / "raw.csv"
    keys = np.array([line.split(",", 2)[1] for line in raw.read_text(encoding="utf-8").splitlines()[1:]])
    rows = np.diff(pipeline_blocks.block_ends(keys), prepend=0)
    assert f"{len(rows)} parts, of {rows[0]:,}, {rows[1]:,} and {rows[2]:,} queries" in page


def test_all_pages() -> None:
    """A page with commands is run here, or by a test of its own."""
    for page in PAGES:
        lines = [" ".join(words) for words in commands(page.read_text(encoding="utf-8"))]
        lines = [line for line in lines if not {"COMMAND", "…"} & set(line.split())]
        assert not lines or page.name in PREPARED or page.name in ELSEWHERE, page.name
