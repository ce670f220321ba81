# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH116, PTH118
"""Are the photo files still what was indexed? A disk can damage a file without changing its size and time."""

import os
from collections.abc import Iterator
from contextlib import closing

from searcher.catalog import Catalog
from searcher.catalog.rows import IndexedPhoto
from searcher.errors import Failure
from searcher.library.reports import PhotoCheck
from searcher.photos.scan import stored_time
from searcher.progress import SILENT, Progress
from searcher.vectors.pipeline import hash_files

CHUNK = 1000  # photos that are compared at a time


def check_photos(catalog: Catalog, progress: Progress = SILENT) -> PhotoCheck:
    """Read every photo and compare its content with what was indexed. Files that look changed are not read."""
    with catalog.read() as view:
        total = view.files.image_count()
    seen, skipped = 0, 0
    other: list[str] = []
    unreadable: list[Failure] = []
    for photos in _chunks(catalog):
        same = [photo for photo in photos if _looks_the_same(photo)]
        skipped += len(photos) - len(same)
        with closing(hash_files(_path(photo) for photo in same)) as digests:
            for photo, digest in zip(same, digests, strict=True):
                seen += 1
                progress.advance(seen + skipped, total)
                if digest == photo.digest or not _looks_the_same(photo):
                    continue
                if digest is None:
                    unreadable.append(Failure(os.fsdecode(_path(photo)), "cannot be read"))
                else:
                    other.append(os.fsdecode(_path(photo)))
    return PhotoCheck(seen, skipped, tuple(other), tuple(unreadable))


def _chunks(catalog: Catalog) -> Iterator[list[IndexedPhoto]]:
    after = 0
    while True:
        with catalog.read() as view:
            photos = view.files.photos_after(after, CHUNK)
        if not photos:
            return
        after = photos[-1].id
        yield photos


def _path(photo: IndexedPhoto) -> bytes:
    return os.path.join(photo.root, photo.relpath)


def _looks_the_same(photo: IndexedPhoto) -> bool:
    try:
        status = os.stat(_path(photo))
    except OSError:
        return False
    return (status.st_size, stored_time(status)) == (photo.size, photo.mtime_ns)
