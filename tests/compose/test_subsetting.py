"""Subsets of label files, against dense arrays."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras
from relabel.compose import Selection, subset
from relabel.compose.selection import Box, are_among, below
from relabel.compose.subsetting import read_keys
from relabel.errors import InputError, MissingFileError, NotFoundError, OptionError, OutputExistsError
from relabel.geometry.projection import unproject
from relabel.labelfile import LabelFile, provenance, validate, write
from relabel.similarity import Similarity
from tests.labelfile.sources import assert_same, errors
from tests.similarities import similarity


def in_box(cameras: Cameras, box: Box) -> np.ndarray:
    inside = [box.west <= x <= box.east and box.south <= y <= box.north for x, y in cameras.position[:, :2]]
    return np.array(inside, bool)


def expected(source: Similarity, selection: Selection) -> Similarity:
    """Camera by camera and pair by pair."""
    c = source.collection

    def kept(cameras: Cameras, own: frozenset[str] | None) -> np.ndarray:
        keys = selection.keys if own is None else own
        rows = [
            i
            for i, key in enumerate(cameras.key)
            if (keys is None or str(key) in keys)
            and (not selection.ok_only or cameras.status[i] == 0)
            and (selection.bbox_m is None or in_box(cameras, selection.bbox_m)[i])
        ]
        return np.array(rows, np.intp)

    rows, columns = kept(c.query, selection.query_keys), kept(c.database, selection.database_keys)
    dense = source.matrix.toarray()[rows][:, columns]
    least = c.min_value
    if selection.low is not None:
        dense[dense < np.float32(selection.low)] = 0.0
        least = max(least, float(np.nextafter(np.float32(selection.low), np.float32(0))))
    query = c.query.take(rows)
    collection = replace(
        c,
        query=query,
        database=query if c.self_pairs else c.database.take(columns),
        query_extent=c.query_extent[rows],
        database_extent=c.database_extent[columns],
        min_value=least,
    )
    return Similarity(collection, sparse.csr_array(dense))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a collection of two sides and one of self pairs."""
    sources = {"amman": similarity(20, 30, seed=1), "room/train": similarity(12, seed=2, self_pairs=True)}
    return write(tmp_path / "a.h5", sources, provenance=[provenance.step("first", {})])


class TestSubset:
    """relabel.compose.subset"""

    @given(
        seed=st.integers(0, 10_000),
        self_pairs=st.booleans(),
        low=st.none() | st.sampled_from([1e-7, 0.3, 0.5, 0.7, 1.0]),
        ok_only=st.booleans(),
        box=st.booleans(),
        lists=st.sampled_from(["none", "both", "query", "database"]),
    )
    @settings(max_examples=20)
    def test_equals_picking_one_by_one(
        self, seed: int, self_pairs: bool, low: float | None, ok_only: bool, box: bool, lists: str
    ) -> None:
        """Whatever is asked for, cameras and pairs are those picked from the dense matrix, and the file is valid."""
        source = similarity(15, 18, seed=seed, density=0.6, self_pairs=self_pairs)
        rng = np.random.default_rng(seed)
        query, database = (
            frozenset(str(k) for k in side.key[rng.random(len(side)) < 0.7])
            for side in (source.collection.query, source.collection.database)
        )
        options: dict[str, Any] = {"low": low, "ok_only": ok_only}
        if box:
            options["bbox_m"] = Box(499_970.0, -4_000_050.0, 500_060.0, -3_999_970.0)
        if lists == "both":
            options["keys"] = query if self_pairs else query | database
        elif lists != "none" and not self_pairs:
            options[f"{lists}_keys"] = query if lists == "query" else database
        selection = Selection(**options)
        wanted = expected(source, selection)
        with tempfile.TemporaryDirectory() as folder:
            made, target = write(Path(folder) / "a.h5", {"x": source}), Path(folder) / "b.h5"
            if 0 in wanted.shape:
                with pytest.raises(InputError, match="nothing would be left"):
                    subset(target, str(made), selection)
                return
            result = subset(target, str(made), selection)
            assert_same(LabelFile(target)["x"].to_similarity(), wanted)
            assert errors(validate(target)) == []
        assert len(result.notes) == (low == 1e-7)

    def test_everything_is_copied(self, path: Path, tmp_path: Path) -> None:
        """Names alone change nothing: the collections keep their digests."""
        target = tmp_path / "b.h5"
        result = subset(target, str(path), rename={"amman": "oslo"})
        old, new = LabelFile(path), LabelFile(target)
        assert result.names == tuple(new) == ("oslo", "room/train")
        assert new["oslo"].content_sha256 == old["amman"].content_sha256
        records = new.provenance()
        assert [record["command"] for record in records] == ["first", "relabel subset"]
        assert records[-1]["inputs"] == provenance.describe(tmp_path, [path])
        assert records[-1]["parameters"] == {
            "collections": ["amman", "room/train"],
            "ok_only": False,
            "rename": {"amman": "oslo"},
        }

    def test_collections(self, path: Path, tmp_path: Path) -> None:
        """Some collections of a file, by name or by address; names may change places."""
        assert subset(tmp_path / "b.h5", str(path), collections=["room/train"]).names == ("room/train",)
        assert subset(tmp_path / "c.h5", f"{path}::amman").names == ("amman",)
        subset(tmp_path / "d.h5", str(path), rename={"amman": "room/train", "room/train": "amman"})
        assert LabelFile(tmp_path / "d.h5")["amman"].self_pairs
        with pytest.raises(NotFoundError, match="there are amman, room/train"):
            subset(tmp_path / "e.h5", str(path), collections=["oslo"])
        with pytest.raises(NotFoundError, match="no collection 'oslo' to rename; there are amman, room/train"):
            subset(tmp_path / "e.h5", str(path), rename={"oslo": "x"})
        with pytest.raises(InputError, match="two collections would be called 'amman'"):
            subset(tmp_path / "e.h5", str(path), rename={"room/train": "amman"})
        with pytest.raises(InputError, match="holds '::'"):
            subset(tmp_path / "e.h5", str(path), rename={"amman": "a::b"})

    def test_emptied_collections_are_left_out(self, path: Path, tmp_path: Path) -> None:
        """Keys of one city of several leave the others out; keys are looked for in all of them together."""
        keys = frozenset({"q0003", "q0005", "d0001"})  # amman has all of them, the room two
        result = subset(tmp_path / "b.h5", str(path), Selection(keys=keys))
        assert LabelFile(result.path)["amman"].shape == (2, 1)
        assert LabelFile(result.path)["room/train"].shape == (2, 2)
        result = subset(tmp_path / "c.h5", str(path), Selection(keys=frozenset({"q0003"})))
        assert (result.names, result.emptied) == (("room/train",), ("amman",))

    def test_empty_collections_stay(self, tmp_path: Path) -> None:
        """A collection that had no cameras before has lost none."""
        made = write(tmp_path / "a.h5", {"none": similarity(0, 5), "some": similarity(5, 5)})
        assert subset(tmp_path / "b.h5", str(made), Selection(low=0.5)).names == ("none", "some")

    def test_unknown_keys(self, path: Path, tmp_path: Path) -> None:
        """Keys that no collection has on the side that is meant are counted, and the first are shown."""
        strange = frozenset({"q0001", *(f"z{i}" for i in range(7))})
        with pytest.raises(
            NotFoundError, match=r"7 of 8 keys .* any query or database camera: 'z0', .*'z4' and 2 more"
        ):
            subset(tmp_path / "b.h5", str(path), Selection(keys=strange))
        with pytest.raises(NotFoundError, match=r"1 of 1 keys .* any query: 'd0001'"):
            subset(tmp_path / "b.h5", f"{path}::amman", Selection(query_keys=frozenset({"d0001"})))
        with pytest.raises(NotFoundError, match=r"1 of 1 keys .* any database camera: 'q0001'"):
            subset(tmp_path / "b.h5", f"{path}::amman", Selection(database_keys=frozenset({"q0001"})))

    def test_sides_of_self_pairs(self, path: Path, tmp_path: Path) -> None:
        """A self-paired collection keeps one set of cameras, since its diagonal would read as negative."""
        with pytest.raises(OptionError, match=r"a\.h5::room/train: is self-paired.*\(keys=…\)"):
            subset(tmp_path / "b.h5", str(path), Selection(query_keys=frozenset({"q0001"})))

    def test_longitude_and_latitude(self, tmp_path: Path) -> None:
        """The box holds exactly the cameras whose longitude and latitude are in it."""
        source = similarity(30, 40, seed=4)
        c = source.collection
        placed = replace(c, query=replace(c.query, crs="EPSG:32721"), database=replace(c.database, crs="EPSG:32721"))
        sides = {"query": placed.query, "database": placed.database}
        moved = {side: replace(s, position=s.position + np.array([0.0, 1e7])) for side, s in sides.items()}
        made = write(tmp_path / "a.h5", {"x": Similarity(replace(placed, **moved), source.matrix)})
        lon, lat = unproject(*moved["query"].position[:, :2].T, "EPSG:32721").T
        west, east = float(np.nanmedian(lon)), float(np.nanmax(lon)) + 1e-4
        box = Box(west, float(np.nanmin(lat)) - 1e-3, east, float(np.nanmax(lat)) + 1e-3)
        subset(tmp_path / "b.h5", str(made), Selection(bbox_deg=box))
        kept = {str(k) for k in LabelFile(tmp_path / "b.h5")["x"].query.key}
        assert kept == {str(k) for k, x in zip(c.query.key, lon, strict=True) if x >= west}
        around = Box(east, box.south, west, box.north)  # the long way round the earth, over the antimeridian
        subset(tmp_path / "c.h5", str(made), Selection(bbox_deg=around))
        rest = {str(k) for k in LabelFile(tmp_path / "c.h5")["x"].query.key}
        assert rest == {str(k) for k, x in zip(c.query.key, lon, strict=True) if x <= west}

    def test_local_frame(self, path: Path, tmp_path: Path) -> None:
        """A local frame has no longitudes, and PROJ's complaint names the collection."""
        with pytest.raises(OptionError, match=r"a\.h5::amman: positions are in a local frame.*bbox_m=…"):
            subset(tmp_path / "b.h5", str(path), Selection(bbox_deg=Box(0, 0, 1, 1)))
        source = similarity(5, 5)
        strange = replace(
            source.collection,
            query=replace(source.collection.query, crs="mars"),
            database=replace(source.collection.database, crs="mars"),
        )
        made = write(tmp_path / "mars.h5", {"x": Similarity(strange, source.matrix)})
        with pytest.raises(OptionError, match=r"mars\.h5::x: PROJ does not know"):
            subset(tmp_path / "b.h5", str(made), Selection(bbox_deg=Box(0, 0, 1, 1)))

    def test_output_is_the_input(self, path: Path) -> None:
        """A file may be replaced by a part of itself, if that is said; a failure leaves it as it was."""
        before = path.read_bytes()
        with pytest.raises(OutputExistsError):
            subset(path, str(path), Selection(low=0.5))
        with pytest.raises(InputError, match="no query of 20 and no database camera of 30 of 'amman'"):
            subset(path, str(path), Selection(bbox_m=Box(0, 0, 1, 1)), overwrite=True)
        assert path.read_bytes() == before
        subset(path, str(path), Selection(low=0.5), overwrite=True)
        assert LabelFile(path)["amman"].min_value == below(0.5)
        assert errors(validate(path)) == []

    def test_key_files_are_recorded(self, path: Path, tmp_path: Path) -> None:
        """The list that keys came from is an input by its name, size and digest."""
        listed = tmp_path / "list.txt"
        listed.write_text("q0001\nq0002\n")
        subset(tmp_path / "b.h5", f"{path}::room/train", Selection(keys=read_keys(listed)), key_files=[listed])
        record = LabelFile(tmp_path / "b.h5").provenance()[-1]
        assert record["inputs"] == provenance.describe(tmp_path, [path]) + provenance.describe(tmp_path, [listed])
        assert record["parameters"]["keys"] == 2

    def test_imported_without_places(self, tmp_path: Path) -> None:
        """Cameras of labels without places keep their status ok."""
        source = similarity(6, 7, faults=False)
        c = source.collection
        bare = {
            side: Cameras(key=cameras.key, position=np.full((len(cameras), 2), np.nan), posed=False)
            for side, cameras in (("query", c.query), ("database", c.database))
        }
        made = write(
            tmp_path / "a.h5",
            {"x": Similarity(replace(c, method="imported", measure="unknown", **bare), source.matrix)},
        )
        subset(tmp_path / "b.h5", str(made), Selection(low=0.5, ok_only=True))
        assert LabelFile(tmp_path / "b.h5")["x"].shape == (6, 7)


class TestSelection:
    """relabel.compose.Selection"""

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"keys": frozenset("a"), "query_keys": frozenset("a")}, "only one of them"),
            ({"low": 0.0}, r"in \(0, 1\]"),
            ({"low": 1.5}, r"in \(0, 1\]"),
            ({"low": float("nan")}, r"in \(0, 1\]"),
            ({"bbox_m": Box(1, 0, 0, 1)}, "is empty"),
            ({"bbox_m": Box(0, 0, float("nan"), 1)}, "not of four numbers"),
            ({"bbox_deg": Box(0, 10, 1, 5)}, "not on earth"),
            ({"bbox_deg": Box(0, 0, 200, 1)}, "not on earth"),
        ],
    )
    def test_what_cannot_be(self, options: dict[str, Any], match: str) -> None:
        """Values that no subset can have are refused at once."""
        with pytest.raises(OptionError, match=match):
            Selection(**options)


class TestReadKeys:
    """relabel.compose.subsetting.read_keys"""

    def test_reads_lines(self, tmp_path: Path) -> None:
        """One key a line, whatever the end of line, with or without a byte order mark; empty lines say nothing."""
        file = tmp_path / "keys.txt"
        file.write_bytes("\ufeffé1\r\n\r\n-x\n000/a b.jpg\u2028\n".encode())
        assert read_keys(file) == {"é1", "-x", "000/a b.jpg\u2028"}

    def test_bad_files(self, tmp_path: Path) -> None:
        """A list that is missing, a folder, empty or of other bytes is named."""
        file = tmp_path / "keys.txt"
        with pytest.raises(MissingFileError, match=r"keys\.txt: there is no such file"):
            read_keys(file)
        file.write_bytes(b"\n")
        with pytest.raises(InputError, match="lists no key"):
            read_keys(file)
        file.write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="UTF-8"):
            read_keys(file)
        with pytest.raises(InputError, match="cannot be read"):
            read_keys(tmp_path)


class TestAreAmong:
    """relabel.compose.selection.are_among"""

    def test_no_keys(self) -> None:
        """Of an empty set there is no camera, and of no cameras there is none."""
        assert are_among(np.array(["a"]), frozenset()).tolist() == [False]
        assert are_among(np.array([], dtype=np.str_), frozenset({"a"})).tolist() == []
