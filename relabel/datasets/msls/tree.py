"""The layout of MSLS: the cities under a root, and which of them can be labelled.

    ROOT/train_val/<city>/query/    raw.csv  postprocessed.csv  seq_info.csv  subtask_index.csv  images/
    ROOT/train_val/<city>/database/ ...
    ROOT/test/<city>/...                     officially without raw.csv and postprocessed.csv, hence without positions

Only the CSV files are ever looked at.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from relabel.datasets.listing import children
from relabel.errors import DatasetNotFoundError, NotFoundError, OptionError

log = logging.getLogger(__name__)

TRAIN_CITIES = (
    "trondheim",
    "london",
    "boston",
    "melbourne",
    "amsterdam",
    "helsinki",
    "tokyo",
    "toronto",
    "saopaulo",
    "moscow",
    "zurich",
    "paris",
    "bangkok",
    "budapest",
    "austin",
    "berlin",
    "ottawa",
    "phoenix",
    "goa",
    "amman",
    "nairobi",
    "manila",
)
VAL_CITIES = ("cph", "sf")
TEST_CITIES = ("miami", "athens", "buenosaires", "stockholm", "bengaluru", "kampala")
_OFFICIAL = {"train": TRAIN_CITIES, "val": VAL_CITIES, "test": TEST_CITIES}

SPLITS = ("train_val", "test")
SIDES = ("query", "database")
_POSITION_FILES = ("raw.csv", "postprocessed.csv")
_LAYOUT = "{train_val,test}/<city>/{query,database}/*.csv"


@dataclass(frozen=True)
class City:
    """One city of a tree: its name, its folder, and the split folder (``train_val`` or ``test``) that it lies in."""

    name: str
    path: Path
    split: str

    def gap(self) -> str | None:
        """Why the city cannot be labelled, or None if both sides have a file with positions."""
        try:
            return self._gap()
        except PermissionError as error:
            return f"{error.filename} cannot be accessed"

    def _gap(self) -> str | None:
        for side in SIDES:
            if not (self.path / side).is_dir():
                return f"there is no folder {self.path / side}"
            if not any((self.path / side / name).is_file() for name in _POSITION_FILES):
                files = (
                    ", ".join(file.name for file in children(self.path / side) if file.suffix == ".csv")
                    or "no CSV file"
                )
                why = "; the official test split has no positions" if self.name in TEST_CITIES else ""
                return f"no {' or '.join(_POSITION_FILES)}, hence no positions, in {self.path / side} ({files}){why}"
        return None


@dataclass(frozen=True)
class Tree:
    """An MSLS tree: its root, and its cities by name."""

    root: Path
    cities: tuple[City, ...]

    def __getitem__(self, name: str) -> City:
        for city in self.cities:
            if city.name == name:
                return city
        raise NotFoundError(f"{self.root}: there is no city {name!r}; there are {_listed(self.cities)}")


class Skipped(NamedTuple):
    """A requested city that cannot be labelled, and why."""

    name: str
    reason: str


def find(root: Path | str) -> Tree:
    """The cities of the MSLS tree at `root`; the folder ``train_val`` or ``test`` itself may be given as well.

    Raises
    ------
    DatasetNotFoundError
        when there is no city; the message says what was expected and what was found instead.
    """
    try:
        return _tree(Path(root))
    except PermissionError as error:
        raise DatasetNotFoundError(f"{error.filename}: cannot be accessed; check its permissions") from None


def _tree(root: Path) -> Tree:
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{root}: {what}; give the folder that holds {_LAYOUT}")
    cities = [city for split in SPLITS for city in _cities(root / split, split)]
    if not cities and (cities := _cities(root, root.name if root.name in SPLITS else SPLITS[0])):
        log.info("%s: holds cities itself; it is read as the folder %s", root, cities[0].split)
    if not cities:
        raise DatasetNotFoundError(_nothing_in(root))
    seen: dict[str, City] = {}
    for city in cities:
        if seen.setdefault(city.name, city) is not city:
            log.warning("%s: skipped, since %s has the same name", city.path, seen[city.name].path)
    return Tree(root, tuple(sorted(seen.values(), key=lambda city: city.name)))


def select(root: Path | str, cities: str | None = None) -> tuple[tuple[City, ...], tuple[Skipped, ...]]:
    """The cities to label, and requested cities without positions.

    Parameters
    ----------
    root:
        the MSLS tree, as for `find`.
    cities:
        ``train``, ``val`` or ``test`` for the cities of the official list that the tree holds; or names of cities, or
        both, separated by commas; None for all cities of the tree. Each city is taken once, in the requested order.

    Returns
    -------
    selected, skipped
        at least one city; and the cities without positions, with the reason.

    Raises
    ------
    DatasetNotFoundError
        when the root is no MSLS tree, when it holds no city of an official list, or when nothing is left to label.
    NotFoundError
        when a city is not in the tree; the message lists those that exist.
    OptionError
        when `cities` names nothing.
    """
    tree = find(root)
    wanted = tree.cities if cities is None else _asked_for(tree, cities)
    gaps = {city.name: city.gap() for city in wanted}
    selected = tuple(city for city in wanted if gaps[city.name] is None)
    skipped = tuple(Skipped(name, gap) for name, gap in gaps.items() if gap is not None)
    if not selected:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped)
        raise DatasetNotFoundError(
            f"{tree.root}: none of the requested cities can be labelled: {reasons}. The metadata of MSLS is a "
            "separate download; unpack it over this tree"
        )
    return selected, skipped


def _asked_for(tree: Tree, cities: str) -> tuple[City, ...]:
    names = [name for name in (part.strip() for part in cities.split(",")) if name]
    if not names:
        raise OptionError(
            f"cities is {cities!r}, which names none; give train, val, test or names, separated by commas"
        )
    there = {city.name for city in tree.cities}
    cities_by_name: dict[str, City] = {}
    for name in names:
        if name not in _OFFICIAL:
            cities_by_name[name] = tree[name]
            continue
        official = _OFFICIAL[name]
        present = [city for city in official if city in there]
        if not present:
            raise DatasetNotFoundError(
                f"{tree.root}: holds none of the {len(official)} {name} cities ({', '.join(official)}); "
                f"there are {_listed(tree.cities)}"
            )
        if len(present) < len(official):
            log.info("%s: holds %d of the %d %s cities", tree.root, len(present), len(official), name)
        cities_by_name |= {city: tree[city] for city in present}
    return tuple(cities_by_name.values())


def _cities(folder: Path, split: str) -> list[City]:
    return [City(child.name, child, split) for child in _folders(folder) if _is_city(child)]


def _is_city(folder: Path) -> bool:
    return any((folder / side).is_dir() for side in SIDES)


def _folders(folder: Path) -> list[Path]:
    return [child for child in children(folder) if child.is_dir()] if folder.is_dir() else []


def _nothing_in(root: Path) -> str:
    names = [child.name for child in children(root)]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    message = f"{root}: is not an MSLS tree; expected {_LAYOUT}, found {shown or 'an empty folder'}"
    if _is_city(root):
        return f"{message}. It looks like one city: give the folder above {root.parent.name or 'it'}"
    for child in _folders(root):
        if any((child / split).is_dir() for split in SPLITS):
            return f"{message}. Did you mean {child}?"
    return f"{message}. Give the folder that holds train_val, or make a synthetic tree with `relabel sample msls`"


def _listed(cities: tuple[City, ...]) -> str:
    return ", ".join(city.name for city in cities)
