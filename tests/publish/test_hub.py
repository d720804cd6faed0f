"""relabel.publish.hub: the folder is a dataset of Hugging Face `datasets`, and its card has the Hub's own words."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import relabel
from relabel.datasets.registry import built_in
from relabel.labelfile import LabelFile, provenance
from relabel.publish import About, hub, publish, upload_command
from relabel.publish import card as card_module
from tests.conftest import REPOSITORY
from tests.similarities import similarity

NAMES = ("amman", "kitchen/train", "odd [1] *? ψ/x", "odd (1) *? ψ/x", "empty")
LOAD = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
folder = sys.argv[1]
names = get_dataset_config_names(folder)
tables = {name: load_dataset(folder, name) for name in names}
assert all(list(splits) == ["train"] for splits in tables.values())
default = load_dataset(folder, split="train")
page = {}
exec(sys.argv[2].replace('"upload"', repr(folder)), page)  # the code of docs/publish.md
for name, table in (("amman", page["pairs"]), ("amman.cameras", page["cameras"])):
    assert repr(table[:]) == repr(tables[name]["train"][:])  # NaN is not equal to itself
print(json.dumps({"default": default[:], **{name: splits["train"][:] for name, splits in tables.items()}}))
"""


def front_matter(folder: Path) -> dict[str, Any]:
    """The YAML block of a card."""
    value: dict[str, Any] = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[1])
    return value


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label file with names that are patterns to `datasets`, and a collection without a pair, which comes first."""
    path = tmp_path_factory.mktemp("labels") / "labels.h5"
    collections = {name: similarity(8 + number, 9, seed=number) for number, name in enumerate(NAMES)}
    empty = similarity(3, 4, seed=0)
    empty.matrix.data[:] = 0
    empty.matrix.eliminate_zeros()
    record = provenance.step("relabel msls", {"city": "amman"}, [])
    relabel.write(path, {"empty": empty, **{n: c for n, c in collections.items() if n != "empty"}}, provenance=[record])
    return path


@pytest.fixture(scope="module")
def folder(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, published with tables."""
    path = tmp_path_factory.mktemp("out") / "published"
    publish(labels, path, About(license="CC-BY-4.0", creators=("A. Person",)), parquet=True)
    return path


@pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="Hugging Face datasets is not installed")
def test_loaded_by_datasets(labels: Path, folder: Path, tmp_path: Path) -> None:
    """`datasets` itself has a configuration for each table, with the values of the file, as docs/publish.md says."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment.pop("PYTHONPATH", None)
    (code,) = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "docs/publish.md").read_text(encoding="utf-8"), re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), code],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tables = json.loads(done.stdout)
    stored = {collection.name: collection for collection in map(LabelFile(labels).__getitem__, LabelFile(labels))}
    configurations = {
        "amman": ("amman", "amman.cameras"),
        "kitchen/train": ("kitchen-train", "kitchen-train.cameras"),
        "odd (1) *? ψ/x": ("odd_1_ψ-x", "odd_1_ψ-x.cameras"),
        "odd [1] *? ψ/x": ("odd_1_ψ-x_2", "odd_1_ψ-x.cameras_2"),
    }
    assert set(tables) == {"default", "empty.cameras", *sum(configurations.values(), ())}
    for name, (configuration, cameras) in configurations.items():
        matrix = stored[name].to_scipy().tocoo()
        query, database = stored[name].query.key, stored[name].database.key
        expected = [
            (str(query[i]), str(database[j]), float(v))
            for i, j, v in zip(matrix.row, matrix.col, matrix.data, strict=True)
        ]
        pairs = tables[configuration]
        assert sorted(zip(pairs["query"], pairs["database"], pairs["value"], strict=True)) == sorted(expected), name
        assert set(tables[cameras]["key"]) == {*map(str, query), *map(str, database)}
    assert tables["default"] == tables["amman"]


class TestFrontMatter:
    """relabel.publish.hub.front_matter"""

    def test_fields(self, labels: Path, folder: Path) -> None:
        """All that the Hub filters by is there, in its words, with what the file holds."""
        pairs = sum(LabelFile(labels)[name].nnz for name in LabelFile(labels))
        fields = front_matter(folder)
        configurations = fields.pop("configs")
        assert fields == {
            "pretty_name": "Graded similarity labels: amman, empty, kitchen/train and 2 more",
            "license": "cc-by-4.0",
            "task_categories": ["image-feature-extraction"],
            "tags": ["visual-place-recognition", "image-retrieval", "graded-similarity", "mapillary", "msls"],
            "size_categories": [hub.size_category(pairs)],
            "annotations_creators": ["machine-generated"],
            "source_datasets": ["extended"],
        }
        assert [c["config_name"] for c in configurations if c.get("default")] == ["amman"]

    def test_tags(self) -> None:
        """They name datasets and kinds of data, never a command that reads any."""
        of = {name: card_module._tags([{"command": f"relabel {name}"}]) for name in (*built_in(), "merge")}
        assert of["table"] == of["names"] == of["merge"] == []
        assert (of["7scenes"], of["tb-places"]) == (["7scenes", "rgb-d"], ["tb-places"])

    def test_without_tables(self, labels: Path, tmp_path: Path) -> None:
        """A folder without tables names no configuration; a licence that nobody named is unknown."""
        publish(labels, tmp_path / "out")
        fields = front_matter(tmp_path / "out")
        assert "configs" not in fields
        assert fields["license"] == "unknown"

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("MIT", {"license": "mit"}),
            ("ODC-By-1.0", {"license": "odc-by"}),
            ("ODbL-1.0", {"license": "odbl"}),
            ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
            (
                "CC-BY-NC-SA-2.5",
                {
                    "license": "other",
                    "license_name": "cc-by-nc-sa-2.5",
                    "license_link": "https://spdx.org/licenses/CC-BY-NC-SA-2.5.html",
                },
            ),
            (
                "https://example.org/terms",
                {"license": "other", "license_name": "see-link", "license_link": "https://example.org/terms"},
            ),
        ],
    )
    def test_license(self, name: str, expected: dict[str, str]) -> None:
        """SPDX identifiers become the Hub's own, where it has one; others are named and linked."""
        lines = hub.front_matter(About(title="T", license=name), [], 1, [])
        fields = yaml.safe_load("\n".join(lines[1:-1]))
        assert {field: value for field, value in fields.items() if field.startswith("license")} == expected

    @pytest.mark.parametrize("title", ['a "b": c\\', "😀 ψ", "- [x] # y", "---"])
    def test_title_is_one_text(self, title: str) -> None:
        """Whatever it holds."""
        lines = hub.front_matter(About(title=title), [], 1, [])
        assert yaml.safe_load("\n".join(lines[1:-1]))["pretty_name"] == title


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (9_999, "1K<n<10K"),
        (45_000_000, "10M<n<100M"),
        (2_000_000_000, "1B<n<10B"),
        (10**12, "n>1T"),
    ],
)
def test_size_category(rows: int, category: str) -> None:
    """The words of the Hub, from its documentation."""
    assert hub.size_category(rows) == category


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://huggingface.co/datasets/me/my-labels", "me/my-labels"),
        ("https://huggingface.co/datasets/me/my-labels/", "me/my-labels"),
        ("https://huggingface.co/me/model", "OWNER/NAME"),
        ("", "OWNER/NAME"),
    ],
)
def test_upload_command(url: str, repository: str) -> None:
    """It names the repository where the page of the labels is one, and quotes the folder."""
    assert upload_command(Path("a b"), url) == f"hf upload {repository} 'a b' . --repo-type dataset"


def test_zenodo(folder: Path, labels: Path, tmp_path: Path) -> None:
    """Zenodo's fields, with the values of its controlled lists; none where it would choose a licence by itself."""
    fields = json.loads((folder / ".zenodo.json").read_text(encoding="utf-8"))
    description = fields.pop("description")
    assert re.match("Degrees of similarity", description)
    assert fields == {
        "upload_type": "dataset",
        "title": "Graded similarity labels: amman, empty, kitchen/train and 2 more",
        "creators": [{"name": "A. Person"}],
        "access_right": "open",
        "license": "CC-BY-4.0",
        "version": "1.0.0",
        "keywords": ["visual place recognition", "image retrieval", "graded similarity labels"],
    }
    everything = About(
        description="a < b", license="MIT", creators=("B",), url="https://example.org/l", date="2026-01-02"
    )
    publish(labels, tmp_path / "all", everything)
    fields = json.loads((tmp_path / "all/.zenodo.json").read_text(encoding="utf-8"))
    assert fields["description"] == "a &lt; b"
    assert fields["publication_date"] == "2026-01-02"
    assert fields["related_identifiers"] == [{"identifier": "https://example.org/l", "relation": "isDescribedBy"}]
    for number, about in enumerate((About(license="MIT"), About(creators=("B",)))):
        made = publish(labels, tmp_path / str(number), about)
        assert ".zenodo.json" not in made.files
