"""The datasets that relabel knows, each described by a `DatasetSpec`.

A built-in dataset is a package of `relabel.datasets` that defines ``SPEC``, and a line in its ``__init__.py``.
A dataset of another distribution is added by an entry point of the group ``relabel.datasets`` that names its
`DatasetSpec`::

    [project.entry-points."relabel.datasets"]
    mydata = "mydata.relabel:SPEC"

Commands, the labelling pipeline, `verify`, `headings`, `evaluate`, `publish` and the search for images all look here.
Only the specification of a dataset is loaded before it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

from relabel.errors import DatasetNotFoundError, NotFoundError, RelabelError
from relabel.plugins import specs_of_distributions

if TYPE_CHECKING:
    from relabel.datasets.base import CameraReader, FrameReader

LabelKind = Literal["fov", "surface"]
"""Kinds of label: the overlap of fields of view, from a `CameraReader`, or of surface, from a `FrameReader`."""

ENTRY_POINTS = "relabel.datasets"
_COMMAND = "relabel "
_OF_READERS = ("name", "command", "root", "parameters", "read")


class ReaderSelection(NamedTuple):
    """The selection made by a dataset's options.

    Attributes
    ----------
    readers:
        one for each collection to be labelled, all of one kind.
    skipped:
        a line for each part of the dataset that is left out although this was not requested.
    """

    readers: Sequence[CameraReader | FrameReader]
    skipped: Sequence[str] = ()


class CommandModule(Protocol):
    """The module that makes a dataset's command: its own options, and how they select readers.

    It is imported only when the command runs. The options that all labelling commands share are added to these. If
    both kinds of label can be made, the module also has a function ``label_kind``, which takes the same values as
    `select` and returns the kind that they ask for.
    """

    OPTIONS: Sequence[Any]
    """click decorators of the dataset's own options and arguments, in the order of the help text"""

    @staticmethod
    def select(**options: Any) -> ReaderSelection:
        """The readers that the values of `OPTIONS` select; its docstring is the text of ``--help``."""
        ...


@dataclass(frozen=True)
class DatasetSpec:
    """The description of one dataset.

    Attributes
    ----------
    name:
        the name of the command that labels it, and of the dataset in messages: ``msls`` for ``relabel msls``.
    summary:
        one line for the list of commands.
    command:
        the `CommandModule`, as a dotted name.
    readers:
        for each kind of label that can be made of the dataset, the class of its readers as ``module:class``. Its
        ``from_parameters(parameters, root)`` makes a reader from the `parameters` recorded in a label file.
    licence:
        what is known about the terms of the data that labels are made from, for publishers of labels.
    default_output:
        the label file that the command writes unless an option names another.
    image_paths:
        templates of the paths of its images below their top folder, the usual one first; see
        `relabel.images.paths.image_paths` for the names in braces.
    from_paths:
        ``module:function``, called as ``function(paths, *, cities=None, columns=None)``, for `relabel headings` and
        `relabel evaluate`. It returns the `ReaderSelection` of bare paths, or None if they are not of this dataset,
        or raises `DatasetNotFoundError` if they look like it but are not. None if paths alone do not say enough.
    other_kind:
        if both kinds of label can be made: for each kind, what a message says about an option of the other kind, such
        as ``needs --depth``.
    default_fov_deg:
        the horizontal field of view of its cameras unless the user says otherwise, degrees.
    tags:
        tags of published labels of this dataset on the Hugging Face Hub; by default its name.
    """

    name: str
    summary: str
    command: str
    readers: Mapping[LabelKind, str]
    licence: str
    default_output: str = "labels.h5"
    image_paths: tuple[str, ...] = ()
    from_paths: str | None = None
    default_fov_deg: float = 90.0
    other_kind: Mapping[LabelKind, str] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None

    @property
    def recorded_command(self) -> str:
        """How the provenance of a label file names the dataset."""
        return _COMMAND + self.name

    def command_module(self) -> CommandModule:
        """Import the module of the command."""
        return cast("CommandModule", importlib.import_module(self.command))

    def select(self, **options: Any) -> ReaderSelection:
        """The readers that values of the command's own options select.

        Raises
        ------
        RelabelError
            where one lacks what a reader has to have; what the command itself raises is passed on.
        """
        selection = self.command_module().select(**options)
        for reader in selection.readers:
            if lacking := [name for name in _OF_READERS if not hasattr(reader, name)]:
                raise RelabelError(
                    f"dataset {self.name}: its reader {type(reader).__name__} lacks {', '.join(lacking)}; "
                    f"readers have {', '.join(_OF_READERS)}"
                )
        return selection

    def reader_class(self, kind: LabelKind) -> Any:
        """Import the class of the readers for one kind of label; a KeyError if there is none."""
        return _load(self.readers[kind])

    def select_paths(
        self, paths: Sequence[Path], *, cities: str | None = None, columns: str | None = None
    ) -> ReaderSelection | None:
        """The result of `from_paths` for bare paths; None if it is not one of this dataset."""
        if self.from_paths is None:
            return None
        selection: ReaderSelection | None = _load(self.from_paths)(paths, cities=cities, columns=columns)
        return selection


def _load(home: str) -> Any:
    module, _, attribute = home.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def built_in() -> dict[str, DatasetSpec]:
    """The datasets of this package by name, in the order of ``relabel/datasets/__init__.py``."""
    packages = vars(importlib.import_module("relabel.datasets")).values()
    specs = (getattr(package, "SPEC", None) for package in packages)
    return {spec.name: spec for spec in specs if isinstance(spec, DatasetSpec)}


@cache
def _of_distributions() -> dict[str, DatasetSpec]:
    return specs_of_distributions(ENTRY_POINTS, DatasetSpec, "dataset", built_in())


def datasets() -> dict[str, DatasetSpec]:
    """All datasets by name: those of this package, then those of other distributions.

    A dataset of another distribution that cannot be loaded is left out with a warning.
    """
    return {**built_in(), **_of_distributions()}


def find(name: str) -> DatasetSpec | None:
    """The dataset of this name; None if there is none. Other distributions are searched after built-in datasets."""
    return built_in().get(name) or _of_distributions().get(name)


def dataset(name: str) -> DatasetSpec:
    """The dataset of this name.

    Raises
    ------
    NotFoundError
        when there is none; the message lists those that exist.
    """
    spec = find(name)
    if spec is None:
        raise NotFoundError(f"there is no dataset {name!r}; there are {', '.join(datasets())}")
    return spec


def find_recorded(command: str) -> DatasetSpec | None:
    """The dataset whose labels carry this command in their provenance; None if it is no labelling command."""
    return find(command.removeprefix(_COMMAND)) if command.startswith(_COMMAND) else None


def select_paths(
    paths: Sequence[Path],
    *,
    dataset_name: str | None = None,
    cities: str | None = None,
    columns: str | None = None,
) -> tuple[DatasetSpec, ReaderSelection]:
    """The dataset that bare paths belong to, and the readers that they select.

    Parameters
    ----------
    paths:
        a folder, or one or two files or folders, as the commands of the datasets take them.
    dataset_name:
        only this dataset is tried; None tries all.
    cities, columns:
        options of MSLS trees and of tables.

    Raises
    ------
    NotFoundError
        when there is no dataset `dataset_name`.
    DatasetNotFoundError
        when the paths belong to no dataset.
    RelabelError
        errors of the dataset that the paths belong to.
    """
    candidates: Iterable[DatasetSpec] = datasets().values() if dataset_name is None else (dataset(dataset_name),)
    refusal: DatasetNotFoundError | None = None
    for spec in candidates:
        try:
            selection = spec.select_paths(paths, cities=cities, columns=columns)
        except DatasetNotFoundError as error:
            refusal = refusal or error
            continue
        if selection is not None:
            return spec, selection
    if refusal is not None:
        raise refusal
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise DatasetNotFoundError(f"{missing[0]}: does not exist")
    shown = " and ".join(map(str, paths))
    what = dataset_name or "any dataset that can be recognised by its files"
    raise DatasetNotFoundError(f"{shown}: is not data of {what}; name the dataset with --source")
