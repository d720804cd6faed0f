"""relabel.datasets.trajectory: trajectories become cameras that look where their poses look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from relabel.cameras import Cameras, Status
from relabel.datasets.along_track import AlongTrack
from relabel.datasets.trajectory import AXES, Axes, axes_of, axis, ground_axes, read
from relabel.datasets.trajectory_formats import inverse_poses
from relabel.errors import InputError, OptionError

Z_UP = Axes("z", "z")


def write(path: Path, *lines: str) -> Path:
    """A text file of these lines."""
    path.write_text("".join(line + "\n" for line in lines))
    return path


def looking(heading_deg: float, up: str = "z", pitch_deg: float = 0.0) -> np.ndarray:
    """Camera (x right, y down, z ahead) to world, for a heading on the ground of a world with that axis up."""
    h, p = np.radians([heading_deg, pitch_deg])
    ahead = np.array([np.sin(h) * np.cos(p), np.cos(h) * np.cos(p), np.sin(p)])
    right = np.array([np.cos(h), -np.sin(h), 0.0])
    return ground_axes(up).T @ np.column_stack([right, np.cross(ahead, right), ahead])


def numbers(values: Any) -> str:
    return " ".join(repr(float(value)) for value in np.ravel(values))


def line_of(layout: str, rotation: np.ndarray, centre: np.ndarray, name: str = "7") -> list[str]:
    """The lines of one camera-to-world pose in a layout."""
    if layout == "kitti":
        return [numbers(np.column_stack([rotation, centre]))]
    if layout == "tum":
        return [f"{name} {numbers(centre)} {numbers(Rotation.from_matrix(rotation).as_quat())}"]
    into = Rotation.from_matrix(rotation.T)
    x, y, z, w = into.as_quat()
    return [f"1 {numbers([w, x, y, z])} {numbers(-rotation.T @ centre)} 1 {name}", "1.5 2.5 -1 3 4 17"]


class TestAxes:
    """relabel.datasets.trajectory: axes_of, ground_axes"""

    @pytest.mark.parametrize("up", AXES)
    def test_right_handed(self, up: str) -> None:
        """East, north and up are a rotation of the world, whichever axis is up."""
        ground = ground_axes(up)
        np.testing.assert_array_equal(ground @ ground.T, np.eye(3))
        np.testing.assert_array_equal(np.cross(ground[0], ground[1]), ground[2])
        np.testing.assert_array_equal(ground[2], axis(up))

    def test_usual(self) -> None:
        """Where a format or its usage fixes them they need not be given, and can be."""
        assert axes_of("kitti") == Axes("-y", "z")
        assert axes_of("tum") == Axes("z", "z")
        assert axes_of("robotcar") == Axes("-z", "x")
        assert axes_of("colmap", up="-y", ahead="-z") == Axes("-y", "-z")

    def test_colmap_needs_up(self) -> None:
        """No axis of its world is up by convention."""
        with pytest.raises(OptionError, match=r"colmap: .*--up"):
            axes_of("colmap")

    @pytest.mark.parametrize("option", ["up", "ahead"])
    def test_unknown(self, option: str) -> None:
        """Only six axes there are."""
        with pytest.raises(OptionError, match="an axis has to be one of x, -x"):
            axes_of("tum", **{option: "w"})


class TestRead:
    """relabel.datasets.trajectory.read"""

    @given(
        st.sampled_from(["kitti", "tum", "colmap"]),
        st.sampled_from(AXES),
        st.floats(0.0, 359.9),
        st.floats(-80.0, 80.0),
    )
    def test_heading(self, layout: Any, up: str, heading_deg: float, pitch_deg: float) -> None:
        """A camera that looks along a heading has it, in every layout, with every axis up, however it is pitched."""
        import tempfile

        centre = np.array([3.0, -4.0, 5.0])
        rotation = looking(heading_deg, up, pitch_deg)
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder) / "poses.txt", *line_of(layout, rotation, centre))
            cameras, _ = read(path, layout, Axes(up, "z"))
        assert abs((cameras.heading_deg[0] - heading_deg + 180.0) % 360.0 - 180.0) < 1e-6
        np.testing.assert_allclose(cameras.position[0], ground_axes(up) @ centre, atol=1e-9)
        assert cameras.pose is not None
        np.testing.assert_allclose(cameras.pose[0, :3, 3], cameras.position[0], atol=1e-12)
        np.testing.assert_allclose(cameras.pose[0, :3, :3], ground_axes(up) @ rotation, atol=1e-9)

    @pytest.mark.parametrize(("ahead", "turn"), [("z", 0.0), ("-z", 180.0), ("x", 90.0), ("-x", 270.0)])
    def test_axis_ahead(self, tmp_path: Path, ahead: str, turn: float) -> None:
        """Another axis looks elsewhere; a pose is kept where right and down are known."""
        path = write(tmp_path / "t", *line_of("tum", looking(30.0), np.zeros(3)))
        cameras, _ = read(path, "tum", Axes("z", ahead))
        assert cameras.heading_deg[0] == pytest.approx((30.0 + turn) % 360.0)
        assert (cameras.pose is None) == (ahead in ("x", "-x"))

    @pytest.mark.parametrize(("pitch_deg", "known"), [(84.9, True), (85.1, False), (90.0, False), (-89.0, False)])
    def test_straight_up(self, tmp_path: Path, pitch_deg: float, known: bool) -> None:
        """Within 5° of straight up or down there is no heading; the row stays."""
        path = write(tmp_path / "t", *line_of("tum", looking(30.0, pitch_deg=pitch_deg), np.zeros(3)))
        cameras, notes = read(path, "tum", Z_UP)
        assert cameras.ok[0] == known
        if not known:
            assert cameras.status[0] == Status.NO_HEADING
            assert notes == ("1 camera looks straight up or down and has no heading",)

    def test_unknown_pose(self, tmp_path: Path) -> None:
        """Poses that are not finite keep their row."""
        path = write(tmp_path / "t", *line_of("kitti", looking(0.0, "-y"), np.zeros(3)), " ".join(["nan"] * 12))
        cameras, notes = read(path, "kitti", axes_of("kitti"))
        assert cameras.status.tolist() == [Status.OK, Status.NO_POSE]
        assert notes == ("1 pose is unknown",)

    def test_empty(self, tmp_path: Path) -> None:
        """A file without a pose is refused."""
        with pytest.raises(InputError, match="holds no pose; is it tum"):
            read(write(tmp_path / "t", "# nothing"), "tum", Z_UP)


class TestKitti:
    """relabel.datasets.trajectory_formats.kitti"""

    IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0"

    def test_a_drive(self, tmp_path: Path) -> None:
        """The first camera looks north, one that went ahead and turned right looks east; keys are six digits."""
        path = write(tmp_path / "00.txt", self.IDENTITY, "0 0 1 0 0 1 0 0 -1 0 0 20")
        cameras, _ = read(path, "kitti", axes_of("kitti"))
        assert cameras.key.tolist() == ["000000", "000001"]
        np.testing.assert_allclose(cameras.heading_deg, [0.0, 90.0])
        np.testing.assert_allclose(cameras.position[:, :2], [[0.0, 0.0], [0.0, 20.0]])
        assert cameras.crs == "local"

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ([IDENTITY, "1 2 3"], r"line 2: 3 numbers; a pose of KITTI has 12 as in line 1"),
            (["1 2 3"], r"line 1: 3 numbers; a pose of KITTI has 12$"),
            ([f"0 {IDENTITY}"], r"line 1: 13 numbers; .*--layout kitti360"),
            (["1 0 0 0 0 0 0 1"], r"line 1: 8 numbers; .*--layout tum"),
            ([IDENTITY.replace(" ", ",")], r"line 1: has commas"),
            ([IDENTITY, IDENTITY.replace("1", "x", 1)], r"line 2: 'x' is not a number"),
            (["", "2 0 0 0 0 1 0 0 0 0 1 0"], r"line 2: its 3x3 matrix is not a rotation"),
            (["1 0 0 0 0 1 0 0 0 0 -1 0"], r"line 1: .*not a rotation"),
        ],
    )
    def test_faults(self, tmp_path: Path, lines: list[str], message: str) -> None:
        """File and line are named."""
        with pytest.raises(InputError, match=rf"bad\.txt: {message}"):
            read(write(tmp_path / "bad.txt", *lines), "kitti", axes_of("kitti"))


class TestKitti360:
    """relabel.datasets.trajectory_formats.kitti360"""

    @given(st.floats(0.0, 359.9), st.floats(-20.0, 20.0), st.floats(-20.0, 20.0))
    def test_imu_and_camera(self, heading_deg: float, pitch_deg: float, roll_deg: float) -> None:
        """An IMU (x ahead, y right, z down) and a camera looking the same way have one heading and one pose."""
        import tempfile

        yaw = 90.0 - heading_deg  # counterclockwise from east
        # x east, y north, z up, turned upside down about the axis ahead: y is right and z is down
        imu = Rotation.from_euler("ZYX", [yaw, pitch_deg, 180.0 + roll_deg], degrees=True).as_matrix()
        camera = np.column_stack([imu[:, 1], imu[:, 2], imu[:, 0]])
        centre = np.array([700.0, 3500.0, 115.0])
        lines = [f"17 {numbers(np.column_stack([turn, centre]))}" for turn in (imu, camera)]
        with tempfile.TemporaryDirectory() as folder:
            imus = write(Path(folder) / "poses.txt", lines[0])
            cameras = write(Path(folder) / "cam0_to_world.txt", lines[1] + " 0 0 0 1")
            (a, a_notes), (b, b_notes) = (read(path, "kitti360", axes_of("kitti360")) for path in (imus, cameras))
        assert abs((a.heading_deg[0] - heading_deg + 180.0) % 360.0 - 180.0) < 1e-6
        assert a.key.tolist() == ["0000000017"] == b.key.tolist()
        assert a.pose is not None
        assert b.pose is not None
        np.testing.assert_allclose(a.pose, b.pose, atol=1e-9)
        np.testing.assert_allclose(a.pose[0, :3], np.column_stack([camera, centre]), atol=1e-9)
        assert "IMU" in a_notes[0]
        assert "of the camera" in b_notes[0]

    def test_axis(self, tmp_path: Path) -> None:
        """An axis that is given is one of the poses as they are: x of the IMU is ahead, y to the right."""
        path = write(tmp_path / "poses.txt", "1 1 0 0 5 0 -1 0 6 0 0 -1 7")  # x ahead is east, y south, z down
        assert read(path, "kitti360", axes_of("kitti360"))[0].heading_deg.tolist() == [90.0]
        assert read(path, "kitti360", axes_of("kitti360", ahead="x"))[0].heading_deg.tolist() == [90.0]
        assert read(path, "kitti360", axes_of("kitti360", ahead="y"))[0].heading_deg.tolist() == [180.0]

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["1 0 0 0 0 1 0 0 0 0 1 0"], r"line 1: 12 numbers; .*--layout kitti$"),
            (["1 1 0 0 0 0 1 0 0 0 0 1 0", "2 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"], r"line 2: 17 numbers; .* 13 as in"),
            (["1 1 0 0 0 0 1 0 0 0 0 1 0"] * 2, r"line 2: '0000000001' is already in line 1"),
            (["1.5 1 0 0 0 0 1 0 0 0 0 1 0"], r"line 1: 1.5 is not a frame number"),
            (["1 1 0 0 0 0 1 0 0 0 0 1 0 5 6 7 1"], r"line 1: the last row of the matrix is 5 6 7 1"),
        ],
    )
    def test_faults(self, tmp_path: Path, lines: list[str], message: str) -> None:
        """File and line are named."""
        with pytest.raises(InputError, match=rf"bad\.txt: {message}"):
            read(write(tmp_path / "bad.txt", *lines), "kitti360", axes_of("kitti360"))


class TestTumColumns:
    """relabel.datasets.pose_columns, and trajectory_formats.tum where a header names the columns"""

    HEADINGS = (10.0, 20.0, 100.0, 45.0)
    TUM = "t tx ty tz qx qy qz qw"

    @pytest.mark.parametrize(
        ("header", "order", "separator"),
        [
            (
                (
                    "#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z [],"
                    "v_RS_R_x [m s^-1],b_w_RS_S_x [rad s^-1]"
                ),
                "t tx ty tz qw qx qy qz - -",
                ",",
            ),
            ("timestamp,tx,ty,tz,qw,qx,qy,qz", "t tx ty tz qw qx qy qz", ","),
            ("#timestamp,qx,qy,qz,qw,x,y,z", "t qx qy qz qw tx ty tz", ", "),
            (
                (
                    "%time,field.header.seq,field.pose.position.x,field.pose.position.y,field.pose.position.z,"
                    "field.pose.orientation.w,field.pose.orientation.x,field.pose.orientation.y,field.pose.orientation.z"
                ),
                "t - tx ty tz qw qx qy qz",
                ",",
            ),
            ("# timestamp tx ty tz qw qx qy qz", "t tx ty tz qw qx qy qz", " "),
            ("# timestamp tx ty tz qx qy qz qw", TUM, " "),
            ("# format: timestamp tx ty tz qw qx qy qz", "t tx ty tz qw qx qy qz", " "),
            ("# the ground truth: time(s) px py pz qx qy qz qw", TUM, " "),
            ("time;pos_x;pos_y;pos_z;quat_w;quat_x;quat_y;quat_z", "t tx ty tz qw qx qy qz", ";"),
            (",Timestamp,PosX,PosY,PosZ,Q_W,Q_X,Q_Y,Q_Z", "- t tx ty tz qw qx qy qz", ","),
        ],
    )
    def test_named(self, tmp_path: Path, header: str, order: str, separator: str) -> None:
        """Columns are read in the order in which the header has them; others are passed over."""
        lines = []
        for row, heading_deg in enumerate(self.HEADINGS):
            values = dict(zip(self.TUM.split()[4:], Rotation.from_matrix(looking(heading_deg)).as_quat(), strict=True))
            values |= {"t": row + 0.5, "tx": 5.0 * row, "ty": -1.0, "tz": 1.5, "-": 99.0}
            lines.append(separator.join(repr(float(values[name])) for name in order.split()))
        path = write(tmp_path / "data.csv", "# a comment, with commas", header, *lines, "# the end, of it")
        cameras, notes = read(path, "tum", Z_UP)
        np.testing.assert_allclose(cameras.heading_deg, self.HEADINGS)
        np.testing.assert_allclose(cameras.position, [[5.0 * row, -1.0, 1.5] for row in range(4)])
        assert cameras.key.tolist() == ["0.5", "1.5", "2.5", "3.5"]
        assert (notes == ()) == (order == self.TUM)

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["1,0,0,0,0,0,0,1"], r"line 1: 8 comma-separated values, but no line above names the columns.*w x y z"),
            (["#first, second", "1,0,0,0,0,0,0,1"], r"line 2: 8 comma-separated values, but no line above"),
            (["#t,x,y,z,q0,q1,q2,q3", "1,0,0,0,0,0,0,1"], r"line 1: the header names no column of qx: t, x"),
            (["# time tx ty tz q0 q1 q2 q3", "1 0 0 0 0 0 0 1"], r"line 1: the header names no column of qx"),
            (["t,x,y,z,qw,qx,qy,qz,q_w"], r"line 1: the header names 2 columns of qw"),
            (["x,y,z,qw,qx,qy,qz"], r"line 1: the header names no column of a time stamp"),
            (
                ["# timestamp, device_id, qw, qx, qy, qz, tx, ty, tz", "0, cam, 1, 0, 0, 0, 0, 0, 0"],
                r"line 1: is a kapture trajectory",
            ),
            (["t,x,y,z,qw,qx,qy,qz", "1,0,0,0,1,0,0"], r"line 2: 7 values; a TUM pose has 8: as many as in the header"),
            (["t,x,y,z,qw,qx,qy,qz", "1,0,0,0,1,0,0,a"], r"line 2: 'a' is not a number"),
        ],
    )
    def test_faults(self, tmp_path: Path, lines: list[str], message: str) -> None:
        """An order that cannot be told is refused; file and line are named."""
        with pytest.raises(InputError, match=rf"bad\.csv: {message}"):
            read(write(tmp_path / "bad.csv", *lines), "tum", Z_UP)


class TestTum:
    """relabel.datasets.trajectory_formats.tum"""

    def test_a_file(self, tmp_path: Path) -> None:
        """Comments are passed over; time stamps stay as they are written."""
        first, second = (
            line_of("tum", looking(h), np.zeros(3), name)[0] for h, name in ((10.0, "1.50"), (20.0, "2.0"))
        )
        cameras, _ = read(write(tmp_path / "t", "# t tx ty", first, "  # c", second), "tum", Z_UP)
        assert cameras.key.tolist() == ["1.50", "2.0"]
        np.testing.assert_allclose(cameras.heading_deg, [10.0, 20.0])

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["# c", "1 2 3"], r"line 2: 3 values; a TUM pose has 8"),
            (["1 0 0 0 0 0 0 3"], r"line 1: the quaternion .* has length 3, not 1; are the values in another order"),
            (["1 5 6 7 0 0 0 x"], r"line 1: 'x' is not a number"),
        ],
    )
    def test_faults(self, tmp_path: Path, lines: list[str], message: str) -> None:
        """File and line are named."""
        with pytest.raises(InputError, match=message):
            read(write(tmp_path / "bad", *lines), "tum", Z_UP)

    def test_repeated_stamps(self, tmp_path: Path) -> None:
        """Of the poses of one time stamp the first is kept, and the others are counted."""
        lines = [f"{stamp} {place} 0 0 0 0 0 1" for place, stamp in enumerate(("1.0", "2.0", "2.0", "3.0", "2.00"))]
        cameras, notes = read(write(tmp_path / "t.txt", *lines), "tum", axes_of("tum", up="-y"))
        assert cameras.key.tolist() == ["1.0", "2.0", "3.0"]
        assert cameras.position[:, 0].tolist() == [0.0, 1.0, 3.0]
        assert notes == ("t.txt: 2 poses repeat a time stamp and are left out, the first in line 3: 2.0",)

    def test_not_text(self, tmp_path: Path) -> None:
        """A binary file, a missing one."""
        (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="not UTF-8"):
            read(tmp_path / "b", "tum", Z_UP)
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "nothing", "tum", Z_UP)


class TestTravel:
    """relabel.datasets.trajectory.read with the direction of travel"""

    def test_gps(self, tmp_path: Path) -> None:
        """Positions alone, in the order of their times."""
        rows = [f"{1000 * i},{100.0 + 10.0 * i},620000,-110,30U" for i in (2, 0, 1)]
        path = write(tmp_path / "gps.csv", "timestamp,northing,easting,down,utm_zone", *rows)
        cameras, notes = read(path, "robotcar", axes_of("robotcar"), along_track=AlongTrack())
        assert cameras.heading_deg.tolist() == [0.0] * 3
        assert cameras.position[:, 2].tolist() == [110.0] * 3
        assert cameras.pose is None
        assert notes == ("headings are the direction of travel",)

    def test_poses_that_look_elsewhere(self, tmp_path: Path) -> None:
        """A camera that looks east and goes north, with its numbers as the order where names are none."""
        lines = [line_of("tum", looking(90.0), np.array([0.0, 5.0 * t, 0.0]), str(t))[0] for t in (0, 2, 10)]
        cameras, _ = read(write(tmp_path / "t", *lines), "tum", Z_UP, along_track=AlongTrack())
        np.testing.assert_allclose(cameras.heading_deg, [0.0] * 3, atol=1e-9)
        images = [line_of("colmap", looking(0.0), np.array([5.0 * i, 0.0, 0.0]), f"{9 - i}.jpg") for i in range(3)]
        lines = [line for image in images for line in image]
        cameras, _ = read(write(tmp_path / "images.txt", *lines), "colmap", Z_UP, along_track=AlongTrack())
        np.testing.assert_allclose(cameras.heading_deg, [90.0] * 3, atol=1e-9)

    def test_stands(self, tmp_path: Path) -> None:
        """What stands is counted, and so is what never moves."""
        lines = [line_of("tum", looking(0.0), np.array([x, 0.0, 0.0]), str(t))[0] for t, x in enumerate([0, 5, 5, 5])]
        _, notes = read(write(tmp_path / "t", *lines), "tum", Z_UP, along_track=AlongTrack())
        assert any(note.startswith("3 cameras are stationary") for note in notes)
        cameras, notes = read(write(tmp_path / "one", lines[0]), "tum", Z_UP, along_track=AlongTrack())
        assert cameras.status.tolist() == [Status.NO_HEADING]
        assert any("1 camera has no direction of travel" in note for note in notes)

    @pytest.mark.parametrize(("step_m", "gap_m"), [(0.0, 50.0), (1.0, -1.0), (60.0, 50.0), (float("nan"), 50.0)])
    def test_options(self, step_m: float, gap_m: float) -> None:
        """Distances are positive, and a step is no gap."""
        with pytest.raises(OptionError, match="--travel-"):
            AlongTrack(step_m, gap_m)


class TestInversePoses:
    """relabel.datasets.trajectory_formats.inverse_poses"""

    def test_inverse(self) -> None:
        """The inverses of rigid transforms, and of none."""
        poses = np.tile(np.eye(4), (5, 1, 1))
        poses[:, :3, :3] = Rotation.random(5, np.random.default_rng(3)).as_matrix()
        poses[:, :3, 3] = np.random.default_rng(4).normal(size=(5, 3))
        np.testing.assert_allclose(inverse_poses(poses), np.linalg.inv(poses), atol=1e-12)
        assert inverse_poses(np.empty((0, 4, 4))).shape == (0, 4, 4)


INS = "timestamp,ins_status,latitude,longitude,altitude,northing,easting,down,utm_zone,velocity_north,velocity_east,velocity_down,roll,pitch,yaw"  # noqa: E501
VO = "source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw"


def robotcar(path: Path, ahead: str = "x") -> Cameras:
    """The cameras of a file of RobotCar."""
    return read(path, "robotcar", axes_of("robotcar", ahead=ahead))[0]


class TestRobotcar:
    """relabel.datasets.trajectory_formats.robotcar"""

    @given(st.floats(-3.1, 3.1), st.floats(-1.0, 1.0), st.floats(-3.1, 3.1))
    def test_angles(self, roll: float, pitch: float, yaw: float) -> None:
        """The heading is the yaw whatever roll and pitch are, and the pose is yaw after pitch after roll."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            line = f"100,INS_SOLUTION_GOOD,0,0,0,5735000,620000,-110,30U,0,0,0,{roll!r},{pitch!r},{yaw!r}"
            cameras = robotcar(write(Path(folder) / "ins.csv", INS, line))
        assert abs((cameras.heading_deg[0] - np.degrees(yaw) + 180.0) % 360.0 - 180.0) < 1e-6
        assert cameras.position.tolist() == [[620000.0, 5735000.0, 110.0]]
        assert cameras.crs == "EPSG:32630"
        car = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()  # north, east, down
        assert cameras.pose is not None
        np.testing.assert_allclose(cameras.pose[0, :3, 2], [car[1, 0], car[0, 0], -car[2, 0]], atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(cameras.pose[0, :3, :3]), 1.0)

    def test_rear_camera(self, tmp_path: Path) -> None:
        """The axis that looks ahead is an option."""
        path = write(tmp_path / "ins.csv", INS, "1,INS_SOLUTION_GOOD,0,0,0,1,2,0,30U,0,0,0,0,0,0.5")
        assert robotcar(path, "-x").heading_deg[0] == pytest.approx(180.0 + np.degrees(0.5))

    def test_odometry(self, tmp_path: Path) -> None:
        """Motions are put in a row: ahead 10 m, turn right and go 5 m."""
        path = write(tmp_path / "vo.csv", VO, f"2,1,10,0,0,0,0,{np.pi / 2!r}", "3,2,5,0,0,0,0,0")
        cameras = robotcar(path)
        assert cameras.key.tolist() == ["1", "2", "3"]
        np.testing.assert_allclose(cameras.position[:, :2], [[0, 0], [0, 10], [5, 10]], atol=1e-12)
        np.testing.assert_allclose(cameras.heading_deg, [0.0, 90.0, 90.0], atol=1e-12)

    def test_bad_status_by_kind(self, tmp_path: Path) -> None:
        """Rows that the navigation system itself calls bad have no pose, wherever they are."""
        good = "1,INS_SOLUTION_GOOD,0,0,0,5735000,620000,-110,30U,0,0,0,0,0,0.5"
        lines = [good, good.replace("1,", "2,", 1).replace("INS_SOLUTION_GOOD", " ins_solution_good ")]
        lines.append("3,INS_BAD_GPS_AGREEMENT,0,0,0,5735040,620030,-110,30U,0,0,0,0,0,3.0")
        lines.append("4,INS_INACTIVE,0,0,0,0,0,0,31N,0,0,0,0,0,0")
        lines.append(",".join(["5", "", *lines[0].split(",")[2:]]))
        cameras, notes = read(write(tmp_path / "ins.csv", INS, *lines), "robotcar", axes_of("robotcar"))
        assert cameras.status.tolist() == [Status.OK] * 2 + [Status.NO_POSE] * 3
        assert cameras.crs == "EPSG:32630"
        assert notes[0] == (
            "3 rows have an ins_status other than INS_SOLUTION_GOOD (1 empty, 1 INS_BAD_GPS_AGREEMENT, "
            "1 INS_INACTIVE): no pose"
        )

    def test_rows_at_the_origin(self, tmp_path: Path) -> None:
        """A row at (0, 0) has no pose, and no image between it and the next has one of half the way there."""
        header = "timestamp,northing,easting,down,utm_zone,roll,pitch,yaw"
        lines = [f"{1000 * k},{5735000 + k},620000,-110,30U,0,0,0.5" for k in range(1, 5)]
        lines[1] = "2000,0,0,0,31N,0,0,0"
        path = write(tmp_path / "rtk.csv", header, *lines)
        cameras, notes = read(path, "robotcar", axes_of("robotcar"))
        assert cameras.status.tolist() == [Status.OK, Status.NO_POSE, Status.OK, Status.OK]
        assert cameras.crs == "EPSG:32630"
        assert "1 row has northing 0 and easting 0, which means not measured: no pose" in notes
        times = write(tmp_path / "stereo.timestamps", "1500 1", "2500 1")
        cameras, _ = read(path, "robotcar", axes_of("robotcar"), times=times)
        assert cameras.position.tolist() == [[620000.0, 5735001.5, 110.0], [620000.0, 5735002.5, 110.0]]

    @pytest.mark.parametrize(
        ("name", "lines"),
        [
            ("rtk.csv", ["timestamp,northing,easting,down,roll,pitch,yaw", "1,5,6,0,0,0,3", "2,5,6,0,0,0,170"]),
            ("vo.csv", [VO, "2,1,10,0,0,0,0,0", "3,2,10,0,0,0,0,170"]),
        ],
    )
    def test_degrees(self, tmp_path: Path, name: str, lines: list[str]) -> None:
        """Angles that are no radians are refused."""
        with pytest.raises(InputError, match=r"line 3, column 'yaw': 170 is not an angle in radians"):
            robotcar(write(tmp_path / name, *lines))

    def test_repeated_rows(self, tmp_path: Path) -> None:
        """A row that is there twice with all its numbers counts once."""
        line = "1,INS_SOLUTION_GOOD,0,0,0,1,2,0,30U,0,0,0,0,0,0.5"
        path = write(tmp_path / "ins.csv", INS, line, line.replace("1,", "2,", 1), line)
        cameras, notes = read(path, "robotcar", axes_of("robotcar"))
        assert cameras.key.tolist() == ["1", "2"]
        assert "1 row repeats an earlier one and is left out" in notes

    def test_image_times(self, tmp_path: Path) -> None:
        """Half way between two poses is the pose of an image."""
        line = "{},INS_SOLUTION_GOOD,0,0,0,{},620000,-110,30U,0,0,0,0,0,{}"
        lines = (line.format(1000, 10.0, 0.1), line.format(3000, 14.0, 0.3))
        path = write(tmp_path / "ins.csv", INS, *lines)
        times = write(tmp_path / "stereo.timestamps", "2000 1", "9000 1")
        cameras, _ = read(path, "robotcar", axes_of("robotcar"), times=times)
        assert cameras.key.tolist() == ["2000", "9000"]
        assert cameras.heading_deg[0] == pytest.approx(np.degrees(0.2))
        assert cameras.position[0].tolist() == [620000.0, 12.0, 110.0]
        assert cameras.status.tolist() == [Status.OK, Status.NO_POSE]

    def test_gap(self, tmp_path: Path) -> None:
        """What comes after a gap is in no known frame."""
        path = write(tmp_path / "vo.csv", VO, "2,1,10,0,0,0,0,0", "9,8,5,0,0,0,0,0")
        cameras, notes = read(path, "robotcar", axes_of("robotcar"))
        assert cameras.status.tolist() == [Status.OK, Status.OK, Status.NO_POSE]
        assert any("line 3 does not continue" in note for note in notes)

    def test_bad_status(self, tmp_path: Path) -> None:
        """Rows that the receiver itself calls bad have no pose, in whatever zone they are."""
        good = [f"{k},INS_SOLUTION_GOOD,0,0,0,{5735000 + k},620000,0,30U,0,0,0,0,0,0.5" for k in (1, 2)]
        bad = [
            "3,INS_BAD_GPS_AGREEMENT,0,0,0,5735040,620030,0,30U,0,0,0,0,0,3",
            "4,INS_INACTIVE,0,0,0,0,0,0,31N,0,0,0,0,0,0",
        ]
        cameras, notes = read(write(tmp_path / "ins.csv", INS, bad[1], *good, bad[0]), "robotcar", axes_of("robotcar"))
        assert cameras.status.tolist() == [Status.NO_POSE, Status.OK, Status.OK, Status.NO_POSE]
        assert np.isnan(cameras.position[[0, 3]]).all()
        assert cameras.crs == "EPSG:32630"
        assert any(note.startswith("2 rows have an ins_status other than INS_SOLUTION_GOOD") for note in notes)

    def test_all_bad(self, tmp_path: Path) -> None:
        """A file without a good row has no pose at all."""
        path = write(tmp_path / "ins.csv", INS, "1,INS_INACTIVE,0,0,0,0,0,0,,0,0,0,0,0,0")
        assert robotcar(path).status.tolist() == [Status.NO_POSE]

    def test_faults(self, tmp_path: Path) -> None:
        """Other columns, two zones, a time stamp twice."""
        line = "1,INS_SOLUTION_GOOD,0,0,0,1,2,0,30U,0,0,0,0,0,0.5"
        for lines, message in (
            (("a,b", "1,2"), r"is neither ins\.csv or rtk\.csv .* it has a, b"),
            ((INS, line, line.replace("30U", "31U").replace("1,", "2,", 1)), r"'30U' in line 2 and '31U' in line 3"),
            ((INS, line, line.replace("0.5", "0.6")), r"line 3, column 'timestamp': '1' is already in line 2"),
            (("timestamp,northing,easting,down", "1,2,3,4"), r"positions but no angles.*--heading travel"),
        ):
            with pytest.raises(InputError, match=message):
                robotcar(write(tmp_path / "x.csv", *lines))
