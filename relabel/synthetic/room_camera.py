"""A depth camera and a camera beside it, as in 7Scenes, that look at a synthetic room by ray casting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.optional import open3d
from relabel.synthetic.furniture import LAMP_M, Room

Single = npt.NDArray[np.float32]  # what Open3D casts rays in, and enough: 1e-7 of 4 m

WIDTH, HEIGHT = 640, 480
CENTRE = (320.0, 240.0)
DEPTH_FOCAL, COLOUR_FOCAL = 585.0, 525.0
COLOUR_M = (0.0256, 0.0, 0.0)
"""Where the colour camera is, from the depth camera."""
_PROJECTOR_M = (-0.075, 0.0, 0.0)
"""Where the light is projected from that depth is measured by; what lies in its shadow has no depth."""

_NOISE_PER_M = 1.4e-3
"""Standard deviation of depth, by its square: Khoshelham and Elberink, Sensors 12 (2012), 1437-1454."""
_RANGE_M = (0.5, 4.0)
_GLANCING = 0.12  # cosine between ray and normal below which no light comes back
_HOLES = 0.08  # share of the pixels without a depth; patches make up for what shadows leave
_FAR_CODES = 0.004  # share of those that have the other code
_PATCH = 40  # pixels from one number of the random field of patches to the next
_INVALID, _OTHER_INVALID = 0, 65535


class Camera:
    """Two cameras that look at one room.

    Parameters
    ----------
    room:
        what there is to see.

    Raises
    ------
    MissingPackageError
        when Open3D cannot be loaded.
    """

    def __init__(self, room: Room) -> None:
        self._o3d = open3d("relabel sample 7scenes")
        self._scene = self._o3d.t.geometry.RaycastingScene()
        tensor = self._o3d.core.Tensor
        self._scene.add_triangles(
            tensor(np.concatenate(room.vertices).astype(np.float32)),
            tensor(np.concatenate(room.triangles).astype(np.uint32)),
        )
        self._owner = np.concatenate(room.owner)
        self._colour = np.array([material.colour for material in room.materials], np.float32)
        self._cell = np.array([material.cell_m for material in room.materials], np.float32)
        self._contrast = np.array([material.contrast for material in room.materials], np.float32)

    def depth(self, pose: FloatArray, rng: np.random.Generator) -> Any:
        """The depth map as a Pillow image of 16 bits, millimetres along the axis of the camera at `pose` (4, 4)."""
        from PIL import Image  # noqa: PLC0415

        z, cosine, at = self.exact(pose)
        seen = np.isfinite(z) & (z >= _RANGE_M[0]) & (z <= _RANGE_M[1]) & (cosine > _GLANCING)
        seen &= self._lit(at, _placed(pose, _PROJECTOR_M))
        more = _HOLES - (1.0 - seen.mean())
        if more > 0.0:
            patches = _field(rng)
            seen &= patches > np.quantile(patches[seen], more / seen.mean())
        noisy = np.where(seen, z, np.float32(1.0))
        noisy += np.float32(_NOISE_PER_M) * noisy**2 * rng.standard_normal(z.shape, dtype=np.float32)
        codes = np.where(rng.random(z.shape, dtype=np.float32) < _FAR_CODES, _OTHER_INVALID, _INVALID)
        return Image.fromarray(np.where(seen, np.rint(noisy * 1000.0), codes).astype(np.uint16))

    def exact(self, pose: FloatArray) -> tuple[Single, Single, Single]:
        """What the depth camera at `pose` looks at, without any fault.

        Returns
        -------
        z, cosine, at
            (h, w) depth in metres along the axis of the camera, infinite where there is nothing; (h, w) cosine between
            ray and surface normal; (h, w, 3) places in the room.
        """
        z, normal, _, rays = self._cast(pose, _placed(pose, (0.0, 0.0, 0.0)), DEPTH_FOCAL)
        direction = rays[:, :, 3:]
        length: Single = np.sqrt(_dot(direction, direction))
        cosine: Single = np.abs(_dot(normal, direction) / length)
        return z, cosine, _hit(rays, z)

    def colour(self, pose: FloatArray) -> Any:
        """The colour image that is taken while the depth camera is at `pose` (4, 4), as a Pillow image."""
        from PIL import Image  # noqa: PLC0415

        z, normal, triangle, rays = self._cast(pose, _placed(pose, COLOUR_M), COLOUR_FOCAL)
        material = self._owner[np.minimum(triangle, len(self._owner) - 1)]
        at = _hit(rays, z)
        to_lamp = np.array(LAMP_M, np.float32) - at
        away = _dot(to_lamp, to_lamp)
        facing = np.abs(_dot(normal, to_lamp)) / np.sqrt(away)
        light = 0.5 + 1.1 * self._lit(at, LAMP_M) * facing / (0.6 + 0.3 * away)
        # The cells are shifted off the walls, which would else lie on the edge of two.
        cell = np.floor((at + np.float32(7.123)) / self._cell[material])
        shade = light * (1.0 - self._contrast[material] * _scattered(cell, material))
        pixels = self._colour[material] * np.where(np.isfinite(z), shade, 0.0)[:, :, np.newaxis]
        return Image.fromarray(np.rint(255.0 * np.clip(pixels, 0.0, 1.0)).astype(np.uint8))

    def _cast(self, pose: FloatArray, eye: Single, focal: float) -> tuple[Single, Single, Any, Single]:
        """Depth (h, w), normal (h, w, 3), triangle (h, w) and ray (h, w, 6) of each pixel."""
        v, u = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        rays = np.empty((HEIGHT, WIDTH, 6), np.float32)
        rays[:, :, :3] = eye
        rays[:, :, 3:] = np.stack([(u - CENTRE[0]) / focal, (v - CENTRE[1]) / focal, np.ones_like(u)], axis=2)
        rays[:, :, 3:] = rays[:, :, 3:] @ pose[:3, :3].T.astype(np.float32)
        hits = self._scene.cast_rays(self._o3d.core.Tensor(rays))
        # Along rays whose depth is 1, the length to the hit is its depth.
        return hits["t_hit"].numpy(), hits["primitive_normals"].numpy(), hits["primitive_ids"].numpy(), rays

    def _lit(self, at: Single, lamp: Any) -> npt.NDArray[np.bool_]:
        """(h, w) whether light from a lamp comes to the places (h, w, 3)."""
        rays = np.empty((*at.shape[:2], 6), np.float32)
        rays[:, :, :3] = lamp
        rays[:, :, 3:] = at - rays[:, :, :3]
        # Almost to the place, which is at 1 along the ray: its own surface is not in its way.
        dark: npt.NDArray[np.bool_] = self._scene.test_occlusions(self._o3d.core.Tensor(rays), tfar=0.995).numpy()
        return ~dark


def _placed(pose: FloatArray, local: tuple[float, float, float]) -> Single:
    """Where a place before the camera is in the room, (3,)."""
    return (pose[:3, :3] @ local + pose[:3, 3]).astype(np.float32)


def _hit(rays: Single, z: Single) -> Single:
    """(h, w, 3) where rays (h, w, 6) hit; where they hit nothing, some place."""
    reached: Single = np.where(np.isfinite(z), z, 1.0).astype(np.float32)
    return rays[:, :, :3] + reached[:, :, np.newaxis] * rays[:, :, 3:]


def _dot(a: Single, b: Single) -> Single:
    product: Single = np.einsum("ijk,ijk->ij", a, b)
    return product


def _field(rng: np.random.Generator) -> Single:
    """(h, w) a smooth random field: normal numbers on a coarse grid, straight lines between."""
    from PIL import Image  # noqa: PLC0415

    coarse = rng.normal(size=(HEIGHT // _PATCH, WIDTH // _PATCH)).astype(np.float32)
    fine = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(fine, dtype=np.float32)


def _scattered(cell: Single, material: npt.NDArray[np.int64]) -> Single:
    """(h, w) numbers in [0, 1) that look random, the same for the same cell (h, w, 3) and material (h, w)."""
    number = cell.astype(np.int64).astype(np.uint64)
    mixed = material.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for axis, factor in enumerate((0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)):
        mixed ^= number[:, :, axis] * np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2.0**24)
