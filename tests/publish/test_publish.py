"""relabel.publish: the folder is whole, checks out, tells the truth, and tells nothing of the machine."""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from absl import logging as absl_logging
from PIL import Image
from scipy import sparse

import relabel
from relabel.cameras import Cameras
from relabel.cli.commands import COMMANDS, LABEL
from relabel.errors import LabelFileError, MissingFileError, OptionError, OutputError, OutputExistsError
from relabel.labelfile import LabelFile, provenance
from relabel.publish import About, publish
from relabel.publish.card import _PARAMETERS, source_notes
from relabel.publish.upload import sums_names, sums_text
from relabel.similarity import Similarity
from relabel.view.standalone import write_report
from tests.conftest import REPOSITORY
from tests.similarities import similarity
from tests.stopped import stopped

FULL = About(
    title="Labels of two: [a] * <b> | `c`",
    description="What they are.",
    creators=("A. Person", "A Group"),
    license="CC-BY-4.0",
    url="https://example.org/labels",
    date="2026-01-02",
    version="1.2.3",
)
FILES = ("README.md", "SHA256SUMS", "both.h5", "croissant.json", "histogram.svg")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label file with two collections, one of them nested and of self pairs in another measure."""
    path = tmp_path_factory.mktemp("labels") / "both.h5"
    inputs = [{"path": "a/raw.csv", "bytes": 12, "sha256": "0" * 64}]
    record = provenance.step("relabel msls", {"city": "amman", "fov_deg": 90.0}, inputs)
    second = similarity(20, seed=2, self_pairs=True).to_measure("dice")
    relabel.write(path, {"amman": similarity(30, 40, seed=1), "kitchen/train": second}, provenance=[record])
    return path


@pytest.fixture(scope="module")
def folder(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, published with all that can be said and with tables."""
    path = tmp_path_factory.mktemp("out") / "published"
    publish(labels, path, FULL, parquet=True)
    return path


@pytest.fixture
def text(folder: Path) -> str:
    """Its card."""
    return (folder / "README.md").read_text(encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """All files by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


STOPPED = """
import sys
from pathlib import Path
from relabel.publish import upload
from tests.stopped import stop
upload.card = stop
upload.publish(Path(sys.argv[1]), Path(sys.argv[2]), overwrite=True)
"""


def snippets(folder: Path) -> list[str]:
    """The code in the card."""
    return re.findall(
        r"```python\n(.*?)^```$", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


class TestFolder:
    """What is in the folder."""

    def test_files(self, labels: Path, tmp_path: Path) -> None:
        """The files that are promised, and nothing else beside the folder."""
        made = publish(labels, tmp_path / "out")
        assert made.files == FILES
        assert sorted(contents(tmp_path / "out")) == list(FILES)
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
        assert (tmp_path / "out/both.h5").read_bytes() == labels.read_bytes()

    def test_sha256sum(self, folder: Path) -> None:
        """`sha256sum -c` finds every file but its own list, and each is as listed."""
        done = subprocess.run(
            ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True, text=True
        )
        assert sorted(line.removesuffix(": OK") for line in done.stdout.splitlines()) == sorted(
            set(contents(folder)) - {"SHA256SUMS"}
        )

    def test_same_bytes(self, labels: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same input gives the same bytes, elsewhere and under another user's settings too."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        shutil.copy(labels, tmp_path / "both.h5")
        publish(Path("both.h5"), Path("again"), FULL, parquet=True)
        assert contents(tmp_path / "again") == contents(folder)

    def test_nothing_of_the_machine(self, labels: Path, folder: Path) -> None:
        """No file names the machine, the user, or a folder of theirs."""
        user = getpass.getuser()
        private = {str(labels.parent), str(folder.parent), str(Path.cwd()), str(Path.home()), f"/{user}", f"{user}@"}
        private |= {socket.gethostname()} if len(socket.gethostname()) > 4 else set()
        for name, data in contents(folder).items():
            assert [text for text in private if text.encode() in data] == [], name

    def test_date_of_the_environment(self, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """SOURCE_DATE_EPOCH is the date where none is given; no clock is asked."""
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
        publish(labels, tmp_path / "a")
        assert json.loads((tmp_path / "a/croissant.json").read_text())["datePublished"] == "1970-01-02"
        publish(labels, tmp_path / "b", FULL)
        assert json.loads((tmp_path / "b/croissant.json").read_text())["datePublished"] == "2026-01-02"
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
        with pytest.raises(OptionError, match="SOURCE_DATE_EPOCH"):
            publish(labels, tmp_path / "c")
        monkeypatch.delenv("SOURCE_DATE_EPOCH")
        publish(labels, tmp_path / "d")
        assert "datePublished" not in json.loads((tmp_path / "d/croissant.json").read_text())
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b", "d"]

    def test_page(self, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """report.html is the page of the published file, the same bytes wherever it is made; no images unless asked."""
        made = publish(labels, tmp_path / "out", report=True)
        assert made.files == tuple(sorted([*FILES, "report.html"]))
        page = (tmp_path / "out/report.html").read_bytes()
        collections = [LabelFile(labels)[name] for name in LabelFile(labels)]
        assert page == write_report(collections, tmp_path / "page.html").read_bytes()
        assert b"This page contains no images" in page
        assert str(tmp_path).encode() not in page
        assert hashlib.sha256(page).hexdigest() + "  report.html" in (tmp_path / "out/SHA256SUMS").read_text()
        card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
        assert "[report.html](report.html)" in card
        assert "holds images" not in card
        entry = {
            file["name"]: file for file in json.loads((tmp_path / "out/croissant.json").read_text())["distribution"]
        }["report.html"]
        assert entry["encodingFormat"] == "text/html"
        assert entry["contentSize"] == f"{len(page)} B"
        publish(labels, tmp_path / "out", overwrite=True)  # which is a folder of its own, and may be replaced
        assert not (tmp_path / "out/report.html").exists()

    def test_page_with_images(self, labels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Page, log and card say that their licence is not that of the labels."""
        images = tmp_path / "images"
        images.mkdir()
        for name in LabelFile(labels):
            for key in {*LabelFile(labels)[name].query.key.tolist(), *LabelFile(labels)[name].database.key.tolist()}:
                Image.new("RGB", (64, 48), "teal").save(images / f"{key}.jpg")
        publish(labels, tmp_path / "out", report=True, images=images)
        said = "The images are not covered by the licence of the labels: ask their owners"
        assert said in (tmp_path / "out/report.html").read_text(encoding="utf-8")
        assert said in caplog.text
        card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
        assert "report.html holds images. The licence of the labels is not theirs" in card
        assert "No images are included" not in card
        for page, template in ((False, None), (True, "{key}.jpg")):
            with pytest.raises(OptionError, match="images=… needs report=True"):
                publish(
                    *(labels, tmp_path / "other"),
                    report=page,
                    images=None if page else images,
                    image_path=template,
                )

    def test_imported_without_places(self, tmp_path: Path) -> None:
        """Labels whose measure, places and extents nobody stated are published as such."""
        source = similarity(10, 12, faults=False)
        c = source.collection
        sides = {
            side: Cameras(key=cameras.key, position=np.full((len(cameras), 2), np.nan), posed=False)
            for side, cameras in (("query", c.query), ("database", c.database))
        }
        extents = {f"{side}_extent": np.full(len(cameras), np.nan) for side, cameras in sides.items()}
        fields: dict[str, Any] = {"method": "imported", "measure": "unknown", "min_value": 0.25, **sides, **extents}
        matrix = source.matrix.copy()
        matrix.data[matrix.data <= 0.25] = 0.0
        matrix.eliminate_zeros()
        relabel.write(tmp_path / "x.h5", {"x": Similarity(replace(c, **fields), matrix)})
        publish(tmp_path / "x.h5", tmp_path / "out")
        text = (tmp_path / "out/README.md").read_text(encoding="utf-8")
        assert "measure `unknown`: not stated by the makers of the labels" in text
        assert "true negative" not in text
        assert "does not say which dataset" in text

    @pytest.mark.parametrize("name", ["newer-minor", "empty", "scene"])
    def test_golden_files(self, tmp_path: Path, name: str) -> None:
        """Files with methods of a later version, without pairs, and with depth as their source are published too."""
        golden = REPOSITORY / f"formats/golden/v1.0/{name}.h5"
        publish(golden, tmp_path / "out")
        card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
        assert all(f"| {stored}" in card for stored in LabelFile(golden))


class TestCard:
    """README.md"""

    def test_parameters_are_explained(self) -> None:
        """All of those that the schema of the format knows, but for what other sentences of the card say."""
        schema = json.loads((REPOSITORY / "formats/schemas/params-v1.schema.json").read_text(encoding="utf-8"))
        known = set(re.findall(r'"(\w+_(?:deg|m)|arc|stride|occluders|mask)": \{', json.dumps(schema)))
        assert known
        assert known <= _PARAMETERS.keys()

    def test_front_matter(self, text: str) -> None:
        """Title and licence as dataset hubs read them."""
        _, front, _ = text.split("---\n", 2)
        assert f"pretty_name: {json.dumps(FULL.title)}" in front.splitlines()
        assert 'license: "cc-by-4.0"' in front.splitlines()

    def test_licence_by_url(self, labels: Path, tmp_path: Path) -> None:
        """A licence that is a page is linked."""
        publish(labels, tmp_path / "out", About(license="https://example.org/terms"))
        front = (tmp_path / "out/README.md").read_text(encoding="utf-8").split("---\n", 2)[1]
        assert 'license: other\nlicense_name: "see-link"\nlicense_link: "https://example.org/terms"' in front

    def test_title_is_shown_as_it_is(self, text: str) -> None:
        """What Markdown would take for its own is escaped."""
        assert "\n# Labels of two: \\[a\\] \\* \\<b\\> \\| \\`c\\`\n" in text

    @pytest.mark.parametrize(
        "words",
        [
            "What they are.",
            "measure `iou` (amman): ψ = I / (A + B − I)",
            "measure `dice` (kitchen/train): ψ = 2 I / (A + B)",
            "the queries themselves",
            "fov_deg 90.0, radius_m 50.0",
            "A field of view is `fov_deg` degrees wide. It reaches `radius_m` metres.",
            "true negative",
            "**unknown**",
            "sha256sum -c SHA256SUMS",
            "relabel validate both.h5",
            "`a/raw.csv`, 12 bytes",
            "numpy ",
            "These labels: CC-BY-4.0.",
            "Mapillary Street-Level Sequences",
            "To be checked by the publisher",
            "A. Person, A Group (2026).",
            "![Stored pairs by ψ](histogram.svg)",
        ],
    )
    def test_says(self, text: str, words: str) -> None:
        """What it is, in what measure, from what, and what is not known."""
        assert words in text

    def test_counts(self, text: str, labels: Path) -> None:
        """Counts are those of the file."""
        stored = LabelFile(labels)["amman"]
        assert f"| {stored.nnz:,} |" in text
        counts = ", ".join(f"{n:,} {name}" for name, n in stored.query.status_counts().items())
        assert f"| {counts} |" in text
        positive = int((stored.to_scipy().data >= np.float32(0.5)).sum())
        assert f"| amman | {positive:,} pairs" in text

    @pytest.mark.parametrize("number", [0, 1])
    def test_snippets_run(self, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        """Both ways to load it do what they say."""
        monkeypatch.chdir(folder)
        names: dict[str, Any] = {}
        code = snippets(folder)[number]
        exec(compile(code, "README.md", "exec"), names)
        assert ("relabel" in code) == (number == 0)
        stored = LabelFile(folder / "both.h5")["amman"]
        assert isinstance(names["psi"], sparse.csr_array)
        assert (names["psi"] != stored.to_scipy()).nnz == 0
        assert list(names["query"]) == list(stored.query.key)
        assert list(names["database"]) == list(stored.database.key)
        assert (names["query_ok"] == stored.query.ok).all()
        assert (names["database_ok"] == stored.database.ok).all()

    def test_what_comes_from_input_is_escaped(self, tmp_path: Path) -> None:
        """Frame, paths, command, parameters and names of collections are shown, and never are Markdown or HTML."""
        evil = "a` <script>b</script> ![x](http://e.vil) | \u202ec ``` &amp; ~~d~~ $e$"
        inputs = [{"path": f"{evil}.csv", "bytes": 1, "sha256": "0" * 64}]
        record = provenance.step(f"relabel {evil}", {"city": evil}, inputs)
        psi = similarity(6, 5, seed=1)
        sides = (replace(side, crs=evil) for side in (psi.collection.query, psi.collection.database))
        query, database = sides
        collection = replace(psi.collection, query=query, database=database, params={"shape": evil})
        name = evil.replace("/", "_").replace(":", ";")
        path = relabel.write(tmp_path / "l.h5", {name: Similarity(collection, psi.matrix)}, provenance=[record])
        publish(path, tmp_path / "out", parquet=True)
        card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
        title = name.replace("\u202e", "\\u202e")
        shown = evil.replace("\u202e", "\\u202e")
        assert f"```` {shown} ````" in card  # the frame
        assert f"```` {shown}.csv ````, 1 bytes" in card
        assert f"```` relabel {shown} ````" in card
        assert all(c.isprintable() or c == "\n" for c in card)
        # What CommonMark calls code, blocks and spans, is not read as anything else.
        front, body = card.split("---\n", 2)[1:]
        rest = re.sub(r"^```.*?^```$", "", body, flags=re.DOTALL | re.MULTILINE)
        rest = re.sub(r"(?<![`\\])(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", rest)
        for mark in ("<script", "![x", "](http://e.vil", "| \\u202ec", "&amp;", "~~d", "$e$"):
            assert len(re.findall(rf"(?<!\\){re.escape(mark)}", rest)) == 0, mark
        rows = [line for line in rest.splitlines() if line.startswith("| a")]
        assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [7, 6]  # cells of the two tables
        assert json.loads(front.split("pretty_name: ")[1].splitlines()[0]) == f"Graded similarity labels: {title}"
        # The tables have the name of the collection in theirs; all snippets still are Python.
        for code in snippets(tmp_path / "out"):
            compile(code, "README.md", "exec")

    @pytest.mark.parametrize(
        ("title", "shown"), [("1. a", "1\\. a"), ("- a", "\\- a"), ("+a", "\\+a"), ("a - b", "a - b")]
    )
    def test_a_title_is_no_list(self, title: str, shown: str, labels: Path, tmp_path: Path) -> None:
        """What begins a list stays a text, in the title as in the citation."""
        publish(labels, tmp_path / "out", About(title=title))
        card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
        assert f"\n# {shown}\n" in card
        assert f"\n{shown}. Version" in card

    def test_sources(self) -> None:
        """A note for each known source, one that says so for none."""
        assert "does not say" in source_notes([])[0]
        assert len(source_notes([{"command": "relabel msls"}, {"command": "relabel import"}])) == 2

    def test_every_labelling_command_has_a_note(self) -> None:
        """What is known of the terms of a dataset is said for each command that labels one."""
        commands = [name for name, entry in COMMANDS.items() if entry.section == LABEL and name != "sample"]
        notes = [source_notes([{"command": f"relabel {name}"}]) for name in commands]
        assert all(len(texts) == 1 and texts != source_notes([]) for texts in notes)
        assert len({text for (text,) in notes}) == len(commands)
        assert all(text.endswith("**To be checked by the publisher.**") for (text,) in notes)


@contextmanager
def mlcroissant_log() -> Iterator[list[str]]:
    """Collect what mlcroissant logs."""
    seen: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    logger, handler = absl_logging.get_absl_logger(), Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)


# rdflib, which it is built on, warns of itself.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")
class TestCroissant:
    """croissant.json, as the library of its makers reads it."""

    def test_no_errors_no_warnings(self, folder: Path) -> None:
        """With all that can be said, there is nothing to complain of."""
        import mlcroissant

        with mlcroissant_log() as seen:
            dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
        issues = dataset.metadata.ctx.issues
        assert (set(issues.errors), set(issues.warnings), seen) == (set(), set(), [])
        assert dataset.metadata.name == FULL.title
        assert dataset.metadata.version == "1.2.3"

    def test_no_errors_with_nothing_said(self, labels: Path, tmp_path: Path) -> None:
        """Without, it still is valid."""
        import mlcroissant

        publish(labels, tmp_path / "out")
        with mlcroissant_log():
            dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "out/croissant.json"))
        assert set(dataset.metadata.ctx.issues.errors) == set()

    def test_files(self, folder: Path) -> None:
        """Every file but itself and the checksums is listed with its digest and size."""
        listed = {entry["@id"]: entry for entry in json.loads((folder / "croissant.json").read_text())["distribution"]}
        files = contents(folder)
        assert set(listed) == set(files) - {"croissant.json", "SHA256SUMS"}
        for name, entry in listed.items():
            assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest()
            assert entry["contentSize"] == f"{len(files[name])} B"
        assert listed["both.h5"]["encodingFormat"] == "application/x-hdf5"

    @pytest.mark.parametrize(("record_set", "name"), [("amman", "amman"), ("kitchen-train", "kitchen/train")])
    def test_records(self, folder: Path, labels: Path, record_set: str, name: str) -> None:
        """The pairs and cameras can be streamed by it."""
        import mlcroissant

        with mlcroissant_log():
            dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
            pairs = list(dataset.records(record_set))
            cameras = list(dataset.records(f"{record_set}.cameras"))
        stored = LabelFile(labels)[name]
        matrix = stored.to_scipy().tocoo()
        expected = {
            (str(stored.query.key[i]), str(stored.database.key[j])): float(value)
            for i, j, value in zip(matrix.row, matrix.col, matrix.data, strict=True)
        }
        records = {
            (r[f"{record_set}/query"].decode(), r[f"{record_set}/database"].decode()): r[f"{record_set}/value"]
            for r in pairs
        }
        assert records == pytest.approx(expected)
        keys = {r[f"{record_set}.cameras/key"].decode() for r in cameras}
        assert keys == set(stored.query.key) | set(stored.database.key)


class TestRefused:
    """Folders and files that are left alone."""

    def test_invalid(self, labels: Path, tmp_path: Path) -> None:
        """A file with changed content is not published, and the findings are named."""
        bad = tmp_path / "both.h5"
        shutil.copy(labels, bad)
        with h5py.File(bad, "r+") as file:
            file["amman"].attrs["min_value"] = 0.5
        with pytest.raises(LabelFileError, match=r"both\.h5: is not valid, so it is not published: /amman"):
            publish(bad, tmp_path / "out")
        assert [entry.name for entry in tmp_path.iterdir()] == ["both.h5"]

    def test_not_empty(self, labels: Path, tmp_path: Path) -> None:
        """A folder with files is replaced only on demand, and whole."""
        out = tmp_path / "out"
        publish(labels, out, parquet=True)
        with pytest.raises(OutputExistsError, match="overwrite=True"):
            publish(labels, out)
        publish(labels, out, overwrite=True)
        assert sorted(contents(out)) == list(FILES)
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize("published", [False, True])
    def test_files_of_others(self, labels: Path, tmp_path: Path, *, published: bool) -> None:
        """A folder that holds anything else is never replaced."""
        out = tmp_path / "out"
        if published:
            publish(labels, out)
        out.mkdir(exist_ok=True)
        (out / "thesis.tex").write_text("mine")
        before = contents(out)
        with pytest.raises(OutputExistsError, match=r"'thesis\.tex'"):
            publish(labels, out, overwrite=True)
        assert contents(out) == before

    def test_empty_folder(self, labels: Path, tmp_path: Path) -> None:
        """An empty folder may be there."""
        (tmp_path / "out").mkdir()
        assert publish(labels, tmp_path / "out").files == FILES

    @pytest.mark.parametrize("target", ["file", "no/out"])
    def test_no_folder(self, labels: Path, tmp_path: Path, target: str) -> None:
        """A file in its place, or no place at all."""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(OutputError):
            publish(labels, tmp_path / target)
        assert (tmp_path / "file").read_text() == "mine"

    def test_fails_in_the_middle(self, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever goes wrong, the old folder stays as it was and nothing is left beside it."""
        publish(labels, tmp_path / "out", FULL)
        before = contents(tmp_path / "out")

        def fail(*_: object) -> str:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("relabel.publish.upload.metadata", fail)
        with pytest.raises(OSError, match="space"):
            publish(labels, tmp_path / "out", overwrite=True)
        assert contents(tmp_path / "out") == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]

    def test_killed(self, labels: Path, tmp_path: Path) -> None:
        """What a killed run left goes with the next, and no sooner than it is dead."""
        publish(labels, tmp_path / "out")
        before = contents(tmp_path / "out")
        with stopped(STOPPED, labels, tmp_path / "out") as process:
            publish(labels, tmp_path / "out", overwrite=True)
            assert len([*tmp_path.iterdir()]) == 2
            process.kill()
        publish(labels, tmp_path / "out", overwrite=True)
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
        assert contents(tmp_path / "out") == before

    @pytest.mark.parametrize("name", ["other.h5", "other.parquet", "sub"])
    def test_what_is_not_listed(self, labels: Path, tmp_path: Path, name: str) -> None:
        """Label files and tables that somebody has put beside the published ones are somebody's, and stay."""
        publish(labels, tmp_path / "out", parquet=True)
        if name == "sub":
            (tmp_path / "out/sub").mkdir()
        else:
            (tmp_path / "out" / name).write_text("mine")
        before = contents(tmp_path / "out")
        with pytest.raises(OutputExistsError, match=f"'{name}'"):
            publish(labels, tmp_path / "out", overwrite=True)
        assert contents(tmp_path / "out") == before

    def test_missing(self, tmp_path: Path) -> None:
        """No file, no folder."""
        with pytest.raises(MissingFileError, match=r"x\.h5"):
            publish(tmp_path / "x.h5", tmp_path / "out")

    @pytest.mark.parametrize("name", ["README.md", "SHA256SUMS", "a\nb.h5"])
    def test_names(self, tmp_path: Path, name: str) -> None:
        """A name that another file of the folder has, or that no list can hold."""
        with pytest.raises(OptionError, match="rename it"):
            publish(tmp_path / name, tmp_path / "out")


class TestAbout:
    """relabel.publish.About"""

    @pytest.mark.parametrize(
        ("fields", "word"),
        [
            ({"date": "2026-1-2"}, "YYYY-MM-DD"),
            ({"date": "20260102"}, "YYYY-MM-DD"),
            ({"url": "example.org"}, "https://"),
            ({"version": "1.0"}, "MAJOR"),
            ({"title": "a\nb"}, "one line"),
            ({"creators": (" ",)}, "name"),
            ({"license": "CC BY 4.0"}, r"not an SPDX identifier; did you mean CC-BY-4\.0"),
            ({"license": "my own"}, r"not an SPDX identifier; usual ones are CC0-1\.0.*by its URL"),
        ],
    )
    def test_refused(self, fields: dict[str, Any], word: str) -> None:
        """What is not of its form is refused by name."""
        with pytest.raises(OptionError, match=word):
            About(**fields)

    @pytest.mark.parametrize(
        ("given", "written"),
        [
            ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
            ("mit OR apache-2.0", "MIT OR Apache-2.0"),
            ("https://example.org/terms", "https://example.org/terms"),
            ("", ""),
        ],
    )
    def test_licence(self, given: str, written: str) -> None:
        """Any identifier or expression of SPDX, written as SPDX writes it."""
        assert About(license=given).license == written


class TestSumsText:
    """relabel.publish.upload.sums_text"""

    @pytest.mark.parametrize("name", ["a b.txt", "a\\b.txt", "ψ.txt", "*x"])
    def test_odd_names(self, tmp_path: Path, name: str) -> None:
        """Names are written as sha256sum itself would."""
        (tmp_path / name).write_bytes(b"x")
        listed = sums_text(provenance.describe(tmp_path, [tmp_path / name]))
        assert sums_names(listed) == [name]
        (tmp_path / "SUMS").write_text(listed)
        check: Callable[..., Any] = subprocess.run
        assert (
            check(["sha256sum", "-c", "--strict", "SUMS"], cwd=tmp_path, check=False, capture_output=True).returncode
            == 0
        )
