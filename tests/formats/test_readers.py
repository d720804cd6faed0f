"""Programs that never heard of relabel read its files: h5py with SciPy, anndata, the HDF5 tools; torch reads by it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from formats.golden.surgery import plain
from relabel.labelfile import LabelFile, provenance, write
from relabel.similarity import Similarity
from tests.conftest import REPOSITORY
from tests.formats.rows import Rows, together
from tests.labelfile.sources import assert_same_pairs
from tests.open_files import handles_on
from tests.similarities import similarity

SPECIFICATION = (REPOSITORY / "formats" / "label-file-v1.md").read_text(encoding="utf-8")
CITY = REPOSITORY / "formats" / "golden" / "v1.0" / "city.h5"
PARTS = ("indptr", "indices", "data")


@pytest.fixture(scope="module")
def source() -> Similarity:
    """More pairs than one chunk holds, with cameras that are not ok on both sides."""
    return similarity(200, 260, density=0.9, seed=3)


@pytest.fixture(scope="module")
def path(source: Similarity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label file of two collections."""
    path = tmp_path_factory.mktemp("readers") / "labels.h5"
    room = similarity(40, self_pairs=True, seed=4)
    write(path, {"amman": source, "room/train": room}, provenance=[provenance.step("test", {})])
    with h5py.File(path) as file:
        assert file["amman/similarity/data"].id.get_num_chunks() > 1
    return path


class TestScipy:
    def test_the_lines_of_the_specification(
        self, path: Path, source: Similarity, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The specification's own lines, with h5py and SciPy alone, read keys, status, measure and all pairs."""
        (block,) = re.findall(r"(?:^    .*\n)*^    import h5py.*\n(?:^    .*\n)+", SPECIFICATION, re.MULTILINE)
        monkeypatch.chdir(path.parent)
        found: dict[str, Any] = {}
        exec(textwrap.dedent(block), found)
        assert_same_pairs(found["psi"], source.matrix)
        assert found["query"].tolist() == source.collection.query.key.tolist()
        assert found["database"].tolist() == source.collection.database.key.tolist()
        assert found["measure"] == "iou"
        assert found["known"].tolist() == source.collection.query.ok.tolist()


class TestAnndata:
    @pytest.mark.parametrize("name", ["amman", "room/train"])
    def test_read_elem(self, path: Path, name: str, anndata: Any) -> None:
        """`anndata.io.read_elem` takes the group for the sparse matrix that it is."""
        with h5py.File(path) as file:
            found = anndata.io.read_elem(file[name]["similarity"])
        assert_same_pairs(found, LabelFile(path)[name].to_scipy())

    @pytest.mark.parametrize("name", ["amman", "room/train"])
    def test_scipy_can_use_it(self, path: Path, name: str, anndata: Any) -> None:
        """Both index arrays have one type, without which SciPy cannot list, print or convert what anndata reads."""
        expected = np.argwhere(LabelFile(path)[name].to_scipy().toarray())
        with h5py.File(path) as file:
            group = file[name]["similarity"]
            for matrix in (anndata.io.read_elem(group), anndata.io.sparse_dataset(group).to_memory()):
                assert (matrix.indptr.dtype, matrix.indices.dtype) == (np.int32, np.int32)
                np.testing.assert_array_equal(np.transpose(matrix.nonzero()), expected)
                triples = matrix.tocoo()
                np.testing.assert_array_equal(np.transpose([triples.row, triples.col]), expected)
                assert "Coords" in str(matrix)  # what print shows

    def test_backed(self, path: Path, source: Similarity, anndata: Any) -> None:
        """In backed mode rows are read one by one, by slice and by number, without loading the rest."""
        with h5py.File(path) as file:
            backed = anndata.io.sparse_dataset(file["amman/similarity"])
            assert backed.shape == source.shape
            for rows in (slice(3, 4), slice(0, 0), slice(50, 120), slice(199, 200), [7, 8, 150]):
                assert_same_pairs(backed[rows], source.matrix[rows])
            read: list[int] = []
            whole = h5py.Dataset.__getitem__

            def counted(dataset: h5py.Dataset, *arguments: Any, **keywords: Any) -> Any:
                values = whole(dataset, *arguments, **keywords)
                if dataset.name.endswith(("/data", "/indices")):
                    read.append(np.size(values))
                return values

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(h5py.Dataset, "__getitem__", counted)
                row = backed[5:6]
            assert read
            assert max(read) == row.nnz < source.matrix.nnz

    def test_backed_copies_to_memory(self, path: Path, source: Similarity, anndata: Any) -> None:
        """The backed matrix as a whole is the stored one."""
        with h5py.File(path) as file:
            assert_same_pairs(anndata.io.sparse_dataset(file["amman/similarity"]).to_memory(), source.matrix)


@pytest.mark.skipif(
    shutil.which("h5dump") is None, reason="the HDF5 tools are not here; on Debian they are in the package hdf5-tools"
)
class TestTools:
    """The command-line tools of HDF5, of whatever version is installed."""

    def tool(self, name: str, *arguments: object, status: int = 0) -> str:
        done = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, timeout=60)  # noqa: PLW1510
        assert done.returncode == status, done.stdout + done.stderr
        assert not done.stderr
        return done.stdout

    def test_h5ls(self, path: Path) -> None:
        """All groups and datasets with their shapes; the database of self pairs is the same object as the queries."""
        listed = dict(re.findall(r"^(/\S*) +(.*?) *$", self.tool("h5ls", "-r", path), re.MULTILINE))
        with h5py.File(path) as file:
            expected = {"/": "Group"}

            def visit(name: str, node: Any) -> None:
                if isinstance(node, h5py.Group):
                    expected[f"/{name}"] = "Group"
                else:
                    dims = [f"{n}/Inf" if m is None else str(n) for n, m in zip(node.shape, node.maxshape, strict=True)]
                    expected[f"/{name}"] = f"Dataset {{{', '.join(dims) or 'SCALAR'}}}"

            file.visititems(visit)
        # One of the two names is said to be the other; which one depends on the order in which they are met.
        one, other = "/room/train/database", "/room/train/queries"
        assert (listed[one], listed[other]) == ("Group", f"Group, same as {one}")
        listed[other] = "Group"

        def both(nodes: dict[str, str]) -> dict[str, str]:
            return {name.replace(other, one): shape for name, shape in nodes.items()}

        assert both(listed) == both(expected)

    @pytest.mark.parametrize("name", ["amman", "room/train"])
    def test_h5dump_numbers(self, path: Path, tmp_path: Path, name: str) -> None:
        """The matrix, written out by the tool as plain little-endian numbers, is the one that relabel reads."""
        found = {}
        for part, dtype in zip(PARTS, ("<i4", "<i4", "<f4"), strict=True):
            out = tmp_path / f"{part}.raw"
            self.tool("h5dump", "-d", f"/{name}/similarity/{part}", "-b", "LE", "-o", out, path)
            found[part] = np.fromfile(out, dtype)
        whole = LabelFile(path)[name].to_scipy()
        for part in PARTS:
            np.testing.assert_array_equal(found[part], getattr(whole, part))

    def test_h5dump_text(self, path: Path, source: Similarity) -> None:
        """Keys, statuses by name, and attributes can be read by eye."""
        keys = self.tool("h5dump", "-d", "/amman/queries/key", path)
        assert re.findall(r'"(q\d+)', keys) == source.collection.query.key.tolist()
        status = self.tool("h5dump", "-d", "/amman/queries/status", "-y", "-w", "0", path)
        data = status[status.index("DATA {") :]
        counts = {name: data.count(name) for name in ("panorama", "no_heading", "no_position")}
        assert {name: n for name, n in source.collection.query.status_counts().items() if name != "ok"} == counts
        for name, value in (("measure", '"iou"'), ("nnz", str(source.matrix.nnz)), ("self_pairs", "0")):
            assert f"(0): {value}\n" in self.tool("h5dump", "-a", f"/amman/{name}", path)

    def test_h5stat(self, path: Path) -> None:
        """The statistics count what is there: the filters are the common ones, and no link is a soft one."""
        text = self.tool("h5stat", path)
        with h5py.File(path) as file:
            kinds: list[type] = [h5py.Group]
            file.visititems(lambda _, node: kinds.append(type(node)))
        assert f"# of unique groups: {kinds.count(h5py.Group)}\n" in text
        assert f"# of unique datasets: {kinds.count(h5py.Dataset)}\n" in text
        assert re.search(r"USER-DEFINED filter: 0\b", text)

    def test_h5diff(self, path: Path, tmp_path: Path) -> None:
        """A file and its uncompressed copy are the same; another value, key or attribute is told, with its place."""
        copy = tmp_path / "copy.h5"
        plain(path, copy)
        assert self.tool("h5diff", path, copy) == ""
        with h5py.File(copy, "r+") as file:
            file["amman/similarity/data"][17] = 0.123
            file["amman/queries/key"][3] = b"other"
            file["amman"].attrs["min_value"] = 0.5
        told = self.tool("h5diff", path, copy, status=1)
        for place in ("</amman/similarity/data>", "</amman/queries/key>", "<min_value of </amman>>"):
            assert place in told

    def test_the_example_of_the_specification(self) -> None:
        """Every line that the specification quotes stands in the tool's output, in that order, with that indent."""
        (example,) = re.findall(r'^       GROUP "amman" \{\n(?:^    .*\n)+', SPECIFICATION, re.MULTILINE)
        quoted = [line[4:] for line in example.splitlines() if line.strip() != "…"]
        assert len(quoted) > 20
        lines = iter(self.tool("h5dump", CITY).splitlines())
        for line in quoted:
            # Membership moves the iterator on, so that the order counts.
            assert line in lines, line


class TestDataLoader:
    @pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    @pytest.mark.parametrize("start", ["spawn", "fork"])
    def test_four_workers(self, path: Path, start: str) -> None:
        """Four workers read the rows that this process reads, which has read before them; none holds the file open."""
        data = pytest.importorskip("torch.utils.data")
        stored = LabelFile(path)["amman"]
        here = [stored.row(row) for row in range(stored.shape[0])]
        assert handles_on(path) == 0
        loader: Any = data.DataLoader(
            Rows(stored), batch_size=10, num_workers=4, multiprocessing_context=start, collate_fn=together
        )
        found = [item for batch in loader for item in batch]
        assert [row for row, *_ in found] == list(range(stored.shape[0]))
        for row, keys, values, _, handles_open in found:
            assert keys.tolist() == here[row][0].tolist()
            assert values.tolist() == here[row][1].tolist()
            assert handles_open == 0
        workers = {process for *_, process, _ in found}
        assert len(workers) == 4
        assert os.getpid() not in workers
        assert handles_on(path) == 0
