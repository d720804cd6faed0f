"""What two frames share: against the oracles, in the point cloud and in the figure."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import relabel
from relabel import surface
from relabel.errors import InputError, MissingPackageError, NotFoundError, OptionError, OutputExistsError
from relabel.frames import Frames
from relabel.labelfile import LabelFile, StoredCollection
from relabel.reference import voxels
from relabel.report import shared_views
from relabel.report.shared_surface import SharedSide, SharedSurface, shared, shared_text
from relabel.report.shared_views import DATABASE, QUERY, SHARED, shared_figure, write_ply
from tests.similarities import similarity
from tests.surface.scenes import scene

HOW = {"tolerance_m": 0.2, "stride": 1}


def labelled(path: Path, query: Frames, database: Frames, **how: Any) -> StoredCollection:
    """A file of the labels of frames."""
    relabel.write(path, {"bumps": surface.overlap(query, database, device="cpu", **(HOW | how))})
    return LabelFile(path)["bumps"]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Frames]:
    """Queries and database, four and five frames of one place, one of which has no pose."""
    folder = tmp_path_factory.mktemp("frames")
    return scene(folder, 4, 1), scene(folder, 5, 2)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, sides: tuple[Frames, Frames]) -> StoredCollection:
    """Their labels."""
    return labelled(tmp_path_factory.mktemp("labels") / "bumps.h5", *sides)


@pytest.fixture(scope="module")
def found(stored: StoredCollection, sides: tuple[Frames, Frames]) -> SharedSurface:
    """What two of them share."""
    return shared(stored, *sides, "f1-0", "f2-1")


class TestShared:
    """relabel.report.shared_surface.shared"""

    @pytest.mark.parametrize(
        "how",
        [
            {},
            {"method": "voxel-iou", "voxel_m": 0.1},
            {"measure": "overlap"},
            {"measure": "dice", "stride": 3, "tolerance_m": 0.4},
            {"nearest_m": 0.8, "farthest_m": 1.2},
        ],
    )
    def test_gives_what_is_stored(self, tmp_path: Path, sides: tuple[Frames, Frames], how: dict[str, Any]) -> None:
        """The same ψ as the file, and as sets of voxels, for every pair under every parameter."""
        stored = labelled(tmp_path / "a.h5", *sides, **how)
        dense = stored.to_scipy().toarray()
        known = [name for name in ("stride", "nearest_m", "farthest_m", "voxel_m") if name in stored.params]
        oracle = {name: stored.params[name] for name in known}
        for i, query in enumerate(stored.query.key):
            for j in np.flatnonzero(stored.database.ok):
                result = shared(stored, *sides, str(query), str(stored.database.key[j]))
                assert result.agrees
                assert result.stored == dense[i, j]
                (exact,) = voxels.pair_overlap(
                    *sides, np.array([i]), np.array([j]), method=stored.method, measure=stored.measure, **oracle
                )
                assert result.value == pytest.approx(exact, abs=1e-9)
        assert len(set(dense.ravel().tolist())) > 5

    def test_points_are_shared_by_their_voxels(self, found: SharedSurface, stored: StoredCollection) -> None:
        """A point is shared when one of the 27 voxels around it holds a point of the other frame."""
        edge = stored.params["voxel_m"]
        clouds = [np.floor(side.points / edge).astype(int) for side in (found.query, found.database)]
        for k, side in enumerate((found.query, found.database)):
            other = set(map(tuple, clouds[1 - k].tolist()))
            expected = [
                any((x + a, y + b, z + c) in other for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1))
                for x, y, z in clouds[k].tolist()
            ]
            assert side.shared.tolist() == expected
            assert side.pixels.sum() == len(side.points)
            cells = list(map(tuple, clouds[k].tolist()))
            assert side.voxels == len(set(cells))
            assert side.common == len({cell for cell, both in zip(cells, expected, strict=True) if both})
        assert 0 < found.query.shared.sum() < len(found.query.points)

    def test_another_data_set(self, stored: StoredCollection, sides: tuple[Frames, Frames], tmp_path: Path) -> None:
        """Other depth maps under the same keys do not give the ψ that is stored."""
        other = scene(tmp_path, 4, 9)
        other = replace(other, cameras=replace(other.cameras, key=sides[0].cameras.key))
        assert not shared(stored, other, sides[1], "f1-0", "f2-1").agrees

    def test_cameras_that_are_not_there(self, stored: StoredCollection, sides: tuple[Frames, Frames]) -> None:
        """Unknown keys, a camera without a pose, and frames that the dataset no longer has."""
        with pytest.raises(NotFoundError, match="no query 'f2-1'; it is a database camera"):
            shared(stored, *sides, "f2-1", "f2-1")
        with pytest.raises(NotFoundError, match=r"no database frame 'x'; there are f2-0, f2-1"):
            shared(stored, *sides, "f1-0", "x")
        with pytest.raises(InputError, match="f2-2 has status no_pose: what it sees is unknown"):
            shared(stored, *sides, "f1-0", "f2-2")
        with pytest.raises(InputError, match="f1-0 has no depth map or no pose in this dataset"):
            shared(stored, sides[1], sides[1], "f1-0", "f2-1")

    def test_labels_of_fields_of_view(self, tmp_path: Path, sides: tuple[Frames, Frames]) -> None:
        """They have no surface."""
        relabel.write(tmp_path / "fov.h5", {"a": similarity(3, 4, seed=1)})
        with pytest.raises(InputError, match=r"fov-\w+ labels do not come from depth maps"):
            shared(LabelFile(tmp_path / "fov.h5")["a"], *sides, "q0", "d0")


class TestText:
    """relabel.report.shared_surface.shared_text"""

    def test_figures(self, found: SharedSurface) -> None:
        """ψ, both cameras, their voxels, and JSON of the same."""
        text = "\n".join(shared_text(found))
        told = found.to_json()
        assert f"{told['stored']:.4g} (iou)" in text
        for side in (told["query"], told["database"]):
            assert side["key"] in text
            assert f"{side['voxels']:,} voxels, {side['voxels_shared']:,} of them shared" in text
            assert 0 < side["points_shared"] < side["points"]
        a, b = told["query"], told["database"]
        common = (a["voxels_shared"] + b["voxels_shared"]) / 2
        assert told["value"] == pytest.approx(common / (a["voxels"] + b["voxels"] - common))


class TestPly:
    """relabel.report.shared_views.write_ply"""

    def test_read_back(self, tmp_path: Path, found: SharedSurface, open3d: Any) -> None:
        """All points of both, each with the colour of who sees it."""
        write_ply(tmp_path / "a.ply", found)
        cloud = open3d.io.read_point_cloud(str(tmp_path / "a.ply"))
        assert np.asarray(cloud.points) == pytest.approx(np.concatenate([found.query.points, found.database.points]))
        first = len(found.query.points)
        colours = np.asarray(cloud.colors)
        for side, own, part in ((found.query, QUERY, colours[:first]), (found.database, DATABASE, colours[first:])):
            assert part[side.shared] == pytest.approx(np.tile(SHARED, (side.shared.sum(), 1)), abs=1 / 255)
            assert part[~side.shared] == pytest.approx(np.tile(own, ((~side.shared).sum(), 1)), abs=1 / 255)
        assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]

    def test_same_bytes(self, tmp_path: Path, found: SharedSurface, open3d: Any) -> None:
        """Twice the same; a name without a suffix is as good as any."""
        write_ply(tmp_path / "a", found)
        write_ply(tmp_path / "b.ply", found)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b.ply").read_bytes()

    def test_a_file_that_is_there(self, tmp_path: Path, found: SharedSurface, open3d: Any) -> None:
        """It stays unless it may be replaced."""
        (tmp_path / "a.ply").write_text("mine")
        with pytest.raises(OutputExistsError, match=r"overwrite=True"):
            write_ply(tmp_path / "a.ply", found)
        assert (tmp_path / "a.ply").read_text() == "mine"
        write_ply(tmp_path / "a.ply", found, overwrite=True)
        assert (tmp_path / "a.ply").read_bytes().startswith(b"ply")

    def test_a_failure_leaves_nothing(
        self, tmp_path: Path, found: SharedSurface, open3d: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where Open3D cannot write, there is an error, and neither a file nor half of one."""
        monkeypatch.setattr(open3d.io, "write_point_cloud", lambda *_: False)
        with pytest.raises(relabel.errors.OutputError, match=r"a\.ply: cannot be written"):
            write_ply(tmp_path / "a.ply", found)
        assert list(tmp_path.iterdir()) == []

    def test_without_open3d(self, tmp_path: Path, found: SharedSurface, monkeypatch: pytest.MonkeyPatch) -> None:
        """How to get it is said."""
        monkeypatch.setitem(sys.modules, "open3d", None)
        with pytest.raises(MissingPackageError, match=r"--export-ply needs .*'relabel-vpr\[open3d\]'"):
            write_ply(tmp_path / "a.ply", found)


class TestFigure:
    """relabel.report.shared_views.shared_figure"""

    def test_images_and_pixels(self, tmp_path: Path, found: SharedSurface) -> None:
        """A figure with all four colours in it; one of the frames has no colour image, one has one in red."""
        Image.new("RGB", (64, 48), (255, 0, 0)).save(tmp_path / "red.png")
        drawn = replace(found, query=replace(found.query, image=str(tmp_path / "red.png")))
        shared_figure(tmp_path / "a.png", drawn)
        with Image.open(tmp_path / "a.png") as image:
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
        for colour in (SHARED, QUERY, DATABASE, (1.0, 0.0, 0.0)):
            near = np.abs(pixels - 255 * np.array(colour)).max(axis=1) <= 2
            assert near.sum() > 200, colour

    def test_an_image_that_cannot_be_read(self, tmp_path: Path, found: SharedSurface) -> None:
        """It is no reason to fail."""
        (tmp_path / "empty.jpg").touch()
        sides = [
            replace(side, image=str(tmp_path / name))
            for side, name in ((found.query, "empty.jpg"), (found.database, "no"))
        ]
        shared_figure(tmp_path / "a.svg", replace(found, query=sides[0], database=sides[1]))
        assert (tmp_path / "a.svg").stat().st_size > 1000

    @pytest.mark.parametrize(
        ("size", "orientation", "shape", "title"),
        [
            ((64, 48), 1, (64, 48), ""),
            ((64, 48), 6, (64, 48), " (as stored, before EXIF orientation 6)"),
            ((64, 48), 3, (64, 48), " (as stored, before EXIF orientation 3)"),
            ((48, 64), 6, (64, 48), " (turned as EXIF orientation 6 asks)"),
        ],
    )
    def test_turned_images(
        self, tmp_path: Path, size: tuple[int, int], orientation: int, shape: tuple[int, int], title: str
    ) -> None:
        """An image lies on its depth map of 32 × 24 pixels, whatever EXIF asks viewers to do, and it is told."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = Image.new("RGB", size)
        stored.paste((255, 0, 0), (0, 0, 8, 8))
        stored.save(tmp_path / "a.png", exif=exif)
        pixels, how = shared_views._image(str(tmp_path / "a.png"), (24, 32))
        assert how == title
        assert pixels.shape == (shape[1], shape[0], 3)
        red = (pixels == (255, 0, 0)).all(axis=2)
        assert red[4, -4 if "turned" in title else 4]  # a turn to the right brings the upper left to the upper right

    def test_a_damaged_image(self, tmp_path: Path) -> None:
        """An image that Pillow fails on with a TypeError is left out as any other that cannot be read."""
        Image.new("RGB", (64, 48)).save(tmp_path / "a.tif")
        data = bytearray((tmp_path / "a.tif").read_bytes())
        strip_offsets = data.index(struct.pack("<HHI", 273, 4, 1))
        data[strip_offsets + 2] = 11  # from LONG to FLOAT
        (tmp_path / "a.tif").write_bytes(data)
        assert shared_views._image(str(tmp_path / "a.tif"), (24, 32)) == (None, "")

    def test_suffix(self, tmp_path: Path, found: SharedSurface) -> None:
        """Only .svg, .pdf and .png."""
        with pytest.raises(OptionError, match=r"\.svg, \.pdf, \.png"):
            shared_figure(tmp_path / "a.jpg", found)


def test_nothing_seen_is_no_division() -> None:
    """A side with no voxels at all can be told of."""
    empty = SharedSide("k", np.empty((0, 3)), np.empty(0, bool), np.zeros((2, 2)), 0, 0, "")
    assert "0 voxels" in shared_text(SharedSurface(empty, empty, "iou", 0.0, 0.0, 0.0, 1e-6))[1]
