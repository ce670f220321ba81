"""VectorStore: search among all embeddings of a model.

The vector file covers the ids up to the largest one inside it. Newer embeddings are read from the catalog and compared
exactly, until there are enough of them for a new file. So a file can be incomplete, and no photo is missed.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import ModelRow
from searcher.errors import Damaged, SearcherError
from searcher.progress import SILENT, Progress
from searcher.vectors import flat

log = logging.getLogger(__name__)

MAX_OUTSIDE = 1000
"""A new file is written when more embeddings than this are not in the file, or are in it and gone from the catalog."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """kind: "flat" or "none". vectors: how many are in the file. pending: how many are not in it yet. gone: how many
    are in it and no longer in the catalog.
    """

    kind: str
    vectors: int
    pending: int
    gone: int


@dataclass(frozen=True, slots=True)
class _State:
    """What a search sees, never changed once it is made. ids (n,) int64, ascending, and vectors (n, dim) float16: the
    embeddings that are newer than the file.
    """

    digest: bytes | None
    file: flat.FlatIndex | None
    ids: np.ndarray
    vectors: np.ndarray

    @property
    def covered_to(self) -> int:
        """The largest id in the file."""
        return self.file.last_id if self.file is not None else 0

    @property
    def last_id(self) -> int:
        """The largest id that a search sees."""
        return int(self.ids[-1]) if len(self.ids) else self.covered_to


class VectorStore:
    """The embeddings of one model in the library in `folder`. Safe to share by threads.

    Call `sync` before `search`: a search sees what the last view held. If another thread has synced with a newer view,
    embeddings that are gone since may be missing, and newer ones are found.
    """

    def __init__(self, folder: Path, model: ModelRow) -> None:
        self.model = model
        self.path = folder / model.vector_file
        self._lock = threading.Lock()
        self._state = _State(None, None, np.zeros(0, np.int64), np.zeros((0, model.dim), np.float16))

    def sync(self, view: View) -> None:
        """Take in what the view holds: the newest good file, and the embeddings that are newer than it."""
        with self._lock:
            state = self._state
            if view.embeddings.newest_id() < state.last_id:
                return  # another thread has synced with a newer view, and searches in what that one held
            digest, file = self._file_on_disk(view, state)
            if digest is None:  # a file that was opened stays right when it is replaced: it is only less complete
                digest, file = state.digest, state.file
            elif file is None:
                digest = None
            after = file.last_id if file is not None else 0
            keep = state.ids > after if state.covered_to <= after else np.zeros(len(state.ids), bool)
            ids, vectors = [state.ids[keep]], [state.vectors[keep]]
            known = max(after, int(ids[0][-1]) if len(ids[0]) else 0)
            for more, rows in view.embeddings.chunks(self.model, after=known):
                ids.append(more)
                vectors.append(rows)
            if digest == state.digest and len(ids) == 1:
                return  # nothing new
            self._state = _State(digest, file, np.concatenate(ids), np.concatenate(vectors))

    def _file_on_disk(self, view: View, state: _State) -> tuple[bytes | None, flat.FlatIndex | None]:
        """The file as it is now: its digest, None if it is missing or does not belong to this catalog, and its
        vectors, None if it is damaged, too.
        """
        digest = flat.read_digest(self.path)
        if digest is not None and digest == state.digest:
            return digest, state.file
        known = None if digest is None else view.models.vector_file(digest, self.model.id)
        if known is None:
            return None, None
        try:
            return digest, flat.FlatIndex.open(self.path, known, self.model.dim)
        except Damaged:
            return digest, None

    @property
    def size(self) -> int:
        """How many vectors a search looks at, those that are gone from the catalog included."""
        state = self._state
        return len(state.ids) + (len(state.file) if state.file is not None else 0)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest embeddings of each query (n, dim), among the ids `allowed` (int64) if they are given.

        Returns scores (n, k) float32, descending, and embedding ids (n, k) int64. Some of them may be gone from the
        catalog. If there are fewer hits than `k`, the remaining ids are -1.
        """
        state = self._state
        results = [flat.empty_result(len(queries), k)]
        if state.file is not None and len(state.file):
            results.append(state.file.search(queries, min(k, len(state.file)), allowed))
        results.append(flat.exact_search(state.ids, state.vectors, queries, min(k, max(1, len(state.ids))), allowed))
        return flat.merge(results, k)

    def status(self, view: View) -> StoreStatus:
        """How far the file covers what the view holds."""
        _, file = self._file_on_disk(view, self._state)
        count = view.embeddings.count(self.model.id)
        if file is None:
            return StoreStatus("none", 0, count, 0)
        pending = view.embeddings.count(self.model.id, after=file.last_id)
        return StoreStatus("flat" if len(file) else "none", len(file), pending, len(file) - (count - pending))

    def problem(self, view: View) -> str | None:
        """What is wrong with the file, None if nothing is. Reads the whole file."""
        name = self.path.name
        if not self.path.exists():
            return f"{name}: missing" if view.models.has_vector_file(self.model.id) else None
        if not flat.verify(self.path):
            return f"{name}: damaged"
        digest = flat.read_digest(self.path)
        known = None if digest is None else view.models.vector_file(digest, self.model.id)
        if known is None:
            return f"{name}: does not belong to this catalog"
        try:
            flat.FlatIndex.open(self.path, known, self.model.dim)
        except Damaged as error:
            return str(error)
        return None

    def rebuild_if_needed(self, catalog: Catalog, progress: Progress = SILENT) -> bool:
        """Write a new file if many embeddings are pending or gone, or if there is no file. Returns whether it did."""
        with catalog.read() as view:
            status = self.status(view)
        if status.pending + status.gone < min(MAX_OUTSIDE, max(1, status.vectors // 10)):
            return False
        self.rebuild(catalog, progress)
        return True

    def rebuild(self, catalog: Catalog, progress: Progress = SILENT) -> None:
        """Write a new file with everything that is committed. Raises SearcherError, for example if the disk is full."""
        fresh = self.path.with_name(self.path.name + ".new")
        with catalog.lock(progress):
            try:
                with catalog.read() as view:
                    count = view.embeddings.count(self.model.id)
                    file = flat.write(fresh, count, self.model.dim, view.embeddings.chunks(self.model))
                with catalog.write() as change:  # before the file appears: a reader never meets an unknown one
                    change.models.add_vector_file(self.model.id, file)
                fresh.replace(self.path)
                log.debug("wrote %s with %d vectors", self.path, count)
            except OSError as error:
                raise SearcherError(f"cannot write {self.path}: {error.strerror}") from error
            finally:
                fresh.unlink(missing_ok=True)
