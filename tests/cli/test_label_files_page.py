"""The commands on docs/label-files.md print what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "label-files.md"


def shown(text: str) -> Iterator[tuple[str, str]]:
    """Every command of the page and its output."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.mark.real_data
def test_page(run: Callable[..., Result], real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands of the page, run in their order on the real dataset, print what stands there."""
    monkeypatch.chdir(tmp_path)
    commands = list(shown(PAGE.read_text(encoding="utf-8")))
    assert len(commands) > 8
    for command, output in commands:
        name, *arguments = (str(real_data / "msls") if word == "MSLS" else word for word in shlex.split(command))
        assert name == "relabel"
        result = run(*arguments)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == output, command
