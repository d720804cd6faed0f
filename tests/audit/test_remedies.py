"""What the audit advises can be done: the options that it names are those of the command that it is about."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click
import pytest

from relabel.audit.depth import REMEDIES
from relabel.datasets import registry
from relabel.datasets.rgbd import sequence
from relabel.datasets.seven_scenes import scene
from relabel.datasets.tb_places import sets


def options_of(name: str) -> set[str]:
    """The long options that a dataset's command adds to those of all commands."""
    spec = registry.find(name)
    assert spec is not None

    def command() -> None:
        """Do nothing."""

    for decorate in spec.command_module().OPTIONS:
        command = decorate(command)
    return {option for parameter in click.command()(command).params for option in parameter.opts}


@pytest.mark.parametrize(
    ("name", "own"), [("7scenes", scene.REMEDIES), ("rgbd", sequence.REMEDIES), ("tb-places", sets.REMEDIES)]
)
def test_options_are_there(name: str, own: Mapping[str, str]) -> None:
    """Of each remedy, or of the other command that it names."""
    assert own.keys() <= REMEDIES.keys()
    for code, remedy in {**REMEDIES, **own}.items():
        other = re.search(r"`relabel (\S+) ", remedy)
        there = options_of(name if other is None else other[1])
        assert set(re.findall(r"--[a-z-]+", remedy)) <= there, code
