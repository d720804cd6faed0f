"""How objects show themselves in a terminal and in a notebook."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy import sparse

from relabel import Cameras, Collection, Frames, LabelFile, Similarity, fov, write
from relabel.datasets.base import CameraSets
from relabel.display import Layer, Summary, several, summary_html, summary_text, thumbnail
from relabel.evaluation.evaluate import Evaluation, assess
from relabel.evaluation.ground_truth import Rule, evaluation_set
from relabel.evaluation.metrics import evaluate
from relabel.evaluation.nearest import nearest
from relabel.evaluation.places import of_labels
from relabel.images.paths import ImagePaths
from relabel.labelfile import StoredCollection
from relabel.report.stats import statistics
from relabel.sampling import DrawnPairs
from relabel.sampling.batch_sampler import GradedBatchSampler
from relabel.sampling.pair_sampler import GradedPairSampler

GOLDEN = Path(__file__).parents[1] / "formats/golden/v1.0"


def test_several():
    """One of a kind is singular; none and many are plural."""
    assert [several(n, "pair") for n in (0, 1, 2, 1_204)] == ["0 pairs", "1 pair", "2 pairs", "1,204 pairs"]
    assert [several(n, "query has", "queries have") for n in (1, 3)] == ["1 query has", "3 queries have"]


def city(n: int = 5000) -> Cameras:
    """A city as datasets give it: many cameras with many columns."""
    rng = np.random.default_rng(0)
    return Cameras(
        key=[f"image-{i:05d}" for i in range(n)],
        position=rng.uniform(0.0, 1000.0, (n, 2)),
        heading_deg=np.where(np.arange(n) < 3, np.nan, rng.uniform(0.0, 360.0, n)),
        crs="EPSG:32636",
        extra={f"column-{i}": np.arange(n) for i in range(30)},
    )


def similarity(n: int = 5000) -> Similarity:
    cameras = city(n)
    rows = np.arange(3, n - 1)
    matrix = sparse.csr_array((np.full(len(rows), 0.75, np.float32), (rows, rows + 1)), shape=(n, n))
    matrix = sparse.csr_array(matrix + matrix.T)
    extent = np.full(n, 10.0)
    params = {f"parameter_{i}": "a long value" for i in range(50)}
    return Similarity(
        Collection(cameras, cameras, extent, extent, "fov-sector", "iou", params, self_pairs=True),
        matrix,
    )


def frames() -> Frames:
    pose = np.tile(np.eye(4), (2000, 1, 1))
    cameras = Cameras([str(i) for i in range(2000)], np.zeros((2000, 3)), pose=pose)
    depth = np.array([f"{i}.png" if i else "" for i in range(2000)])
    return Frames(cameras, depth, np.array([500.0, 500.0, 320.0, 240.0]), size=(640, 480))


def evaluated(labels: LabelFile) -> Evaluation:
    """The scores of answers that are the first rows of the database."""
    known = evaluation_set(of_labels([labels["city-00"]]), Rule(psi=0.5))
    return assess(known, np.tile(np.arange(20), (known.shape[0], 1)))


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelFile:
    path = tmp_path_factory.mktemp("labels") / "cities.h5"
    write(path, {f"city-{i:02d}": similarity(50) for i in range(12)})
    return LabelFile(path)


class TestText:
    """`repr`."""

    @pytest.mark.parametrize(
        "shown",
        [
            lambda _: city(),
            lambda _: similarity(),
            lambda _: similarity().collection,
            lambda _: frames(),
            lambda _: CameraSets(query=city(), database=city(), notes=("a sentence",) * 20, files=(Path("a"),) * 5000),
            lambda labels: labels,
            lambda labels: labels["city-00"],
            lambda labels: labels["city-00"].in_measure("dice"),
            lambda labels: GradedPairSampler(labels, (1.0, 0.0, 0.0), hard_negatives_m=(1.0, 2.0)),
            lambda labels: GradedBatchSampler(labels["city-00"], 4, (0.5, 0.0, 0.5)),
            lambda labels: GradedPairSampler(labels, (1.0, 0.0, 0.0)).report(),
            lambda labels: statistics(labels["city-00"]),
            lambda labels: labels["city-00"].pairs(),
            lambda labels: next(labels["city-00"].blocks()),
            lambda labels: GradedPairSampler(labels, (1.0, 0.0, 0.0)).draw(500),
            lambda labels: GradedBatchSampler(labels["city-00"], 4, (0.5, 0.0, 0.5)).similarity([*range(3, 43)]),
            lambda _: nearest(np.eye(200), np.eye(200), 50),
            lambda _: evaluate(np.tile(np.arange(50), (80, 1)), [np.arange(5)] * 80),
            lambda _: fov.source(city(), city()),
            lambda _: ImagePaths(np.array(["a" * 200] * 500), np.array(["b"] * 500)),
            lambda labels: evaluated(labels).ground_truth,
            evaluated,
        ],
    )
    def test_at_most_ten_lines(self, shown: object, labels: LabelFile) -> None:
        """Every object fits on a screen, however large, and shows no address in memory."""
        lines = repr(shown(labels)).splitlines()  # type: ignore[operator]
        assert 2 <= len(lines) <= 10
        assert max(map(len, lines)) <= 110
        assert not re.search(r"0x[0-9a-f]{6}", "".join(lines))

    def test_arrays(self) -> None:
        """Shape, type and the first numbers of each."""
        drawn = DrawnPairs(np.arange(1000), np.arange(2000, 3000), np.full(1000, 0.25, np.float32))
        assert repr(drawn).splitlines() == [
            "DrawnPairs",
            "  query     (1000,) int64: 0, 1, 2, 3, …",
            "  database  (1000,) int64: 2000, 2001, 2002, 2003, …",
            "  psi       (1000,) float32: 0.25, 0.25, 0.25, 0.25, …",
        ]

    def test_cameras_say_what_they_are(self) -> None:
        """Counts of statuses, the frame and what is known, each as counted by hand."""
        shown = repr(city())
        assert shown.startswith("Cameras: 5,000\n")
        assert "4,997 ok, 3 no_heading" in shown
        assert "image-00000, image-00001" in shown
        assert "(4,996 more)" in shown
        assert "EPSG:32636" in shown
        assert "4,997 known" in shown

    def test_frames_count_depth_maps(self) -> None:
        """The frame without a depth map is neither ok nor counted."""
        assert "1,999 ok, 1 bad_depth" in repr(frames())
        assert "1,999 maps, 640 × 480" in repr(frames())

    def test_files_name_their_collections(self, labels: LabelFile) -> None:
        """The first ones, and how many more there are."""
        lines = repr(labels).splitlines()
        assert lines[0].endswith("12 collections, format 1.0")
        assert lines[1] == "  city-00  50 × 50 (self pairs), 92 pairs, iou by fov-sector"
        assert lines[-1].split() == ["…", "4", "more"]

    def test_a_sampler_reports_its_bands(self, labels: LabelFile) -> None:
        """Its seed, its place in the epoch, and what is drawn from which pairs."""
        sampler = GradedPairSampler(labels["city-00"], (1.0, 0.0, 0.0), seed=7)
        next(iter(sampler))
        assert repr(sampler).startswith("GradedPairSampler: seed 7, epoch 0, 1 of 47 items drawn\n")
        assert "from 92 pairs" in repr(sampler)

    def test_scores_are_those_of_the_evaluation(self, labels: LabelFile) -> None:
        """Queries with and without a positive, and recall with four decimals."""
        evaluation = evaluated(labels)
        whole = evaluation.to_json()
        # Cameras 3 to 49 are a chain of pairs with ψ 0.75; the first three have no heading, and none.
        assert "47 queries with a positive, 0 without" in repr(evaluation)
        assert f"@1 {whole['recall']['1']:.4f}" in repr(evaluation)
        assert "3 queries and 3 database cameras" in repr(evaluation.ground_truth)

    def test_control_characters(self) -> None:
        """A key cannot colour a terminal, ring its bell or turn its text round."""
        cameras = Cameras(["a\x1b[31mred", "b\x07", "c\u202eevil", "日本"], np.zeros((4, 2)), np.zeros(4))
        assert r"a\x1b[31mred, b\x07, c\u202eevil, 日本" in repr(cameras)

    def test_a_file_that_is_gone(self, tmp_path: Path) -> None:
        """Showing never raises: it says what is wrong, or goes by what is in memory."""
        path = tmp_path / "labels.h5"
        path.write_bytes((GOLDEN / "city.h5").read_bytes())
        labels = LabelFile(path)
        stored = labels["amman"]
        path.unlink()
        assert "cannot be read" in repr(labels)
        assert "cannot be read" in labels._repr_html_()
        assert "10" in repr(stored)
        assert "<svg" not in stored._repr_html_()

    def test_lines_of_names(self) -> None:
        """A name with line ends takes one line."""
        assert summary_text(Summary("title\nmore", [("a\nb", "c\r\nd")])) == "title more\n  a b  c d"


class TestHtml:
    """`_repr_html_`."""

    @pytest.mark.parametrize("name", ["city", "scene", "imported", "empty", "columns"])
    def test_is_well_formed(self, name: str) -> None:
        """Whatever the golden files hold, an XML parser reads table and map."""
        labels = LabelFile(GOLDEN / f"{name}.h5")
        for shown in (labels, *labels.values(), *(stored.to_similarity() for stored in labels.values())):
            ET.fromstring(shown._repr_html_())

    def test_names_are_escaped(self) -> None:
        """What a file holds is no markup."""
        shown = summary_html(Summary("<b>", [("<script>", "a & b")]), [Layer("<i>", np.zeros((1, 2)))])
        assert "<script>" not in shown
        assert "<i>" not in shown
        assert ET.fromstring(shown).find(".//td").text == "a & b"  # type: ignore[union-attr]

    def test_few_hundred_places(self) -> None:
        """A city of any size is a thumbnail of at most 300 places, of both sides."""
        for sizes in ((5000, 5000), (100_000, 3), (1, 1), (150, 151)):
            layers = [Layer(f"side {i}", np.random.default_rng(i).uniform(0, 9, (n, 2))) for i, n in enumerate(sizes)]
            drawn = ET.fromstring(thumbnail(layers))
            groups = [len(list(g)) - 1 for g in drawn.iter() if g.tag.endswith("}g")]
            assert len(groups) == 2
            assert min(groups) >= 1
            assert sum(groups) <= 300

    def test_north_is_up(self) -> None:
        """East is to the right, north is up, both to one scale, and places without a position are left out."""
        places = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 50.0], [np.nan, 1.0]])
        drawn = ET.fromstring(thumbnail([Layer("cameras", places)]))
        circles = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in drawn.iter() if c.tag.endswith("circle")]
        (ox, oy), (ex, ey), (nx, ny) = circles
        assert (ex - ox, ey - oy) == pytest.approx((148.0, 0.0))
        assert (nx - ox, ny - oy) == pytest.approx((0.0, -74.0))
        assert "100 m across" in "".join(drawn.itertext())

    def test_without_places(self) -> None:
        """Labels of others may have no positions, and absurd ones have no map."""
        assert thumbnail([Layer("a", np.full((3, 2), np.nan)), Layer("b", np.zeros((0, 2)))]) == ""
        assert thumbnail([Layer("a", np.array([[-1.7e308, 0.0], [1.7e308, 0.0]]))]) == ""

    def test_without_matplotlib(self) -> None:
        """The map is drawn by hand: a notebook that shows labels loads no plotting library."""
        code = (
            "import sys, relabel\n"
            f"assert '<svg' in relabel.LabelFile({str(GOLDEN / 'city.h5')!r})._repr_html_()\n"
            "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestContainers:
    """`len`, iteration, `in`, and completion of keys."""

    def test_cameras(self) -> None:
        cameras = city(10)
        assert list(cameras) == cameras.key.tolist()
        assert "image-00003" in cameras
        assert "image-00003\0" not in cameras
        assert "image-00010" not in cameras
        assert 3 not in cameras

    def test_frames(self) -> None:
        assert (len(frames()), next(iter(frames()))) == (2000, "0")
        assert "1999" in frames()
        assert "2000" not in frames()

    def test_similarity(self) -> None:
        psi = similarity(10)
        assert (len(psi), list(psi)[9]) == (10, "image-00009")
        assert "image-00009" in psi
        assert "image-00010" not in psi

    def test_label_file(self, labels: LabelFile) -> None:
        assert (len(labels), list(labels)[11]) == (12, "city-11")
        assert labels._ipython_key_completions_() == [f"city-{i:02d}" for i in range(12)]

    def test_stored_collection(self) -> None:
        stored = LabelFile(GOLDEN / "city.h5")["amman"]
        assert len(stored) == 10
        assert list(stored) == stored.query.key.tolist() == stored._ipython_key_completions_()
        assert "q-north" in stored
        assert "q-nowhere" not in stored
        assert "q-north\0" not in stored
        assert 0 not in stored
        keys, values = stored["q-north"]
        assert (keys.tolist(), values.tolist()) == tuple(column.tolist() for column in stored.row("q-north"))

    def test_a_collection_without_queries_is_read(self) -> None:
        """Its length is 0, which makes it no less a collection."""
        stored: StoredCollection = LabelFile(GOLDEN / "empty.h5")["no-queries"]
        assert (len(stored), list(stored)) == (0, [])
        assert "q" not in stored
