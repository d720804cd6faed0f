"""relabel.datasets.listing: what systems leave in folders is never data, for any reader that lists one."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from relabel.cli.app import app
from relabel.cli.labelling import labelling_command
from relabel.datasets.base import cameras_in
from relabel.datasets.listing import children, existing_file, is_clutter, walk
from relabel.datasets.names.lists import read as read_names
from relabel.datasets.registry import dataset, select_paths
from relabel.errors import DatasetNotFoundError, InputError
from relabel.images.paths import find_images
from relabel.labelfile import LabelFile
from tests.similarities import similarity
from tests.trees import at_name, at_street, db_struct, msls_tree, rgbd_folder, scene_tree, tb_set, tum_folder

GARBAGE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
"""how an AppleDouble file begins"""


def litter(root: Path) -> None:
    """What macOS, Windows and a file server leave: files beside files, files in folders, a mirror."""
    for path in sorted(root.rglob("*")):
        mirror = root / "__MACOSX" / path.relative_to(root)
        if path.is_dir():
            mirror.mkdir(parents=True, exist_ok=True)
        else:
            mirror.parent.mkdir(parents=True, exist_ok=True)
            for folder in (path.parent, mirror.parent):
                (folder / f"._{path.name}").write_bytes(GARBAGE)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(GARBAGE)
        (folder / "@eaDir").mkdir(exist_ok=True)
        (folder / "@eaDir" / "@0543256.96@4178906.70@10@S@037.75@-122.50@a@@0@@@@201311@@.jpg").write_bytes(GARBAGE)


def at_images(root: Path) -> None:
    """A folder of images with `@` names, some in a folder of their own."""
    for number, name in enumerate(at_street()):
        path = root / ("a" if number % 2 else "b") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


TREES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "names": (at_images, ["--self-pairs"]),
    "7scenes": (scene_tree, ["--root"]),
    "rgbd": (rgbd_folder, ["--layout", "folder", "--tolerance", "0.1", "--root"]),
    "msls": (msls_tree, ["--root"]),
    "pitts": (lambda root: db_struct(root / "mats" / "pitts30k_val.mat"), ["--heading", "north", "--root"]),
    "tb-places": (lambda root: tb_set(root / "sets" / "yard.json"), ["--axes", "ahead=x,up=z", "--root"]),
}


@pytest.mark.parametrize("command", TREES)
def test_readers(command: str, tmp_path: Path) -> None:
    """Labels are the same with and without clutter: collections, keys, pairs, and the files that were read."""
    make, options = TREES[command]
    make(tmp_path / "tree")
    files = []
    for name in ("clean.h5", "littered.h5"):
        if name == "littered.h5":
            litter(tmp_path / "tree")
        arguments = [command, *options, str(tmp_path / "tree"), "-o", str(tmp_path / name)]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        files.append(LabelFile(tmp_path / name))
    clean, littered = files
    assert list(clean) == list(littered)
    for name in clean:
        assert clean[name].query.key.tolist() == littered[name].query.key.tolist()
        assert clean[name].database.key.tolist() == littered[name].database.key.tolist()
        assert (clean[name].to_scipy() != littered[name].to_scipy()).nnz == 0
    inputs = [[entry["path"] for record in file.provenance() for entry in record["inputs"]] for file in files]
    assert inputs[0] == inputs[1]


def test_bare_paths(tmp_path: Path) -> None:
    """A folder is one of @ names by its images, not by folders of a file server that begin with @."""
    at_images(tmp_path / "tree")
    litter(tmp_path / "tree")
    assert select_paths([tmp_path / "tree"])[0].name == "names"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").write_bytes(b"")
    litter(tmp_path / "other")
    with pytest.raises(DatasetNotFoundError):
        select_paths([tmp_path / "other"])


def test_message_of_images(tmp_path: Path) -> None:
    """Examples of the images in a folder are none of the clutter."""
    (tmp_path / "real.jpg").write_bytes(b"")
    litter(tmp_path)
    with pytest.raises(InputError, match=r"files there are 'real\.jpg';"):
        find_images([similarity()], tmp_path)


@pytest.mark.parametrize(
    "name", ["._a.jpg", "._", ".DS_Store", ".ds_store", "__MACOSX", "Thumbs.db", "THUMBS.DB", "@eaDir", "desktop.ini"]
)
def test_clutter(name: str, tmp_path: Path) -> None:
    """Names are known in any case, and skipped by both ways to list a folder."""
    assert is_clutter(name)
    for path in (name, "_a.jpg", ".hidden.jpg", "@1@2@.jpg", "in/b.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    assert [path.name for path in children(tmp_path)] == [".hidden.jpg", "@1@2@.jpg", "_a.jpg", "in"]
    assert [files for _, _, files in walk(tmp_path)] == [[".hidden.jpg", "@1@2@.jpg", "_a.jpg"], ["b.jpg"]]


def test_something_before_the_first_at(tmp_path: Path) -> None:
    """No name of the convention: it would be read as one camera more."""
    names = tmp_path / "names.txt"
    names.write_text("\n".join([at_name(), f"._{at_name(pano_id='b')}"]) + "\n")
    with pytest.raises(InputError, match=r"names\.txt: line 2: '\._@.*' has '\._' before its first @"):
        read_names(names)


@pytest.mark.parametrize(("listed", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
class TestFormsOfUnicode:
    """Lists and disks that spell the names of files differently."""

    @staticmethod
    def rename(root: Path, form: Any) -> None:
        """Every file and folder below gets its name in that form."""
        for path in sorted(root.rglob("*"), reverse=True):
            path.rename(path.with_name(unicodedata.normalize(form, path.name)))

    def test_existing_file(self, listed: Any, on_disk: Any, tmp_path: Path) -> None:
        """The name alone, or the folders as well."""
        name = "Zürich/été.png"
        path = tmp_path / unicodedata.normalize(on_disk, name)
        path.parent.mkdir()
        path.touch()
        assert existing_file(tmp_path / unicodedata.normalize(listed, name)) == path
        assert existing_file(path.parent / unicodedata.normalize(listed, "été.png")) == path
        assert existing_file(tmp_path / "none") is None
        assert existing_file(tmp_path / "für") is None

    def test_depth_and_poses(self, listed: Any, on_disk: Any, tmp_path: Path) -> None:
        """Depth maps and poses of one name are one frame, which is called as the depth map is."""
        root = rgbd_folder(tmp_path / "room", ("für", "é"))
        self.rename(root / "depth", listed)
        self.rename(root / "pose", on_disk)
        (reader,) = dataset("rgbd").command_module().select(**self.options(root, "folder")).readers
        cameras = cameras_in(reader.read().query)
        assert sorted(cameras.key) == sorted(unicodedata.normalize(listed, name) for name in ("für", "é"))
        assert cameras.status_counts() == {"ok": 2}

    def test_listed_depth_maps(self, listed: Any, on_disk: Any, tmp_path: Path) -> None:
        """depth.txt of TUM names files in folders of any name."""
        root = tum_folder(tmp_path / "rgbd_dataset_freiburg1_x")
        (root / "depth").rename(root / unicodedata.normalize(on_disk, "tïefe"))
        text = (root / "depth.txt").read_text().replace("depth/", unicodedata.normalize(listed, "tïefe/"))
        (root / "depth.txt").write_text(text, encoding="utf-8")
        (reader,) = dataset("rgbd").command_module().select(**self.options(root, "tum")).readers
        assert cameras_in(reader.read().query).status_counts() == {"ok": 3}

    @staticmethod
    def options(root: Path, layout: str) -> dict[str, Any]:
        """Values of all options of ``relabel rgbd``, as the command line has them by default."""
        context = labelling_command(dataset("rgbd")).make_context("rgbd", ["--root", str(root), "--layout", layout])
        names = inspect.signature(dataset("rgbd").command_module().select).parameters
        return {name: value for name, value in context.params.items() if name in names}
