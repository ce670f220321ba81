"""Who may ask for what: host names, origins, tokens, sizes of requests, and the headers of every answer.

Without this, any web page that the browser shows could ask a server on this machine. A name of the attacker that leads
to 127.0.0.1 (DNS rebinding) is refused by its Host. A page of another origin that sends a request (CSRF) is refused by
its Origin, by Sec-Fetch-Site, and because it does not know the token.
"""

import asyncio
import hmac
import ipaddress
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

TOKEN_HEADER = "X-Searcher-Token"
MAX_BYTES = 4 * 2**20
"""Of the body of a request."""
MAX_UPLOAD_BYTES = 64 * 2**20
"""Of the body of a request with a picture."""
MAX_UPLOADS = 4
"""Bodies that are received at a time, so that they fit in memory."""
BODY_SECONDS = 120.0
"""The most time for a body."""
COOKIE_SECONDS = 400 * 24 * 3600

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the first address has the token
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not have its own."""
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_REOPEN = '<!doctype html><meta http-equiv="refresh" content="0; url={url}"><a href="{url}">Open the page</a>'


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    token: what every request that changes something must have, and if others can ask every request. loopback: the
    server listens on the loopback interface only. hosts: other names of this server, such as that of a reverse proxy.
    base: the path before all others, "" or like "/photos".
    """

    token: str = field(default_factory=new_token)
    loopback: bool = True
    hosts: tuple[str, ...] = ()
    base: str = ""

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token. Servers on other ports of this machine have other names."""
        return f"searcher_{sha256(self.token.encode()).hexdigest()[:8]}"

    @property
    def needs_token(self) -> bool:
        """Whether every request must have the token: others than this machine can ask, maybe through a proxy."""
        return not self.loopback or bool(self.hosts or self.base)

    def knows_host(self, host: str) -> bool:
        """Whether a request for this host can be meant for this server. An address has no name to rebind."""
        name = _name(host)
        if _is_loopback(name) or name in self.hosts:
            return True
        return not self.loopback and _address(name) is not None

    def is_same_origin(self, origin: str, host: str) -> bool:
        """Whether a request that a page of `origin` sent to `host` comes from our own page."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        # a reverse proxy may not pass on the Host that the browser sent
        return parts.netloc.lower() == host.lower() or _name(parts.netloc) in self.hosts

    def is_local(self, headers: Headers) -> bool:
        """Whether a request comes from this machine itself. Behind a reverse proxy all requests seem to."""
        if self.needs_token or any(name in headers for name in _FORWARDED):
            return False
        return _is_loopback(_name(headers.get("host", "")))

    def has_token(self, headers: Headers, *, in_cookie: bool) -> bool:
        """Whether a request has the token: in its header, or also in a cookie."""
        given = [headers.get(TOKEN_HEADER, "")]
        if in_cookie:
            given.append(_cookie(headers.get("cookie", ""), self.cookie))
        return any(self.is_token(token) for token in given)

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())


def _name(host: str) -> str:
    """The host without its port: "[::1]:80" → "::1"."""
    if host.startswith("["):
        inside, closed, _ = host[1:].partition("]")
        return inside.lower() if closed else ""
    return host.partition(":")[0].lower().rstrip(".")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


class Gate:
    """ASGI middleware: refuses what `access` does not allow, receives bodies within limits, and adds HEADERS."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = message.setdefault("headers", [])
                given = {name for name, _ in headers}
                headers.extend(pair for pair in _RAW_HEADERS if pair[0] not in given)
            await send(message)

        scope["root_path"] = self._access.base
        asked = Headers(scope=scope)
        answer: ASGIApp = self._refusal(scope, asked) or self._opening(scope, asked) or self._app
        try:
            if answer is self._app and scope["method"] in _CHANGING:
                await self._with_body(scope, receive, send_with_headers, asked)
            else:
                await answer(scope, receive, send_with_headers)
        except Exception as error:
            log.debug("error in %s %s", scope["method"], scope["path"], exc_info=True)
            if started:  # the connection is closed, so the client sees that something is missing
                raise
            log.error("%s %s: %s: %s", scope["method"], scope["path"], type(error).__name__, error)
            await refuse(500, "internal error: run `searcher serve --debug` for more")(
                scope, receive, send_with_headers
            )

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        access = self._access
        host = headers.get("host", "")
        if not access.knows_host(host):
            return refuse(
                403, f"this server is not called {_name(host)!r}: start it with --allow-host {_name(host)} if it is"
            )
        origin = headers.get("origin")
        if origin is not None and not access.is_same_origin(origin, host):
            return refuse(403, "the request comes from a page of another origin")
        page = _path(scope, access.base) in ("", "/")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            navigates = headers.get("sec-fetch-mode") == "navigate" and scope["method"] in ("GET", "HEAD")
            if not (page and navigates):
                return refuse(403, "the request comes from another page")
        if scope["method"] in _CHANGING:
            if access.has_token(headers, in_cookie=False):
                return None
            return refuse(403, f"the header {TOKEN_HEADER} is missing or wrong: load the page again")
        if access.is_local(headers) or access.has_token(headers, in_cookie=True):
            return None
        if page and access.is_token(_token_in(scope) or ""):
            return None
        reason = "a token is needed: open the link that `searcher serve` printed"
        return PlainTextResponse(reason, 401) if page else refuse(401, reason)

    def _opening(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to the address with the token: a cookie with it, and the page without it in the address."""
        path, base = _path(scope, self._access.base), self._access.base
        if path == "" and base:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(quote(base) + "/" + (f"?{query}" if query else ""))
        token = _token_in(scope) if path == "/" else None
        if token is None or scope["method"] not in ("GET", "HEAD"):
            return None
        # a browser does not send a strict cookie after a redirect from a page of another site
        followed = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        url = quote(base) + "/"
        answer = HTMLResponse(_REOPEN.format(url=url)) if followed else RedirectResponse(url, 303)
        if self._access.is_token(token):
            secure = headers.get("x-forwarded-proto") == "https" or scope.get("scheme") == "https"
            answer.set_cookie(
                self._access.cookie,
                token,
                COOKIE_SECONDS,
                path=url,
                secure=secure,
                httponly=True,
                samesite="strict",
            )
        return answer

    async def _with_body(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """Receive the whole body into memory, and only then let the application work."""
        uploads = headers.get("content-type", "").startswith("multipart/")
        limit = MAX_UPLOAD_BYTES if uploads else MAX_BYTES
        if self._bodies >= MAX_UPLOADS:
            await refuse(503, "too many requests at once: try again")(scope, receive, send)
            return
        self._bodies += 1
        try:
            body = await asyncio.wait_for(_body(receive, headers.get("content-length"), limit), BODY_SECONDS)
        except TimeoutError:
            await refuse(408, f"the request took longer than {BODY_SECONDS:.0f} s to arrive")(scope, receive, send)
            return
        except _Gone:
            return
        finally:
            self._bodies -= 1
        if body is None:
            await refuse(413, f"the request is larger than {limit // 2**20} MiB")(scope, receive, send)
            return
        left: bytes | None = body

        async def receive_again() -> Message:
            nonlocal left
            if left is None:
                return await receive()
            whole, left = left, None
            return {"type": "http.request", "body": whole, "more_body": False}

        await self._app(scope, receive_again, send)


def refuse(code: int, reason: str) -> Response:
    """The answer to a request that is refused."""
    return JSONResponse({"error": reason}, code)


class _Gone(Exception):
    """The client has closed the connection."""


async def _body(receive: Receive, length: str | None, limit: int) -> bytes | None:
    """The body, None if it is larger than `limit` bytes."""
    if length is not None and length.isdigit() and int(length) > limit:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _path(scope: Scope, base: str) -> str:
    """The path of a request below the base. A reverse proxy may have removed the base already."""
    path: str = scope["path"]
    return path[len(base) :] if base and (path == base or path.startswith(f"{base}/")) else path


def _token_in(scope: Scope) -> str | None:
    """The token in the address."""
    found = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return found[0] if found else None


def host_names(given: Iterable[str]) -> tuple[str, ...]:
    """Names of hosts as they are compared: in lower case, without a port."""
    return tuple(_name(name) for name in given)
