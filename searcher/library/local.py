"""What a library on this machine holds: its catalog, its model, its vectors and its thumbnails."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.catalog.connect import CATALOG_NAME
from searcher.catalog.rows import ModelRow
from searcher.library.core import LibraryCore
from searcher.library.encoders import Encoders

if TYPE_CHECKING:
    from searcher.library.thumbnails import Thumbnails
    from searcher.models.encoder import DualEncoder
    from searcher.search.collection import Collection, Records
    from searcher.vectors.store import VectorStore


class LocalCore(LibraryCore):
    """The parts of a library in one folder."""

    def __init__(self, folder: Path, model: "str | Path | DualEncoder | None") -> None:
        super().__init__(str(folder))
        self.folder = folder
        self._catalog = Catalog(folder)
        self._encoders = Encoders(self._catalog, model)
        self._store: VectorStore | None = None
        self._opening: threading.Thread | None = None
        self._thumbnails: Thumbnails | None = None

    def close(self) -> None:
        if self._opening is not None:
            self._opening.join()
        self._store = None
        self._catalog.close()

    @property
    def exists(self) -> bool:
        return self._catalog.exists

    def _current(self) -> ModelRow | None:
        if not self._catalog.exists:
            return None
        with self._catalog.read() as view:
            return view.models.current()

    def _encoder(self, row: ModelRow | None) -> "DualEncoder":
        return self._encoders.of(row)

    def _open_vectors(self, row: ModelRow) -> None:
        def sync() -> None:
            with suppress(Exception), self._catalog.read() as view:  # an error comes again when the files are used
                self._store_of(row).sync(view)

        if self._store is None and self._opening is None:
            self._opening = threading.Thread(target=sync)
            self._opening.start()

    def _records(self) -> "Records":
        from searcher.search.local import LocalRecords

        return LocalRecords(self._catalog)

    def _collection(self, row: ModelRow) -> "Collection":
        from searcher.search.local import LocalCollection

        return LocalCollection(self._catalog, self._store_of(row), row)

    def _store_of(self, row: ModelRow) -> "VectorStore":
        with self._lock:
            if self._store is None or self._store.model.digest != row.digest:
                from searcher.vectors.store import VectorStore

                self._store = VectorStore(self.folder, row)
            return self._store

    def _bytes(self) -> int:
        files = (
            file for file in self.folder.iterdir() if file.name.startswith(CATALOG_NAME) or file.suffix == ".faiss"
        )
        return sum(_size(file) for file in files) + self._cache().size()

    def stored_thumbnail(self, digest: bytes, size: int = 256) -> bytes | None:
        return self._cache().stored(digest, size)

    def _keep_thumbnail(self, digest: bytes, size: int, data: bytes) -> None:
        self._cache().keep(digest, size, data)

    def _cache(self) -> "Thumbnails":
        with self._lock:
            if self._thumbnails is None:
                from searcher.library.thumbnails import Thumbnails

                self._thumbnails = Thumbnails(self.folder)
            return self._thumbnails


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a journal or a replaced file that has just gone
        return 0
