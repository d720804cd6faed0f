"""Masks: how they are read, which cameras they are about, and every kind of bad mask."""

from __future__ import annotations

import hashlib
import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.cameras import Cameras, Status
from relabel.datasets.base import CameraSets, FrameSets
from relabel.datasets.mask import Masked, masked, read
from relabel.errors import InputError, MissingFileError
from relabel.frames import Frames


@dataclass(frozen=True)
class Town:
    """A reader of three queries and two database cameras that share the key b; or of self pairs."""

    name: str = "town"
    itself: bool = False
    root: Path = Path()
    command: str = "relabel town"
    prefix: str = ""

    def parameters(self) -> dict[str, Any]:
        return {"collection": self.name}

    def read(self) -> CameraSets:
        def cameras(keys: str) -> Cameras:
            n = len(keys)
            heading = np.arange(n) * 10.0
            return Cameras(
                key=[self.prefix + key for key in keys],
                position=np.zeros((n, 2)),
                heading_deg=np.where(np.array(list(keys)) == "x", np.nan, heading),
            )

        query = cameras("abx")
        database = query if self.itself else cameras("bc")
        return CameraSets(
            query=query,
            database=database,
            files=(Path("town.csv"),),
            params={"heading": "told"},
            notes=("a note",),
            hint="wait",
        )


def written(tmp_path: Path, text: str, name: str = "mask.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def statuses(street: CameraSets) -> list[list[str]]:
    return [[Status(s).label for s in side.status] for side in (street.query, street.database)]


OK, MASKED, MISSING = "ok", "masked", "no_heading"


class TestRead:
    """relabel.datasets.mask.read"""

    @pytest.mark.parametrize(
        ("text", "keys", "sides"),
        [
            ("key\na\nb\n", ["a", "b"], ["", ""]),
            ("a\nb", ["a", "b"], ["", ""]),
            ("\ufeffa\r\n\r\nb\r\n", ["a", "b"], ["", ""]),
            (" a \n\tb\nc\u2028d\x85e\x0b\n", [" a ", "\tb", "c\u2028d\x85e\x0b"], [""] * 3),
            ("\ufeffreason,key,side\r\nx,a,query\r\ny,b,\r\n", ["a", "b"], ["query", ""]),
            ('key,reason\n"a,b","said ""so"""\n', ["a,b"], [""]),
            ("@1@2@10@S@@@@@90@.jpg\n", ["@1@2@10@S@@@@@90@.jpg"], [""]),
        ],
    )
    def test_forms(self, tmp_path: Path, text: str, keys: list[str], sides: list[str]) -> None:
        """CSV by column names, or a key a line; byte order marks, line endings and empty lines do not matter.

        What else stands on a line, blanks at either end too, is the key.
        """
        path = written(tmp_path, text)
        mask = read(path)
        assert mask.key.tolist() == keys
        assert mask.side.tolist() == sides
        assert mask.params == {"name": "mask.csv", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "holds no key"),
            ("key,reason\n", "holds no key"),
            ("key,side\na,query\n,query\n", "line 3, column 'key': an empty cell"),
            ("key,side\na,left\n", "line 2, column 'side': is neither query nor database"),
            ("key,side\na\n", "line 2: 1 cells, but the header names 2 columns"),
            ("key,key\na,b\n", "column 'key' is named 2 times"),
        ],
    )
    def test_bad(self, tmp_path: Path, text: str, told: str) -> None:
        """The message names the file, the line and what to do."""
        with pytest.raises(InputError) as caught:
            read(written(tmp_path, text))
        assert str(tmp_path / "mask.csv") in str(caught.value)
        assert told in str(caught.value)

    def test_no_text(self, tmp_path: Path) -> None:
        """Bytes that are no UTF-8, a folder, and nothing."""
        (tmp_path / "a").write_bytes(b"key\nab\xff\n")
        with pytest.raises(InputError, match="a: line 2: is not UTF-8"):
            read(tmp_path / "a")
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path)
        with pytest.raises(MissingFileError, match="does not exist"):
            read(tmp_path / "b")


class TestMasked:
    """relabel.datasets.mask.Masked"""

    @pytest.mark.parametrize(
        ("text", "query", "database", "count"),
        [
            ("b\n", [OK, MASKED, MISSING], [MASKED, OK], 2),
            ("key,side\nb,query\n", [OK, MASKED, MISSING], [OK, OK], 1),
            ("key,side\nb,database\nc,\n", [OK, OK, MISSING], [MASKED, MASKED], 2),
            ("key,reason\nb,one\nb,two\n", [OK, MASKED, MISSING], [MASKED, OK], 2),
            ("a\nx\n", [MASKED, OK, MISSING], [OK, OK], 1),
            ("key,collection\na,town\nb,oslo\n", [MASKED, OK, MISSING], [OK, OK], 1),
        ],
    )
    def test_cameras(self, tmp_path: Path, text: str, query: list[str], database: list[str], count: int) -> None:
        """Rows stay; those of the mask are masked where side and collection fit and they could have been labelled."""
        path = written(tmp_path, text)
        before, street = Town().read(), Masked(Town(), path, strict=False).read()
        assert statuses(street) == [query, database]
        assert street.query.key.tolist() == before.query.key.tolist()
        assert np.array_equal(street.query.heading_deg, before.query.heading_deg, equal_nan=True)
        assert street.files == (*before.files, path)
        assert street.params == {"heading": "told", "mask": {**read(path).params, "masked": count}}
        cameras = "1 camera is" if count == 1 else f"{count} cameras are"
        assert street.notes == ("a note", f"{cameras} masked by mask.csv")

    @pytest.mark.parametrize("text", ["b\n", "key,side\nb,query\n", "key,side\nb,database\n"])
    def test_self_pairs(self, tmp_path: Path, text: str) -> None:
        """Both sides stay one object, and a camera is masked whichever side the mask says."""
        street = Masked(Town(itself=True), written(tmp_path, text)).read()
        assert street.database is street.query
        assert statuses(street)[0] == [OK, MASKED, MISSING]
        assert street.params["mask"]["masked"] == 1

    def test_nothing_left(self, tmp_path: Path) -> None:
        """The error that no camera is left speaks of the mask."""
        street = Masked(Town(), written(tmp_path, "a\nb\n")).read()
        with pytest.raises(InputError, match=r"2 masked, 1 no_heading.*use a mask that leaves some, or wait"):
            street.require_some()

    def test_unknown_keys(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Keys of no camera are counted, with three of them."""
        path = written(tmp_path, "key,side\na,\nq,\nr,\ns,\nt,\nc,query\n")
        with caplog.at_level(logging.WARNING, "relabel"):
            Masked(Town(), path).read()
        (record,) = caplog.records
        assert record.getMessage() == f"{path}: 5 key(s) match no camera of this dataset: 'q', 'r', 's', …"

    def test_none_known(self, tmp_path: Path) -> None:
        """A mask of which no key is a camera is an error, for instance a CSV whose column has another name."""
        with pytest.raises(InputError, match=r"none of its 2 key.*'id,reason', 'a,x'.*a column 'key'"):
            Masked(Town(), written(tmp_path, "id,reason\na,x\n")).read()

    def test_of_another_collection(self, tmp_path: Path) -> None:
        """Keys that are there, but in a mask of another collection, are not called unknown."""
        path = written(tmp_path, "key,collection\na,village\nb,village\n")
        with pytest.raises(
            InputError, match=r"is masked, since its column 'collection' names 'village', and.* is 'town'"
        ):
            Masked(Town(), path).read()

    def test_is_a_value(self, tmp_path: Path) -> None:
        """It goes to other processes, and tells what it depends on."""
        reader = Masked(Town(), written(tmp_path, "a\n"))
        assert pickle.loads(pickle.dumps(reader)) == reader
        assert (reader.name, reader.command, reader.root) == ("town", "relabel town", Path())
        assert reader.parameters() == {"collection": "town", "mask": read(reader.path).params}

    def test_changed_mask(self, tmp_path: Path) -> None:
        """A mask that is written anew is read anew."""
        reader = Masked(Town(), written(tmp_path, "a\n"))
        first = reader.parameters()
        written(tmp_path, "a\nb\n")
        assert reader.parameters() != first
        assert reader.read().params["mask"]["masked"] == 3


class TestOfParameters:
    """relabel.datasets.mask.Masked.from_parameters"""

    def test_by_digest(self, tmp_path: Path) -> None:
        """The first candidate with the very bytes, whatever its name."""
        wanted, other = written(tmp_path, "a\n", "x.csv"), written(tmp_path, "b\n")
        info = {"name": "mask.csv", "sha256": read(wanted).sha256}
        found = Masked.from_parameters(info, Town(), [tmp_path, tmp_path / "no", other, wanted])
        assert found == Masked(Town(), wanted, strict=False)
        with pytest.raises(InputError, match=r"mask 'mask\.csv'.*was not found; give it with --mask"):
            Masked.from_parameters(info, Town(), [other])


class TestMaskedReaders:
    """relabel.datasets.mask.masked"""

    def test_none(self) -> None:
        """Without a mask the readers are as they were."""
        assert masked([Town()], None) == (Town(),)

    def test_several(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A key has to be a camera of one reader; it is no fault that it is none of the others."""
        readers = [Town("one"), Town("two", prefix="t")]
        path = written(tmp_path, "a\ntb\nz\n")
        with caplog.at_level(logging.WARNING, "relabel"):
            found = masked(readers, path)
            streets = [reader.read() for reader in found]
        assert [record.getMessage() for record in caplog.records] == [
            f"{path}: 1 key(s) match no camera of this dataset: 'z'"
        ]
        assert [street.params["mask"]["masked"] for street in streets] == [1, 2]
        with pytest.raises(InputError, match="none of its 1 key"):
            masked(readers, written(tmp_path, "z\n"))


@dataclass(frozen=True)
class Room:
    """A reader of three frames with depth maps, the last one without a pose, paired with themselves or with two."""

    itself: bool = True
    name: str = "room"
    root: Path = Path()
    command: str = "relabel room"

    def parameters(self) -> dict[str, Any]:
        return {"collection": self.name}

    def read(self) -> FrameSets:
        def frames(keys: str) -> Frames:
            pose = np.tile(np.eye(4), (len(keys), 1, 1))
            pose[np.array(list(keys)) == "x"] = np.nan
            cameras = Cameras(key=np.array(list(keys)), position=pose[:, :3, 3], pose=pose)
            return Frames(cameras, np.full(len(keys), "depth.png"), np.array([57.0, 57.0, 32.0, 24.0]))

        query = frames("abx")
        database = query if self.itself else frames("bc")
        return FrameSets(query=query, database=database, files=(Path("depth.png"),))


class TestScenes:
    """relabel.datasets.mask.Masked around readers of frames"""

    def test_self_pairs(self, tmp_path: Path) -> None:
        """Frames are masked as cameras are, and stay one set; what cannot be labelled keeps its own status."""
        (reader,) = masked([Room()], written(tmp_path, "b\nx\n", "mask.txt"))
        scene = reader.read()
        assert scene.query is scene.database
        assert [Status(s).label for s in scene.query.cameras.status] == [OK, MASKED, "no_position"]
        assert scene.params["mask"]["masked"] == 1
        assert scene.files[-1] == tmp_path / "mask.txt"
        assert pickle.loads(pickle.dumps(reader)) == reader

    def test_two_sides(self, tmp_path: Path) -> None:
        """An entry may be about one side."""
        (reader,) = masked([Room(itself=False)], written(tmp_path, "key,side\nb,database\n"))
        scene = reader.read()
        assert scene.query.cameras.ok.tolist() == [True, True, False]
        assert scene.database.cameras.status.tolist() == [Status.MASKED, Status.OK]
