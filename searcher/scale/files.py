"""Files on this machine and elsewhere: a local path, s3:// and gs:// through pyarrow, other schemes through fsspec."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
from filelock import FileLock, Timeout

from searcher.errors import Busy, InvalidInput, SearcherError

OURS = ("file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")  # schemes of pyarrow
LOCK = ".searcher.lock"
PARTIAL = ".partial"  # how the names of files end that are being written; they begin with a dot


def location(where: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a folder or a file, and its path there: a local path, or a URI such as s3://bucket/folder.

    Raises InvalidInput for a URI that no file system has.
    """
    try:
        return _location(where)
    except (ValueError, ImportError, OSError, TypeError) as error:
        raise InvalidInput(f"{shown(where)} cannot be opened: {first_line(error)}") from error


def folder_at(where: str) -> tuple[pafs.FileSystem, str]:
    """As `location`, for a folder of shards. Raises InvalidInput also for a name that pyarrow cannot read."""
    files, folder = location(where)
    try:
        folder.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the name of the folder {where} is not UTF-8: rename it, or name another one") from error
    return files, folder


@lru_cache(maxsize=64)
def _location(where: str) -> tuple[pafs.FileSystem, str]:
    scheme = scheme_of(where)
    if not scheme:
        return pafs.LocalFileSystem(), str(Path(where).expanduser().absolute())
    if scheme in OURS:
        files, path = pafs.FileSystem.from_uri(where)
        return files, path
    import fsspec

    other, path = fsspec.core.url_to_fs(where)
    return pafs.PyFileSystem(pafs.FSSpecHandler(other)), path


def scheme_of(where: str) -> str:
    """The scheme of a URI, in lower case. Empty for a local path."""
    scheme, colon, _ = where.partition("://")
    return scheme.lower() if colon and scheme.replace("+", "").isalnum() else ""


def is_local(where: str) -> bool:
    """Whether a path or a URI is on this machine's own file systems."""
    return scheme_of(where) in ("", "file")


def prefix_of(where: str) -> str:
    """What stands in front of the paths of a file system to make them URIs: "s3://", "" for local paths and HTTP."""
    scheme = scheme_of(where)
    return "" if scheme in ("", "file", "http", "https") else f"{scheme}://"


def shown(where: str) -> str:
    """A path or a URI for messages and files, without the options and the passwords that a URI can have."""
    scheme = scheme_of(where)
    if not scheme:
        return where
    rest = where.partition("://")[2].partition("?")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def write_whole(files: pafs.FileSystem, path: str, write: Callable[[pa.NativeFile], None]) -> None:
    """Write a file under a temporary name, and then give it its own. An earlier file of that name is replaced.

    So nobody ever sees a part of a file. Raises OSError.
    """
    folder, slash, name = path.rpartition("/")
    partial = f"{folder}{slash}.{name}.{secrets.token_hex(4)}{PARTIAL}"
    try:
        with files.open_output_stream(partial) as file:
            write(file)
        if isinstance(files, pafs.LocalFileSystem):
            with Path(partial).open("rb") as written:
                os.fsync(written.fileno())  # so that a power cut after the renaming loses nothing
        files.move(partial, path)
    except BaseException:
        with suppress(Exception):
            files.delete_file(partial)
        raise


@contextmanager
def write_lock(out: str) -> Iterator[None]:
    """Let no other process write to a folder on this machine, and remove what a killed one was writing."""
    if not is_local(out):
        yield
        return
    folder = Path(location(out)[1])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise Busy(f"another program writes to {out}: wait until it has ended") from error
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        for partial in folder.glob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return next(iter(text.strip().splitlines()), type(error).__name__)


def unwritable(where: str, error: BaseException) -> SearcherError:
    """The error for a folder that cannot be written to."""
    return SearcherError(f"{shown(where)} cannot be written: {first_line(error)}")
