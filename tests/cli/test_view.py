"""relabel view and relabel report"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from click.testing import Result
from PIL import Image

from relabel.labelfile import LabelFile
from tests.view.rooms import FRAMES, small_room
from tests.view.test_thumbnails import embedded_images

Runner = Callable[..., Result]


class TestReport:
    """relabel report"""

    def test_writes_a_page(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """The path is printed; the page holds all collections of the file, or the one that is named."""
        result = run("report", labels, "-o", tmp_path / "page.html")
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"{tmp_path / 'page.html'}\n", "")
        assert (tmp_path / "page.html").read_text(encoding="utf-8").count('id="collection-') == 2
        assert run("report", f"{labels}::amman", "-o", tmp_path / "one.html").exit_code == 0
        assert (tmp_path / "one.html").read_text(encoding="utf-8").count('id="collection-') == 1

    def test_replaces_a_page_only_with_force(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """A page that is there stays as it is without --force."""
        page = tmp_path / "page.html"
        page.write_text("mine")
        result = run("report", labels, "-o", page)
        assert result.exit_code != 0
        assert "--force" in result.stderr
        assert page.read_text() == "mine"
        assert run("report", labels, "-o", page, "--force").exit_code == 0
        assert [path.name for path in tmp_path.iterdir()] == ["page.html"]

    def test_wants_html(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Another suffix is refused before anything is read."""
        result = run("report", labels, "-o", tmp_path / "page.pdf")
        assert result.exit_code != 0
        assert "page.pdf: the page is written as HTML" in result.stderr

    def test_images(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Those below --images; a folder without any is refused, and so is what belongs to --images without it."""
        page, images = tmp_path / "page.html", tmp_path / "images"
        images.mkdir()
        for flags, words in (
            (["--image-path", "{key}.jpg"], "--image-path can only be used with --images"),
            (["--follow-links"], "--follow-links can only be used with --images or --root"),
            (["--images", images], "holds no image of the query cameras"),
        ):
            result = run("report", f"{labels}::amman", "-o", page, *flags)
            assert result.exit_code != 0
            assert words in result.stderr
            assert [path.name for path in tmp_path.iterdir()] == ["images"]
        for key in LabelFile(labels)["amman"].query.key.tolist():
            Image.new("RGB", (32, 24)).save(images / f"{key}.jpg")
        for key in LabelFile(labels)["amman"].database.key.tolist():
            Image.new("RGB", (32, 24)).save(images / f"{key}.jpg")
        result = run("report", f"{labels}::amman", "-o", page, "--images", images)
        assert result.exit_code == 0
        assert "page.html: Images of" in result.stderr
        assert 'id="images"' in page.read_text(encoding="utf-8")

    def test_images_of_frames(self, run: Runner, tmp_path: Path) -> None:
        """--root finds those of labels from depth maps, each at its frame; a dataset that is not there is refused."""
        [room] = small_room(tmp_path)
        page = tmp_path / "page.html"
        result = run("report", room.path, "-o", page, "--root", tmp_path / "nothing")
        assert result.exit_code != 0
        assert "nothing: there is no such folder" in result.stderr
        (tmp_path / "empty").mkdir()
        result = run("report", room.path, "-o", page, "--root", tmp_path / "empty")
        assert result.exit_code != 0
        assert str(tmp_path / "empty") in result.stderr
        assert not page.exists()
        result = run("report", room.path, "-o", page, "--root", tmp_path / "room")
        assert result.exit_code == 0, result.stderr
        assert f"Images of {FRAMES} of {FRAMES} cameras" in result.stderr
        held = embedded_images(page.read_text(encoding="utf-8"), 0)["queries"]
        for k in range(FRAMES):  # see small_room
            with Image.open(io.BytesIO(held[k])) as image:
                assert image.size == (80, 60)
                assert image.getpixel((40, 30)) == pytest.approx((40 * k, 90, 160), abs=4)

    def test_needs_no_server(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """It works where tornado is not installed."""
        with mock.patch.dict(sys.modules, {"tornado": None}):
            assert run("report", labels, "-o", tmp_path / "page.html").exit_code == 0


class TestView:
    """relabel view"""

    def test_says_what_is_missing(self, labels: Path) -> None:
        """Without tornado the error names the package and how to get it."""
        code = "import sys; sys.modules['tornado'] = None; from relabel.cli import main; main()"
        command = [sys.executable, "-c", code, "view", str(labels), "--no-browser"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode != 0
        assert "pip install 'relabel-vpr[view]'" in done.stderr

    def test_options_that_belong_together(self, run: Runner, labels: Path) -> None:
        """What is said of images needs images, which have to be there, and so has a file to compare with."""
        pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")
        result = run("view", labels, "--no-browser", "--follow-links")
        assert result.exit_code != 0
        assert "--follow-links can only be used with --images or --root" in result.stderr
        result = run("view", labels, "--no-browser", "--image-path", "{key}.jpg", "--root", labels.parent)
        assert "--image-path can only be used with --images" in result.stderr
        result = run("view", f"{labels}::amman", "--no-browser", "--root", labels.parent)
        assert result.exit_code != 0
        assert "holds no image of the query cameras" in result.stderr
        result = run("view", labels, "--no-browser", "--compare", labels.parent / "nothing.h5")
        assert result.exit_code != 0
        assert "nothing.h5" in result.stderr

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--attribution", "mine"], "--attribution can only be used with --tiles"),
            (["--tiles", "https://{s}.tiles.example/{z}/{x}/{y}.png"], "give the address of one host"),
            (["--tiles", "https://tiles.example/{z}/{x}/{y}.png"], "frame local: its location on the earth is unknown"),
        ],
    )
    def test_tiles(self, run: Runner, labels: Path, flags: list[str], words: str) -> None:
        """What cannot be a base map is refused with the reason."""
        pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")
        result = run("view", f"{labels}::amman", "--no-browser", *flags)
        assert result.exit_code != 0
        assert words in result.stderr

    def test_serves_until_interrupted(self, labels: Path, tmp_path: Path) -> None:
        """It prints the address, answers there, with images of the dataset, and ends at Ctrl-C and says so."""
        pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")
        amman = LabelFile(labels)["amman"]
        for side, cameras in (("query", amman.query), ("database", amman.database)):
            folder = tmp_path / "msls" / "train_val" / "amman" / side / "images"
            folder.mkdir(parents=True)
            for key in cameras.key.tolist():
                Image.new("RGB", (32, 24)).save(folder / f"{key}.jpg")
        command = [sys.executable, "-m", "relabel", "view", f"{labels}::amman", "--no-browser"]
        command += ["--root", str(tmp_path / "msls"), "--compare", f"{labels}::amman"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url) as answer:
                assert b"relabel" in answer.read()
            with urllib.request.urlopen(f"{url}image?collection=amman&side=database&row=1") as answer:
                assert answer.read() == (folder / f"{amman.database.key[1]}.jpg").read_bytes()
            with urllib.request.urlopen(f"{url}api/contents") as answer:
                assert json.load(answer)["compared"] == {"file": labels.name, "collections": ["amman"]}
            os.kill(process.pid, signal.SIGINT)
            _, errors = process.communicate()
        assert process.returncode == 130
        assert "Traceback" not in errors
