"""`searcher serve`: a page in the browser, and an HTTP API."""

import ipaddress
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from searcher.commands.common import LibraryPlace, model_option, note, printable, quiet_option
from searcher.errors import SearcherError

if TYPE_CHECKING:
    from searcher.library import Library

LEAST_TOKEN = 16  # characters


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Port (default: 7532; 0: any free one).")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Listen at this address (default: 127.0.0.1).")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Also answer requests for this host name.")
@click.option("--base-path", default="", metavar="PATH", help="The path of the page behind a reverse proxy: /photos.")
@click.option("--no-open", is_flag=True, help="Do not open the browser.")
@click.option(
    "--library",
    "places",
    type=LibraryPlace(),
    multiple=True,
    metavar="DIR",
    help="Library folder, or address of a Milvus collection; repeat it for several (default: as for other commands).",
)
@model_option
@quiet_option
def command(
    port: int | None,
    host: str,
    hosts: tuple[str, ...],
    base_path: str,
    no_open: bool,
    places: tuple[Path | str, ...],
    model: str | None,
    quiet: bool,
) -> None:
    """Open a page in the browser to search and look at photos, until you press Ctrl-C.

    Only this machine can reach it. With another --host, or through a reverse proxy, the page asks for a token: open the
    link that is printed. $SEARCHER_TOKEN sets the token, so that the link stays the same.
    """
    # Many searches at a time use all cores. The threads of one shall not wait in a loop for work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    base = _base(base_path)
    token = _token()

    from searcher.library import Library, default_library
    from searcher.web import create_app
    from searcher.web.security import Access, host_names, new_token
    from searcher.web.server import DEFAULT_PORT, Server, listen

    access = Access(token or new_token(), _is_loopback(host), host_names(hosts), base)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(host, DEFAULT_PORT if port is None else port))
        opened = [
            stack.enter_context(Library.open(place, model=model, create=True))
            for place in dict.fromkeys(places or (default_library(),))
        ]
        server = Server(create_app(_named(opened), access))
        address = _address(host, listener.getsockname()[1]) + base + "/"
        link = f"{address}?token={access.token}" if access.needs_token else address
        click.echo(f"The page is at {printable(link)}")
        for name in access.hosts:
            click.echo(f"Through a proxy: https://{printable(name)}{base}/?token={access.token}")
        note("Press Ctrl-C to stop.", quiet)
        sys.stdout.flush()
        with _stoppable():
            if not no_open:
                _open_browser(link)
            server.run([listener])
    note("Stopped.", quiet)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block. uvicorn raises them again when it has ended."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)  # a shell lets programs in the background ignore it
    with suppress(KeyboardInterrupt):
        yield


def _stop(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _open_browser(link: str) -> None:
    """In a thread: some browsers return only when they are closed. The socket already takes requests."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()


def _named(libraries: "Sequence[Library]") -> "dict[str, Library]":
    """Each library under the name of its folder or collection, with a number if others have the same name."""
    named: dict[str, Library] = {}
    for library in {os.path.normpath(library.location): library for library in libraries}.values():
        last = os.path.basename(os.path.normpath(library.location))  # noqa: PTH119
        plain = printable(os.fsencode(last).decode(errors="replace")) or "library"
        name, number = plain, 1
        while name in named:
            number += 1
            name = f"{plain} {number}"
        named[name] = library
    return named


def _base(path: str) -> str:
    base = "/" + path.strip("/") if path.strip("/") else ""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", base) or ".." in base:
        raise click.UsageError("The base path has letters, digits, and the characters ._~- between slashes: /photos")
    return base


def _token() -> str | None:
    token = os.environ.get("SEARCHER_TOKEN") or None
    if token is not None and not re.fullmatch(rf"[A-Za-z0-9_-]{{{LEAST_TOKEN},200}}", token):
        raise SearcherError(f"$SEARCHER_TOKEN needs at least {LEAST_TOKEN} letters, digits, - or _, and nothing else")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(host: str, port: int) -> str:
    """Where the page is. 0.0.0.0 stands for all addresses of this machine: name one that others can reach."""
    import socket

    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
        # the address that the machine has in its network; nothing is sent
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            host = probe.getsockname()[0]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
