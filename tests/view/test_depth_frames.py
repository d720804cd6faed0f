"""Depth maps and what two frames share, as the server answers, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")

from relabel.errors import InputError, MissingFileError
from relabel.labelfile import LabelFile, StoredCollection, open_collections
from relabel.pipeline.records import frames_from_records
from relabel.view import depth_frames as module
from relabel.view import server as server_module
from relabel.view.depth_frames import DepthFrames
from tests.trees import depth_png
from tests.view.labels import copy_of, small_city
from tests.view.rooms import FRAMES, LOST, depth_frames, reader, seen_by_sets, small_room
from tests.view.serving import Answer, Served, server, serving

ROOM = "collection=room"
DTYPES = {"F32": "<f4", "U8": "u1"}


def unpacked(answer: Answer) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays and value of an answer."""
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int.from_bytes(answer.body[:8], "little")
    header = json.loads(answer.body[8 : 8 + length])
    value = json.loads(header.pop("__metadata__")["json"])
    arrays = {
        name: np.frombuffer(answer.body[8 + length :][slice(*entry["data_offsets"])], DTYPES[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
    }
    return arrays, value


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> list[StoredCollection]:
    """Labels of the small room, beside its folder."""
    return small_room(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def served(room: list[StoredCollection]) -> Iterator[Served]:
    """The small room with its depth maps."""
    with serving(server.Labels(room, depth_frames=depth_frames(room))) as found:
        yield found


@pytest.fixture
def copied(room: list[StoredCollection], tmp_path: Path) -> list[StoredCollection]:
    """The small room in a folder of its own, to be damaged."""
    shutil.copy(room[0].path, tmp_path)
    shutil.copytree(room[0].path.parent / "room", tmp_path / "room")
    return open_collections(tmp_path / "room.h5")


class TestSurface:
    """What two frames share."""

    @pytest.mark.parametrize(("row", "column"), [(0, 1), (5, 3), (2, 6)])
    def test_pixels_are_those_that_both_see(
        self, served: Served, room: list[StoredCollection], row: int, column: int
    ) -> None:
        """As sets of voxels say, which are made of the files alone; and ψ of these is the one that is stored."""
        arrays, value = unpacked(served.ask(f"/api/surface?{ROOM}&row={row}&column={column}"))
        images, psi = seen_by_sets(room[0].path.parent / "room", row, column)
        for name, image in zip(("query", "database"), images, strict=True):
            np.testing.assert_array_equal(arrays[f"{name}.seen"], image)
            assert value[name]["points_shared"] == np.count_nonzero(image == 2)
        with h5py.File(copy_of(room[0].path)) as file:
            pairs = file["room/similarity"]
            part = slice(*pairs["indptr"][row : row + 2])
            stored = dict(zip(pairs["indices"][part].tolist(), pairs["data"][part].tolist(), strict=True))
        assert psi == pytest.approx(stored.get(column, 0.0), abs=1e-6)
        assert value["agrees"]

    def test_depth_is_in_metres(self, served: Served, room: list[StoredCollection]) -> None:
        """Every second pixel of the depth map; also without a match, when nothing is shared."""
        depth = np.array(Image.open(room[0].path.parent / "room/depth/seq-01-frame-000003.png"))[::2, ::2]
        expected = np.where(depth == 65535, 0, depth) / 1000
        for target in ("row=3", "row=0&column=3"):
            arrays, _ = unpacked(served.ask(f"/api/surface?{ROOM}&{target}"))
            name = "query" if "column" not in target else "database"
            np.testing.assert_allclose(arrays[f"{name}.depth"], expected, rtol=1e-6)
        arrays, _ = unpacked(served.ask(f"/api/surface?{ROOM}&row=3"))
        np.testing.assert_array_equal(arrays["query.seen"], expected > 0)

    def test_images_are_those_of_the_frames(self, served: Served, room: list[StoredCollection]) -> None:
        """Without a folder of images."""
        answer = served.ask(f"/image?{ROOM}&side=database&row=2")
        assert answer.body == (room[0].path.parent / "room/color/seq-01-frame-000002.jpg").read_bytes()

    def test_what_cannot_be_seen_is_said(self, served: Served, copied: list[StoredCollection]) -> None:
        """A frame without a pose, a depth map that is gone or damaged, and other depth maps under the same names."""

        def missing(found: Served, target: str) -> str:
            answer = found.ask(f"/api/surface?{ROOM}&{target}")
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
            return str(json.loads(answer.body)["missing"])

        assert "has status no_pose" in missing(served, f"row={LOST}")
        depth = copied[0].path.parent / "room/depth"
        (depth / "seq-01-frame-000000.png").unlink()
        (depth / "seq-01-frame-000001.png").write_bytes(b"no image")
        depth_png(depth / "seq-01-frame-000003.png", 900, size=(64, 48))
        with serving(server.Labels(copied, depth_frames=depth_frames(copied))) as found:
            assert "seq-01-frame-000000 has no depth map" in missing(found, "row=0&column=2")
            assert "seq-01-frame-000001.png" in missing(found, "row=2&column=1")
            _, value = unpacked(found.ask(f"/api/surface?{ROOM}&row=2&column=3"))
            assert not value["agrees"]

    def test_a_dataset_that_is_not_there(self, room: list[StoredCollection], tmp_path: Path) -> None:
        """A root that does not exist is an error of the command; one that holds something else is said on the page."""
        with pytest.raises(MissingFileError, match="there is no such folder"):
            DepthFrames(reader(room[0].path, tmp_path / "x"), tmp_path / "x")
        frames = DepthFrames(reader(room[0].path, tmp_path), tmp_path)
        with serving(server.Labels(room, depth_frames=frames)) as found:
            answer = found.ask(f"/api/surface?{ROOM}&row=0&column=1")
            assert str(tmp_path) in json.loads(answer.body)["missing"]
            assert found.ask(f"/image?{ROOM}&side=queries&row=0").status == 404


class TestRefusals:
    """Hostile requests, and hostile folders."""

    @pytest.mark.parametrize(
        "target",
        [
            f"/api/surface?{ROOM}",
            f"/api/surface?{ROOM}&row={FRAMES}",
            f"/api/surface?{ROOM}&row=-1&column=0",
            f"/api/surface?{ROOM}&row=0&column={FRAMES}",
            f"/api/surface?{ROOM}&row=0&column=",
            f"/api/surface?{ROOM}&row=0&column=../1",
            f"/api/surface?{ROOM}&row=seq-01-frame-000000&column=1",
            f"/api/surface?{ROOM}&row=%00&column=1",
            f"/api/surface?{ROOM}&row=0&column=99999999999999999999",
            "/api/surface?collection=../room&row=0&column=1",
            "/api/surface/../../room.h5",
            f"/api/matrix?{ROOM}",
            f"/api/matrix?{ROOM}&rows=0,7",
            f"/api/matrix?{ROOM}&rows=0,8&columns=0,7",
            f"/api/matrix?{ROOM}&rows=0,0&columns=0,7",
            f"/api/matrix?{ROOM}&rows=5,2&columns=0,7",
            f"/api/matrix?{ROOM}&rows=-1,2&columns=0,7",
            f"/api/matrix?{ROOM}&rows=0,7,1&columns=0,7",
            f"/api/matrix?{ROOM}&rows=0,1e3&columns=0,7",
            f"/api/matrix?{ROOM}&rows=0,99999999999&columns=0,7",
            "/api/matrix?collection=other&rows=0,1&columns=0,1",
            "/api/matrix/x",
        ],
    )
    def test_what_is_not_there(self, served: Served, target: str) -> None:
        """Nothing is answered, and nothing of this machine is told."""
        answer = served.ask(target)
        assert answer.status in (400, 404)
        assert b"Traceback" not in answer.body
        assert b"/" not in answer.body

    @pytest.mark.parametrize("target", [f"/api/surface?{ROOM}&row=0", f"/api/matrix?{ROOM}&rows=0,7&columns=0,7"])
    def test_only_to_this_machine_and_read(self, served: Served, target: str) -> None:
        """Another host, and methods that write."""
        assert served.ask(target, host="evil.example").status == 403
        for method in ("POST", "PUT", "DELETE"):
            assert served.ask(target, method=method, headers="Content-Length: 0\r\n").status == 405
        assert served.ask(target, method="HEAD")[::2] == (200, b"")

    def test_streets_have_no_surface(self, tmp_path: Path) -> None:
        """Neither without a root, nor by mistake with one."""
        city = small_city(tmp_path / "labels.h5")
        with serving(server.Labels(city)) as found:
            assert found.ask("/api/surface?collection=town&row=0&column=0").status == 404
        frames = DepthFrames(reader(city[0].path, tmp_path), tmp_path)
        with serving(server.Labels(city, depth_frames=frames)) as found:
            assert "missing" in json.loads(found.ask("/api/surface?collection=town&row=0&column=0").body)
            assert found.ask("/image?collection=town&side=queries&row=0").status == 404

    def test_links_that_lead_out_are_not_followed(self, copied: list[StoredCollection], tmp_path: Path) -> None:
        """Of depth maps and of images, unless that is asked for."""
        outside = tmp_path / "outside"
        outside.mkdir()
        for kind, suffix in (("depth", "png"), ("color", "jpg")):
            path = copied[0].path.parent / "room" / kind / f"seq-01-frame-000001.{suffix}"
            shutil.move(path, outside / path.name)
            path.symlink_to(outside / path.name)
        for follow_links, status in ((False, 404), (True, 200)):
            frames = depth_frames(copied, follow_links=follow_links)
            with serving(server.Labels(copied, depth_frames=frames)) as found:
                answer = found.ask(f"/api/surface?{ROOM}&row=0&column=1")
                assert (b"--follow-links" in answer.body) is not follow_links
                assert found.ask(f"/image?{ROOM}&side=queries&row=1").status == status

    def test_depth_maps_that_never_end_or_are_too_large(
        self, copied: list[StoredCollection], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pipe is not opened, and what is larger than can be shown is not decoded."""
        depth = copied[0].path.parent / "room/depth"
        (depth / "seq-01-frame-000001.png").unlink()
        os.mkfifo(depth / "seq-01-frame-000001.png")
        with pytest.raises(InputError):
            depth_frames(copied).surface(copied[0], 0, 1)
        monkeypatch.setattr(module, "MOST_PIXELS", 64 * 48 - 1)
        with pytest.raises(InputError, match="has 64 × 48 pixels"):
            depth_frames(copied).surface(copied[0], 0, 2)

    @pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd"])
    def test_a_provenance_that_leads_out_is_not_followed(self, room: list[StoredCollection], path: str) -> None:
        """A label file is not to choose which files of this machine are shown."""
        root = room[0].path.parent / "room"
        [record] = LabelFile(room[0].path).provenance()
        record["inputs"][0]["path"] = path
        frames = DepthFrames(lambda stored: frames_from_records(stored, [record], root), root)
        with serving(server.Labels(room, depth_frames=frames)) as found:
            answer = found.ask(f"/api/surface?{ROOM}&row=0&column=1")
            assert "is outside" in json.loads(answer.body)["missing"]
            assert found.ask(f"/image?{ROOM}&side=queries&row=0").status == 404

    def test_requests_do_not_pile_up(self, room: list[StoredCollection], monkeypatch: pytest.MonkeyPatch) -> None:
        """Where many wait already, one is turned away."""
        monkeypatch.setattr(server_module, "_WAITING", -1)
        with serving(server.Labels(room, depth_frames=depth_frames(room))) as found:
            assert found.ask(f"/api/surface?{ROOM}&row=0&column=1").status == 503


def test_the_matrix_comes_in_the_end(served: Served, room: list[StoredCollection]) -> None:
    """The share that is read until all is; then ψ as h5py reads it."""
    while (answer := served.ask(f"/api/matrix?{ROOM}&rows=1,7&columns=0,5")).headers["content-type"] != (
        "application/octet-stream"
    ):
        assert 0.0 <= json.loads(answer.body)["progress"] <= 1.0
    arrays, value = unpacked(answer)
    with h5py.File(copy_of(room[0].path)) as file:
        pairs = file["room/similarity"]
        rows = np.repeat(np.arange(FRAMES), np.diff(pairs["indptr"]))
        dense = np.zeros((FRAMES, FRAMES), np.float32)
        dense[rows, pairs["indices"][()]] = pairs["data"][()]
    dense[LOST], dense[:, LOST] = np.nan, np.nan
    np.fill_diagonal(dense, np.nan)
    np.testing.assert_array_equal(arrays["max"], dense[1:7, :5])
    np.testing.assert_array_equal(arrays["mean"], dense[1:7, :5])
    assert value == {"rows": [1, 7], "columns": [0, 5], "step": 1, "shape": [6, 5]}
