"""The page served to a browser: labels of one file and images below one folder, read on request.

Only GET and HEAD are answered. On a loopback address, requests have to name it as their host, so that no page of the
web can reach the server under a name of its own (DNS rebinding); on any other, they have to bring a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import tornado.httpserver
import tornado.netutil
import tornado.web

from relabel.errors import OptionError, RelabelError
from relabel.labelfile import StoredCollection
from relabel.view.base_map import Tiles
from relabel.view.camera_images import CameraImages
from relabel.view.columns import pack
from relabel.view.contents import Compared, contents
from relabel.view.depth_frames import DepthFrames
from relabel.view.figures import figures_of
from relabel.view.image_files import ImageFile, ImageFiles
from relabel.view.jobs import Job, Jobs, has_failed
from relabel.view.matrix import matrix
from relabel.view.page_text import ASSETS, asset, served_page
from relabel.view.scene import scene

LOOPBACK = "127.0.0.1"
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")
_COOKIE = "relabel-token"
_HITS = 20
_KEYS = 1000  # of one request
_MATRICES = 4  # kept, 2 MB each
_WAITING = 8  # pairs of depth maps that may wait to be read, which takes a third of a second each
_LISTED = 200  # matches of a query
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self' data:{tiles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

log = logging.getLogger(__name__)


class Labels:
    """Data of the server: collections of one label file, and the sources of their images and depth maps."""

    def __init__(
        self,
        collections: Sequence[StoredCollection],
        images: ImageFiles | None = None,
        depth_frames: DepthFrames | None = None,
        compared: Compared | None = None,
        tiles: Tiles | None = None,
    ) -> None:
        self.collections = {stored.name: stored for stored in collections}
        self._images = CameraImages(collections, images, depth_frames)
        self.depth_frames = depth_frames
        shown = images is not None or depth_frames is not None
        self.compared = compared
        self.tiles = tiles
        self.contents = contents(collections, images=shown, depth_maps=depth_frames is not None, compared=compared)
        self.contents["tiles"] = None if tiles is None else tiles.to_json()
        self._matrices: Jobs[bytes] = Jobs(_MATRICES)
        self._surfaces: set[Future[bytes]] = set()
        self._decoder = ThreadPoolExecutor(1)  # one pair at a time, which bounds the memory
        self._scenes: dict[str, Future[bytes]] = {}
        self._counting: dict[tuple[str, str], tuple[Future[dict[str, Any]], list[int]]] = {}
        self._workers = ThreadPoolExecutor(2)
        self.scene(collections[0].name)  # which the page shows first: it is read while the browser starts

    def scene(self, name: str) -> Future[bytes]:
        """The packed cameras of a collection; those of the last one that was asked for are kept."""
        if name not in self._scenes or has_failed(self._scenes[name]):
            self._scenes = {name: self._workers.submit(self._read, self.collections[name])}
            # Afterwards, since the page needs no key before a query is chosen.
            self._workers.submit(lambda: self.collections[name].key_bytes)
        return self._scenes[name]

    def _read(self, stored: StoredCollection) -> bytes:
        stored.row_counts()  # where the rows begin, which the first query needs
        return pack(*scene(stored, base_map=self.tiles is not None))

    def figures(self, name: str, which: str) -> dict[str, Any] | None:
        """Some figures of a collection as `result`, or the `progress` towards them; None if there are none."""
        stored = self.collections[name]
        make = figures_of(stored, self.compared).get(which)
        if make is None:
            return None
        if (name, which) not in self._counting:
            rows: list[int] = []
            self._counting[name, which] = self._workers.submit(make, stored, rows.append), rows
        future, rows = self._counting[name, which]
        if has_failed(future):
            del self._counting[name, which]
        return {"result": future.result()} if future.done() else {"progress": sum(rows) / max(1, stored.shape[0])}

    def matrix(self, name: str, rows: tuple[int, int], columns: tuple[int, int]) -> Job[bytes]:
        """The job that computes the packed image of a rectangle of ψ."""
        stored = self.collections[name]
        return self._matrices.ask((name, rows, columns), lambda done: pack(*matrix(stored, rows, columns, done)))

    def surface(self, name: str, row: int, column: int | None) -> Future[bytes] | None:
        """The packed depth maps of a pair and what both see; None if too many requests are waiting already."""
        if self.depth_frames is None or len(self._surfaces) > _WAITING:
            return None
        future = self._decoder.submit(self.depth_frames.surface, self.collections[name], row, column)
        self._surfaces.add(future)
        future.add_done_callback(self._surfaces.discard)
        return future

    def image(self, name: str, side: str, row: int) -> ImageFile | None:
        """The image of a camera; None if there is none, or if it may not be shown."""
        return self._images.find(name, side, row)

    def said(self, error: RelabelError) -> str:
        """An error for the page, which names label files without their folders, as all of it does."""
        text = str(error)
        files = [*self.collections.values(), *(self.compared.collections.values() if self.compared else ())]
        for path in {stored.path for stored in files}:
            text = text.replace(str(path), path.name)
        return text

    def close(self) -> None:
        """Stop all computations as soon as possible."""
        self._matrices.close()
        for workers in (self._workers, self._decoder):
            workers.shutdown(wait=False, cancel_futures=True)


class _Handler(tornado.web.RequestHandler):
    """Common to all answers: access control, and headers that keep a browser from doing more than show them."""

    def initialize(self, labels: Labels, token: str | None) -> None:
        self.labels, self.token = labels, token

    def set_default_headers(self) -> None:
        self.set_header("Server", "relabel")
        self.set_header("Content-Security-Policy", self.settings["policy"])
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        if self.request.method not in ("GET", "HEAD"):
            raise tornado.web.HTTPError(405)
        if self.token is None:
            if self.request.host_name not in _LOOPBACK_NAMES:
                raise tornado.web.HTTPError(403, reason="Host is not this machine")
        elif not hmac.compare_digest(self._offered().encode(), self.token.encode()):
            raise tornado.web.HTTPError(403, reason="Token missing or wrong")

    def _offered(self) -> str:
        return self.get_query_argument("token", None) or self.get_cookie(_COOKIE) or ""

    def head(self, *arguments: str) -> None:
        """As GET; tornado leaves the body out."""
        self.get(*arguments)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.labels.said(error) if isinstance(error, RelabelError) else f"{status_code} {self._reason}")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, RelabelError):
            log.error("%s", value)
        elif not isinstance(value, tornado.web.HTTPError):
            super().log_exception(typ, value, tb)

    def collection(self) -> StoredCollection:
        """The collection that the request names; 404 if there is none."""
        stored = self.labels.collections.get(self.get_query_argument("collection"))
        if stored is None:
            raise tornado.web.HTTPError(404, reason="No such collection")
        return stored

    def number(self, text: str, below: int) -> int:
        """A row number; 404 if there is no such row."""
        if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) < below):
            raise tornado.web.HTTPError(404, reason="No such row")
        return int(text)

    def side(self, stored: StoredCollection) -> tuple[str, int]:
        """The side that the request names, and its number of cameras."""
        name = self.get_query_argument("side")
        if name not in ("queries", "database"):
            raise tornado.web.HTTPError(404, reason="No such side")
        return name, stored.shape[name == "database"]

    def send(self, data: bytes | str, media_type: str) -> None:
        """Answer with these bytes."""
        self.set_header("Content-Type", media_type)
        self.write(data)

    def send_json(self, value: object) -> None:
        """Answer with a JSON value."""
        self.send(json.dumps(value, allow_nan=False), "application/json")


class _Page(_Handler):
    def get(self) -> None:
        if self.token is not None and self.get_query_argument("token", None):
            self.set_cookie(_COOKIE, self.token, httponly=True, samesite="Strict")
            self.redirect("/")
            return
        self.send(served_page(), "text/html; charset=utf-8")


class _Asset(_Handler):
    def get(self, name: str) -> None:
        if name not in ASSETS:
            raise tornado.web.HTTPError(404)
        self.send(asset(name), f"{ASSETS[name][1]}; charset=utf-8")


class _Contents(_Handler):
    def get(self) -> None:
        self.send_json(self.labels.contents)


class _Scene(_Handler):
    async def get(self) -> None:
        packed = await asyncio.wrap_future(self.labels.scene(self.collection().name))
        self.send(packed, "application/octet-stream")

    async def head(self) -> None:  # type: ignore[override]
        await self.get()


class _Row(_Handler):
    def get(self) -> None:
        stored = self.collection()
        row = self.number(self.get_query_argument("row"), stored.shape[0])
        block = stored.row_block(row)
        best = np.argsort(-block.data, kind="stable")  # equal values stay in the order of the database
        columns = block.indices[best].astype(np.int32)
        keys = stored.keys_of(columns[:_LISTED], database=True)
        arrays: dict[str, npt.NDArray[Any]] = {"columns": columns, "values": block.data[best]}
        self.send(pack(arrays, {"key": stored.keys_of([row])[0], "keys": keys}), "application/octet-stream")


class _Keys(_Handler):
    def get(self) -> None:
        stored = self.collection()
        name, n = self.side(stored)
        rows = [self.number(row, n) for row in self.get_query_argument("rows").split(",")[:_KEYS]]
        self.send_json(stored.keys_of(rows, database=name == "database"))


class _Search(_Handler):
    def get(self) -> None:
        stored = self.collection()
        rows = self._rows(stored.key_bytes[0])
        keys = stored.keys_of(rows)
        self.send_json([{"row": row, "key": key} for row, key in zip(rows, keys, strict=True)])

    def _rows(self, keys: npt.NDArray[np.bytes_]) -> list[int]:
        """Rows of keys that are the text, begin with it or hold it, in this order."""
        text = self.get_query_argument("text", strip=False).encode()
        at = np.strings.find(keys, text)
        holding = np.flatnonzero(at >= 0)
        rank = np.where(keys[holding] == text, -1, np.minimum(at[holding], 1))
        return [int(row) for row in holding[np.argsort(rank, kind="stable")][:_HITS]]


class _Figures(_Handler):
    def get(self) -> None:
        answer = self.labels.figures(self.collection().name, self.get_query_argument("name"))
        if answer is None:
            raise tornado.web.HTTPError(404, reason="No such figures")
        self.send_json(answer)


class _Matrix(_Handler):
    def get(self) -> None:
        stored = self.collection()
        rows, columns = (
            self._interval(name, count) for name, count in zip(("rows", "columns"), stored.shape, strict=True)
        )
        job = self.labels.matrix(stored.name, rows, columns)
        if job.future.done():
            self.send(job.future.result(), "application/octet-stream")
        else:
            self.send_json({"progress": job.rows / (rows[1] - rows[0])})

    def _interval(self, name: str, count: int) -> tuple[int, int]:
        """Numbers ``first,end`` of at least one row or column."""
        first, _, end = self.get_query_argument(name).partition(",")
        interval = self.number(first, count), self.number(end, count + 1)
        if interval[0] >= interval[1]:
            raise tornado.web.HTTPError(404, reason=f"No such {name}")
        return interval


class _Surface(_Handler):
    async def get(self) -> None:
        stored = self.collection()
        row = self.number(self.get_query_argument("row"), stored.shape[0])
        text = self.get_query_argument("column", None)
        column = None if text is None else self.number(text, stored.shape[1])
        if self.labels.depth_frames is None:
            raise tornado.web.HTTPError(404, reason="No depth maps")
        future = self.labels.surface(stored.name, row, column)
        if future is None:
            raise tornado.web.HTTPError(503, reason="Too many requests wait for depth maps")
        try:
            packed = await asyncio.wrap_future(future)
            self.send(packed, "application/octet-stream")
        except RelabelError as error:  # the frames are not there or cannot be read, which the page says in their place
            self.send_json({"missing": self.labels.said(error)})

    async def head(self) -> None:  # type: ignore[override]
        await self.get()


class _Image(_Handler):
    async def get(self) -> None:
        stored = self.collection()
        side, n = self.side(stored)
        row = self.number(self.get_query_argument("row"), n)
        run = asyncio.get_running_loop().run_in_executor
        image = await run(None, self.labels.image, stored.name, side, row)  # which may read a dataset first
        if image is None:
            raise tornado.web.HTTPError(404, reason="No such image")
        try:
            data = await run(None, image.path.read_bytes)
        except OSError:
            raise tornado.web.HTTPError(404, reason="No such image") from None
        self.send(data, image.media_type)

    async def head(self) -> None:  # type: ignore[override]
        await self.get()


class _Missing(_Handler):
    def get(self) -> None:
        raise tornado.web.HTTPError(404)


def application(labels: Labels, token: str | None = None) -> tornado.web.Application:
    """The server's answers; requests must carry `token` unless it is None, as on a loopback address."""
    known = {"labels": labels, "token": token}
    policy = _POLICY.format(tiles="" if labels.tiles is None else f" {labels.tiles.origin}")
    routes = {
        r"/": _Page,
        r"/assets/([a-z.]+)": _Asset,
        r"/api/contents": _Contents,
        r"/api/scene": _Scene,
        r"/api/row": _Row,
        r"/api/keys": _Keys,
        r"/api/search": _Search,
        r"/api/figures": _Figures,
        r"/api/matrix": _Matrix,
        r"/api/surface": _Surface,
        r"/image": _Image,
    }
    return tornado.web.Application(
        [(path, handler, known) for path, handler in routes.items()],
        default_handler_class=_Missing,
        default_handler_args=known,
        compress_response=False,
        policy=policy,
        log_function=lambda _: None,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> list[str]:
    """The names by which a server on `host` is reached, the one for this machine first.

    An address that stands for all of a machine, such as 0.0.0.0 or ::, can be listened on but not opened: for it these
    are the loopback address, the address towards other networks, and the name of this machine.
    """
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")  # noqa: S104  an empty host is tornado's word for it
    except ValueError:
        return [host]
    if not address.is_unspecified:
        return [f"[{host}]" if address.version == 6 else host]
    names = ["[::1]" if address.version == 6 else LOOPBACK]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address of documentation; a datagram socket sends nothing for it
        names.append(probe.getsockname()[0])
    return list(dict.fromkeys([*names, socket.gethostname()]))


def serve(labels: Labels, *, host: str = LOOPBACK, port: int = 0, ready: Callable[[Sequence[str]], object]) -> None:
    """Serve until the process is interrupted.

    Parameters
    ----------
    labels:
        what to serve.
    host:
        the address to listen on; on any but a loopback one, requests need a token, which is part of the URL.
    port:
        the port; 0 takes a free one.
    ready:
        called once the server listens, with URLs by which it may be reached; the first opens on this machine.

    Raises
    ------
    OptionError
        when there is no such address, or the port is taken.
    """
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    asyncio.run(_serve(application(labels, token), host, port, token, ready))


async def _serve(
    application: tornado.web.Application,
    host: str,
    port: int,
    token: str | None,
    ready: Callable[[Sequence[str]], object],
) -> None:
    try:
        sockets = tornado.netutil.bind_sockets(port, host, family=socket.AF_UNSPEC)
    except OSError as error:
        raise OptionError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another port=… or host=…"
        ) from None
    server = tornado.httpserver.HTTPServer(application, max_header_size=65_536, max_body_size=0)
    server.add_sockets(sockets)
    listens = sockets[0].getsockname()[1]
    query = "" if token is None else f"?token={token}"
    ready([f"http://{name}:{listens}/{query}" for name in reachable(host)])
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
