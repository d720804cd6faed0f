"""relabel.images.paths"""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, MissingFileError, MissingPackageError, OptionError
from relabel.images.paths import (
    ImagePaths,
    camera_image_paths,
    find_camera_images,
    find_images,
    image_paths,
    read_image,
)
from relabel.sampling.batch_sampler import GradedBatchSampler
from relabel.sampling.pair_sampler import GradedPairSampler
from tests.similarities import similarity
from tests.training import runs


def cameras(keys: list[str], **fields: object) -> Cameras:
    n = len(keys)
    return Cameras(key=keys, position=np.zeros((n, 2)), heading_deg=np.zeros(n), **fields)  # type: ignore[arg-type]


class TestImages:
    """relabel.images.paths.find_camera_images"""

    @pytest.mark.parametrize(
        ("path", "collection", "side"),
        [
            ("train_val/amman/query/images/k1.jpg", "amman", "query"),
            ("train_val/amman/database/images/k1.jpg", "amman", "database"),
            ("test/miami/query/images/k1.jpg", "miami", "query"),
            ("amman/query/images/k1.jpg", "amman", "query"),
            ("query/images/k1.jpg", "amman", "query"),
            ("k1", "amman", "query"),
            ("k1.png", "amman", "query"),
            ("k1.jpeg", "amman", "database"),
            ("k1.color.png", "redkitchen/train", "query"),
            ("redkitchen/k1.color.jpg", "redkitchen/train", "query"),
            ("queries_real/k1", "pitts30k_val", "query"),
            ("queries/k1", "val", "query"),
            ("database/k1", "val", "database"),
        ],
    )
    def test_known_layouts(self, path: str, collection: str, side: str, tmp_path: Path) -> None:
        """Images that lie as a known dataset has them are found without being told where."""
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert find_camera_images(cameras(["k1"]), tmp_path, collection=collection, side=side).tolist() == [str(file)]

    @pytest.mark.parametrize("key", ["../k1.jpg", "a/../../k1.jpg", "..", "a/..", "/etc/k1.jpg", "//k1.jpg"])
    @pytest.mark.parametrize("template", [None, "{key}", "{path}"])
    def test_no_key_leads_out(self, key: str, template: str | None, tmp_path: Path) -> None:
        """Absolute paths and ``..`` are refused wherever they come from, though there is such a file."""
        (tmp_path / "images" / "a").mkdir(parents=True)
        (tmp_path / "k1.jpg").touch()
        one = cameras(["good", key] if template != "{path}" else ["good", "k1"])
        if template == "{path}":
            one = cameras(["good", "k1"], extra={"path": np.array(["good.jpg", key])})
        with pytest.raises(InputError, match="is outside the image folder;"):
            find_camera_images(one, tmp_path / "images", template)
        with pytest.raises(InputError, match="is outside the image folder;"):
            image_paths(one, template, collection="c", side="query")

    def test_a_template_leads_nowhere_else(self, tmp_path: Path) -> None:
        """Pieces that are harmless apart may not join to a way out; dots within a name are no way out."""
        odd = cameras(["."], extra={"dot": np.array([".k"])})
        with pytest.raises(InputError, match="is outside"):
            image_paths(odd, ".{key}/x", collection="c", side="query")
        assert image_paths(cameras(["a..b", "...", "..a"]), None, collection="c", side="query").tolist() == [
            "a..b",
            "...",
            "..a",
        ]

    def test_links_are_followed(self, tmp_path: Path) -> None:
        """A link that the user has made in the folder leads where it leads."""
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/k1.jpg").touch()
        (tmp_path / "images").mkdir()
        (tmp_path / "images/linked").symlink_to("../elsewhere")
        found = find_camera_images(cameras(["linked/k1.jpg"]), tmp_path / "images")
        assert found.tolist() == [f"{tmp_path}/images/linked/k1.jpg"]

    @pytest.mark.parametrize("key", ["a\tb", "a\nb", "\u202eabc", "k" * 10_000])
    def test_strange_keys(self, key: str, tmp_path: Path) -> None:
        """Those that are there are found; one that no file system takes is missing, and no fault."""
        (tmp_path / "good.jpg").touch()
        if len(key) < 100:
            (tmp_path / f"{key}.jpg").touch()
        found = find_camera_images(cameras(["good", key]), tmp_path).tolist()
        assert found == [f"{tmp_path}/good.jpg", f"{tmp_path}/{key}.jpg"]

    def test_keys_with_folders(self, tmp_path: Path) -> None:
        """The key of a frame, with its sequence before it, is a path."""
        keys = ["seq-01/frame-000000", "seq-02/frame-000004"]
        for key in keys:
            runs.image_file(tmp_path / f"{key}.color.png")
        paths = find_camera_images(cameras(keys), tmp_path, collection="redkitchen/train", side="query")
        assert paths.tolist() == [str(tmp_path / f"{key}.color.png") for key in keys]

    def test_column_path(self, tmp_path: Path) -> None:
        """A column path comes before the key."""
        inside = [runs.image_file(tmp_path / "a" / name) for name in ("b.png", "c.png")]
        (tmp_path / "a" / "k0").touch()
        of = cameras(["k0", "k1"], extra={"path": np.array(["b.png", "c.png"])})
        assert find_camera_images(of, tmp_path / "a").tolist() == [str(path) for path in inside]

    def test_template(self, tmp_path: Path) -> None:
        """A template is taken at its word; a name in it that is not there is told with those that are."""
        file = runs.image_file(tmp_path / "redkitchen" / "query-k1.png")
        of = cameras(["k1"])
        paths = find_camera_images(
            of, tmp_path, "{scene}/{side}-{key}.png", collection="redkitchen/train", side="query"
        )
        assert paths.tolist() == [str(file)]
        with pytest.raises(OptionError, match=r"there is no 'city'; there are collection, scene, side, key"):
            find_camera_images(of, tmp_path, "{city}/{key}.png", collection="redkitchen/train", side="query")

    def test_nothing_found(self, tmp_path: Path) -> None:
        """Labels of another dataset: three keys, three files and what was tried are shown."""
        for name in ("z.jpg", "b/y.png", "b/x.PNG", "b/w.jpg"):
            runs.image_file(tmp_path / name)
        (tmp_path / "notes.txt").touch()
        of = cameras([f"k{i}" for i in range(9)])
        with pytest.raises(InputError) as caught:
            find_camera_images(of, tmp_path, "{key}.jpg", collection="amman", side="query")
        said = str(caught.value)
        assert "no image of the query cameras of amman; their keys are 'k0', 'k1', 'k2';" in said
        assert "files there are 'z.jpg', 'b/w.jpg', 'b/x.PNG';" in said
        assert "tried {key}.jpg;" in said
        with pytest.raises(InputError, match=r"tried \{key\}, train_val/\{collection\}"):
            find_camera_images(of, tmp_path, collection="amman")
        with pytest.raises(InputError, match=r"tried \{key\}, \{side\}/"):
            find_camera_images(of, tmp_path)  # without a collection, no path begins with the slash after its name

    def test_empty_folder(self, tmp_path: Path) -> None:
        """A folder without images is told as such, and one that is not there too."""
        with pytest.raises(InputError, match="there are no images in it"):
            find_camera_images(cameras(["k1"]), tmp_path)
        with pytest.raises(MissingFileError, match="no such folder of images"):
            find_images([], tmp_path / "none")

    def test_some_missing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Where only some of the images are found the layout is right, and how many are missing is told."""
        runs.image_file(tmp_path / "k1.png")
        with caplog.at_level(logging.WARNING):
            paths = find_camera_images(cameras(["k0", "k1", "k2"]), tmp_path, collection="amman")
        assert [Path(path).name for path in paths.tolist()] == ["k0.png", "k1.png", "k2.png"]
        assert "2 of 3 query images of amman, looked up as {key}.png, are missing" in caplog.text

    def test_cameras_that_are_not_ok_need_no_image(self, tmp_path: Path) -> None:
        """Only cameras that can be drawn are looked for; a side without any is no error."""
        runs.image_file(tmp_path / "k1.png")
        status = np.array([Status.PANORAMA, Status.OK], np.uint8)
        assert len(find_camera_images(cameras(["k0", "k1"], status=status), tmp_path)) == 2
        assert len(find_camera_images(cameras(["k0"], status=np.array([1], np.uint8)), tmp_path)) == 1
        assert len(find_camera_images(cameras([]), tmp_path)) == 0


class TestFindImages:
    """relabel.images.paths.find_images and camera_paths"""

    def test_numbered_as_samplers_do(self, tmp_path: Path) -> None:
        """Over several collections, of self pairs among them, a path is at the number that samplers give its key."""
        first = runs.place(tmp_path / "a", n=12, faults=False).stored
        second = runs.place(tmp_path / "b", n=8, self_pairs=True, faults=False).stored
        for source in (tmp_path / "a" / "images", tmp_path / "b" / "images"):
            for file in source.iterdir():
                runs.image_file(tmp_path / "all" / file.name)
        sources = {"a": first, "b": second}
        paths = find_images(list(sources.values()), tmp_path / "all")
        sampler = GradedPairSampler(sources, (0.5, 0.5, 0.0))
        assert [Path(path).stem for path in paths.query.tolist()] == sampler.queries.tolist()
        assert [Path(path).stem for path in paths.database.tolist()] == sampler.database.tolist()
        batches = GradedBatchSampler(sources, 4, (0.5, 0.5, 0.0))
        numbered = camera_image_paths(list(sources.values()), paths)
        assert [Path(path).stem for path in numbered.tolist()] == batches.keys.tolist()

    def test_labels_in_memory(self, tmp_path: Path) -> None:
        """A similarity without a name will do as well."""
        labels = similarity(3, 3, faults=False)
        for key in [*labels.collection.query.key.tolist(), *labels.collection.database.key.tolist()]:
            runs.image_file(tmp_path / f"{key}.jpg")
        paths = find_images([labels], tmp_path)
        assert isinstance(paths, ImagePaths)
        assert len(paths.query) == 3


class TestReadImage:
    """relabel.images.paths.read_image"""

    def test_pixels(self, tmp_path: Path) -> None:
        """An image that has the size wanted is given as it is, channel by channel."""
        array = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
        Image.fromarray(array).save(tmp_path / "a.png")
        image = read_image(tmp_path / "a.png", (7, 5))
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, array.transpose(2, 0, 1))

    def test_resized_whole(self, tmp_path: Path) -> None:
        """The whole image is resized, neither cropped nor padded: two halves stay two halves."""
        array = np.zeros((40, 80, 3), np.uint8)
        array[:, 40:] = (250, 120, 60)
        Image.fromarray(array).save(tmp_path / "a.png")
        image = read_image(tmp_path / "a.png", (10, 20))
        assert image.shape == (3, 20, 10)
        assert (image[:, :, :4] == 0).all()
        assert (image[:, :, 6:] == np.array([250, 120, 60])[:, None, None]).all()

    @pytest.mark.parametrize(("size", "period"), [((160, 120), 90.0), ((400, 300), 5.0)])
    def test_large_jpeg(self, size: tuple[int, int], period: float, tmp_path: Path) -> None:
        """Decoding a JPEG at a fraction of its size looks like decoding it whole, small detail included."""
        wave = np.sin(np.arange(1600) / period)
        array = (127 + 120 * wave[:1200, None] * wave[None, :]).astype(np.uint8)
        Image.fromarray(np.stack([array, 255 - array, array // 2], axis=2)).save(tmp_path / "a.jpg", quality=95)
        with Image.open(tmp_path / "a.jpg") as image:
            whole = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR), np.float64)
        decoded = read_image(tmp_path / "a.jpg", size).transpose(1, 2, 0)
        assert np.abs(decoded - whole).mean() < 1.0
        assert np.abs(decoded - whole).max() < 12.0

    @pytest.mark.parametrize(
        ("mode", "colour", "expected"),
        [
            ("L", 90, (90, 90, 90)),
            ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
            ("1", 1, (255, 255, 255)),
            ("P", 0, (0, 0, 0)),
            ("LA", (70, 9), (70, 70, 70)),
        ],
    )
    def test_modes(self, mode: str, colour: object, expected: tuple[int, ...], tmp_path: Path) -> None:
        """Grey, palette and transparent images become RGB."""
        runs.image_file(tmp_path / "a.png", mode=mode, colour=colour)
        assert read_image(tmp_path / "a.png", (4, 4))[:, 2, 2].tolist() == list(expected)

    def test_what_pillow_warns_of(self, tmp_path: Path) -> None:
        """A palette with transparency, of which Pillow warns, is an image like any other."""
        image = Image.new("P", (6, 4), 1)
        image.putpalette([0, 0, 0, 10, 20, 30])
        image.save(tmp_path / "a.png", transparency=b"\x00\x80")
        assert read_image(tmp_path / "a.png", (6, 4))[:, 2, 2].tolist() == [10, 20, 30]

    @pytest.mark.parametrize(("mode", "ending"), [("I;16", "png"), ("I", "tif"), ("F", "tif")])
    def test_more_than_8_bits(self, mode: str, ending: str, tmp_path: Path) -> None:
        """A depth map, or anything else of more than 8 bits, is refused and not made white."""
        Image.new(mode, (6, 4), 1000).save(tmp_path / f"a.{ending}")
        with pytest.raises(InputError, match=r"a\..*: cannot be read as an image: it has more than 8 bits per channel"):
            read_image(tmp_path / f"a.{ending}", (6, 4))

    def test_orientation_is_not_applied(self, tmp_path: Path) -> None:
        """An image that EXIF calls rotated is taken as its pixels are stored."""
        image = Image.new("RGB", (8, 4), (0, 0, 0))
        image.putpixel((0, 0), (255, 255, 255))
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(tmp_path / "a.png", exif=exif)
        assert read_image(tmp_path / "a.png", (8, 4))[0, 0, 0] == 255

    def test_damaged(self, tmp_path: Path) -> None:
        """Whatever a file holds, it is an image or an error that names it, never another exception."""
        whole = {
            name: runs.image_file(tmp_path / f"a.{name}", size=(60, 40)).read_bytes() for name in ("png", "jpg", "gif")
        }
        rng = random.Random(0)
        refused = 0
        for name, content in whole.items():
            for i in range(60):
                cut = content[: rng.randrange(len(content))]
                flipped = bytearray(content)
                for _ in range(4):
                    flipped[rng.randrange(len(flipped))] = rng.randrange(256)
                for j, damaged in enumerate((cut, bytes(flipped))):
                    path = tmp_path / f"{i}-{j}.{name}"
                    path.write_bytes(damaged)
                    said = ""
                    try:
                        shape = read_image(path, (6, 4)).shape
                    except InputError as error:
                        shape, said = (3, 4, 6), str(error)
                    refused += bool(said)
                    assert shape == (3, 4, 6)
                    assert not said or said.startswith(f"{path}: cannot be read as an image: ")
        assert refused > 60

    def test_no_image(self, tmp_path: Path) -> None:
        """A file that is missing, empty, text, or a folder is told."""
        with pytest.raises(MissingFileError, match=r"a\.png: there is no such image"):
            read_image(tmp_path / "a.png", (4, 4))
        (tmp_path / "b.png").touch()
        (tmp_path / "c.png").write_text("no image")
        for name in ("b.png", "c.png", ""):
            with pytest.raises(InputError, match="cannot be read as an image"):
                read_image(tmp_path / name, (4, 4))

    def test_without_pillow(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Where Pillow is missing, what to install is told."""
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(MissingPackageError, match="pip install pillow"):
            read_image(tmp_path / "a.png", (4, 4))
