"""relabel publish: arguments and what it prints; the folder is tested with relabel.publish."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from relabel.publish import About, Published

Runner = Callable[..., Result]


ALL = """--title T --description D --creator A --creator B --license MIT --url http://x --date 2026-01-02
--edition 2.0.0 --parquet --report --report-images I --image-path {key}.png --force"""
PLAIN = {"parquet": False, "report": False, "images": None, "image_path": None, "overwrite": False}


class TestPublish:
    """relabel publish"""

    @pytest.mark.parametrize(
        ("flags", "about", "options"),
        [
            ("", About(), PLAIN),
            (
                ALL,
                About("T", "D", ("A", "B"), "MIT", "http://x", "2026-01-02", "2.0.0"),
                {
                    "parquet": True,
                    "report": True,
                    "images": Path("I"),
                    "image_path": "{key}.png",
                    "overwrite": True,
                },
            ),
        ],
    )
    def test_arguments(
        self, run: Runner, monkeypatch: pytest.MonkeyPatch, flags: str, about: About, options: dict[str, Any]
    ) -> None:
        """The command calls the library with the same names."""
        seen: list[Any] = []

        def publish(*given: Any, **named: Any) -> Published:
            seen.append((*given, named))
            return Published(given[1], ("a", "b"))

        monkeypatch.setattr("relabel.publish.publish", publish)
        result = run("publish", "x.h5", "-o", "out", *flags.split())
        assert (result.exit_code, result.stdout) == (0, "out/a\nout/b\n")
        assert seen == [(Path("x.h5"), Path("out"), about, options)]

    def test_json(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Folder and files, for programs."""
        result = run("publish", labels, "-o", tmp_path / "out", "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        summary = json.loads(result.stdout)
        assert summary["folder"] == str(tmp_path / "out")
        assert summary["files"] == sorted(entry.name for entry in (tmp_path / "out").iterdir())

    def test_hub(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Tables are made, and the command that uploads them is printed, for people and for programs."""
        page = "https://huggingface.co/datasets/me/mine"
        result = run("publish", labels, "-o", tmp_path / "out", "--hub", "--url", page)
        command = f"hf upload me/mine {tmp_path / 'out'} . --repo-type dataset"
        assert result.exit_code == 0
        missing, nothing = result.stderr.splitlines()
        assert (
            missing == "relabel: the card lacks information for its readers; add it with: --license, --creator, --date"
        )
        assert nothing == f"relabel: nothing has been uploaded; check README.md, then run: {command}"
        assert [line for line in result.stdout.splitlines() if line.endswith(".parquet")] != []
        result = run("publish", labels, "-o", tmp_path / "out", "--hub", "--url", page, "--force", "--json")
        assert json.loads(result.stdout)["upload"] == command

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["missing.h5", "-o", "out"], 1, "missing.h5"),
            (["both.h5"], 2, "--output"),
            (["both.h5", "-o", "out", "--date", "today"], 2, "YYYY-MM-DD"),
            (["both.h5", "-o", "out", "--edition", "1"], 2, "MAJOR"),
            (["both.h5", "-o", "."], 1, "which no earlier run of this command wrote"),
            (["both.h5", "-o", ".", "--force"], 1, "which no earlier run of this command wrote"),
            (["text.h5", "-o", "out"], 1, "is not valid"),
        ],
    )
    def test_refused(
        self, run: Runner, labels: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
    ) -> None:
        """One line on stderr, nothing on stdout, and no folder."""
        monkeypatch.chdir(labels.parent)
        Path("text.h5").write_text("no label file")
        result = run("publish", *arguments)
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
        assert result.stderr.count("\n") == 1
        assert not Path("out").exists()
