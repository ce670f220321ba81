"""A local server that speaks the Hugging Face hub's protocol and can simulate network failures."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 100_000  # bytes; files of this size and larger are in LFS, as on the hub


class FakeHub:
    """Serve the files of a folder as one repository."""

    def __init__(self, repo: str, folder: Path) -> None:
        self.repo = repo
        self.folder = folder
        self.cut_after: int | None = None  # the connection breaks after this many bytes of a file
        self.dies_when_cut = False  # and then no request is answered until `dead` is reset
        self.dead = False
        self.damaged: set[str] = set()  # files that are sent with changed content of the same size
        self.blobs: dict[str, str] = {}  # digests that are reported instead of the right ones
        self.sent: dict[str, int] = {}  # bytes of content sent per file
        self.ranges: list[str] = []  # the Range headers of all requests
        self.requests = 0

    @property
    def names(self) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in files)

    def info(self) -> dict[str, object]:
        siblings = []
        for name in self.names:
            data = (self.folder / name).read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": self.blobs.get(name, blob)}
            if len(data) >= LARGE:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        return {"id": self.repo, "modelId": self.repo, "sha": COMMIT, "siblings": siblings, "tags": []}

    def content(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        if name in self.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return data

    def etag(self, name: str) -> str:
        data = (self.folder / name).read_bytes()
        if len(data) >= LARGE:
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve on a free port. Yields the URL of the endpoint."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                hub.requests += 1
                if hub.dead:
                    self.close_connection = True
                    return
                path = self.path.split("?")[0]
                if path.startswith(f"/api/models/{hub.repo}"):
                    body = json.dumps(hub.info()).encode()
                    self.answer(200, {"Content-Type": "application/json"}, body)
                    return
                found = re.fullmatch(f"/{hub.repo}/resolve/{COMMIT}/(.+)", path)
                if found is None or found[1] not in hub.names:
                    code = "RepoNotFound" if found is None else "EntryNotFound"
                    self.answer(404, {"X-Error-Code": code, "X-Error-Message": "not found"})
                    return
                self.serve(found[1])

            def serve(self, name: str) -> None:
                data = hub.content(name)
                headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hub.etag(name)}"', "Accept-Ranges": "bytes"}
                start, status = 0, 200
                wanted = self.headers.get("Range")
                if wanted:
                    hub.ranges.append(wanted)
                    asked = re.match(r"bytes=(\d+)-", wanted)
                    assert asked is not None
                    start, status = int(asked[1]), 206
                    headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                self.send_response(status)
                for key, value in {"Content-Length": str(len(data) - start), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                end = len(data)
                if hub.cut_after is not None and start + hub.cut_after < end:
                    end = start + hub.cut_after
                    self.close_connection = True
                    hub.dead = hub.dies_when_cut
                self.wfile.write(data[start:end])
                hub.sent[name] = hub.sent.get(name, 0) + end - start

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
