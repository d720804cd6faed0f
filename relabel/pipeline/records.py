"""The way back from the provenance of a label file to the data set that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from relabel.datasets.base import CameraReader, FrameSets, FrameReader
from relabel.datasets.mask import Masked
from relabel.datasets.msls.city import MslsReader
from relabel.datasets.names.lists import NamesReader
from relabel.datasets.pitts.split import PittsReader
from relabel.datasets.rgbd.sequence import RgbdReader
from relabel.datasets.seven_scenes.scene import SevenScenesReader
from relabel.datasets.table.rows import TableReader
from relabel.datasets.tb_places.sets import TbPlacesReader, TbStreetReader
from relabel.errors import InputError
from relabel.labelfile import StoredCollection
from relabel.pipeline.fov_part import FovOptions, FovPart
from relabel.pipeline.surface_part import SurfaceOptions, SurfacePart

_STREETS: dict[str, Callable[[dict[str, Any], Path], CameraReader]] = {
    MslsReader.command: MslsReader.from_parameters,
    NamesReader.command: NamesReader.from_parameters,
    PittsReader.command: PittsReader.from_parameters,
    TableReader.command: TableReader.from_parameters,
    TbStreetReader.command: TbStreetReader.from_parameters,
}
_SCENES: dict[str, Callable[[dict[str, Any], Path], FrameReader]] = {
    RgbdReader.command: RgbdReader.from_parameters,
    SevenScenesReader.command: SevenScenesReader.from_parameters,
    TbPlacesReader.command: TbPlacesReader.from_parameters,
}
"""The way back from the parameters of a record to its reader, by command."""


def record_of(stored: StoredCollection, records: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record that tells how a collection was made; None where none does."""
    made = (r for r in records if stored.name in {r["parameters"].get(name) for name in ("collection", "city")})
    return next(made, None)


def part_of_record(
    record: Mapping[str, Any], root: Path, *, masks: Iterable[Path] = ()
) -> FovPart | SurfacePart | None:
    """The part that a provenance record tells of, reading from `root`; None where the record is not of a part.

    Parameters
    ----------
    record:
        a record of `provenance.step`.
    root:
        the folder that its input paths are told relative to.
    masks:
        files that may be the mask of the record, besides those that it names under `root`.

    Raises
    ------
    InputError
        when the parameters of the record cannot be followed under `root`, or its mask is not found.
    """
    command, values = str(record.get("command")), dict(record["parameters"])
    # Only surfaces have a method to choose; a data set whose depth maps may be missing is labelled by either.
    scene = _SCENES.get(command) if "method" in values else None
    street = _STREETS.get(command)
    try:
        mask = values.pop("mask", None)
        found = () if mask is None else (*masks, *_with_digest(record, mask["sha256"], root), root / mask["name"])
        if scene is not None:
            frames = scene(values, root)
            if mask is not None:
                frames = Masked.from_parameters(mask, frames, found)
            return SurfacePart(frames, SurfaceOptions(**values))
        if street is None:
            return None
        reader = street(values, root)
        if mask is not None:
            reader = Masked.from_parameters(mask, reader, found)
        if "occluders" in values:
            values["occluders"] = _under(root, str(values["occluders"]), record)
        return FovPart(reader, FovOptions(**values))
    except (KeyError, TypeError) as error:
        raise InputError(f"the provenance of the file cannot be followed under {root}: {error}") from None


def frames_of(
    stored: StoredCollection, records: Sequence[Mapping[str, Any]], root: Path, *, masks: Iterable[Path] = ()
) -> FrameSets:
    """The frames that a collection was made from, read again from `root`; no depth map is decoded.

    Raises
    ------
    InputError
        when the records do not lead to frames under `root`, or the mask is not found; and what the reader raises.
    """
    record = record_of(stored, records)
    part = None if record is None else part_of_record(record, root, masks=masks)
    if not isinstance(part, SurfacePart):
        raise InputError(
            f"{stored.path}::{stored.name}: its provenance does not say which depth maps it was made from; label the "
            "data set again"
        )
    return part.read()


def _with_digest(record: Mapping[str, Any], sha256: str, root: Path) -> list[Path]:
    return [root / entry["path"] for entry in record["inputs"] if entry["sha256"] == sha256]


def _under(root: Path, name: str, record: Mapping[str, Any]) -> Path:
    """The input of a record that has this name, where it lies under `root`."""
    paths = [root / entry["path"] for entry in record["inputs"] if Path(entry["path"]).name == name]
    return next((path for path in paths if path.is_file()), root / name)
