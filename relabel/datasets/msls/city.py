"""Mapillary Street-Level Sequences (MSLS): the metadata of a city becomes cameras; no image is needed.

    raw.csv            ,key,lon,lat,ca,captured_at,pano
    postprocessed.csv  ,key,easting,northing,unique_cluster,control_panel,night,view_direction
    seq_info.csv       ,key,sequence_key,frame_number

The files of one side (query or database) hold the same rows and are joined by key. Every row stays, in the order of
raw.csv, which is the image index of the field; what cannot be labelled gets a status.

Positions are metres east and north in the UTM zone of the city, with negative northings in the south. They are never
recomputed where postprocessed.csv gives them. `ca` is degrees clockwise from north, as the camera reported them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.datasets import fillers
from relabel.datasets.base import CameraSets, InputReport, fault_notes, heading_params, position_notes
from relabel.datasets.doubts import Doubt
from relabel.datasets.msls.csv_files import POSTPROCESSED_EXTRA, SideTables, city_crs, read_side_tables
from relabel.datasets.msls.spec import Heading
from relabel.datasets.msls.tree import SIDES, TEST_CITIES, TRAIN_CITIES, VAL_CITIES, City, Skipped, Tree, find, select
from relabel.datasets.registry import ReaderSelection
from relabel.display import several
from relabel.errors import DatasetNotFoundError, OptionError
from relabel.geometry.headings import constant_groups, group_codes, track_heading_deg
from relabel.geometry.projection import project

__all__ = [
    "CONSTANT_FRAMES",
    "TEST_CITIES",
    "TRAIN_CITIES",
    "TRAVEL_GAP_M",
    "VAL_CITIES",
    "City",
    "HeadingReport",
    "MslsCity",
    "Skipped",
    "Tree",
    "find",
    "read",
    "select",
]

FloatArray = npt.NDArray[np.float64]

# On fewer frames a straight street and a compass that counts whole degrees repeat a value by chance.
CONSTANT_FRAMES = 5
TRAVEL_GAP_M = 100.0  # farther than frames of one drive lie apart, nearer than the leaps of a receiver
_TURN_DEG = {"forward": 0.0, "backward": 180.0}


@dataclass(frozen=True)
class HeadingReport(InputReport):
    """What was noticed about the headings of a city, query and database together; all counts are rows.

    Attributes
    ----------
    rows:
        all rows.
    panoramas:
        rows with `pano`.
    wrapped:
        rows whose `ca` was outside [0, 360) and was reduced modulo 360.
    non_finite:
        rows whose `ca` is empty, nan or infinite.
    sequences:
        the number of sequences; 0 where there is no seq_info.csv.
    constant_sequences, constant_rows:
        the number of sequences of at least `CONSTANT_FRAMES` frames with a `ca` that all have the same, as a stuck
        compass would; and their rows. They are labelled all the same.
    sideways, unknown_view:
        with travel headings, rows without a heading because the camera looks sideways and the files do not say to which
        side, or because the view direction is none of Forward, Backward and Sideways.
    no_tangent:
        with travel headings, rows without a heading because their sequence stays at one place or has no position.
    """

    rows: int = 0
    panoramas: int = 0
    wrapped: int = 0
    non_finite: int = 0
    sequences: int = 0
    constant_sequences: int = 0
    constant_rows: int = 0
    sideways: int = 0
    unknown_view: int = 0
    no_tangent: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class MslsCity(CameraSets):
    """The cameras of one city, in the order of raw.csv, both sides in one frame.

    The `extra` columns of the cameras are, where the files have them, ``sequence`` (str), ``frame`` (int64), ``night``
    (bool) and ``view_direction`` (str). The frame is an EPSG code, the PROJ text of a southern UTM zone with negative
    northings, or ``local`` where it cannot be determined.

    Attributes
    ----------
    name:
        of the city, as its folder.
    heading:
        where the headings come from, ``compass`` or ``travel``.
    report:
        what was noticed about the headings.
    """

    name: str
    heading: Heading
    report: HeadingReport

    @property
    def crs(self) -> str:
        """The frame of the positions."""
        return self.query.crs


def read(root: Path | str, *, city: str | City, heading: Heading = "compass") -> MslsCity:
    """The cameras of one city.

    A row is `PANORAMA` where `pano` is set, else `NO_POSITION` where its position is missing, not finite or a filler
    value, else `NO_HEADING` where its heading is: `ca` is -1 where Mapillary knows none. No row is dropped.

    Where a side lacks postprocessed.csv, its longitudes and latitudes are projected: one UTM zone a city, that of the
    median place, with the negative southern northings of MSLS.

    Parameters
    ----------
    root:
        the MSLS tree, as for `find`; not looked at where `city` is a `City`.
    city:
        a name in that tree, or a city that `find` or `select` returned.
    heading:
        ``compass`` takes `ca` from raw.csv. ``travel`` takes the tangent of each sequence (seq_info.csv), turned by
        180 degrees where `view_direction` is Backward; Sideways cameras get no heading, since the files do
        not say to which side. A sequence that leaps by more than `TRAVEL_GAP_M` is split in two.

    Raises
    ------
    DatasetNotFoundError, NotFoundError
        when the root is no MSLS tree, or the city is not in it or has no positions.
    InputError
        when a file cannot be read, a key is repeated or stands in one file only, or a file that `heading` needs is
        missing.
    OptionError
        when `heading` is neither of the two.
    """
    if heading not in ("compass", "travel"):
        raise OptionError(f"heading is {heading!r}; it has to be compass or travel")
    city = city if isinstance(city, City) else find(root)[city]
    gap = city.gap()
    if gap is not None:
        raise DatasetNotFoundError(f"{city.name}: cannot be labelled: {gap}")
    with ThreadPoolExecutor(len(SIDES), thread_name_prefix="relabel-msls") as pool:
        tables = list(pool.map(lambda side: read_side_tables(city.path / side, heading), SIDES))
    replaced = _replace_fillers(tables)
    crs, misplaced = city_crs(
        city.name,
        *(np.concatenate([side.column("raw", name) for side in tables]) for name in ("lon", "lat")),
        *(np.concatenate([side.column("postprocessed", name) for side in tables]) for name in ("easting", "northing")),
    )
    with ThreadPoolExecutor(len(SIDES), thread_name_prefix="relabel-msls") as pool:
        sides = pool.map(lambda side: _cameras(side, crs, heading), tables)
        (query, query_report), (database, database_report) = sides
    files = tuple(file for side in tables for file in side.files)
    report = query_report + database_report
    faults = _faults(report, heading)
    return MslsCity(
        query=query,
        database=database,
        files=files,
        params=heading_params({"heading": heading}, faults),
        notes=tuple(_notes(query, database, faults)),
        fillers=replaced,
        doubts=tuple(filter(None, (misplaced, _unknown_panoramas(tables)))),
        sources=(str(city.path / "query"), str(city.path / "database")),
        hint=f"try --heading {'travel' if heading == 'compass' else 'compass'}, or exclude the city with --cities",
        name=city.name,
        heading=heading,
        report=report,
    )


def _unknown_panoramas(tables: Sequence[SideTables]) -> Doubt | None:
    """The doubt about sides without raw.csv, which alone says what a panorama is."""
    without = [side for side in tables if side.raw is None]
    if not without:
        return None
    missing = " and ".join(f"{side.folder.name}/raw.csv" for side in without)
    return Doubt(
        "panoramas-unknown",
        sum(len(side.key) for side in without),
        sum(len(side.key) for side in tables),
        f"{missing}: missing; panoramas cannot be distinguished from other images",
        "panoramas, if there are any, are labelled like other images",
        "use raw.csv from the original metadata, or leave panoramas out with --mask",
    )


def _replace_fillers(tables: Sequence[SideTables]) -> tuple[fillers.Filler, ...]:
    """Put NaN in the place of filler values in both sides; returns what was replaced."""
    replaced: list[fillers.Filler] = []
    positions = [
        np.column_stack([side.column("postprocessed", name) for name in ("easting", "northing")]) for side in tables
    ]
    for side, name, position, at_origin in zip(
        tables, SIDES, positions, fillers.position_fillers(positions), strict=True
    ):
        if side.postprocessed is not None and at_origin.any():
            replaced += fillers.counted("position", position, at_origin, name, side.key)
            for column in ("easting", "northing"):
                side.postprocessed[column] = np.where(at_origin, np.nan, side.postprocessed[column])
        if side.raw is None:
            continue
        ca = side.raw["ca"]
        unknown = fillers.heading_fillers(ca, mapillary=True)
        replaced += fillers.counted("heading", ca, unknown, name, side.key)
        degrees = np.column_stack([side.raw["lon"], side.raw["lat"]])
        at_sea = fillers.place_fillers(degrees)
        if side.postprocessed is None:
            replaced += fillers.counted("position", degrees, at_sea, name, side.key)
        side.raw |= {
            "ca": np.where(unknown, np.nan, ca),
            "lon": np.where(at_sea, np.nan, side.raw["lon"]),
            "lat": np.where(at_sea, np.nan, side.raw["lat"]),
        }
    return tuple(replaced)


def _cameras(side: SideTables, crs: str, heading: Heading) -> tuple[Cameras, HeadingReport]:
    counts = _compass_counts(side)
    if side.postprocessed is not None:
        position = np.column_stack([side.postprocessed["easting"], side.postprocessed["northing"]])
    else:
        position = project(side.column("raw", "lon"), side.column("raw", "lat"), crs)
    extra: dict[str, npt.NDArray[Any]] = {}
    if side.sequences is not None:
        extra |= {"sequence": side.sequences["sequence_key"], "frame": side.sequences["frame_number"]}
    if side.postprocessed is not None:
        extra |= {name: side.postprocessed[name] for name in POSTPROCESSED_EXTRA if name in side.postprocessed}
    if heading == "compass":
        direction = side.column("raw", "ca")
    else:
        direction, travel_counts = _travel(position, extra)
        counts |= travel_counts
    panorama = np.zeros(len(side.key), bool) if side.raw is None else side.raw["pano"]
    status = np.where(panorama, Status.PANORAMA, Status.OK).astype(np.uint8)
    counts |= {"rows": len(side.key), "panoramas": int(panorama.sum())}
    cameras = Cameras(side.key, position, heading_deg=direction, status=status, crs=crs, extra=extra)
    return cameras, HeadingReport(**counts)


def _compass_counts(side: SideTables) -> dict[str, int]:
    if side.raw is None:
        return {}
    ca = side.raw["ca"]
    finite = np.isfinite(ca)
    counts = {
        "wrapped": int((finite & ((ca < 0.0) | (ca >= 360.0))).sum()),
        "non_finite": int((~finite).sum()),
    }
    if side.sequences is not None:
        codes = group_codes(side.sequences["sequence_key"])
        constant = constant_groups(ca, codes, least=CONSTANT_FRAMES)
        counts["sequences"] = int(codes.max()) + 1 if len(codes) else 0
        counts["constant_sequences"] = len(np.unique(codes[constant]))
        counts["constant_rows"] = int(constant.sum())
    return counts


def _travel(position: FloatArray, extra: dict[str, npt.NDArray[Any]]) -> tuple[FloatArray, dict[str, int]]:
    """The heading of each camera from the direction of travel, and how many rows have none for which reason."""
    tangent = track_heading_deg(position, extra["sequence"], extra["frame"], gap_m=TRAVEL_GAP_M)
    view = np.strings.lower(np.strings.strip(extra["view_direction"]))
    turn = np.full(len(view), np.nan)
    for name, angle in _TURN_DEG.items():
        turn[view == name] = angle
    sideways = view == "sideways"
    counts = {
        "sideways": int(sideways.sum()),
        "unknown_view": int((np.isnan(turn) & ~sideways).sum()),
        "no_tangent": int((np.isnan(tangent) & ~np.isnan(turn)).sum()),
    }
    return tangent + turn, counts


_COMPASS = ("wrapped", "non_finite", "constant_sequences", "constant_rows")
"""Counts of `HeadingReport` that are about compass angles."""


@dataclass(frozen=True)
class MslsReader:
    """A city of MSLS."""

    root: Path
    city: City
    heading: Heading = "compass"
    command = "relabel msls"

    @property
    def name(self) -> str:
        """The name of the city."""
        return self.city.name

    def parameters(self) -> dict[str, Any]:
        """City and source of the headings."""
        return {"city": self.city.name, "heading": self.heading}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> MslsReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError, RelabelError
            when one is missing or the tree lacks the city.
        """
        city = find(root)[parameters.pop("city")]
        return cls(root, city, parameters.pop("heading"))

    def read(self) -> MslsCity:
        """The cameras of the city; raises what `read` does."""
        return read(self.root, city=self.city, heading=self.heading)


def readers(root: Path, cities: str | None, *, heading: Heading = "compass") -> ReaderSelection:
    """One reader for each city that was asked for, and a line for each city without positions; see `select`."""
    selected, skipped = select(root, cities)
    return ReaderSelection(
        tuple(MslsReader(root, city, heading) for city in selected),
        tuple(f"{city.name}: skipped: {city.reason}" for city in skipped),
    )


def from_paths(
    paths: Sequence[Path], *, cities: str | None = None, columns: str | None = None
) -> ReaderSelection | None:
    """The cities of a tree; None where the paths are files, or several.

    Raises
    ------
    DatasetNotFoundError, NotFoundError
        when a folder is no MSLS tree, or lacks a city.
    OptionError
        when cities are chosen, and the paths are no tree.
    """
    del columns
    if len(paths) == 1 and not paths[0].is_file():
        return readers(paths[0], cities)
    if cities is not None:
        raise OptionError("--cities chooses cities of an MSLS tree; omit it, or give only the tree")
    return None


def _faults(report: HeadingReport, heading: Heading) -> dict[str, int]:
    """What is wrong with the headings, counted; the compass only where it was used."""
    unused = _COMPASS if heading != "compass" else ()
    return {name: n for name, n in asdict(report).items() if n and name not in ("rows", "sequences", *unused)}


def _notes(query: Cameras, database: Cameras, faults: Mapping[str, int]) -> list[str]:
    texts = {
        "panoramas": ("panorama is not labelled", "panoramas are not labelled"),
        "non_finite": ("camera has no compass angle", "cameras have no compass angle"),
        "wrapped": (
            "compass angle outside [0°, 360°) was wrapped",
            "compass angles outside [0°, 360°) were wrapped",
        ),
        "sideways": ("camera looks sideways, to an unknown side", "cameras look sideways, to an unknown side"),
        "unknown_view": ("camera has an unknown view direction", "cameras have an unknown view direction"),
        "no_tangent": ("camera has no direction of travel", "cameras have no direction of travel"),
    }
    notes = fault_notes(faults, texts)
    if "constant_sequences" in faults:
        notes.append(
            f"{several(faults['constant_sequences'], 'sequence')} "
            f"({several(faults['constant_rows'], 'camera')}) "
            f"{'repeats' if faults['constant_sequences'] == 1 else 'repeat'} one compass angle throughout: perhaps a "
            "stuck compass; they are labelled anyway"
        )
    return notes + position_notes(query, database)
