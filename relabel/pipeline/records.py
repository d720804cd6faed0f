"""The way back from the provenance of a label file to the dataset that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relabel.datasets import registry
from relabel.datasets.base import FrameSets, leads_out
from relabel.datasets.mask import Masked
from relabel.errors import InputError
from relabel.labelfile import StoredCollection
from relabel.labelfile.provenance import collection_record

if TYPE_CHECKING:
    from relabel.pipeline.fov_part import FovPart
    from relabel.pipeline.surface_part import SurfacePart


def part_from_record(
    record: Mapping[str, Any], root: Path, *, masks: Iterable[Path] = ()
) -> FovPart | SurfacePart | None:
    """The part that a provenance record describes, reading from `root`; None if the record is not of a part.

    Parameters
    ----------
    record:
        a record of `provenance.step`.
    root:
        the folder that its input paths are relative to.
    masks:
        files that may be the mask of the record, besides those that it names under `root`.

    Raises
    ------
    InputError
        when the parameters of the record cannot be followed under `root`, or lead out of it, or its mask is not found.
    """
    spec, values = registry.find_recorded(str(record.get("command"))), dict(record["parameters"])
    # Only surface labels have a choice of method; a dataset whose depth maps may be missing has labels of either kind.
    kind: registry.LabelKind = "surface" if "method" in values else "fov"
    if spec is None or kind not in spec.readers:
        return None
    _check_paths(record, root)
    try:
        mask = values.pop("mask", None)
        reader = spec.reader_class(kind).from_parameters(values, root)
        if mask is not None:
            candidates = (*masks, *_with_digest(record, mask["sha256"], root), root / mask["name"])
            reader = Masked.from_parameters(mask, reader, candidates)
        if kind == "surface":
            from relabel.pipeline.surface_part import SurfacePart  # noqa: PLC0415  only for this kind

            return SurfacePart.from_parameters(reader, values)
        from relabel.pipeline.fov_part import FovPart  # noqa: PLC0415  only for this kind

        if "occluders" in values:
            values["occluders"] = _under(root, str(values["occluders"]), record)
        return FovPart.from_parameters(reader, values)
    except (KeyError, TypeError) as error:
        raise InputError(f"the provenance of the file cannot be followed under {root}: {error}") from None


def frames_from_records(
    stored: StoredCollection, records: Sequence[Mapping[str, Any]], root: Path, *, masks: Iterable[Path] = ()
) -> FrameSets:
    """The frames that a collection was made from, read again from `root`; no depth map is decoded.

    Raises
    ------
    InputError
        when the records do not lead to frames under `root`, or the mask is not found; and what the reader raises.
    """
    record = collection_record(stored.name, records)
    part = None if record is None else part_from_record(record, root, masks=masks)
    sets = None if part is None else part.read()
    if not isinstance(sets, FrameSets):
        raise InputError(
            f"{stored.path}::{stored.name}: its provenance does not name the depth maps it was made from; label the "
            "dataset again"
        )
    return sets


def masks_beside(stored: StoredCollection) -> tuple[Path, ...]:
    """Where the mask of a collection may be besides its root: beside the label file, or nowhere without a mask."""
    mask = stored.params.get("mask")
    return (Path(stored.path).parent / str(mask.get("name")),) if isinstance(mask, Mapping) else ()


def _check_paths(record: Mapping[str, Any], root: Path) -> None:
    """Raise an `InputError` if a record names something outside the root, which relabel never writes.

    A label file may come from anybody, and must not choose which files of this machine are read.
    """
    named: list[tuple[str, Any]] = [("inputs", entry["path"]) for entry in record["inputs"]]
    for name, value in record["parameters"].items():
        members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        named += [(name, member) for member in members]
    for name, value in named:
        if isinstance(value, str) and leads_out(value):
            raise InputError(
                f"the provenance of the file names {value!r} ({name}), which is outside {root}; such paths have to be "
                "relative and without .., so they are not followed. Omit root=…, or get the file from its maker"
            )


def _with_digest(record: Mapping[str, Any], sha256: str, root: Path) -> list[Path]:
    return [root / entry["path"] for entry in record["inputs"] if entry["sha256"] == sha256]


def _under(root: Path, name: str, record: Mapping[str, Any]) -> Path:
    """The path under `root` of the input of a record with this name."""
    paths = [root / entry["path"] for entry in record["inputs"] if Path(entry["path"]).name == name]
    return next((path for path in paths if path.is_file()), root / name)
