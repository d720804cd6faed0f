"""A furnished room as triangles: walls, a desk, a table with chairs, a shelf of books, boxes; another for each seed.

Coordinates are those of a camera that stands level in the middle of the room: x right, y down, z forward, metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.optional import open3d

HALF_M = (2.3, 1.3, 2.0)
"""From the middle of the room to its walls, to floor and ceiling, and to its other walls."""
FLOOR_M = HALF_M[1]
LAMP_M = (0.2, -1.25, -0.1)
"""Where the light comes from."""

_WOOD, _WHITE, _DARK = (0.62, 0.45, 0.28), (0.88, 0.87, 0.83), (0.16, 0.17, 0.19)
_GAP_M = 0.01  # from a thing on the wall to the wall, so that no two surfaces are one


class Material(NamedTuple):
    """How a surface looks: its colour, and the cells of its texture."""

    colour: tuple[float, float, float]
    """red, green, blue in [0, 1]"""
    cell_m: tuple[float, float, float]
    """size of the cells that differ in brightness, along x, y and z"""
    contrast: float
    """by how much, in [0, 1]"""


@dataclass
class Room:
    """Triangles with materials; what is in it is put in by its methods."""

    rng: np.random.Generator
    vertices: list[FloatArray] = field(default_factory=list)
    triangles: list[npt.NDArray[np.int64]] = field(default_factory=list)
    owner: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """of each triangle the material"""
    materials: list[Material] = field(default_factory=list)
    count: int = 0

    def material(
        self, colour: tuple[float, float, float] | None = None, cell_m: Any = 0.09, contrast: float = 0.25
    ) -> int:
        """A new material; any bright colour where none is given."""
        if colour is None:
            rgb = 0.15 + 0.8 * self.rng.dirichlet((0.8, 0.8, 0.8))
            colour = (float(rgb[0]), float(rgb[1]), float(rgb[2]))
        x, y, z = np.broadcast_to(np.asarray(cell_m, float), 3).tolist()
        self.materials.append(Material(colour, (x, y, z), contrast))
        return len(self.materials) - 1

    def put(self, mesh: Any, place: FloatArray, material: int) -> None:
        """Put an Open3D mesh (x, y, z of its own) at a place, a 4×4 transform."""
        vertices = np.asarray(mesh.vertices)
        self.vertices.append(vertices @ place[:3, :3].T + place[:3, 3])
        self.triangles.append(np.asarray(mesh.triangles).astype(np.int64) + self.count)
        self.owner.append(np.full(len(mesh.triangles), material))
        self.count += len(vertices)

    def box(self, size: Any, middle: Any, material: int, *, within: FloatArray | None = None) -> None:
        """A box of that size around a point, both in the frame `within`."""
        w, h, d = (float(length) for length in size)
        mesh = open3d(_WHO).geometry.TriangleMesh.create_box(w, h, d)
        self.put(
            mesh,
            (_EYE if within is None else within) @ _shift(np.asarray(middle, float) - (w / 2, h / 2, d / 2)),
            material,
        )

    def cylinder(
        self, radius: float, height: float, middle: Any, material: int, *, within: FloatArray | None = None
    ) -> None:
        """An upright cylinder."""
        mesh = open3d(_WHO).geometry.TriangleMesh.create_cylinder(radius, height, resolution=24, split=1)
        upright = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
        self.put(mesh, (_EYE if within is None else within) @ _shift(middle) @ upright, material)

    def ball(self, radius: float, middle: Any, material: int) -> None:
        """A sphere."""
        self.put(open3d(_WHO).geometry.TriangleMesh.create_sphere(radius, resolution=16), _shift(middle), material)


_WHO = "relabel sample 7scenes"
_EYE = np.eye(4)


def _shift(by: Any) -> FloatArray:
    place = np.eye(4)
    place[:3, 3] = by
    return place


def _at(x: float, z: float, turn_deg: float, y: float = FLOOR_M) -> FloatArray:
    """A place on the floor, turned about the vertical; there, -y is above the floor."""
    c, s = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    return np.array([[c, 0, s, x], [0, 1.0, 0, y], [-s, 0, c, z], [0, 0, 0, 1.0]])


def furnished(seed: int) -> Room:
    """The room of a seed."""
    room = Room(np.random.default_rng([seed, 0]))
    _walls(room)
    _shelf(room)
    _desk(room)
    _table(room)
    _floor_things(room)
    return room


def _walls(room: Room) -> None:
    rng = room.rng
    x, y, z = HALF_M
    plaster = room.material((0.80, 0.77, 0.69), 0.4, 0.1)
    thick = 0.1
    for side in (-1.0, 1.0):
        room.box((thick, 2 * y, 2 * z), (side * (x + thick / 2), 0.0, 0.0), plaster)
        room.box((2 * x, 2 * y, thick), (0.0, 0.0, side * (z + thick / 2)), plaster)
    room.box((2 * x, thick, 2 * z), (0.0, y + thick / 2, 0.0), room.material((0.50, 0.36, 0.24), (0.9, 9.0, 0.11), 0.3))
    room.box((2 * x, thick, 2 * z), (0.0, -y - thick / 2, 0.0), room.material(_WHITE, 0.6, 0.06))
    door_at = float(rng.uniform(0.9, 1.4))
    for side in (-1.0, 1.0):
        for middle in rng.permutation(np.linspace(-1.3, 1.3, 4))[:3]:
            w, h = rng.uniform(0.35, 0.7, 2)
            at = float(middle) + rng.uniform(-0.1, 0.1)
            height = rng.uniform(-0.55, -0.15)
            poster = room.material(None, float(rng.uniform(0.05, 0.1)), 0.8)
            if side < 0.0 or at + w / 2 < door_at - 0.45:
                room.box((0.03, h, w), (side * (x - 0.015 - _GAP_M), height, at), poster)
            room.box((w, h, 0.03), (at, height, side * (z - 0.015 - _GAP_M)), poster)
    door = room.material((0.45, 0.33, 0.25), (0.2, 0.6, 0.2), 0.15)
    room.box((0.05, 2.0, 0.85), (x - 0.03, y - 1.0 - _GAP_M, door_at), door)
    room.box(
        (0.11, 0.55, 1.1),
        (-x + 0.08, y - 0.45, float(rng.uniform(-0.6, 0.6))),
        room.material(_WHITE, (9.0, 9.0, 0.05), 0.3),
    )


def _shelf(room: Room) -> None:
    """A shelf against the wall at +z, with a book wherever there is room."""
    rng = room.rng
    w, h, d, board = 1.3, 1.85, 0.32, 0.03
    place = _at(float(rng.uniform(-1.5, 1.5)), HALF_M[2] - d / 2 - 2 * _GAP_M - 0.03, 0.0)
    wood = room.material(_WOOD, (0.5, 0.5, 0.05), 0.2)
    for side in (-1.0, 1.0):
        room.box((board, h, d), (side * w / 2, -h / 2, 0.0), wood, within=place)
    room.box((w, h, 0.01), (0.0, -h / 2, d / 2), wood, within=place)
    for floor in np.linspace(0.08, h - board, 5).tolist():
        room.box((w, board, d), (0.0, -floor, 0.0), wood, within=place)
        at = -w / 2 + 0.03
        while floor < h - 0.2:
            thick, tall, deep = rng.uniform(0.02, 0.07), rng.uniform(0.18, 0.33), rng.uniform(0.15, 0.26)
            if at + thick > w / 2 - 0.03:
                break
            if rng.random() < 0.85:
                middle = (at + thick / 2, -floor - board / 2 - tall / 2, d / 2 - 0.02 - deep / 2)
                room.box((thick, tall, deep), middle, room.material(None, (9.0, 0.06, 9.0), 0.3), within=place)
            at += thick + 0.004


def _desk(room: Room) -> None:
    """A desk against the wall at -z, with a screen and things on it."""
    rng = room.rng
    w, h, d = 1.5, 0.74, 0.7
    place = _at(float(rng.uniform(-1.2, 1.2)), -HALF_M[2] + d / 2 + 0.06, 0.0)
    _four_legs(room, w, h, d, place)
    room.box(
        (0.4, 0.55, 0.5), (0.48, -0.30, 0.02), room.material((0.75, 0.75, 0.72), (9.0, 0.18, 9.0), 0.25), within=place
    )
    dark = room.material(_DARK, 0.3, 0.1)
    room.box(
        (0.6, 0.36, 0.04), (-0.2, -h - 0.32, -0.2), dark, within=place @ _at(0.0, 0.0, float(rng.uniform(-20, 20)), 0.0)
    )
    room.box((0.06, 0.16, 0.05), (-0.2, -h - 0.08, -0.22), dark, within=place)
    room.box((0.45, 0.03, 0.15), (-0.2, -h - 0.02, 0.1), dark, within=place)
    for at in (0.25, 0.45, 0.62):
        size = rng.uniform((0.08, 0.08, 0.08), (0.2, 0.3, 0.25))
        room.box(size, (at, -h - size[1] / 2, rng.uniform(-0.2, 0.1)), room.material(), within=place)
    _chair(room, place @ _at(float(rng.uniform(-0.3, 0.3)), 0.65, float(rng.uniform(140, 220)), 0.0))


def _table(room: Room) -> None:
    """A round table off the middle of the room, with a chair or two."""
    rng = room.rng
    towards = float(rng.uniform(0.0, 360.0))
    place = _at(0.0, 0.0, towards) @ _shift((0.0, 0.0, 1.05))
    wood = room.material((0.70, 0.55, 0.38), 0.15, 0.2)
    room.cylinder(0.42, 0.03, (0.0, -0.74, 0.0), wood, within=place)
    room.cylinder(0.05, 0.72, (0.0, -0.37, 0.0), wood, within=place)
    room.cylinder(0.25, 0.03, (0.0, -0.02, 0.0), wood, within=place)
    for _ in range(4):
        angle, out = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.1, 0.33)
        x, z = out * math.cos(angle), out * math.sin(angle)
        if rng.random() < 0.5:
            room.cylinder(0.04, 0.1, (x, -0.81, z), room.material(), within=place)
        else:
            size = rng.uniform((0.06, 0.05, 0.06), (0.2, 0.18, 0.2))
            room.box(size, (x, -0.757 - size[1] / 2, z), room.material(), within=place)
    for turn in rng.permutation((60.0, 300.0))[: rng.integers(1, 3)]:
        _chair(room, place @ _at(0.0, 0.0, float(turn + rng.uniform(-20, 20)), 0.0) @ _shift((0.0, 0.0, -0.55)))


def _floor_things(room: Room) -> None:
    """Boxes piled in the corners, a bin, a ball."""
    rng = room.rng
    x, _, z = HALF_M
    for corner in ((-x, -z), (-x, z), (x, -z)):
        top = 0.0
        for _ in range(rng.integers(1, 4)):
            size = rng.uniform((0.25, 0.15, 0.25), (0.45, 0.4, 0.45))
            place = _at(corner[0] * 0.82, corner[1] * 0.8, float(rng.uniform(-25, 25)))
            room.box(size, (0.0, -top - size[1] / 2, 0.0), room.material(None, 0.12, 0.35), within=place)
            top += size[1]
    side = float(rng.choice((-1.0, 1.0)))
    room.cylinder(0.14, 0.35, (side * 1.4, FLOOR_M - 0.175, 1.2), room.material((0.3, 0.32, 0.35), 0.03, 0.4))
    room.ball(0.15, (-side * 1.5, FLOOR_M - 0.15, float(rng.uniform(-0.9, 0.9))), room.material(None, 0.1, 0.6))


def _four_legs(room: Room, w: float, h: float, d: float, place: FloatArray) -> None:
    wood = room.material(_WOOD, (0.4, 9.0, 0.06), 0.2)
    room.box((w, 0.03, d), (0.0, -h + 0.015, 0.0), wood, within=place)
    for x in (-1.0, 1.0):
        for z in (-1.0, 1.0):
            room.box(
                (0.05, h - 0.03, 0.05), (x * (w / 2 - 0.04), -(h - 0.03) / 2, z * (d / 2 - 0.04)), wood, within=place
            )


def _chair(room: Room, place: FloatArray) -> None:
    """A chair whose back is at -z of its place."""
    _four_legs(room, 0.42, 0.46, 0.42, place)
    room.box((0.42, 0.4, 0.03), (0.0, -0.70, -0.2), room.material(None, 0.06, 0.3), within=place)
    for side in (-1.0, 1.0):
        room.box((0.04, 0.5, 0.03), (side * 0.18, -0.66, -0.2), room.material(_WOOD), within=place)
