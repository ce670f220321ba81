"""The page and its files. They are few and small, so they are kept in memory."""

import html
from functools import cache
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from searcher.errors import NotFound
from searcher.web.security import Access

STATIC = Path(__file__).parent / "static"

# No other kind is served. What is not listed is no part of the page.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page, with the address below which everything is, and the token."""
    access: Access = request.app.state.access
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    text = text.replace("{{base}}", html.escape(access.base)).replace("{{token}}", html.escape(access.token))
    return HTMLResponse(text)


@router.api_route("/static/{name:path}", methods=["GET", "HEAD"])
async def static(name: str, request: Request) -> Response:
    """A file of the page, by a name that is in the list of its files."""
    path = _files().get(name)
    if path is None:
        raise NotFound(f"the page has no file {name!r}")
    data = path.read_bytes()
    etag = f'"{blake2b(data, digest_size=8).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=_TYPES[path.suffix])


@cache
def _files() -> dict[str, Path]:
    """Name → file. The name of a request is looked up here, and never becomes a path."""
    files = (path for path in sorted(STATIC.rglob("*")) if path.suffix in _TYPES and path.is_file())
    return {path.relative_to(STATIC).as_posix(): path for path in files}
