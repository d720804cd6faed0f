"""All pairs of frames against the slow definition, and everything around the kernels."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from relabel import Cameras, Frames, surface
from relabel.cameras import Status
from relabel.errors import InputError, OptionError
from relabel.measures import MEASURES
from relabel.reference.voxels import pair_overlap
from relabel.similarity import gather
from relabel.surface.params import METHODS, SurfaceParams
from tests.surface.scenes import INTRINSICS, SIZE, bumpy, frames, scene
from tests.trees import depth_png


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Frames]:
    """Two sets of frames of one place; one of each has no pose."""
    folder = tmp_path_factory.mktemp("scene")
    return scene(folder, 9, 1, prefix="q", size=SIZE), scene(folder, 12, 2, prefix="d")


def slow(query: Frames, database: Frames, **options: object) -> np.ndarray:
    """A dense matrix by the reference; 0 where a frame cannot be labelled, and on the diagonal of self pairs."""
    rows, columns = (a.ravel() for a in np.indices((len(query), len(database))))
    dense = np.nan_to_num(pair_overlap(query, database, rows, columns, **options)).reshape(len(query), len(database))
    if query is database:
        np.fill_diagonal(dense, 0.0)
    return dense


def source(query: Frames, database: Frames, **options: object) -> surface.SurfaceOverlap:
    """`surface.source`, the parameters of the overlap and the others side by side."""
    names = {field.name for field in fields(SurfaceParams)}
    params = SurfaceParams(**{name: value for name, value in options.items() if name in names})
    return surface.source(query, database, params, **{k: v for k, v in options.items() if k not in names})


def flat(folder: Path, n: int, *, depth_mm: int = 1000, far_mm: int | None = None) -> Frames:
    """n frames that look at a wall, the last one perhaps with one larger depth."""
    pixels = np.full(SIZE[::-1], depth_mm, np.uint16)
    paths = [depth_png(folder / f"{k}.png", pixels, size=SIZE) for k in range(n)]
    if far_mm is not None:
        pixels[0, 0] = far_mm
        depth_png(paths[-1], pixels, size=SIZE)
    return frames(paths, np.tile(np.eye(4), (n, 1, 1)), size=SIZE)


class TestOverlap:
    @pytest.mark.kernels
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("measure", MEASURES)
    def test_equals_the_definition(self, sides, method, measure):
        """To the bit, once rounded to float32."""
        query, database = sides
        got = surface.overlap(query, database, method=method, measure=measure, voxel_m=0.05, stride=1)
        expected = slow(query, database, method=method, measure=measure, voxel_m=0.05, stride=1)
        assert np.array_equal(got.matrix.toarray(), expected.astype(np.float32))
        assert got.matrix.nnz > 0.4 * len(query) * len(database)

    @pytest.mark.kernels
    def test_self_pairs(self, sides):
        """Symmetric to the bit, without the diagonal, and as the pairs of two sets would be."""
        query, _ = sides
        psi = surface.overlap(query, query, voxel_m=0.05)
        dense = psi.matrix.toarray()
        assert psi.collection.self_pairs
        assert psi.collection.symmetric
        assert not dense.diagonal().any()
        assert np.array_equal(dense, dense.T)
        twin = Frames(query.cameras, query.depth, query.intrinsics, size=query.size)
        both = surface.overlap(query, twin, voxel_m=0.05).matrix.toarray()
        assert np.array_equal(both.diagonal() > 0, query.cameras.ok)
        np.fill_diagonal(both, 0.0)
        assert np.array_equal(dense, both)

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("same", [False, True])
    @pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 2}, {"memory_bytes": 1}, {"memory_bytes": 10**6}])
    def test_does_not_depend_on_memory_or_threads(self, sides, measure, same, options, monkeypatch):
        """The same bits, also in blocks of a single tile."""
        query, database = sides[0], sides[0] if same else sides[1]
        expected = surface.overlap(query, database, measure=measure, voxel_m=0.05).matrix
        got = surface.overlap(query, database, measure=measure, voxel_m=0.05, **options).matrix
        assert np.array_equal(got.toarray(), expected.toarray())

    def test_blocks_are_rows_in_order(self, tmp_path):
        """More frames than a block of the least memory holds: rows in order, without gaps, however they are cut."""
        pose = np.tile(np.eye(4), (130, 1, 1))
        pose[:, 0, 3] = np.arange(130) * 0.02
        path = depth_png(tmp_path / "d.png", bumpy(np.random.default_rng(0)), size=SIZE)
        many = frames([path] * 130, pose)
        seen: list[int] = []
        source = surface.source(many, many, SurfaceParams(stride=1, voxel_m=0.05), memory_bytes=1, progress=seen.append)
        blocks = list(source.blocks())
        assert [block.first_row for block in blocks] == [0, 64, 128]
        assert seen == [64, 64, 2]
        whole = surface.overlap(many, many, stride=1, voxel_m=0.05).matrix
        assert np.array_equal(gather(source).matrix.toarray(), whole.toarray())
        assert whole.has_canonical_format
        assert np.array_equal(whole.toarray(), whole.toarray().T)

    @pytest.mark.parametrize(
        "options", [{"nearest_m": 0.9}, {"farthest_m": 1.0}, {"nearest_m": 0.8, "farthest_m": 1.1}]
    )
    def test_a_range_of_depths(self, sides, options):
        query, database = sides
        got = surface.overlap(query, database, voxel_m=0.05, stride=1, **options).matrix.toarray()
        assert np.array_equal(got, slow(query, database, voxel_m=0.05, stride=1, **options).astype(np.float32))

    def test_min_value_is_left_out(self, sides):
        """Strictly more than it is stored, and nothing else."""
        query, database = sides
        everything = surface.overlap(query, database, voxel_m=0.05).matrix.toarray()
        middle = float(np.median(everything[everything > 0]))
        some = surface.overlap(query, database, voxel_m=0.05, min_value=middle).matrix
        assert np.array_equal(some.toarray(), np.where(everything > np.float32(middle), everything, 0))
        assert some.nnz == (everything > np.float32(middle)).sum()

    def test_measures_convert(self, sides):
        """The extents are the numbers of voxels, from which one measure becomes another."""
        query, database = sides
        iou = surface.overlap(query, database, voxel_m=0.05)
        for measure in ("overlap", "dice"):
            direct = surface.overlap(query, database, voxel_m=0.05, measure=measure)
            np.testing.assert_allclose(iou.to_measure(measure).matrix.toarray(), direct.matrix.toarray(), atol=1e-6)

    def test_frames_far_apart_share_nothing(self, tmp_path):
        """Absent, not small."""
        pair = flat(tmp_path, 2)
        pose = pair.cameras.pose.copy()
        pose[1, 0, 3] = 50.0
        apart = frames(pair.depth.tolist(), pose)
        assert surface.overlap(apart, apart, voxel_m=0.05).matrix.nnz == 0
        assert surface.overlap(pair, pair, voxel_m=0.05).matrix.data.tolist() == [1.0, 1.0]

    def test_no_frames(self, sides):
        """A side without any frame gives a matrix without rows or columns."""
        none = frames([], np.empty((0, 4, 4)))
        assert surface.overlap(none, none).shape == (0, 0)
        assert surface.overlap(none, sides[0], voxel_m=0.05).shape == (0, 9)
        assert surface.overlap(sides[0], none, voxel_m=0.05).shape == (9, 0)

    def test_no_frame_with_a_pose(self, tmp_path):
        """Nothing to decode is no fault of the depth maps: every row is unknown."""
        lost = frames([depth_png(tmp_path / "d.png", 1000, size=SIZE)], np.full((1, 4, 4), np.nan))
        psi = surface.overlap(lost, lost)
        assert psi.matrix.nnz == 0
        assert psi.collection.query.status.tolist() == [Status.NO_POSE]


class TestCollection:
    def test_tells_all_that_it_depends_on(self, sides):
        query, database = sides
        c = surface.source(
            query,
            database,
            SurfaceParams(measure="dice", voxel_m=0.05, nearest_m=0.2, farthest_m=1.5, stride=1),
        ).collection
        assert (c.method, c.measure, c.self_pairs) == ("surface", "dice", False)
        assert c.params == {
            "tolerance_m": 0.05, "voxel_m": 0.05, "stride": 1, "nearest_m": 0.2, "farthest_m": 1.5
        }  # fmt: skip
        assert np.isnan(c.query_extent[~c.query.ok]).all()
        assert (c.query_extent[c.query.ok] > 0).all()

    def test_defaults(self, tmp_path):
        """Voxels of 0.55 of the tolerance, or as large as it where they are simply compared."""
        wall = flat(tmp_path, 2)
        for method, params in (
            ("surface", {"tolerance_m": 0.2, "voxel_m": 0.11}),
            ("voxel-iou", {"voxel_m": 0.2}),
        ):
            c = surface.source(wall, wall, SurfaceParams(method=method, tolerance_m=0.2)).collection
            assert c.params == {**params, "stride": 2, "nearest_m": 0.0, "farthest_m": None}

    def test_what_is_known_before_decoding(self, sides, monkeypatch):
        """Shape and number of frames need no depth map."""
        monkeypatch.setattr(surface.SurfaceOverlap, "_decode_all", None)
        query, database = sides
        assert (surface.source(query, database).shape, surface.source(query, database).frames) == ((9, 12), 19)
        assert surface.source(query, query).frames == 8

    def test_each_frame_is_decoded_once(self, sides, monkeypatch):
        """However often one asks, and once for both sides of self pairs."""
        from relabel.surface import voxelise

        read: list[str] = []
        original = voxelise.read_depth
        monkeypatch.setattr(voxelise, "read_depth", lambda path, size: (read.append(path), original(path, size))[1])
        query, _ = sides
        source = surface.source(query, query, SurfaceParams(voxel_m=0.05, stride=1))
        counted: list[int] = []
        source.decode(counted.append)
        source.decode(counted.append)
        assert source.collection is source.collection
        list(source.blocks())
        list(source.blocks())
        assert sorted(read) == sorted(query.depth[query.cameras.ok])
        assert sum(counted) == source.frames == 8


class TestStride:
    def test_too_coarse_a_stride_is_refused(self, tmp_path):
        """With the largest that works, and the frame that does not allow more."""
        wall = flat(tmp_path, 3, far_mm=3000)  # 5 cm · 30 px / 3 m is half a pixel; 20 cm two
        with pytest.raises(
            OptionError, match=r"stride of 3 is too coarse .* frame 'f-2' sees up to 3\.00 m .* works is 2"
        ):
            surface.source(wall, wall, SurfaceParams(tolerance_m=0.4, voxel_m=0.2, stride=3)).decode()
        surface.source(wall, wall, SurfaceParams(tolerance_m=0.4, voxel_m=0.2, stride=2)).decode()

    def test_it_is_chosen_where_none_is_given(self, tmp_path):
        """2, or less where a depth, even of the last frame, asks for it; progress never counts a frame twice."""
        counted: list[int] = []
        near, far = flat(tmp_path / "a", 3), flat(tmp_path / "b", 3, far_mm=1600)
        assert (
            surface.source(near, near, SurfaceParams(tolerance_m=0.07, voxel_m=0.07)).collection.params["stride"] == 2
        )
        source = surface.source(far, far, SurfaceParams(tolerance_m=0.07, voxel_m=0.07))
        source.decode(counted.append)
        assert source.collection.params["stride"] == 1
        assert sum(counted) == 3

    def test_voxels_too_small_for_any_stride(self, tmp_path):
        wall = flat(tmp_path, 3, far_mm=3000)
        for stride in (None, 1):
            with pytest.raises(OptionError, match=r"voxels of 0\.05 m are too small: frame 'f-2' .* beyond 1\.5 m"):
                surface.source(wall, wall, SurfaceParams(voxel_m=0.05, stride=stride)).decode()
        surface.source(wall, wall, SurfaceParams(voxel_m=0.05, farthest_m=1.5)).decode()

    def test_a_largest_depth_that_is_given_decides_at_once(self, tmp_path):
        """Before anything is decoded, and whatever the depth maps hold."""
        wall = flat(tmp_path, 1)
        with pytest.raises(OptionError, match="the largest stride that works is 1"):
            surface.source(wall, wall, SurfaceParams(voxel_m=0.05, stride=2, farthest_m=1.2))
        with pytest.raises(OptionError, match=r"voxels of 0\.05 m are too small"):
            surface.source(wall, wall, SurfaceParams(voxel_m=0.05, farthest_m=1.6))

    def test_a_far_frame_without_a_pose_does_not_count(self, tmp_path):
        wall = flat(tmp_path, 2, far_mm=30_000)
        pose = wall.cameras.pose.copy()
        pose[1] = np.nan
        surface.source(*[frames(wall.depth.tolist(), pose)] * 2, SurfaceParams(voxel_m=0.05)).decode()


class TestBadInput:
    def test_bad_depth_maps_keep_their_rows(self, tmp_path):
        """Each with the status, all of them counted, the first ones told by file and fault."""
        good = flat(tmp_path, 2)
        paths = [Path(path) for path in good.depth]
        paths += [tmp_path / name for name in ("none.png", "small.png", "empty.png", "cut.png", "far.png")]
        depth_png(paths[3], 1000, size=(4, 4))
        depth_png(paths[4], 0, size=SIZE)
        paths[5].write_bytes(paths[0].read_bytes()[:60])
        depth_png(paths[6], 1000, size=SIZE)
        pose = np.tile(np.eye(4), (7, 1, 1))
        pose[6, 0, 3] = 1e6
        bad = frames(paths, pose, size=SIZE)
        source = surface.source(bad, bad, SurfaceParams(voxel_m=0.05))
        psi = gather(source)
        assert psi.collection.query.status.tolist() == [Status.OK] * 2 + [Status.BAD_DEPTH] * 5
        assert psi.matrix.nnz == 2
        (note,) = source.notes
        assert note.startswith("5 frame(s) have an unusable depth map: bad_depth: ")
        assert note.endswith("; and 2 more")
        for text in (
            "none.png: does not exist",
            "small.png: is 4 × 4 pixels; expected 32 × 24",
            "empty.png: no valid depth",
        ):
            assert text in note
        assert np.isnan(psi.collection.query_extent[2:]).all()

    @pytest.mark.parametrize("options", [{}, {"nearest_m": 3.0}, {"farthest_m": 0.5}])
    def test_no_good_depth_map_at_all(self, tmp_path, options):
        wall = flat(tmp_path, 3, depth_mm=1000 if options else 0)
        why = r"0\.png: no valid depth" + (" within the depth range" if options else "")
        with pytest.raises(InputError, match=f"none of 3 depth maps is usable; the first: .*{why}"):
            surface.overlap(wall, wall, voxel_m=0.05, **options)

    def test_no_good_depth_map_on_one_side(self, tmp_path):
        """The other one does not help."""
        good, bad = flat(tmp_path / "a", 2), flat(tmp_path / "b", 2, depth_mm=65535)
        with pytest.raises(InputError, match="none of 2"):
            surface.overlap(good, bad, voxel_m=0.05)

    def test_poses_that_are_no_rigid_motion(self, tmp_path):
        """Real files are off by 4e-4, which is fine; more than 1e-3 is not, and the worst is told."""
        pose = np.tile(np.eye(4), (6, 1, 1))
        pose[1, 0, 0] += 2e-4
        pose[2, 0, 0] += 0.01
        pose[3, :3, :3] *= 1.5
        pose[4] = np.diag([1.0, 1.0, -1.0, 1.0])
        pose[5, 3, 0] = 0.5
        path = depth_png(tmp_path / "d.png", 1000, size=SIZE)
        source = surface.source(*[frames([path] * 6, pose)] * 2, SurfaceParams(voxel_m=0.05))
        assert source.collection.query.status.tolist() == [Status.OK] * 2 + [Status.NO_POSE] * 4
        (note,) = source.notes
        assert note.startswith("4 frame(s) have a pose that is not a rigid motion (more than 0.001 off): no_pose")
        assert note.endswith("the worst is 'f-4', a reflection")
        without = surface.source(*[frames([path] * 4, pose[:4])] * 2, SurfaceParams(voxel_m=0.05))
        assert "the worst is 'f-3', off by 1.2" in without.notes[0]

    @pytest.mark.parametrize("fault", [np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([2.0, 2.0, 2.0, 1.0])])
    def test_no_pose_that_is_a_rigid_motion(self, tmp_path, fault):
        """A dataset of which no pose can be used is refused, as one without poses is."""
        path = depth_png(tmp_path / "d.png", 1000, size=SIZE)
        one = frames([path] * 3, np.tile(fault, (3, 1, 1)))
        with pytest.raises(InputError, match=r"none of 3 poses is a rigid motion .*'f-0' is (a reflection|off by 3)"):
            surface.source(one, one, SurfaceParams(voxel_m=0.05))

    def test_intrinsics_of_another_picture(self, tmp_path):
        """Where the size is told at once, else as a depth map that cannot be used."""
        path = depth_png(tmp_path / "d.png", 1000, size=SIZE)
        wrong = (30.0, 30.0, 320.0, 240.0)
        with pytest.raises(InputError, match=r"principal point \(320, 240\) is outside .* 32 × 24 pixels"):
            surface.source(*[frames([path], np.eye(4)[None], intrinsics=wrong, size=SIZE)] * 2)
        mixed = frames([path] * 2, np.tile(np.eye(4), (2, 1, 1)), intrinsics=np.array([INTRINSICS, wrong]))
        source = surface.source(mixed, mixed, SurfaceParams(voxel_m=0.05))
        assert source.collection.query.status.tolist() == [Status.OK, Status.BAD_DEPTH]
        assert "is 32 × 24 pixels, which fx 30, fy 30, cx 320, cy 240 do not match" in source.notes[0]

    def test_intrinsics_of_twice_the_size(self, tmp_path):
        """Their principal point is the corner of the depth map, which no camera has."""
        path = depth_png(tmp_path / "d.png", 1000, size=SIZE)
        for wrong in ((60.0, 60.0, 32.0, 24.0), (60.0, 60.0, 31.5, 23.5)):
            with pytest.raises(InputError, match=r"is outside a depth map of 32 × 24 pixels, or in its corner"):
                surface.source(*[frames([path], np.eye(4)[None], intrinsics=wrong, size=SIZE)] * 2)
            mixed = frames([path] * 2, np.tile(np.eye(4), (2, 1, 1)), intrinsics=np.array([INTRINSICS, wrong]))
            source = surface.source(mixed, mixed, SurfaceParams(voxel_m=0.05))
            assert source.collection.query.status.tolist() == [Status.OK, Status.BAD_DEPTH]

    def test_sides_in_different_frames(self, tmp_path):
        wall = flat(tmp_path, 1)
        other = replace(wall, cameras=replace(wall.cameras, crs="EPSG:32636"))
        with pytest.raises(InputError, match="convert both to one frame"):
            surface.source(wall, other)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "surfaces"}, "method 'surfaces' is not known; choose surface or voxel-iou"),
            ({"tolerance_m": 0.0}, "the tolerance is 0 m"),
            ({"tolerance_m": float("nan")}, "the tolerance is nan m"),
            ({"voxel_m": -1.0}, "voxels have edges of -1 m"),
            ({"voxel_m": float("inf")}, "voxels have edges of inf m"),
            ({"voxel_m": 0.06}, "more than the tolerance of 0.05 m; about 0.0275 m is best"),
            ({"stride": 0}, "the stride is 0"),
            ({"nearest_m": -0.1}, "the least depth is -0.1 m"),
            ({"nearest_m": 2.0, "farthest_m": 2.0}, "the largest depth is 2 m; it has to be more than the least, 2 m"),
            ({"measure": "jaccard"}, "measure 'jaccard' is not known"),
            ({"min_value": 1.0}, "min_value is 1.0"),
            ({"device": "tpu"}, "device 'tpu' is not known"),
            ({"threads": 0}, "threads is 0"),
            ({"memory_bytes": 0}, "memory_bytes is 0"),
        ],
    )  # fmt: skip
    def test_options_are_checked_at_once(self, sides, options, message):
        """By `SurfaceParams` or `source`, before a depth map is touched."""
        with pytest.raises(OptionError, match=message):
            source(*sides, **options)


class TestRealFrames:
    @pytest.mark.real_data
    def test_equals_the_definition(self, real_data):
        """A sample of real Kinect frames, with their noise, holes and slightly crooked rotations."""
        folder = real_data / "7scenes" / "redkitchen"
        paths = sorted(folder.glob("seq-*/*.depth.png"))[::50]
        pose = np.array([np.loadtxt(str(path).replace(".depth.png", ".pose.txt")) for path in paths])
        cameras = Cameras(key=[path.name + path.parent.name for path in paths], position=pose[:, :3, 3], pose=pose)
        intrinsics = np.array([585.0, 585.0, 320.0, 240.0])
        some = Frames(cameras, np.array([str(path) for path in paths]), intrinsics, size=(640, 480))
        psi = surface.overlap(some, some).matrix.toarray()
        expected = slow(some, some, voxel_m=0.0275, stride=2)
        assert np.array_equal(psi, np.where(expected > 1e-6, expected, 0).astype(np.float32))
        assert psi.any()
