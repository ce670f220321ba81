"""Thumbnails that were sent lately, in memory: most requests ask for these, and need no thread and no disk."""

import re
import threading
from collections import OrderedDict
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from searcher.errors import SearcherError
from searcher.library import Library
from searcher.web.libraries import Libraries

MOST_BYTES = 64 * 2**20
CACHE_CONTROL = "private, max-age=3600, stale-while-revalidate=604800"

_PATH = re.compile(r"/api/images/(\d{1,18})/thumbnail", re.ASCII)
_QUERY = re.compile(rb"(?:library=([A-Za-z0-9_.-]+)&)?size=(\d{1,4})", re.ASCII)


class SentThumbnail(NamedTuple):
    """A WebP file, and the ETag that names its content."""

    etag: str
    data: bytes


class SentThumbnails:
    """The last thumbnails, by library, image and size. After a change of the library they are read again."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, int, int], SentThumbnail] = OrderedDict()
        self._bytes = 0

    def key(self, library: Library, id: int, size: int) -> tuple[str, str, int, int]:
        """What a thumbnail is kept under. An image can get another content, but not without a change of the library."""
        return (library.location, library.revision, id, size)

    def get(self, key: tuple[str, str, int, int]) -> SentThumbnail | None:
        """The thumbnail, None if it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: tuple[str, str, int, int], thumbnail: SentThumbnail) -> None:
        """Keep a thumbnail, and drop those that were sent longest ago if there are too many bytes."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = thumbnail
            self._bytes += len(thumbnail.data)
            while self._bytes > self._most:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)


class FromMemory:
    """ASGI middleware: answers requests for thumbnails that are kept, ten times as fast as the endpoint that made them.

    Everything else, and each request of an unusual form, goes to the endpoint.
    """

    def __init__(self, app: ASGIApp, kept: SentThumbnails, libraries: Libraries) -> None:
        self._app, self._kept, self._libraries = app, kept, libraries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        etag = found.etag.encode()
        headers = [(b"etag", etag), (b"cache-control", CACHE_CONTROL.encode())]
        if any(name == b"if-none-match" and value == etag for name, value in scope["headers"]):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers += [(b"content-type", b"image/webp"), (b"content-length", str(len(found.data)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": found.data})

    def _find(self, scope: Scope) -> SentThumbnail | None:
        path = _PATH.fullmatch(scope["path"].removeprefix(scope["root_path"]))
        query = _QUERY.fullmatch(scope["query_string"]) if path is not None else None
        if path is None or query is None:
            return None
        try:
            library = self._libraries.named(query[1].decode() if query[1] else None)
            return self._kept.get(self._kept.key(library, int(path[1]), int(query[2])))
        except SearcherError:  # the endpoint explains it
            return None
