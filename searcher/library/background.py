"""Graphs are built in a thread while `watch` takes in new photos."""

import threading
from collections import deque

from searcher.catalog import Catalog
from searcher.errors import Interrupted, SearcherError
from searcher.library.refresh import refresh
from searcher.progress import Progress
from searcher.vectors.store import VectorStore


class Background(Progress):
    """Refreshes one library, one time after the other. Call `stop` at the end."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._notices: deque[str] = deque()

    def refresh(self, catalog: Catalog, store: VectorStore, progress: Progress) -> None:
        """As the function `refresh`. But if it would build a graph, a thread does, and this returns at once.

        Until that is done, other calls do nothing: new photos are searched without a file.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        if not store.needs_graph(catalog):
            refresh(catalog, store, progress)
            return
        self._thread = threading.Thread(target=self._work, args=(catalog, store), name="vector files")
        self._thread.start()

    def _work(self, catalog: Catalog, store: VectorStore) -> None:
        try:
            while store.rebuild_if_needed(catalog, self):
                pass  # many photos may have come meanwhile
            refresh(catalog, store, self)
        except Interrupted:
            pass
        except SearcherError as error:
            self._notices.append(str(error))

    def advance(self, done: int, total: int | None) -> None:
        """Ends the work of the thread after `stop`."""
        if self._stop.is_set():
            raise Interrupted("stopped")

    def notice(self, message: str) -> None:
        self._notices.append(message)

    def tell(self, progress: Progress) -> None:
        """Pass on the notices of the thread."""
        while self._notices:
            progress.notice(self._notices.popleft())

    def stop(self) -> None:
        """End the thread. It leaves the old files, and the next run builds the graph."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
