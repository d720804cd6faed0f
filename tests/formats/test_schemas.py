"""The JSON Schemas say what the code checks, and everything that relabel writes fits them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from formats import read_label_file
from relabel.labelfile import LabelFile, provenance, schema
from relabel.labelfile.provenance import record_problems
from tests.conftest import REPOSITORY
from tests.pipeline.rooms import room
from tests.trees import msls_tree

jsonschema = pytest.importorskip("jsonschema")

FORMATS = REPOSITORY / "formats"
SHA256 = "0123456789abcdef" * 4


def validator(name: str) -> jsonschema.Draft202012Validator:
    text = (FORMATS / "schemas" / f"{name}-v{schema.MAJOR}.schema.json").read_text(encoding="utf-8")
    found = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


PROVENANCE, PARAMS = validator("provenance"), validator("params")


def problems(method: str, params: dict[str, Any]) -> list[str]:
    return [error.message for error in PARAMS.iter_errors({"method": method, "params": params})]


class TestVersions:
    def test_have_one_home(self) -> None:
        """Schemas, specification, reader and golden files are of the version that the code writes."""
        assert f"{schema.MAJOR}.{schema.MINOR}" == schema.FORMAT_VERSION
        for found, name in ((PROVENANCE, "provenance"), (PARAMS, "params")):
            assert found.schema["$id"] == f"urn:{schema.FORMAT}:{schema.MAJOR}:{name}"
            assert found.schema["title"].endswith(f"of a label file, version {schema.MAJOR}")
        names = {path.name for path in (FORMATS / "schemas").iterdir()}
        assert names == {f"{name}-v{schema.MAJOR}.schema.json" for name in ("provenance", "params")}
        text = (FORMATS / f"label-file-v{schema.MAJOR}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# Label file, version {schema.FORMAT_VERSION}\n")
        assert set(re.findall(r'format_version.*?"(\d+\.\d+)"', text)) == {schema.FORMAT_VERSION}
        assert f"version {schema.MAJOR}," in str(read_label_file.__doc__)
        assert (FORMATS / "golden" / f"v{schema.FORMAT_VERSION}").is_dir()

    def test_links_of_the_texts_lead_somewhere(self) -> None:
        """Every relative link in a text of this folder names a file or folder that is there."""
        for text in FORMATS.rglob("*.md"):
            for target in re.findall(r"\]\((?!http)([^)#]+)\)", text.read_text(encoding="utf-8")):
                assert (text.parent / target).exists(), (text, target)


json_values = st.none() | st.booleans() | st.integers(-2, 3) | st.text("a./", max_size=3) | st.just(SHA256)
entry = st.fixed_dictionaries(
    {},
    optional={
        "path": st.text("a./", max_size=5) | json_values,
        "bytes": json_values,
        "sha256": st.just(SHA256) | st.text("0aG", min_size=63, max_size=65) | json_values,
        "more": json_values,
    },
)
names = st.fixed_dictionaries({}, optional={"name": json_values, "version": json_values})
times = st.sampled_from(["2024-05-01T12:00:00+00:00", "2024-05-01T12:00:00.5Z", "2024-05-01T12:00:00", "2024", ""])
records = st.fixed_dictionaries(
    {},
    optional={
        "software": st.just({"name": "a", "version": "1"}) | names | json_values,
        "command": st.just("a") | json_values,
        "parameters": st.just({"a": None}) | json_values,
        "libraries": st.dictionaries(st.sampled_from("ab"), st.just("1") | json_values) | json_values,
        "inputs": st.lists(st.just({"path": "a", "bytes": 0, "sha256": SHA256}) | entry | json_values, max_size=2)
        | json_values,
        "time": times | json_values,
        "more": json_values,
    },
)
WHOLE = provenance.step("a", {}, [{"path": "a/b.csv", "bytes": 3, "sha256": SHA256}])


class TestProvenance:
    @given(records | json_values | records.map(lambda record: WHOLE | record))
    def test_schema_and_code_agree(self, record: Any) -> None:
        """Whatever the record, the schema takes it exactly when the code finds no problem in it."""
        assert PROVENANCE.is_valid(record) == (record_problems(record) == []), record_problems(record)

    @pytest.mark.parametrize("key", ["software", "command", "parameters", "libraries", "inputs"])
    def test_keys_are_needed(self, key: str) -> None:
        """A record without one of the keys is found by both."""
        record = {name: value for name, value in WHOLE.items() if name != key}
        assert not PROVENANCE.is_valid(record)
        assert record_problems(record)

    def test_time_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The time that SOURCE_DATE_EPOCH fixes is written as the schema wants it."""
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        PROVENANCE.validate(provenance.step("a", {}))


class TestParams:
    @pytest.mark.parametrize(
        ("method", "params", "match"),
        [
            ("fov-sector", {"fov_deg": 0, "radius_m": 50}, "0 is not valid"),
            ("fov-sector", {"fov_deg": 361.0, "radius_m": 50}, "361.0 is not valid"),
            ("fov-sector", {"fov_deg": 90, "radius_m": "far"}, "'far' is not valid"),
            ("fov-sector", {"radius_m": 50}, "'fov_deg' is a required"),
            ("fov-sector", {"fov_deg": 90, "radius_m": 50, "shape": "polygon"}, "'sector' was expected"),
            ("fov-sector", {"fov_deg": 90, "radius_m": 50, "heading_faults": {"x": -1}}, "-1 is less than"),
            ("fov-polygon", {"fov_deg": 90, "radius_m": 50}, "'arc' is a required"),
            ("fov-polygon", {"fov_deg": 90, "radius_m": 50, "arc": 0}, "0 is less than"),
            ("surface", {"voxel_m": 0}, "0 is less than or equal to the minimum"),
            ("surface", {"tolerance_m": "5 cm"}, "'5 cm' is not of type"),
            ("surface", {"stride": 0}, "0 is less than"),
            ("surface", {"farthest_m": "far"}, "'far' is not valid"),
            ("voxel-iou", {"nearest_m": -1}, "-1 is less than"),
            ("magic", {}, "'magic' is not one of"),
        ],
    )
    def test_faults(self, method: str, params: dict[str, Any], match: str) -> None:
        """What a method cannot have been run with does not fit."""
        (message,) = problems(method, params)
        assert match in message

    def test_all_methods_are_described(self) -> None:
        """The schema knows the methods of the format, each by a definition of its own."""
        assert tuple(PARAMS.schema["properties"]["method"]["enum"]) == schema.METHODS
        assert {branch["then"]["properties"]["params"]["$ref"] for branch in PARAMS.schema["allOf"]} == {
            f"#/$defs/{method}" for method in schema.METHODS
        }
        for method in schema.METHODS[2:]:
            assert problems(method, {"anything": [math.pi]}) == []


class TestWhatRelabelWrites:
    @pytest.mark.parametrize(
        "options", [[], ["--shape", "polygon", "--measure", "overlap"], ["--heading", "travel", "--fov", "120"]]
    )
    def test_msls(self, tmp_path: Path, options: list[str]) -> None:
        """Parameters and provenance of a city fit their schemas."""
        from relabel.cli.app import app

        path = tmp_path / "labels.h5"
        done = CliRunner().invoke(app, ["msls", "--root", str(msls_tree(tmp_path)), "-o", str(path), *options])
        assert done.exit_code == 0, done.output
        assert check(path) == 1

    @pytest.mark.parametrize("options", [[], ["--method", "voxel-iou", "--depth-max", "1.1"]])
    def test_rgbd(self, tmp_path: Path, options: list[str]) -> None:
        """So do those of depth maps, of which many are told of in one entry."""
        from relabel.cli.app import app

        path, root = tmp_path / "labels.h5", room(tmp_path / "room")
        command = ["rgbd", "--layout", "folder", "--root", str(root), "-o", str(path), *options]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert check(path) == 1
        assert "depth/*.png" in {entry["path"] for entry in LabelFile(path).provenance()[0]["inputs"]}

    def test_golden_files(self) -> None:
        """Those of the golden files fit as well, imported labels among them; a method to come is not known yet."""
        for path in sorted((FORMATS / "golden" / f"v{schema.FORMAT_VERSION}").glob("*.h5")):
            if path.name != "newer-minor.h5":
                assert check(path)


def check(path: Path) -> int:
    """How many collections the file has, after all its JSON has been validated."""
    labels = LabelFile(path)
    assert labels.provenance()
    for record in labels.provenance():
        PROVENANCE.validate(record)
    for name in labels:
        assert problems(labels[name].method, labels[name].params) == []
    return len(labels)
