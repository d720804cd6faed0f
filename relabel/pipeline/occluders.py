"""What stands in the way: footprints brought into the frame of the cameras, what they hide, and how to check it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relabel import fov
from relabel.cameras import FloatArray
from relabel.datasets import footprints
from relabel.datasets.base import CameraSets, leads_out
from relabel.display import several
from relabel.errors import InputError, OptionError
from relabel.fov.visibility import cameras_inside
from relabel.geometry.headings import wrap_deg
from relabel.geometry.projection import is_utm, meridian_convergence
from relabel.geometry.walls import Walls
from relabel.labelfile import StoredCollection
from relabel.similarity import Collection

if TYPE_CHECKING:
    from relabel.reference.occlusion import Occluders


def on_map(cameras: CameraSets) -> CameraSets:
    """The same cameras on the map of their positions, where walls are too; headings count from the north of that map.

    Those that are on a map already stay as they are.

    Raises
    ------
    OptionError
        when the map is not that of one UTM zone, so that neither distances nor angles on it are those on the earth.
    """
    if cameras.geographic is None:
        return cameras
    crs = cameras.query.crs
    if not is_utm(crs):
        raise OptionError(
            "occluders=…: footprints are on the map of one UTM zone, but these cameras are spread over several "
            f"({crs}); label the places of each zone separately"
        )
    sides = [cameras.query] if cameras.database is cameras.query else [cameras.query, cameras.database]
    turns = [meridian_convergence(place[:, 0], place[:, 1], crs) for place in cameras.geographic[: len(sides)]]
    largest = max((float(np.abs(turn[side.ok]).max(initial=0.0)) for turn, side in zip(turns, sides, strict=True)))
    turned = [
        replace(side, heading_deg=None if side.heading_deg is None else wrap_deg(side.heading_deg - turn))
        for side, turn in zip(sides, turns, strict=True)
    ]
    note = (
        f"footprints are on a map, so cameras are compared on {crs}; headings were turned by up to {largest:.2f}° from "
        "true north to its north"
    )
    return replace(
        cameras,
        query=turned[0],
        database=turned[-1],
        geographic=None,
        params={**cameras.params, "north": "second axis of the metres"},
        notes=(*cameras.notes, note),
    )


def walls_for(cameras: CameraSets, path: Path, crs: str | None) -> tuple[Walls, list[str]]:
    """The walls of a file in the frame of cameras on a map, and what its user should know about the file.

    Raises
    ------
    OptionError
        when no map leads from the file to that of the cameras.
    InputError, MissingFileError
        as `relabel.datasets.footprints.read` does.
    """
    features = footprints.read(path, crs)
    placed = features.to_crs(cameras.query.crs)
    counts = {
        "invalid polygons were repaired": features.repaired,
        "features without polygon or line hide nothing": features.skipped,
        f"polygons or lines have no place in {cameras.query.crs} and were left out": placed.lost,
    }
    return placed.walls(), [f"{path.name}: {count:,} {text}" for text, count in counts.items() if count]


def hidden(source: fov.FovOverlap, path: Path) -> list[str]:
    """What the walls hide from the cameras of an overlap, in words; if that is left to blocks, see `hidden_in`."""
    sides = [
        (source.query_views, source.query_polygons, source.query_visible),
        (source.database_views, source.database_polygons, source.database_visible),
    ]
    notes, inside = [], 0
    whole, left = [], []
    for views, polygons, visible in sides[:1] if source.collection.self_pairs else sides:
        if polygons is not None and visible is not None:
            whole.append(polygons.area)
            left.append(visible.area)
            inside += int(visible.inside.sum())
        elif source.walls is not None:
            origin = np.array(source.whole.origin)
            inside += int(cameras_inside(views.parts[0, :, :2], source.walls, origin).sum())
    if left:
        notes.append(f"{path.name}: {_hidden(np.concatenate(whole), np.concatenate(left), inside)}")
    if inside:
        notes.append(
            f"{path.name}: {several(inside, 'camera is', 'cameras are')}"
            " inside a building or at a wall, perhaps because positions are "
            f"inexact; that building hides nothing from {'it' if inside == 1 else 'them'}"
        )
    return notes


def hidden_in(whole: Collection, cut: Collection) -> str:
    """What the walls hide from the cameras of a collection, by their extents without and with walls."""
    before, left = (
        c.query_extent[c.query.ok]
        if c.self_pairs
        else np.concatenate([c.query_extent[c.query.ok], c.database_extent[c.database.ok]])
        for c in (whole, cut)
    )
    return f"{whole.params['occluders']['name']}: {_hidden(before, left)}"


def _hidden(whole: FloatArray, left: FloatArray, inside: int = 0) -> str:
    """Of the areas of fields of view without and with walls, and the number of cameras inside buildings."""
    cut = left < whole * (1.0 - 1e-9)
    if not cut.any() and not inside:
        return (
            "hides nothing from any camera: is it for another place, or are its coordinates not in the reference "
            "system that it states (occluders_crs=…)?"
        )
    return f"cuts {cut.sum():,} of {len(cut):,} fields of view; {left.sum() / whole.sum():.0%} of their area is left"


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
        raise InputError(f"{where}: its params do not name the file of its walls; ψ cannot be recomputed")
    folders = [Path(stored.path).parent, *([] if root is None else [root])]
    candidates = [folder / Path(str(recorded["name"])).name for folder in folders]
    if root is not None:
        # Also where the root is the folder above or below the one that was labelled.
        named = [str(entry["path"]) for entry in inputs if entry["sha256"] == recorded["sha256"]]
        paths = [Path(name) for name in named if not leads_out(name)]
        candidates += [root / Path(*path.parts[n:]) for path in paths for n in range(len(path.parts))]
    path = explicit if explicit is not None else _with_digest(candidates, str(recorded["sha256"]))
    if path is None:
        raise InputError(
            f"{where}: its fields of view are cut by {recorded['name']}, which is neither next to the file nor under "
            "root=…; give it with occluders=…"
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
