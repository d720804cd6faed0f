"""Figures as files: whole or not at all, the same bytes each time, with the fonts in them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import relabel
from relabel import plot
from relabel.errors import MissingPackageError
from relabel.figures import DARK, LIGHT, SUFFIXES
from relabel.plot.files import StatsFigures, row_figure
from tests.similarities import similarity

Run = Callable[..., Result]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    channels = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


class TestStyle:
    """relabel.plot.style"""

    @pytest.mark.parametrize("colours", [LIGHT, DARK])
    def test_contrast(self, colours: Any) -> None:
        """Text has the contrast that WCAG asks of it, marks most of what it asks of graphics."""

        def contrast(name: str) -> float:
            one, other = sorted(luminance(getattr(colours, each)) + 0.05 for each in (name, "background"))
            return other / one

        assert contrast("ink") > 7.0
        assert all(contrast(name) > 3.0 for name in ("query", "shared", "fault", "faint"))
        assert contrast("database") > 2.0

    def test_follows_the_axes(self) -> None:
        """Without further ado colours are those for the background of the axes, also one that is seen through."""
        for dark, colours in ((False, LIGHT), (True, DARK)):
            with mpl.rc_context(plot.style(dark=dark)):
                figure = mpl.figure.Figure()
                for transparent in (False, True):
                    ax = figure.add_subplot()
                    ax.patch.set_alpha(0.0 if transparent else 1.0)
                    first = plot.histogram(similarity(), ax=ax).patches[0]
                    assert mpl.colors.to_hex(first.get_facecolor()) == colours.faint


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_bytes(tmp_path: Path, suffix: str) -> None:
    """The same labels give the same files, in which no time is written."""
    psi = similarity(20, 30, seed=1)
    for name in ("one", "two"):
        StatsFigures(tmp_path / name, suffix).write({"a/b": psi})
        row_figure(tmp_path / name / f"row{suffix}", psi, "q0001")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(f"{stem}{suffix}" for stem in ("a-b-map", "a-b-histogram", "a-b-plane", "row"))
    for name in names:
        data = (tmp_path / "one" / name).read_bytes()
        assert data == (tmp_path / "two" / name).read_bytes()
        assert b"Date" not in data
        if suffix == ".pdf":
            assert b"/FontFile2" in data
        if suffix == ".svg":
            assert b"<text" not in data


class TestStats:
    """relabel stats --plot"""

    def test_all_or_none(self, run: Run, labels: Path, here: Path) -> None:
        """Figures of the collections; where one is there already, none is written, unless --force is given."""
        figures = ("stats", f"{labels}::amman", "--plot", "figures")
        done = run(*figures)
        assert done.exit_code == 0, done.stderr
        assert "ψ ≥ 0.5" in done.stdout
        names = {path.name for path in Path("figures").iterdir()}
        assert names == {"amman-map.svg", "amman-histogram.svg", "amman-plane.svg"}
        for name in names - {"amman-plane.svg"}:
            Path("figures", name).unlink()
        again = run(*figures)
        assert again.exit_code == 1
        assert "amman-plane.svg: already exists;" in again.stderr
        assert "--force" in again.stderr
        assert len(list(Path("figures").iterdir())) == 1
        assert run(*figures, "--force", "--dark").exit_code == 0
        assert {path.name for path in Path("figures").iterdir()} == names

    def test_without_matplotlib(self, run: Run, labels: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error says what is missing and how to get it, and nothing is written."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        for command in (("stats", labels, "--plot", "f"), ("row", f"{labels}::amman", "q0001", "--plot", "f.svg")):
            done = run(*command)
            assert done.exit_code == 1
            assert "needs the package matplotlib" in done.stderr
            assert "pip install matplotlib" in done.stderr
        assert list(here.iterdir()) == []
        with pytest.raises(MissingPackageError, match="pip install matplotlib"):
            plot.histogram(similarity())


class TestRow:
    """relabel row --plot"""

    def test_with_images(self, run: Run, similarities: Any, labels: Path, here: Path) -> None:
        """A figure with a strip of images, of which a missing or a damaged one is no reason to fail."""
        psi = similarities["amman"]
        row = int(np.argmax(np.diff(psi.matrix.indptr)))
        key = str(psi.collection.query.key[row])
        for name in (key, *psi.collection.database.key[psi.matrix[[row]].nonzero()[1]][:9]):
            Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(f"{name}.jpg")
        Path(f"{key}.jpg").write_bytes(b"\xff\xd8 no more")
        arguments = ("row", f"{labels}::amman", key, "--top", 5)
        done = run(*arguments, "--plot", "row.png", "--images", ".")
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines()[0].endswith("the best 5")
        plain = run(*arguments, "--plot", "plain.png")
        assert plain.exit_code == 0, plain.stderr
        with Image.open("row.png") as tall, Image.open("plain.png") as short:
            assert tall.height > short.height
        assert "already exists;" in run(*arguments, "--plot", "row.png").stderr

    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [
            (["--plot", "a.gif"], 2, ".svg, .pdf, .png"),
            (["--images", "."], 2, "--plot FILE"),
            (["--plot", "no/a.svg"], 1, "does not exist"),
            (["--plot", "a.svg", "--images", "nowhere"], 1, "nowhere"),
            (["--plot", "a.svg", "--images", "."], 1, "holds no image"),
        ],
    )
    def test_wrong(self, run: Run, labels: Path, here: Path, options: list[str], code: int, words: str) -> None:
        """Clear errors, and no file."""
        done = run("row", f"{labels}::amman", "q0001", *options)
        assert (done.exit_code, words in done.stderr) == (code, True), done.stderr
        assert list(here.iterdir()) == []


def test_is_within_reach() -> None:
    """`relabel.plot` lists what it has, and matplotlib is not loaded for it."""
    assert set(relabel.plot.__all__) <= set(dir(relabel.plot))
