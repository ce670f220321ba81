"""Runs the application: a socket, uvicorn, and a clean end."""

import asyncio
import errno
import logging
import socket
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from searcher.errors import SearcherError

DEFAULT_PORT = 7532
HEAD_SECONDS = 15.0
"""The most time for the head of a request, so that slow clients do not hold connections."""
END_SECONDS = 3
"""The most time for what is under way when the server ends."""
_MOST_CONNECTIONS = 4000


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at `host`, port 0 for any free one. Raises SearcherError if that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SearcherError(
                f"port {port} is in use, maybe by another `searcher serve`: choose another one, "
                f"such as --port {port + 1 if port < 65535 else port - 1}"
            ) from None
        raise SearcherError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from None
    except OverflowError:
        listener.close()
        raise SearcherError(f"there is no port {port}: choose one between 1024 and 65535") from None
    return listener


class _Connection(H11Protocol):
    """Closes a connection when the head of a request does not arrive in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:  # a head has arrived
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_news(record: logging.LogRecord) -> bool:
    """False for what uvicorn says when END_SECONDS are over, which is no error here."""
    return not str(record.msg).startswith("Cancel %s running task(s)")


class Server(uvicorn.Server):
    """uvicorn, which tells the application at once when it is to end: streams that stay open end then."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=END_SECONDS,
        )
        super().__init__(config)
        logging.getLogger("uvicorn.error").addFilter(_is_news)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_soon_threadsafe(self._app.state.closing.set)
        super().handle_exit(sig, frame)
