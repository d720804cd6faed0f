"""A server in a thread of the test, and requests that no client library would send."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import tornado.httpserver
import tornado.netutil

from relabel.view import server


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Served(NamedTuple):
    """Where a server listens."""

    port: int

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, target: str, *, method: str = "GET", host: str | None = None, headers: str = "") -> Answer:
        """Send one request as it stands, and read until the server closes."""
        host = f"127.0.0.1:{self.port}" if host is None else host
        request = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(request.encode())
            data = b"".join(iter(lambda: connection.recv(65_536), b""))
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        return Answer(int(first.split()[1]), fields, body)


@contextmanager
def serving(labels: server.Labels, token: str | None = None) -> Iterator[Served]:
    """The application on a free port of this machine, until the block ends."""
    ports: list[int] = []
    listening = threading.Event()
    loop = asyncio.new_event_loop()

    async def listen() -> None:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        running = tornado.httpserver.HTTPServer(server.application(labels, token))
        running.add_sockets(sockets)
        ports.append(sockets[0].getsockname()[1])
        listening.set()
        await stop.wait()
        running.stop()
        await running.close_all_connections()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(listen(),))
    thread.start()
    listening.wait()
    try:
        yield Served(ports[0])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        labels.close()
