"""A web server in a thread that serves a folder with range requests, counts them, and misbehaves when told."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass
class WebFiles:
    """What the server serves and has been asked."""

    folder: Path
    url: str = ""
    ranges: bool = True
    """whether it sends parts of files"""
    query: str = ""
    """without which it refuses"""
    redirects: bool = False
    """whether it sends who asks in a circle"""
    fault: str = ""
    """how it answers requests for parts: `shifted`, `whole`, `unnamed`, `gzipped`, `short`, `long`, or `dropped` in the
    middle, which are wrong; or `halved`, which is not"""
    stalled: threading.Event = field(default_factory=threading.Event)
    """which has to be set before it answers; it is"""
    failing: list[int] = field(default_factory=list)
    """statuses with which it answers the next requests for content"""
    tokens: set[str] = field(default_factory=set)
    """of those who asked for parts of files"""
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """method, name and bytes of each answer"""

    @property
    def bytes(self) -> int:
        """All that it has sent."""
        return sum(size for _, _, size in self.requests)


def etag(path: Path) -> str:
    """The version of a file, as servers mark it."""
    status = path.stat()
    return f'"{status.st_ino:x}-{status.st_mtime_ns:x}"'


def part(path: Path, start: int, stop: int) -> bytes:
    """Some bytes of a file."""
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(stop - start)


@contextmanager
def serving(folder: Path) -> Iterator[WebFiles]:
    """Serve a folder until the block ends."""
    files = WebFiles(folder)
    files.stalled.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_HEAD(self) -> None:
            self.answer(head=True)

        def do_GET(self) -> None:
            self.answer(head=False)

        def answer(self, *, head: bool) -> None:
            files.stalled.wait()
            address, _, query = self.path.partition("?")
            path = folder / unquote(address).lstrip("/")
            status, data, headers, whole = 200, b"", {}, 0
            if files.redirects:
                status, headers = 302, {"Location": self.path}
            elif query != files.query:
                status = 403
            elif not path.is_file():
                status = 404
            elif files.failing and not head:
                status = files.failing.pop(0)
            else:
                whole = path.stat().st_size
                version = etag(path)
                wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                headers = {"ETag": version, "Accept-Ranges": "bytes" if files.ranges else "none"}
                if wanted and not whole:
                    status, headers["Content-Range"] = 416, "bytes */0"
                elif wanted and files.ranges and files.fault != "whole":
                    first, last = int(wanted[1]) + (files.fault == "shifted"), min(int(wanted[2]), whole - 1)
                    last -= (last - first) // 2 if files.fault == "halved" else 0
                    status, data = 206, part(path, first, last + 1)
                    headers["Content-Range"] = f"bytes {first}-{last}/{whole}"
                    files.tokens.add(self.headers.get("Authorization", ""))
                    if files.fault == "unnamed":
                        del headers["Content-Range"]
                    elif files.fault == "gzipped":
                        data, headers["Content-Encoding"] = gzip.compress(data), "gzip"
                    data = {"short": data[:-1], "long": data + b"more"}.get(files.fault, data)
                elif not head:
                    data = path.read_bytes()
            self.send_response(status)
            for name, value in {
                **headers,
                "Content-Length": str(whole if head and status == 200 else len(data)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if files.fault == "dropped" and status == 206:
                data, self.close_connection = data[: len(data) // 2], True
            sent = 0 if head else len(data)
            files.requests.append((self.command, path.name, sent))
            if sent:
                self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            """Nothing is printed."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who has read enough may hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    files.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield files
    finally:
        files.stalled.set()
        server.shutdown()
        thread.join()
        server.server_close()
