"""The collections that a sampler draws from, each under a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from relabel.errors import OptionError
from relabel.similarity import SimilaritySource

Labels = SimilaritySource | Mapping[str, SimilaritySource] | Sequence[SimilaritySource | Mapping[str, SimilaritySource]]


class Named(NamedTuple):
    """A collection."""

    name: str
    """what a sampler calls it; no other one of the sampler is called so"""
    source: SimilaritySource
    address: str
    """what errors call it: FILE::collection where it is stored, else its name"""


def named(labels: Labels) -> list[Named]:
    """All collections in their order.

    Those of a mapping, as a label file is one, are called as they are there, others as in their file. Where names come
    twice, the name of the file goes before them, or its path, and at last a number behind.

    Raises
    ------
    OptionError
        when there is none, or something else.
    """
    found = list(_listed(labels))
    if not found:
        raise OptionError("there is no collection to draw from")
    names = _distinct(found)
    return [
        Named(name, source, name if (path := _stored(source, "path")) is None else f"{path}::{_stored(source, 'name')}")
        for name, (_, source) in zip(names, found, strict=True)
    ]


def _listed(labels: Any) -> list[tuple[str, SimilaritySource]]:
    """Names, not all different, and collections."""
    if isinstance(labels, Mapping):
        found = [(str(name), _checked(source)) for name, source in labels.items()]
    elif isinstance(labels, Sequence) and not isinstance(labels, str):
        found = []
        for i, each in enumerate(labels):
            inside = _listed(each) if isinstance(each, Mapping) else [(_name(each, f"collection {i}"), _checked(each))]
            found.extend(inside)
    else:
        found = [(_name(labels, "collection"), _checked(labels))]
    return found


def _checked(source: Any) -> SimilaritySource:
    if not (hasattr(source, "blocks") and hasattr(source, "collection")):
        raise OptionError(
            f"labels holds {type(source).__name__} {source!r:.60}; what is needed are collections, as "
            "LabelFile(path)[name], a LabelFile, or a list of them"
        )
    checked: SimilaritySource = source
    return checked


def _distinct(found: Sequence[tuple[str, SimilaritySource]]) -> list[str]:
    def of_file(path: Callable[[Any], str]) -> list[str]:
        paths = [_stored(source, "path") for _, source in found]
        return [name if at is None else f"{path(at)}::{name}" for (name, _), at in zip(found, paths, strict=True)]

    distinct: list[str] = []
    for names in ([name for name, _ in found], of_file(lambda path: str(path.name)), of_file(str)):
        if len(set(names)) == len(names):
            return names
    taken: set[str] = set()
    for name in names:
        numbered, n = name, 1
        while numbered in taken:
            n += 1
            numbered = f"{name} ({n})"
        taken.add(numbered)
        distinct.append(numbered)
    return distinct


def _name(source: Any, otherwise: str) -> str:
    name = _stored(source, "name")
    return otherwise if name is None else str(name)


def _stored(source: Any, attribute: str) -> Any:
    """What a stored collection says of itself, also one that is converted as it is read; None of any other."""
    return getattr(source, attribute, getattr(getattr(source, "source", None), attribute, None))
