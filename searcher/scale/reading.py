"""Reads the photos of a piece, one after another: their names and, later and in threads, their bytes."""

import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from gzip import BadGzipFile
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from searcher.errors import SearcherError
from searcher.photos.decode import MAX_BYTES, PhotoError, read_bytes
from searcher.photos.errors import Unavailable
from searcher.scale.files import first_line, is_local, location
from searcher.scale.pieces import FileAt, Files, Piece, RowGroups, Tar
from searcher.scale.sources import is_read

ROWS = 32  # rows of a Parquet file that are read at a time


class SourceError(SearcherError):
    """A tar or Parquet file that cannot be read now, such as when the network fails. It may be readable later."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of a piece.

    path: absolute or a URI, with the name in an archive after "#". place: what no other photo has. size: bytes.
    mtime_ns: modification time. read: returns the bytes of the file, or raises PhotoError. It may run in a thread.
    """

    path: bytes
    place: bytes
    size: int | None
    mtime_ns: int | None
    read: Callable[[], bytes]


def photos_of(piece: Piece) -> Iterator[Photo]:
    """The photos of a piece, in an order that never changes.

    If an archive is damaged, its last photo is an error under the name of the archive. Raises SourceError if it cannot
    be opened or read now.
    """
    if isinstance(piece, Files):
        return (_file(piece.source, file) for file in piece.files)
    return _tar(piece) if isinstance(piece, Tar) else _rows(piece)


def _file(source: str, file: FileAt) -> Photo:
    def read() -> bytes:
        if file.error is not None:
            raise PhotoError(file.error)
        return read_bytes(file.path) if is_local(source) else _read_remote(source, file)

    return Photo(file.path, file.path, file.size, file.mtime_ns, read)


def _read_remote(source: str, file: FileAt) -> bytes:
    _check_size(file.size or 0)
    try:
        with location(source)[0].open_input_stream(file.inner(source)) as stream:
            data = bytes(stream.read(MAX_BYTES + 1))
    except (OSError, ValueError) as error:
        raise Unavailable(first_line(error)) from error
    return _checked(data)


def read_uri(uri: str) -> bytes:
    """The bytes of a photo at a URI. Raises PhotoError."""
    folder, _, name = uri.rpartition("/")
    try:
        files, path = location(folder)  # which is kept, with its connections
        with files.open_input_stream(f"{path}/{name}") as stream:
            data = bytes(stream.read(MAX_BYTES + 1))
    except (SearcherError, OSError, ValueError) as error:
        raise Unavailable(first_line(error)) from error
    return _checked(data)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise PhotoError(f"too large: {size / 1e6:,.0f} MB (the limit is {MAX_BYTES / 1e6:,.0f} MB)")


def _checked(data: bytes) -> bytes:
    _check_size(len(data))
    if not data:
        raise PhotoError("empty file")
    return data


def _fail(reason: str) -> bytes:
    raise PhotoError(reason)


def _broken(piece: Tar | RowGroups, error: BaseException) -> Photo:
    """The rest of a damaged archive. Raises SourceError if it may be readable later."""
    file = piece.file
    # a damaged file is an error of the operating system without a number; elsewhere, so is a lost connection
    lost = isinstance(error, OSError) and (error.errno is not None or not is_local(piece.source))
    if lost and not isinstance(error, BadGzipFile):
        raise SourceError(f"{file.text} cannot be read: {first_line(error)}") from error
    reason = f"the archive is damaged from here on: {first_line(error)}"
    return Photo(file.path, file.path, file.size, file.mtime_ns, partial(_fail, reason))


def open_archive(source: str, file: FileAt) -> BinaryIO:
    """An archive, opened for reading. Raises SourceError."""
    try:
        if is_local(source):
            return Path(os.fsdecode(file.path)).open("rb")
        return cast(BinaryIO, location(source)[0].open_input_file(file.inner(source)))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file.text} cannot be read: {first_line(error)}") from error


def _tar(piece: Tar) -> Iterator[Photo]:
    with open_archive(piece.source, piece.file) as stream:
        try:
            # a stream: nothing is read twice, and nothing is unpacked to a disk
            with tarfile.open(fileobj=stream, mode="r|*") as tar:
                for member in tar:
                    tar.members.clear()  # type: ignore[attr-defined]  # else all are kept
                    name = member.name.encode("utf-8", "surrogateescape")
                    if member.isreg() and is_read(name):
                        yield _member(piece.file, tar, member, name)
        except (tarfile.TarError, EOFError, ValueError, zlib.error, OSError) as error:
            yield _broken(piece, error)


def _member(file: FileAt, tar: tarfile.TarFile, member: tarfile.TarInfo, name: bytes) -> Photo:
    path = file.path + b"#" + name
    mtime_ns = int(member.mtime * 1e9)
    if member.size > MAX_BYTES:
        return Photo(path, path, member.size, mtime_ns, partial(_check_size_of, member.size))
    opened = tar.extractfile(member)
    data = b"" if opened is None else opened.read()
    return Photo(path, path, member.size, mtime_ns, partial(_checked, data))


def _check_size_of(size: int) -> bytes:
    _check_size(size)
    return b""


def _rows(piece: RowGroups) -> Iterator[Photo]:
    columns = [".".join(column) for column in (piece.image, piece.name) if column is not None]
    row = piece.row
    with open_archive(piece.source, piece.file) as stream:
        try:
            with pq.ParquetFile(stream) as table:
                groups = range(piece.first, min(piece.end, table.num_row_groups))
                for batch in table.iter_batches(ROWS, row_groups=list(groups), columns=columns):
                    images = _column(batch, piece.image).to_pylist()
                    names = [None] * len(images) if piece.name is None else _column(batch, piece.name).to_pylist()
                    for data, name in zip(images, names, strict=True):
                        yield _row(piece.file, row, data, name)
                        row += 1
        except (pa.ArrowException, KeyError, OSError) as error:
            yield _broken(piece, error)


def _column(batch: pa.RecordBatch, names: tuple[str, ...]) -> pa.Array:
    column = batch.column(names[0])
    return pc.struct_field(column, list(names[1:])) if names[1:] else column


def _row(file: FileAt, row: int, data: bytes | None, name: object) -> Photo:
    place = file.path + b"#" + str(row).encode()
    path = place
    if name is not None and str(name):
        text = str(name).encode("utf-8", "replace")
        path = text if text.startswith(b"/") or b"://" in text else file.path + b"#" + text
    read = partial(_fail, "no image in this row") if data is None else partial(_checked, data)
    return Photo(path, place, None if data is None else len(data), file.mtime_ns, read)
