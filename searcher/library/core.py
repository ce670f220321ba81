"""What a library holds: its catalog, its model and its vectors. Shared by threads."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from searcher.catalog import Catalog
from searcher.catalog.connect import CATALOG_NAME
from searcher.catalog.rows import ModelRow
from searcher.errors import NotFound
from searcher.library.encoders import Encoders
from searcher.library.remembered import Remembered
from searcher.photos.cores import usable_cores

if TYPE_CHECKING:
    from searcher.library.thumbnails import Thumbnails
    from searcher.models.encoder import DualEncoder
    from searcher.vectors.store import VectorStore


class LibraryCore:
    """The parts of one library, opened when they are first used."""

    def __init__(self, folder: Path, model: "str | Path | DualEncoder | None") -> None:
        self.folder = folder
        self._catalog = Catalog(folder)
        self._encoders = Encoders(self._catalog, model)
        self._lock = threading.Lock()
        self._store: VectorStore | None = None
        self._opening: threading.Thread | None = None
        self._thumbnails: Thumbnails | None = None
        self._remembered = Remembered()
        # more encodes or searches at once than cores only add memory and delay
        self._encoding = threading.BoundedSemaphore(usable_cores())
        self._searching = threading.BoundedSemaphore(usable_cores())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the files. Call it when no other thread uses the library."""
        if self._opening is not None:
            self._opening.join()
        self._store = None
        self._catalog.close()

    @property
    def exists(self) -> bool:
        """Whether there is a catalog yet."""
        return self._catalog.exists

    @property
    def revision(self) -> str:
        """A text that is another one after every change of the catalog, by any process. "" without a catalog. Cheap."""
        return self._catalog.revision() if self._catalog.exists else ""

    @property
    def model(self) -> "DualEncoder":
        """The model of this library, opened when it is first used, and again if the library was given another one.

        Raises NotFound if it is gone, InvalidInput if another one was asked for.
        """
        return self._encoders.of(self._current())

    @property
    def has_model(self) -> bool:
        """Whether anything was indexed yet, so that the library has a model of its own."""
        return self._current() is not None

    def _current(self) -> ModelRow | None:
        if not self._catalog.exists:
            return None
        with self._catalog.read() as view:
            return view.models.current()

    def _model_row(self) -> ModelRow:
        row = self._current()
        if row is None:
            raise NotFound(f"no photos are indexed in {self.folder} yet: run `searcher index FOLDER` first")
        return row

    def _store_of(self, row: ModelRow) -> "VectorStore":
        with self._lock:
            if self._store is None or self._store.model.digest != row.digest:
                from searcher.vectors.store import VectorStore

                self._store = VectorStore(self.folder, row)
            return self._store

    def _open_vectors(self, row: ModelRow) -> None:
        """Begin to open the vector files, in the first search, while the caller opens the model."""

        def sync() -> None:
            with suppress(Exception), self._catalog.read() as view:  # an error comes again when the files are used
                self._store_of(row).sync(view)

        if self._store is None and self._opening is None:
            self._opening = threading.Thread(target=sync)
            self._opening.start()

    def _bytes(self) -> int:
        """The size of the library on disk."""
        from searcher.library.thumbnails import Thumbnails

        files = (
            file for file in self.folder.iterdir() if file.name.startswith(CATALOG_NAME) or file.suffix == ".faiss"
        )
        return sum(_size(file) for file in files) + Thumbnails(self.folder).size()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a journal or a replaced file that has just gone
        return 0
