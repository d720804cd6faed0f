"""Label files at URLs: the same content from a few requests, and every failure of server or network in words."""

from __future__ import annotations

import logging
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from relabel.errors import LabelFileError, MissingFileError, MissingPackageError, RemoteError
from relabel.labelfile import LabelFile, open_address, pack, provenance, remote, url_sources, validate, write
from relabel.labelfile.remote import RemotePath, location
from tests.conftest import REPOSITORY
from tests.labelfile.sources import assert_same
from tests.similarities import similarity
from tests.web_files import WebFiles, serving

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

Run = Callable[..., Result]
ROW = 3
SOURCES = {"amman": similarity(200, 300, seed=1, density=0.9), "room/train": similarity(30, self_pairs=True, seed=2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, the same in shards, and files with which something is wrong."""
    root = tmp_path_factory.mktemp("web")
    one = write(root / "all.h5", SOURCES, provenance=[provenance.step("sample", {})])
    pack(root / "all.labels", dict(LabelFile(one)), shard_pairs=9000)
    (root / "empty.h5").touch()
    (root / "page.h5").write_text("<html>not found</html>", encoding="utf-8")
    (root / "cut.h5").write_bytes(one.read_bytes()[:60_000])
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[WebFiles]:
    with serving(folder) as web:
        yield web


@pytest.fixture
def run() -> Run:
    """Run `relabel` with the arguments in this process."""
    from relabel.cli.app import app

    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], prog_name="relabel")


@pytest.fixture
def web(server: WebFiles, monkeypatch: pytest.MonkeyPatch) -> WebFiles:
    """The server in good health, and nothing in memory of what it sent before."""
    server.ranges = True
    server.redirects, server.query, server.fault = False, "", ""
    server.failing = []
    server.requests = []
    server.tokens = set()
    monkeypatch.setattr(remote, "_files", type(remote._files)())
    monkeypatch.setattr(remote, "_refused", {})
    return server


class TestReading:
    @pytest.mark.parametrize("name", ["all.h5", "all.labels"])
    def test_is_like_the_file_on_disk(self, name: str, web: WebFiles, folder: Path) -> None:
        """Collections, rows and history are the same, in another process as well, and the whole fits its digest."""
        labels, local = LabelFile(f"{web.url}/{name}"), LabelFile(folder / name)
        assert list(labels) == list(SOURCES)
        assert labels.provenance() == local.provenance()
        for key, stored in local.items():
            found = pickle.loads(pickle.dumps(labels[key]))
            for row in (0, len(stored) - 1, 7):
                assert [part.tolist() for part in found.row(row)] == [part.tolist() for part in stored.row(row)]
            assert [p.tolist() for p in found.row(list(stored)[3])] == [p.tolist() for p in stored.row(3)]
            assert_same(found.to_similarity(), SOURCES[key])
            with labels[key].kept_open() as kept:
                assert [part.tolist() for part in kept.row(5)] == [part.tolist() for part in stored.row(5)]
        assert open_address(f"{web.url}/{name}::amman").path == RemotePath(f"{web.url}/{name}")
        assert validate(f"{web.url}/{name}").findings == []
        assert f"{web.url}/{name}" in repr(labels)

    def test_a_row_needs_a_part_of_the_file(
        self, web: WebFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a file with many chunks, the index and those chunks that hold the row; a second row next to nothing."""
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 12)
        path = write(web.folder / "large.h5", {"a": similarity(600, 900, density=0.9, faults=False)})
        size = path.stat().st_size
        stored = LabelFile(f"{web.url}/large.h5")["a"]
        expected = LabelFile(path)["a"]
        assert [part.tolist() for part in stored.row(300)] == [part.tolist() for part in expected.row(300)]
        assert web.bytes < size / 3
        before = web.bytes
        assert [part.tolist() for part in stored.row(301)] == [part.tolist() for part in expected.row(301)]
        assert web.bytes - before < size / 10
        asked = len(web.requests)
        stored.row(301)
        assert len(web.requests) == asked
        np.testing.assert_array_equal(stored.to_scipy().toarray(), expected.to_scipy().toarray())
        assert web.bytes < 1.5 * size

    def test_a_row_of_shards_needs_one_of_them(self, web: WebFiles, folder: Path) -> None:
        """And the manifest."""
        LabelFile(f"{web.url}/all.labels")["amman"].row(0)
        assert {name for _, name, size in web.requests if size} == {"manifest.json", "amman-00000.h5"}

    def test_in_memory(self, folder: Path) -> None:
        """Any file system that fsspec knows."""
        pytest.importorskip("fsspec").filesystem("memory").pipe_file("/all.h5", (folder / "all.h5").read_bytes())
        assert_same(LabelFile("memory://all.h5")["amman"].to_similarity(), SOURCES["amman"])

    def test_on_the_hub(self, web: WebFiles, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """hf:// reads what the Hub resolves, with the token and with the checks of every web server."""
        pytest.importorskip("huggingface_hub")
        monkeypatch.setitem(pytest.importorskip("fsspec").config.conf, "hf", {"endpoint": web.url})
        (folder / "api/datasets/me").mkdir(parents=True)
        (folder / "api/datasets/me/labels").write_text('{"id": "me/labels", "siblings": [], "tags": []}', "utf-8")
        (folder / "datasets/me/labels/resolve").mkdir(parents=True)
        (folder / "datasets/me/labels/resolve/main").symlink_to(folder)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        stored = LabelFile("hf://datasets/me/labels/all.labels")["amman"]
        assert_same(stored.to_similarity(), SOURCES["amman"])
        assert web.tokens == {"Bearer hf_secret"}
        remote._files.clear()
        web.fault = "shifted"
        with pytest.raises(LabelFileError, match=r"hf://.*: the server is at fault, not the file"):
            stored.row(0)
        with pytest.raises(MissingFileError, match=r"hf://datasets/me/other/all\.h5: there is no such file"):
            LabelFile("hf://datasets/me/other/all.h5")

    @pytest.mark.parametrize("name", ["all.h5", "all.labels"])
    def test_a_signed_address(self, name: str, run: Run, web: WebFiles, folder: Path, tmp_path: Path) -> None:
        """What stands behind the question mark is asked for with every file, and comes into nothing that is written."""
        web.query = "token=a%20b/c"
        assert list(LabelFile(f"{web.url}/{name}?{web.query}")) == list(SOURCES)
        for words in (("merge", "-o", "m.h5"), ("publish", "-o", "page"), ("report", "-o", "r.html")):
            which = "::amman" if words[0] == "report" else ""
            done = run(words[0], f"{web.url}/{name}?{web.query}{which}", "-o", tmp_path / words[2])
            assert done.exit_code == 0, done.stderr
        assert run("merge", folder / name, "-o", tmp_path / "n.h5").exit_code == 0
        assert (tmp_path / "m.h5").read_bytes() == (tmp_path / "n.h5").read_bytes()
        assert validate(tmp_path / "page" / name).findings == []
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(written) > 6
        assert [path for path in written if b"token=" in path.read_bytes()] == []

    def test_commands(self, run: Run, web: WebFiles, folder: Path, tmp_path: Path) -> None:
        """They print what they do for the file on disk, and what they make names its input without the server."""
        url = f"{web.url}/all.h5"
        for words in ("info", "ls", "tree", "validate", "stats", "dump", "row"):
            more = {"dump": "::amman", "row": "::amman"}.get(words, "")
            key = ["q0003"] * (words == "row")
            done, local = run(words, url + more, *key), run(words, f"{folder / 'all.h5'}{more}", *key)
            assert done.exit_code == 0, done.stderr
            assert done.stdout.replace(url, "") == local.stdout.replace(str(folder / "all.h5"), "")
        for name in ("all.h5", "all.labels"):
            done = run("merge", f"{web.url}/{name}", "-o", tmp_path / "m.h5", "--force")
            assert done.exit_code == 0, done.stderr
            assert run("merge", folder / name, "-o", tmp_path / "n.h5", "--force").exit_code == 0
            assert (tmp_path / "m.h5").read_bytes() == (tmp_path / "n.h5").read_bytes()


def test_still_open_at_the_end(folder: Path) -> None:
    """A process may end with a remote file open: HDF5 would close it when there is no Python any more to be called."""
    code = f"""
import threading, fsspec, relabel
fsspec.filesystem("memory").pipe_file("/a.h5", open({str(folder / "all.h5")!r}, "rb").read())
kept = relabel.LabelFile("memory://a.h5")["amman"].kept_open()
kept.row_block(0)
threading.Thread(target=lambda _: threading.Event().wait(), args=(kept,), daemon=True).start()  # it is never freed
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class TestFailures:
    @pytest.mark.parametrize(
        ("name", "kind", "match"),
        [
            ("none.h5", MissingFileError, "there is no such file"),
            ("none.labels", LabelFileError, r"is a folder without manifest\.json"),
            ("empty.h5", LabelFileError, "is empty"),
            ("page.h5", LabelFileError, "is a text file"),
            ("cut.h5", LabelFileError, "is truncated or damaged"),
        ],
    )
    def test_what_is_there(self, name: str, kind: type[Exception], match: str, web: WebFiles) -> None:
        """As for a file on disk."""
        with pytest.raises(kind, match=rf"{web.url}/{name}: .*{match}"):
            LabelFile(f"{web.url}/{name}")

    def test_no_range_requests(self, web: WebFiles, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is downloaded behind the back of whoever asks for a row."""
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 12)
        web.ranges = False
        with pytest.raises(LabelFileError, match=r"all\.h5: the server does not send parts of a file.*download it"):
            LabelFile(f"{web.url}/all.h5")
        done = run("info", f"{web.url}/all.h5")
        assert done.exit_code == 1
        assert "download it and read it from disk" in done.stderr

    def test_no_server(self) -> None:
        with pytest.raises(LabelFileError, match=r"http://127\.0\.0\.1:1/all\.h5: cannot be reached"):
            LabelFile("http://127.0.0.1:1/all.h5")

    def test_no_such_protocol(self) -> None:
        with pytest.raises(LabelFileError, match=r"x9://a/all\.h5: cannot be reached \(Protocol not known: x9\)"):
            LabelFile("x9://a/all.h5")

    def test_no_such_login(self) -> None:
        """Some kinds reach out as soon as they are made."""
        with pytest.raises(LabelFileError, match=r"ftp://127\.0\.0\.1:1/all\.h5: cannot be reached \(.*refused\)"):
            LabelFile("ftp://127.0.0.1:1/all.h5")

    def test_a_server_that_does_not_answer(
        self, web: WebFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is said what is waited for, and given up after some attempts."""
        monkeypatch.setattr(url_sources, "SILENT_S", 0.25)
        monkeypatch.setattr(remote, "_PATIENCE_S", 0.0)
        caplog.set_level(logging.INFO, "relabel")
        web.stalled.clear()
        try:
            with pytest.raises(LabelFileError, match=r"all\.h5: no answer within 0\.25 s; check the network"):
                LabelFile(f"{web.url}/all.h5")
        finally:
            web.stalled.set()
        assert f"{web.url}/all.h5: no answer yet; waiting for the server" in caplog.messages
        assert [text for text in caplog.messages if "attempt" in text] == [
            f"{web.url}/all.h5: attempt {k} of 3: no answer within 0.25 s; check the network and try again"
            for k in (1, 2)
        ]

    def test_a_circle(self, web: WebFiles) -> None:
        web.redirects = True
        with pytest.raises(LabelFileError, match=r"all\.h5: the server redirects in a circle"):
            LabelFile(f"{web.url}/all.h5")

    @pytest.mark.parametrize(
        ("name", "fault", "match"),
        [
            ("all.labels", "shifted", "asked for bytes"),
            ("all.h5", "shifted", r"asked for bytes [\d,]+ to [\d,]+, it sent [\d,]+ to [\d,]+; try again"),
            ("all.h5", "unnamed", "it sends a part of the file without saying which"),
            ("all.h5", "gzipped", r"it sends parts of a compressed copy \(gzip\)"),
            ("all.h5", "short", r"it announced [\d,]+ bytes from byte [\d,]+ on, and sent [\d,]+"),
            ("all.h5", "long", r"it announced [\d,]+ bytes from byte [\d,]+ on, and sent more"),
        ],
    )
    def test_a_server_at_fault(
        self, name: str, fault: str, match: str, web: WebFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither in the beginning nor in the middle is the file called damaged; once mended, it gives the rows."""
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 11)
        monkeypatch.setattr(remote, "_MOST_AHEAD", 1)
        match = f"the server is at fault, not the file: {match}"
        web.fault = fault
        with pytest.raises(LabelFileError, match=rf"{web.url}/{name}.*: {match}"):
            LabelFile(f"{web.url}/{name}")
        web.fault = ""
        stored = LabelFile(f"{web.url}/{name}")["amman"]
        stored.row_block(0)
        web.fault = fault
        with pytest.raises(LabelFileError, match=match):
            stored.to_scipy()
        with pytest.raises(LabelFileError, match=match):
            validate(f"{web.url}/{name}")
        web.fault = ""
        np.testing.assert_array_equal(stored.to_scipy().toarray(), SOURCES["amman"].matrix.toarray())

    def test_whole_files(self, web: WebFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that sends all of a small file in place of a part is understood; of a larger one, it is refused."""
        web.fault = "whole"
        assert_same(LabelFile(f"{web.url}/all.h5")["amman"].to_similarity(), SOURCES["amman"])
        remote._files.clear()
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 12)
        with pytest.raises(LabelFileError, match=r"all\.h5: the server does not send parts of a file"):
            LabelFile(f"{web.url}/all.h5")

    def test_parts_of_parts(self, web: WebFiles) -> None:
        """A server may send fewer bytes than were asked for when it says so; the rest is asked for."""
        web.fault = "halved"
        assert_same(LabelFile(f"{web.url}/all.labels")["amman"].to_similarity(), SOURCES["amman"])

    def test_dropped_in_the_middle(self, web: WebFiles) -> None:
        web.fault = "dropped"
        with pytest.raises(LabelFileError, match=r"all\.h5: the connection broke off \(.*\); try again"):
            LabelFile(f"{web.url}/all.h5")

    def test_no_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(MissingPackageError, match=r"needs the package fsspec.*pip install 'relabel-vpr\[remote\]'"):
            LabelFile("https://example.org/all.h5")

    def test_the_server_fails(self, web: WebFiles) -> None:
        """Once, and it is asked again; for good, and it is said, but never that the file is damaged."""
        stored = LabelFile(f"{web.url}/all.h5")["amman"]
        remote._files.clear()
        web.failing = [503]
        assert len(stored.row(ROW)[0])
        remote._files.clear()
        web.failing = [503] * 3
        with pytest.raises(LabelFileError, match=r"all\.h5: the server answers with status 503; try again later"):
            stored.row(0)
        web.failing = [403]
        with pytest.raises(LabelFileError, match=r"all\.h5: the server refuses it \(status 403\)"):
            stored.row(0)
        assert len(stored.row(ROW)[0])

    def test_fails_in_the_middle(self, web: WebFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        """HDF5, which reads at that moment, survives it."""
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 12)
        monkeypatch.setattr(remote, "_MOST_AHEAD", 1)
        stored = LabelFile(f"{web.url}/all.h5")["amman"]
        first = stored.row_block(ROW)
        assert len(first.data)
        web.failing = [500] * 3
        with pytest.raises(LabelFileError, match=r"all\.h5: the server answers with status 500"):
            stored.to_scipy()
        np.testing.assert_array_equal(stored.to_scipy().toarray(), SOURCES["amman"].matrix.toarray())

    def test_changed_in_between(self, web: WebFiles, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Parts of two versions are not put together; what is opened next is new."""
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 12)
        shutil.copyfile(folder / "all.h5", folder / "moving.h5")
        stored = LabelFile(f"{web.url}/moving.h5")["amman"]
        stored.row_block(0)
        write(folder / "moving.h5", {"amman": similarity(200, 300, seed=5, density=0.9)}, overwrite=True)
        with pytest.raises(LabelFileError, match=r"moving\.h5: has changed on the server since it was opened"):
            stored.to_scipy()
        with pytest.raises(LabelFileError, match=r"moving\.h5: /amman: has changed since it was opened; open it again"):
            stored.row(0)
        assert list(LabelFile(f"{web.url}/moving.h5")) == ["amman"]

    def test_a_folder_that_changed(self, web: WebFiles, folder: Path) -> None:
        """Its shards do not fit the manifest that was read, which is no damage: opened again, all of it is new."""
        pack(folder / "moving.labels", dict(LabelFile(folder / "all.labels")), shard_pairs=9000)
        stored = LabelFile(f"{web.url}/moving.labels")["amman"]
        stored.row_block(0)
        new = write(folder / "new.h5", {"amman": similarity(200, 300, seed=5, density=0.9)})
        pack(folder / "moving.labels", dict(LabelFile(new)), shard_pairs=9000, overwrite=True)
        with pytest.raises(
            RemoteError, match=r"moving\.labels: has changed on the server since it was opened; open it"
        ):
            stored.row_block(199)
        with pytest.raises(LabelFileError, match=r"moving\.labels: collection 'amman' has changed since it was opened"):
            stored.row_block(0)
        stored = LabelFile(f"{web.url}/moving.labels")["amman"]
        np.testing.assert_array_equal(stored.to_scipy().toarray(), LabelFile(new)["amman"].to_scipy().toarray())
        (folder / "moving.labels" / "amman-00000.h5").unlink()
        assert "this shard is missing" in validate(f"{web.url}/moving.labels").findings[0].message
        web.fault = "short"
        with pytest.raises(RemoteError, match=r"moving\.labels/manifest\.json: the server is at fault"):
            validate(f"{web.url}/moving.labels")

    def test_changed_in_another_file_system(self, web: WebFiles, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which says nothing when a part of another version is read."""
        del web
        monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 12)
        memory = pytest.importorskip("fsspec").filesystem("memory")
        memory.pipe_file("/moving.h5", (folder / "all.h5").read_bytes())
        stored = LabelFile("memory://moving.h5")["amman"]
        stored.row_block(0)
        memory.pipe_file("/moving.h5", (folder / "all.h5").read_bytes())
        with pytest.raises(LabelFileError, match=r"moving\.h5: has changed on the server since it was opened"):
            stored.to_scipy()

    def test_hostile_files_are_found(self, web: WebFiles, folder: Path) -> None:
        """The checks of what is in a file are those of files on disk: broken golden files give the same findings."""
        broken = REPOSITORY / "formats" / "golden" / "v1.0" / "broken"
        for path in [*sorted(broken.glob("c*.h5")), broken / "external-link.h5", broken / "data-soft-link.h5"]:
            shutil.copyfile(path, folder / "broken.h5")
            remote._files.clear()
            assert validate(f"{web.url}/broken.h5").findings == validate(folder / "broken.h5").findings, path.name


def test_locations() -> None:
    """URLs are known by their protocol; the rest are paths, that with a colon too."""
    assert isinstance(location("https://host/a/b.h5"), RemotePath)
    path = location("s3://bucket/a/all.labels")
    assert isinstance(path, RemotePath)
    assert str(path) == "s3://bucket/a/all.labels"
    assert str(path / "manifest.json") == "s3://bucket/a/all.labels/manifest.json"
    assert (str(path.parent), path.name, path.is_dir()) == ("s3://bucket/a", "all.labels", True)
    assert pickle.loads(pickle.dumps(path)) == path
    for text in ("a.h5", "c:/a.h5", "/x://y", "https:/host/a.h5"):
        assert not isinstance(location(text), RemotePath)
    assert str(location("s3://bucket//a///all.labels/") / "b.h5") == "s3://bucket//a///all.labels/b.h5"
    assert str(pickle.loads(pickle.dumps(location("https://host/a//b.h5"))).parent) == "https://host/a/"
    signed = location("https://host/a.labels?key=b//c")
    assert (signed.name, signed.suffix, signed.is_dir()) == ("a.labels", ".labels", True)
    assert str(signed / "manifest.json") == "https://host/a.labels/manifest.json?key=b%2F%2Fc"
    assert pickle.loads(pickle.dumps(signed)) == signed
    assert location("file:///a/b%20c.h5") == location("file://localhost/a/b%20c.h5") == Path("/a/b c.h5")
    with pytest.raises(LabelFileError, match=r"file://host/a\.h5: is on another machine, host"):
        location("file://host/a.h5")
    with pytest.raises(LabelFileError, match=r"is a file inside another one.*unpack it first"):
        location("zip://a.h5::https://host/a.zip")
