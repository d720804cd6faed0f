"""What stands in the way: footprints brought into the frame of the cameras, what they hide, and how to check it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relabel import fov
from relabel.datasets import footprints
from relabel.datasets.base import CameraSets
from relabel.errors import InputError, OptionError
from relabel.geometry.walls import Walls
from relabel.labelfile import StoredCollection

if TYPE_CHECKING:
    from relabel.reference.occlusion import Occluders


def walls_for(cameras: CameraSets, path: Path, crs: str | None) -> tuple[Walls, list[str]]:
    """The walls of a file in the frame of the cameras, and what its user should know about the file.

    Raises
    ------
    OptionError
        when the cameras are compared on the earth rather than on a map, or no map leads from the file to theirs.
    InputError, MissingFileError
        as `relabel.datasets.footprints.read` does.
    """
    if cameras.geographic is not None:
        raise OptionError(
            f"{path}: what stands in the way is known on a map only, and these cameras are compared on the earth, "
            "since they come with longitude and latitude; give their positions as x and y with --crs"
        )
    features = footprints.read(path, crs)
    placed = features.to_crs(cameras.query.crs)
    counts = {
        "polygons were not valid and have been repaired": features.repaired,
        "features have no polygon or line and hide nothing": features.skipped,
        f"polygons or lines have no place in {cameras.query.crs} and were left out": placed.lost,
    }
    return placed.walls(), [f"{path.name}: {count:,} {text}" for text, count in counts.items() if count]


def hidden(source: fov.FovOverlap, path: Path) -> list[str]:
    """What the walls hide from the cameras of an overlap, in words."""
    sides = ((source.query_polygons, source.query_visible), (source.database_polygons, source.database_visible))
    own = [(p.area, v.area, v.inside) for p, v in sides if p is not None and v is not None]
    if source.collection.self_pairs:
        own = own[:1]
    area, left, inside = (np.concatenate(columns) for columns in zip(*own, strict=True))
    cut = left < area * (1.0 - 1e-9)
    if not cut.any() and not inside.any():
        warning = (
            "hides nothing from any camera: is it of another place, or are its coordinates in another reference system "
            "than it says (--occluders-crs)?"
        )
        return [f"{path.name}: {warning}"]
    left_share = left.sum() / area.sum()
    notes = [f"{path.name}: cuts {cut.sum():,} of {len(cut):,} fields of view; {left_share:.0%} of their area is left"]
    if inside.any():
        notes.append(
            f"{path.name}: {inside.sum():,} cameras stand in a building or at a wall, for their positions are not "
            "exact perhaps; what they stand in hides nothing from them"
        )
    return notes


def buildings(
    stored: StoredCollection, explicit: Path | None, root: Path | None, inputs: Iterable[Mapping[str, Any]]
) -> tuple[Occluders | None, str | None]:
    """The buildings of a collection for the oracle, and what is wrong with their file; None where there are none.

    The file is `explicit`, else the one with the digest of `params`: under `root` where `inputs` have it, or beside the
    label file.

    Raises
    ------
    InputError
        when it is not found.
    """
    recorded = stored.params.get("occluders")
    if recorded is None:
        return None, None
    where = f"{stored.path}::{stored.name}"
    if not isinstance(recorded, Mapping) or "sha256" not in recorded:
        raise InputError(f"{where}: its params do not tell which file its walls come from; ψ cannot be recomputed")
    candidates = [Path(stored.path).parent / str(recorded["name"])]
    if root is not None:
        candidates += [root / str(recorded["name"])]
        # Also where the root is the folder above or below the one that was labelled.
        paths = [Path(str(entry["path"])) for entry in inputs if entry["sha256"] == recorded["sha256"]]
        candidates += [root / Path(*path.parts[n:]) for path in paths for n in range(len(path.parts))]
    path = explicit if explicit is not None else _with_digest(candidates, str(recorded["sha256"]))
    if path is None:
        raise InputError(
            f"{where}: its fields of view are cut by {recorded['name']}, which is neither beside the file nor under "
            "--root; give it with --occluders"
        )
    from relabel.reference.occlusion import Occluders  # noqa: PLC0415  (shapely)

    features = footprints.read(path, recorded.get("crs"))
    fault = None
    if features.sha256 != recorded["sha256"]:
        fault = f"{stored.name}: {path.name} is not the file that was labelled with (its sha256 differs)"
    return Occluders(features.to_crs(stored.query.crs).geometry), fault


def _with_digest(candidates: Iterable[Path], sha256: str) -> Path | None:
    """The first of the files, there or not, that has the digest; None where none has."""
    for path in candidates:
        if path.is_file() and footprints.digest(path) == sha256:
            return path
    return None
