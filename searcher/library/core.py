"""What the methods of every library share, wherever its photos are kept."""

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from searcher.errors import NotFound
from searcher.library.remembered import Remembered
from searcher.photos.cores import usable_cores

if TYPE_CHECKING:
    from searcher.catalog.rows import ModelRow
    from searcher.models.encoder import DualEncoder
    from searcher.search.collection import Collection, Records


class LibraryCore(ABC):
    """The parts of one library, opened when they are first used. Safe to share by threads."""

    has_folder = True
    """Whether it is a folder on this machine: only then photos can be indexed, compared and taught from here."""

    def __init__(self, location: str) -> None:
        self.location = location
        """Where the library is: its folder, or its URL."""
        self._lock = threading.Lock()
        self._remembered = Remembered()
        # more encodes or searches at once than cores only add memory and delay
        self._encoding = threading.BoundedSemaphore(usable_cores())
        self._searching = threading.BoundedSemaphore(usable_cores())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Release what the library holds open. Call it when no other thread uses the library."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a library yet."""

    @property
    def revision(self) -> str:
        """A text that is another one after every change, by any process. "" if there is no library yet. Cheap."""
        return self._records().revision if self.exists else ""

    @property
    def model(self) -> "DualEncoder":
        """The model of this library, opened when it is first used, and again if the library was given another one.

        Raises NotFound if it is gone, InvalidInput if another one was asked for.
        """
        return self._encoder(self._current())

    @property
    def has_model(self) -> bool:
        """Whether anything was indexed yet, so that the library has a model of its own."""
        return self._current() is not None

    def _model_row(self) -> "ModelRow":
        row = self._current()
        if row is None:
            raise NotFound(f"no photos are indexed in {self.location} yet: run `searcher index FOLDER` first")
        return row

    # what depends on where the photos are kept

    @abstractmethod
    def _current(self) -> "ModelRow | None":
        """The model that searches use now."""

    @abstractmethod
    def _encoder(self, row: "ModelRow | None") -> "DualEncoder":
        """The open model of `row`, the current one."""

    def _open_vectors(self, row: "ModelRow") -> None:
        """Begin to open what a search needs, while the caller opens the model."""
        return

    @abstractmethod
    def _records(self) -> "Records":
        """What is known about the photos. Raises NotFound where it is read if there is no library yet."""

    @abstractmethod
    def _collection(self, row: "ModelRow") -> "Collection":
        """The photos that a model has embedded."""

    @abstractmethod
    def _bytes(self) -> int | None:
        """The size of the library on disk. None if only a server knows it."""

    @abstractmethod
    def stored_thumbnail(self, digest: bytes, size: int = 256) -> bytes | None:
        """The thumbnail of a content if it was made before: see `thumbnail`."""

    @abstractmethod
    def _keep_thumbnail(self, digest: bytes, size: int, data: bytes) -> None:
        """Store a thumbnail, if that is possible."""
