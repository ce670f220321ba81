"""The command `searcher serve`, in its own process."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

CHECKOUT = Path(__file__).parents[2]


@contextmanager
def serving(*options: str | Path, home: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running server, and the address that it printed."""
    process = start(*options, home=home, **environment)
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None, process.communicate()
        yield process, address[0]
    finally:
        process.kill()
        process.communicate()


def start(*options: str | Path, home: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "searcher", "serve", "--no-open", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "SEARCHER_LIBRARY": str(home / "library"), **environment},
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_cleanly_with_connections_open(tmp_path: Path, how: signal.Signals) -> None:
    with serving("--port", "0", home=tmp_path) as (process, address), httpx.Client(base_url=address) as client:
        assert client.get("api/search").json()["total"] == 0  # the library is not there yet
        port = int(address.rstrip("/").rpartition(":")[2])
        with closing(socket.create_connection(("127.0.0.1", port))) as idle:
            idle.sendall(b"GET / HTTP/1.1\r\n")  # a client that does not go on
            started = time.monotonic()
            process.send_signal(how)
            output, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert time.monotonic() - started < 10
        assert (output, errors) == ("", "Press Ctrl-C to stop.\nStopped.\n")
    assert not (tmp_path / "library").exists()


def test_a_port_that_is_taken_is_explained_in_one_line(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port), home=tmp_path)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith(f"Error: port {port} is in use") and "--port" in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "environment", "code"),
    [
        (("--host", "192.0.2.1"), {}, 1),
        (("--host", "no such host"), {}, 1),
        (("--base-path", "/a/../b"), {}, 2),
        (("--base-path", "a b"), {}, 2),
        (("--port", "70000"), {}, 2),
        ((), {"SEARCHER_TOKEN": "short"}, 1),
    ],
)
def test_what_cannot_be_served_is_explained_in_one_line(
    tmp_path: Path, options: tuple[str, ...], environment: dict[str, str], code: int
) -> None:
    process = start(*options, home=tmp_path, **environment)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors.count("\n")) == (code, "", 1), errors


def test_another_host_demands_the_token_that_is_printed_as_a_link(tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--port", "0", "--base-path", "photos", "--allow-host", "nas.example")
    libraries = ("--library", tmp_path / "a" / "photos", "--library", tmp_path / "b" / "photos")
    token = "a-token-that-stays-the-same"
    with serving(*options, *libraries, home=tmp_path, SEARCHER_TOKEN=token) as (_, link):
        assert link.endswith(f"/photos/?token={token}")
        port = re.search(r":(\d+)/", link)
        assert port is not None
        base = f"http://127.0.0.1:{port[1]}/photos/"
        with httpx.Client(base_url=base, headers={"Host": "nas.example"}) as client:
            assert client.get("api/libraries").status_code == 401
            assert client.get("api/libraries", headers={"Host": "other.example"}).status_code == 403
            headers = {"X-Searcher-Token": token}
            names = [library["name"] for library in client.get("api/libraries", headers=headers).json()]
            assert names == ["photos", "photos 2"]


def test_a_client_that_sends_no_whole_request_is_let_go(tmp_path: Path) -> None:
    """Otherwise some thousand connections would keep everybody else out."""
    code = (
        "import searcher.web.server as server\n"
        "server.HEAD_SECONDS = 0.3\n"
        "from searcher.commands import main\n"
        "main(['serve', '--no-open', '--port', '0'])"
    )
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "SEARCHER_LIBRARY": str(tmp_path / "library")}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        whole = b"GET /api/libraries HTTP/1.1\r\nHost: localhost\r\n\r\n"
        try:
            for first, then in ((b"", b""), (b"GET / HT", b""), (whole, b"GET")):
                with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as slow:
                    slow.sendall(first)
                    if then:
                        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
                        slow.sendall(then)
                    while slow.recv(4096):  # until the server closes it
                        pass
        finally:
            process.kill()
