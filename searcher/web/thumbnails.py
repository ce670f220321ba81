"""Thumbnails that were sent lately, in memory: most requests ask for these, and need no thread and no disk."""

import threading
from collections import OrderedDict
from typing import NamedTuple

from searcher.library import Library

MOST_BYTES = 64 * 2**20


class SentThumbnail(NamedTuple):
    """A WebP file, and the ETag that names its content."""

    etag: str
    data: bytes


class SentThumbnails:
    """The last thumbnails, by library, image and size. After a change of the library they are read again."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, int, int], SentThumbnail] = OrderedDict()
        self._bytes = 0

    def key(self, library: Library, id: int, size: int) -> tuple[str, str, int, int]:
        """What a thumbnail is kept under. An image can get another content, but not without a change of the library."""
        return (str(library.folder), library.revision, id, size)

    def get(self, key: tuple[str, str, int, int]) -> SentThumbnail | None:
        """The thumbnail, None if it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: tuple[str, str, int, int], thumbnail: SentThumbnail) -> None:
        """Keep a thumbnail, and drop those that were sent longest ago if there are too many bytes."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = thumbnail
            self._bytes += len(thumbnail.data)
            while self._bytes > self._most:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)
