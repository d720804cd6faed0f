"""What the server answers, and above all what it does not."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tornado", reason="tornado is not installed: pip install 'relabel-vpr[view]'")

from relabel.errors import InputError
from relabel.labelfile import open_collections, write
from relabel.view.base_map import Tiles
from relabel.view.image_files import ImageFiles
from tests.view.labels import labels_of, row_of_cameras, small_city
from tests.view.serving import Answer, Served, server, serving

TOWN = "collection=town"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The small city without images."""
    with serving(server.Labels(small_city(tmp_path_factory.mktemp("city") / "labels.h5"))) as found:
        yield found


class TestAnswers:
    """What the page asks for."""

    def test_contents(self, served: Served) -> None:
        """The collections by name, and of the path of the file its name alone."""
        told = json.loads(served.ask("/api/contents").body)
        assert told["file"] == "labels.h5"
        assert {"name": "town", "pairs": 7, "surface": False} in told["collections"]

    def test_a_row(self, served: Served) -> None:
        """Columns and values of one query, best first, its key and those of its matches."""
        body = served.ask(f"/api/row?{TOWN}&row=1").body
        length = int.from_bytes(body[:8], "little")
        header = json.loads(body[8 : 8 + length])
        columns, values = (
            np.frombuffer(body[8 + length :][slice(*header[name]["data_offsets"])], dtype)
            for name, dtype in (("columns", "<i4"), ("values", "<f4"))
        )
        assert columns.tolist() == [2, 5, 1]
        assert values.tolist() == np.array([0.7, 0.7, 0.1], np.float32).tolist()
        assert json.loads(header["__metadata__"]["json"]) == {"key": "q1", "keys": ["d2", "d5", "d1"]}

    def test_keys_and_search(self, served: Served) -> None:
        """Keys by row; a search finds the key itself first, and nothing by an empty match."""
        assert json.loads(served.ask(f"/api/keys?{TOWN}&side=database&rows=5,0").body) == ["d5", "d0"]
        assert json.loads(served.ask(f"/api/search?{TOWN}&text=2").body) == [{"row": 2, "key": "q2"}]
        assert json.loads(served.ask(f"/api/search?{TOWN}&text=nothing").body) == []
        text = quote("</script><script>")
        assert json.loads(served.ask(f"/api/search?collection=long&text={text}").body)[0]["row"] == 1

    def test_distributions_come_in_the_end(self, served: Served) -> None:
        """The share that is counted until all is."""
        while "result" not in (told := json.loads(served.ask(f"/api/figures?{TOWN}&name=distributions").body)):
            assert 0.0 <= told["progress"] <= 1.0
        assert told["result"]["stored"] == 7


class TestFailures:
    """Files that cannot be read."""

    TARGETS = (
        f"/api/scene?{TOWN}",
        f"/api/row?{TOWN}&row=0",
        f"/api/figures?{TOWN}&name=distributions",
        f"/api/matrix?{TOWN}&rows=0,3&columns=0,6",
        f"/api/keys?{TOWN}&side=database&rows=0",
    )

    def answer(self, served: Served, target: str) -> Answer:
        """What a computation ends with."""
        while b'"progress"' in (answer := served.ask(target)).body:
            pass
        return answer

    def test_what_failed_once_is_tried_again(self, tmp_path: Path) -> None:
        """A file that is not there for a while is named without its folder, and read once it is there again."""
        path = tmp_path / "labels.h5"
        with serving(server.Labels(small_city(path))) as served:
            assert self.answer(served, "/api/scene?collection=long").status == 200  # which forgets the town
            path.rename(tmp_path / "away.h5")
            for target in self.TARGETS:
                answer = self.answer(served, target)
                assert (answer.status, answer.body) == (500, b"labels.h5: there is no such file")
            (tmp_path / "away.h5").rename(path)
            for target in self.TARGETS:
                assert self.answer(served, target).status == 200


class TestRefusals:
    """Hostile requests."""

    @pytest.mark.parametrize(
        "target",
        [
            "/../labels.h5",
            "/assets/../../setup.cfg",
            "/assets/..%2f..%2fsetup.cfg",
            "/assets/%2e%2e/page.py",
            "//etc/passwd",
            "/%2fetc%2fpasswd",
            "/labels.h5",
            "/assets/package.json",
            "/assets/",
            "/api/",
            "/image/../x",
            "/api/row?collection=town&row=3",
            "/api/row?collection=town&row=-1",
            "/api/row?collection=town&row=1e9",
            "/api/row?collection=town&row=9999999999999999999999",
            "/api/row?collection=other&row=0",
            "/api/row?row=0",
            "/api/row?collection=town&row=%00",
            "/api/keys?collection=town&side=..&rows=0",
            "/api/keys?collection=town&side=key&rows=0",
            "/api/keys?collection=town&side=queries&rows=",
            "/api/keys?collection=town&side=queries&rows=0,x",
            "/image?collection=town&side=queries&row=0",
            "/image?collection=town&side=queries&row=../0",
            "/api/row?collection=..%2ftown&row=0",
            "/api/figures?collection=town&name=comparison",
            "/api/figures?collection=town&name=../distributions",
            "/api/figures?collection=town",
            "/api/figures?collection=other&name=distributions",
        ],
    )
    def test_what_is_not_there(self, served: Served, target: str) -> None:
        """Nothing is answered, and nothing of this machine is told."""
        answer = served.ask(target)
        assert answer.status in (400, 404)
        assert b"Traceback" not in answer.body
        assert b"/" not in answer.body

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "", "0.0.0.0", "[::2]"],
    )
    @pytest.mark.parametrize("target", ["/", "/api/contents", "/assets/page.js", "/nothing"])
    def test_another_host(self, served: Served, host: str, target: str) -> None:
        """A page of the web that has its own name lead to this machine gets nothing."""
        answer = served.ask(target, host=host)
        assert answer.status in (400, 403)
        assert b"labels" not in answer.body

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80"])
    def test_names_of_this_machine(self, served: Served, host: str) -> None:
        """Every name of the loopback address will do, whatever port a tunnel gives it."""
        assert served.ask("/api/contents", host=host).status == 200

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
    @pytest.mark.parametrize("target", ["/", "/api/contents", "/image", "/nothing"])
    def test_no_writes(self, served: Served, method: str, target: str) -> None:
        """Only GET and HEAD are answered."""
        assert served.ask(target, method=method, headers="Content-Length: 0\r\n").status == 405

    def test_head(self, served: Served) -> None:
        """HEAD has no body."""
        assert served.ask("/api/contents", method="HEAD")[::2] == (200, b"")

    def test_headers(self, served: Served) -> None:
        """No other site may embed, frame or read what is answered, and no script but the page's own runs."""
        for target in ("/", "/api/contents", "/nothing"):
            headers = served.ask(target).headers
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers

    def test_a_base_map_opens_the_page_to_its_host_alone(self, tmp_path: Path) -> None:
        """Of connections only; without one, to no host."""
        city = small_city(tmp_path / "labels.h5")
        there = Tiles("https://tiles.example:81/a/{z}/{x}/{y}.png")
        for tiles, expected in ((None, ""), (there, " https://tiles.example:81")):
            with serving(server.Labels(city, tiles=tiles)) as served:
                policy = served.ask("/").headers["content-security-policy"]
            assert f"connect-src 'self' data:{expected};" in policy
            assert policy.count("http") == (tiles is not None)


class TestToken:
    """Addresses that others can reach."""

    def test_a_token_is_needed(self, tmp_path: Path) -> None:
        """In the URL once, afterwards in a cookie that scripts and other sites do not get; the host does not matter."""
        with serving(server.Labels(small_city(tmp_path / "labels.h5")), token="secret") as served:
            for target in ("/", "/api/contents", "/?token=", "/?token=Secret", "/?token=secre", "/?token=%C3%A9"):
                assert served.ask(target, host="name.example").status == 403
            answer = served.ask("/?token=secret", host="name.example")
            assert (answer.status, answer.headers["location"]) == (302, "/")
            cookie = answer.headers["set-cookie"]
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            headers = f"Cookie: {cookie.split(';')[0]}\r\n"
            assert served.ask("/api/contents", host="name.example", headers=headers).status == 200

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("127.0.0.1", True),
            ("127.8.0.1", True),
            ("::1", True),
            ("localhost", True),
            ("0.0.0.0", False),
            ("::", False),
            ("192.168.0.3", False),
            ("name.example", False),
            ("localhost.example", False),
        ],
    )
    def test_what_is_this_machine_alone(self, host: str, expected: bool) -> None:
        """All other addresses, names among them, need a token."""
        assert server.is_loopback(host) == expected

    def test_addresses_that_can_be_opened(self) -> None:
        """One that stands for the whole machine is none; the first is for this machine."""
        for host, first in (("0.0.0.0", "127.0.0.1"), ("", "127.0.0.1"), ("::", "[::1]")):
            names = server.reachable(host)
            assert names[0] == first
            assert socket.gethostname() in names
            assert not {"0.0.0.0", "[::]", ""} & set(names)
        for host, name in (("127.0.0.1", "127.0.0.1"), ("fe80::1", "[fe80::1]"), ("name.example", "name.example")):
            assert server.reachable(host) == [name]


class TestImages:
    """Images below one folder."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Images of q0 to q3, three of which are not what they seem, and a file outside."""
        folder, outside = tmp_path / "images", tmp_path / "outside"
        folder.mkdir()
        outside.mkdir()
        for path in (folder / "q0.jpg", outside / "secret.jpg", folder / "inside.jpg"):
            Image.new("RGB", (8, 6)).save(path)
        (folder / "q1.jpg").symlink_to(outside / "secret.jpg")
        (folder / "q2.jpg").symlink_to("inside.jpg")
        (folder / "q3.jpg").symlink_to("q3.jpg")
        os.mkfifo(folder / "q4.jpg")
        (folder / "q5.jpg").mkdir()
        return folder

    def answers(self, tmp_path: Path, folder: Path, *, follow_links: bool = False) -> list[int]:
        """The status of the image of each of seven queries."""
        path = write(tmp_path / "labels.h5", {"town": labels_of(row_of_cameras(7, "q"))}, overwrite=True)
        collections = open_collections(path)
        images = ImageFiles(collections, folder, "{key}.jpg", follow_links=follow_links)
        with serving(server.Labels(collections, images)) as served:
            found = [served.ask(f"/image?{TOWN}&side=queries&row={row}") for row in range(7)]
        assert found[0].headers["content-type"] == "image/jpeg"
        assert found[0].body == (folder / "q0.jpg").read_bytes()
        return [answer.status for answer in found]

    def test_links_that_lead_out_are_not_followed(self, tmp_path: Path, folder: Path) -> None:
        """Unless that is asked for; circles of links, pipes and folders are no images."""
        assert self.answers(tmp_path, folder) == [200, 404, 200, 404, 404, 404, 404]
        assert self.answers(tmp_path, folder, follow_links=True) == [200, 200, 200, 404, 404, 404, 404]

    def test_a_folder_may_be_a_link(self, tmp_path: Path, folder: Path) -> None:
        """What counts is where it leads."""
        (tmp_path / "link").symlink_to(folder)
        assert self.answers(tmp_path, tmp_path / "link")[0] == 200

    @pytest.mark.parametrize("key", ["../outside/secret", "/etc/passwd", "a/../../outside/secret"])
    def test_keys_that_lead_out_are_refused(self, tmp_path: Path, folder: Path, key: str) -> None:
        """A label file whose keys lead out of the folder is not served with images at all."""
        path = write(tmp_path / "labels.h5", {"town": labels_of(row_of_cameras(2, key=["q0", key]))})
        with pytest.raises(InputError, match="is outside the image folder"):
            ImageFiles(open_collections(path), folder, "{key}.jpg")

    def test_only_images(self, tmp_path: Path, folder: Path) -> None:
        """A template that makes other files of keys shows none of them."""
        (folder / "q0.txt").write_text("secret")
        path = write(tmp_path / "labels.h5", {"town": labels_of(row_of_cameras(1, "q"))})
        images = ImageFiles(open_collections(path), folder, "{key}.txt")
        assert images.find("town", "queries", 0) is None
