"""Shards in object storage and on web servers: objects that are read from the first byte to the last, by URL.

s3:// and gs:// are read with pyarrow, http:// and https:// with Python itself, and other schemes with fsspec. After a
connection broke, reading goes on where it was.
"""

import io
import re
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPResponse
from time import sleep
from typing import Any, BinaryIO, NamedTuple, TypeVar

from searcher.errors import SearcherError

BLOCK = 8 << 20  # bytes of one request to object storage
WAITS = (1, 2, 4, 8, 16, 32)  # seconds before each further attempt
TIMEOUT = 60  # seconds that a web server may be silent
URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
DENIED = re.compile(r"access.?denied|forbidden|status 40[13]|access.?key|signature|credential", re.IGNORECASE)
MISSING = re.compile(r"not.?found|no such|no.?such.?(bucket|key)|status 404", re.IGNORECASE)
AGAIN = (408, 425, 429)  # the HTTP statuses below 500 after which another attempt can succeed
Result = TypeVar("Result")


class ObjectError(SearcherError):
    """An object that cannot be read. `line` is the message, even if webdataset adds to the arguments of the error."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


class Opened(NamedTuple):
    """An object, opened at some byte. size: of the whole object, in bytes."""

    stream: Any
    size: int


def scheme_of(name: str) -> str:
    """The scheme of a URL, in lower case. Empty for a path."""
    found = URL.match(name)
    return found[1].lower() if found else ""


def shown(url: str) -> str:
    """A URL or a path for messages. A URL is shown without the passwords, keys and options that it can have."""
    if not scheme_of(url):
        return url
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def open_object(url: str) -> BinaryIO:
    """Open an object, which is read in order.

    Raises ObjectError (one line), at once or in reading: if there is no such object, if access is denied, if a package
    is missing, or if all attempts failed.
    """
    return io.BufferedReader(_Object(url), BLOCK)


class _Object(io.RawIOBase):
    """The bytes of an object, across broken connections."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.place = url, 0
        self._opened: Opened | None = None
        self._size: int | None = None
        self._persist(self._open)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.place == self._size:
            return 0
        data = self._persist(lambda: self._read(len(buffer)))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def close(self) -> None:
        self._forget()
        super().close()

    def _open(self) -> Opened:
        if self._opened is None:
            self._opened = opened = _connect(self.url, self.place)
            if self._size not in (None, opened.size):
                raise ObjectError(f"{shown(self.url)} was replaced while it was read: start the run again")
            self._size = opened.size
        return self._opened

    def _read(self, most: int) -> bytes:
        data: bytes = self._open().stream.read(most)
        if not data:
            raise EOFError("the connection ended early")
        return data

    def _forget(self) -> None:
        opened, self._opened = self._opened, None
        if opened:
            with suppress(Exception):
                opened.stream.close()

    def _persist(self, step: Callable[[], Result]) -> Result:
        """Do a step, again and again if its error can pass."""
        for wait in (*WAITS, None):
            try:
                return step()
            except Exception as error:
                self._forget()
                line = _lasting(self.url, error)
                if not line and wait is None:
                    line = (
                        f"{shown(self.url)} cannot be read ({_first_line(error)}): check the network, then use --resume"
                    )
                if line:
                    raise ObjectError(line) from error
            sleep(wait or 0)
        raise AssertionError("the last attempt returns or raises")


def _connect(url: str, place: int) -> Opened:
    """Open an object at a byte. Raises the errors of the package that reads it."""
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        return _connect_http(url, place)
    if scheme in ("s3", "gs", "gcs"):
        import pyarrow.fs

        files, path = pyarrow.fs.FileSystem.from_uri(url)
        stream = files.open_input_file(path)
        size = stream.size()
    else:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
        size = files.size(path)
        stream = files.open(path, "rb", block_size=BLOCK)
    stream.seek(place)
    return Opened(stream, size)


def _connect_http(url: str, place: int) -> Opened:
    """The same from a web server. If it does not send parts of files, the bytes before `place` are read and dropped."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={place}-"} if place else {})
    response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    if response.status == 206:
        return Opened(response, int(response.headers["Content-Range"].rpartition("/")[2]))
    if response.length is None:
        raise ValueError("the server does not say how long it is")
    size = response.length
    while place:
        data = response.read(min(place, BLOCK))
        if not data:
            raise EOFError("the connection ended early")
        place -= len(data)
    return Opened(response, size)


def _lasting(url: str, error: Exception) -> str | None:
    """What to report if another attempt would end with the same error. None if it could succeed."""
    name, said = shown(url), _first_line(error)
    status = getattr(error, "code", None) or getattr(error, "status", None)  # of urllib, or of aiohttp
    if isinstance(error, ObjectError):
        return error.line
    if isinstance(error, ImportError):
        return f"reading {scheme_of(url)}:// needs another package: pip install {_package(error)}"
    if isinstance(error, FileNotFoundError) or status in (404, 410) or (status is None and MISSING.search(said)):
        return f"there is no {name}: check the URL"
    if isinstance(error, PermissionError) or status in (401, 403) or (status is None and DENIED.search(said)):
        return f"access to {name} is denied ({said}): check the credentials"
    if isinstance(error, ValueError | TypeError) or (status in range(400, 500) and status not in AGAIN):
        return f"{name} cannot be read ({said}): check the URL"
    return None


def _package(error: ImportError) -> str:
    """The package to install. fsspec hides the name of the missing module in the cause of its own error."""
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    name = (cause.name or str(error)).split(".")[0]
    return "'searcher[scale]'" if name == "pyarrow" else name


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
