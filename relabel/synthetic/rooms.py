"""A synthetic scene in the exact layout of 7Scenes: a furnished room seen by a depth camera with a camera beside it.

A hand-held camera walks through the room in three sequences: one turns round once, one looks to and fro at one side,
and one, the test, turns round the other way. So some pairs of frames see the same, some a part, and some nothing
common. Depth is ray-cast, along z and not along the ray, with the faults of a structured-light camera: noise that grows
with the square of the depth, nothing where the projector's light does not come or glances off, and some codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.atomic import output_errors
from relabel.cameras import FloatArray
from relabel.cores import available_cores
from relabel.errors import OptionError
from relabel.synthetic.furniture import furnished
from relabel.synthetic.room_camera import Camera
from relabel.synthetic.tree import place_in_tree

SCENE = "room"
FRAMES = 40
SEQUENCES = {"TrainSplit.txt": (1, 2), "TestSplit.txt": (3,)}
_OURS = re.compile(r"(Train|Test)Split\.txt|seq-\d\d(/frame-\d{6}\.(depth\.png|color\.png|pose\.txt))?")


def write_tree(
    folder: Path | str,
    *,
    frames: int = FRAMES,
    seed: int = 0,
    scene: str = SCENE,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Write ``<scene>/{TrainSplit.txt,TestSplit.txt,seq-01,seq-02,seq-03}`` under `folder`; whole or not at all.

    The same seed gives the same bytes, on the same version of Open3D and Pillow.

    Parameters
    ----------
    folder:
        the folder of scenes; made where it does not exist.
    frames:
        of each of the three sequences: more of them see the same walk in smaller steps.
    seed:
        0 or more; another seed is another room and another walk.
    scene:
        the name of the scene, a plain folder name.
    overwrite:
        write into a folder that is not empty: the folder of this scene is replaced, all others stay.
    progress:
        called with 1 as each frame is written.

    Returns
    -------
    path
        the folder of the scene.

    Raises
    ------
    OptionError
        when `frames`, `seed` or `scene` has a value that it cannot take.
    MissingPackageError
        when Open3D, which casts the rays, cannot be loaded.
    OutputExistsError
        when the folder is not empty and `overwrite` was not asked for, or the scene there holds what is none of this.
    OutputError
        when it cannot be written.
    """
    folder = Path(folder)
    if frames < 1:
        raise OptionError(f"frames is {frames}; at least one per sequence is needed")
    if frames > 1_000_000:
        raise OptionError(f"frames is {frames:,}; file names of 7Scenes allow at most 1,000,000 per sequence")
    if seed < 0:
        raise OptionError(f"seed is {seed}; it is 0 or more")
    if not scene or scene != Path(scene).name or scene in (".", ".."):
        raise OptionError(f"scene is {scene!r}; it has to be a folder name without separators")
    camera = Camera(furnished(seed))
    target = folder / scene
    with place_in_tree(folder, target, overwrite=overwrite, is_own=_OURS.fullmatch) as private, output_errors(target):
        for name, numbers in SEQUENCES.items():
            (private / name).write_bytes(b"".join(b"sequence%d\r\n" % number for number in numbers))
            for number in numbers:
                for _ in _write_sequence(private / f"seq-{number:02d}", camera, number, frames, seed):
                    if progress is not None:
                        progress(1)
    return target


def _write_sequence(folder: Path, camera: Camera, number: int, frames: int, seed: int) -> Iterator[None]:
    """Write the frames of a sequence, and yield as each is done."""
    folder.mkdir()
    walk = poses(number, frames, np.random.default_rng([seed, number]))

    def write(frame: int) -> None:
        # Numbers of its own for each frame, so that the order in which threads come to them does not matter.
        rng = np.random.default_rng([seed, number, frame])
        stem = f"frame-{frame:06d}"
        camera.depth(walk[frame], rng).save(folder / f"{stem}.depth.png", compress_level=1)
        camera.colour(walk[frame]).save(folder / f"{stem}.color.png", compress_level=1)
        (folder / f"{stem}.pose.txt").write_bytes(_pose_text(walk[frame]))

    with ThreadPoolExecutor(available_cores()) as pool:
        yield from pool.map(write, range(frames))


def poses(number: int, frames: int, rng: np.random.Generator) -> FloatArray:
    """(frames, 4, 4) camera-to-world along the walk of a sequence, from its beginning to its end.

    Parameters
    ----------
    number:
        the sequence: 1 turns round once, 2 looks to and fro twice, 3 turns round the other way.
    frames:
        how many, at least one.
    rng:
        of the phases of all that sways.
    """
    t = np.linspace(0.0, 1.0, frames, endpoint=False)
    first = rng.uniform(0.0, 2.0 * np.pi)

    def sway(size: float, rounds: float) -> FloatArray:
        phase = rng.uniform(0.0, 2.0 * np.pi)
        return size * np.sin(2.0 * np.pi * rounds * t + phase)

    turn = {1: 2.0 * np.pi * t, 2: 1.1 * np.sin(4.0 * np.pi * t), 3: -2.0 * np.pi * t}[number]
    yaw = first + turn + sway(0.12, 3.0)
    pitch = -0.22 + sway(0.16, 2.0) + sway(0.03, 7.0)
    roll = sway(0.05, 2.0)
    place = np.column_stack([sway(0.55, 1.0), -0.15 + sway(0.08, 4.0), sway(0.45, 1.0)])
    result = np.broadcast_to(np.eye(4), (frames, 4, 4)).copy()
    result[:, :3, :3] = _about(1, yaw) @ _about(0, pitch) @ _about(2, roll)
    result[:, :3, 3] = place
    return result


def _about(axis: int, angle: FloatArray) -> FloatArray:
    """(n, 3, 3) rotations about one axis, radians."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.broadcast_to(np.eye(3), (len(angle), 3, 3)).copy()
    rotation[:, a, a] = rotation[:, b, b] = np.cos(angle)
    rotation[:, b, a] = np.sin(angle)
    rotation[:, a, b] = -np.sin(angle)
    return rotation


def _pose_text(pose: npt.NDArray[np.float64]) -> bytes:
    """As the files of 7Scenes have it: eight digits, exponents of three, a space before what is positive."""
    lines = []
    for row in pose.tolist():
        numbers = (re.sub(r"e([+-])(\d\d)$", r"e\g<1>0\g<2>", f"{value: .7e}") for value in row)
        lines.append("\t".join(numbers) + "\t\r\n")
    return "".join(lines).encode()
