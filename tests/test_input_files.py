"""Pipes, devices and files that inflate without bound are refused before they are read, by every reader."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relabel.compose.subsetting import read_keys
from relabel.datasets import csv_columns, footprints, image_lists, mask, matrix_files, trajectory_formats
from relabel.datasets.pitts.dbstruct import read_dbstruct, variables
from relabel.datasets.table.table_file import TableFile
from relabel.datasets.tb_places import sets
from relabel.errors import InputError, LabelFileError
from relabel.evaluation.descriptors import read_descriptors
from relabel.evaluation.predictions import read_predictions
from relabel.exchange import camera_files, csv_parquet, gcl, gcl_index, hloc, npz
from relabel.images.paths import read_image
from relabel.input_files import MOST_BYTES, check_inflated, check_regular, check_rows, check_zip
from relabel.labelfile import LabelFile, provenance, validate
from relabel.reference.depth import stored_depth
from relabel.report.shared_views import _image
from relabel.surface.depth_maps import read_depth


def request(path: Path) -> Any:
    return SimpleNamespace(path=path)


def opened_dense(path: Path) -> None:
    with gcl.dense_dataset(path, None):
        pass


READERS: dict[str, Callable[[Path], object]] = {
    "depth map": read_depth,
    "depth map of the oracle": lambda path: stored_depth(str(path), None),
    "image": lambda path: read_image(path, (8, 8)),
    "list of keys": read_keys,
    "CSV": lambda path: csv_columns.read(path, {"key": "text"}),
    "table": lambda path: TableFile(path).columns,
    "mask": mask.read,
    "matrix": matrix_files.read_numbers,
    "trajectory": lambda path: list(trajectory_formats.text_lines(path)),
    "JSON of TB-Places": sets._load,
    "footprints": footprints.read,
    "names": image_lists.read_names,
    "names in an array": lambda path: image_lists.read_names(path.rename(path.with_suffix(".npy"))),
    "dbStruct": read_dbstruct,
    "coordinates": lambda path: variables(path.rename(path.with_suffix(".npz"))),
    "predictions": read_predictions,
    "cameras": lambda path: camera_files._read(path, "query", "path", None),
    "index of GCL": lambda path: gcl_index.read_index(path, "path"),
    "dense HDF5": opened_dense,
    "pairs of hloc": lambda path: hloc.read_pairs(request(path)),
    "pairs in CSV": lambda path: csv_parquet.read_csv(request(path)),
    "pairs in Parquet": lambda path: csv_parquet.read_parquet(request(path)),
    "sparse matrix": npz._read,
    "inputs of provenance": lambda path: provenance.describe(path.parent, [path]),
}


class TestSpecialFiles:
    """No reader opens what may never answer or never end."""

    def test_kinds(self, tmp_path: Path) -> None:
        """A pipe that nobody writes to would hang for ever, /dev/zero never end; the error says what to do."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("/dev/zero")
        with pytest.raises(InputError, match=r"/pipe: is a pipe, not a file.*save its content to a file"):
            check_regular(tmp_path / "pipe")
        with pytest.raises(InputError, match=r"/link: is a device, not a file"):
            check_regular(tmp_path / "link")
        with pytest.raises(InputError, match="is a device"):
            check_regular("/dev/zero")

    @pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
    def test_readers(self, reader: Callable[[Path], object], tmp_path: Path) -> None:
        """All refuse a device; /dev/null is one that ends, so that a reader without the check fails here."""
        path = tmp_path / "null"
        path.symlink_to("/dev/null")
        with pytest.raises(InputError, match=r"/null[.a-z]*: is a device, not a file"):
            reader(path)

    def test_descriptors(self, tmp_path: Path) -> None:
        """Both files of a side."""
        np.save(tmp_path / "query.npy", np.zeros((1, 2), "f4"))
        (tmp_path / "query.txt").symlink_to("/dev/null")
        with pytest.raises(InputError, match="is a device"):
            read_descriptors(tmp_path, "query")

    def test_label_file(self, tmp_path: Path) -> None:
        """`LabelFile` refuses it, `validate` has a finding."""
        path = tmp_path / "null"
        path.symlink_to("/dev/null")
        with pytest.raises(LabelFileError, match=r"^[^ ]*/null: is a device, not a file"):
            LabelFile(path)
        assert validate(path).findings[0].message.startswith("is a device, not a file")

    def test_an_image_only_to_be_shown(self, tmp_path: Path) -> None:
        """Is left out, as one that cannot be read."""
        (tmp_path / "null").symlink_to("/dev/null")
        assert _image(str(tmp_path / "null"), (1, 1)) == (None, "")

    def test_weights(self, tmp_path: Path) -> None:
        """Of a network and of a checkpoint, and the configuration of a run."""
        pytest.importorskip("torch")
        from relabel.training.checkpoint import load_checkpoint
        from relabel.training.config import TrainConfig
        from relabel.training.weights import read_weights

        path = tmp_path / "null"
        path.symlink_to("/dev/null")
        for load in (load_checkpoint, read_weights, TrainConfig.load):
            with pytest.raises(InputError, match="is a device"):
                load(path)

    def test_files_folders_and_nothing(self, tmp_path: Path) -> None:
        """Are left to whoever opens them."""
        (tmp_path / "a").write_text("a")
        for path in (tmp_path / "a", tmp_path, tmp_path / "none", Path("a\0b")):
            check_regular(path)


class TestInflation:
    """Compressed files that take far more than they are."""

    def test_limit(self, tmp_path: Path) -> None:
        """128 MiB, or 32 times the size of the file."""
        small = tmp_path / "small"
        small.write_bytes(bytes(10))
        check_inflated(small, MOST_BYTES)
        with pytest.raises(InputError, match=r"small: has 10 bytes and would inflate to at least 134,217,729, "):
            check_inflated(small, MOST_BYTES + 1)
        large = tmp_path / "large"
        with large.open("wb") as file:
            file.truncate(MOST_BYTES)
        check_inflated(large, 32 * MOST_BYTES)
        with pytest.raises(InputError, match="large: has"):
            check_inflated(large, 32 * MOST_BYTES + 1)

    def test_archive(self, tmp_path: Path) -> None:
        """The sizes of all members count; what is no archive is not looked at."""
        path = tmp_path / "a.npz"
        np.savez_compressed(path, a=np.arange(9))
        check_zip(path)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros.npy", bytes(MOST_BYTES + 1))
        with pytest.raises(InputError, match=r"a\.npz: has .* would inflate to at least 134,217,\d\d\d"):
            check_zip(path)
        with pytest.raises(InputError, match="would inflate to"):
            npz._read(path)
        other = tmp_path / "b.npz"
        other.write_bytes(b"text")
        check_zip(other)

    def test_rows(self, tmp_path: Path) -> None:
        """A million, and one for every eight bits of the file."""
        path = tmp_path / "a"
        path.write_bytes(bytes(100))
        check_rows(path, 2**20 + 100, least_bits=8)
        check_rows(path, 2**20 + 800, least_bits=1)
        for rows, bits in ((2**20 + 101, 8), (2**20 + 801, 1)):
            with pytest.raises(InputError, match=f"claims {rows:,} rows in 100 bytes"):
                check_rows(path, rows, least_bits=bits)
