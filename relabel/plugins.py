"""What other distributions add to relabel, by entry points that load to specifications: datasets and formats."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)


class HasName(Protocol):
    """A specification, which has a name."""

    @property
    def name(self) -> str:
        """Under which it is known."""
        ...


Spec = TypeVar("Spec", bound=HasName)


def specs_of_distributions(group: str, kind: type[Spec], what: str, taken: Container[str]) -> dict[str, Spec]:
    """The specifications that the entry points of a group load to, by name.

    Whatever is wrong with one, the others and all that is built in work: an entry point that cannot be loaded, or adds
    nothing new, is left out with a warning that names its distribution.

    Parameters
    ----------
    group:
        of entry points, such as ``relabel.datasets``.
    kind:
        the class of the specifications.
    what:
        a word for them in the warnings.
    taken:
        names that are built in.
    """
    from importlib import metadata  # noqa: PLC0415  slow to load

    specs: dict[str, Spec] = {}
    for entry_point in metadata.entry_points(group=group):
        distribution = "(unknown)" if entry_point.dist is None else entry_point.dist.name
        origin = f"entry point {entry_point.name!r} of distribution {distribution}"
        try:
            spec = entry_point.load()
        except Exception as error:  # whatever the code of others raises
            log.warning("%s left out: %s cannot be loaded: %s: %s", what, origin, type(error).__name__, error)
            continue
        if not isinstance(spec, kind):
            log.warning("%s left out: %s is a %s, not a %s", what, origin, type(spec).__name__, kind.__name__)
        elif spec.name in taken or spec.name in specs:
            log.warning("%s left out: %s adds %r, which already exists", what, origin, spec.name)
        else:
            specs[spec.name] = spec
    return specs
