"""All embeddings of a model for searching: those in the FAISS file, and newer ones in the catalog.

The file covers the ids up to its largest one. Later embeddings are read from the catalog and searched directly. When
there are enough of them, a new file is written. So a search misses nothing even if the file is old.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from searcher import vector_index
from searcher.catalog.reader import Reader
from searcher.catalog.records import ModelRow, VectorFileRow
from searcher.errors import SearcherError

if TYPE_CHECKING:
    import numpy as np

    from searcher.catalog.writer import Writer

FOLD_AT_LEAST = 1000  # this many new or deleted vectors are always enough for a new file


class Vectors:
    """The embeddings of one model in the library in `folder`."""

    def __init__(self, folder: Path, reader: Reader, model: ModelRow) -> None:
        self.path = folder / model.vector_file
        self.model = model
        self._reader = reader
        self._open: tuple[bytes, vector_index.VectorIndex] | None = None

    def file(self) -> vector_index.VectorIndex | None:
        """Return the newest valid FAISS file, memory-mapped. Without one, return None, and the catalog is searched."""
        digest = vector_index.read_digest(self.path)
        if digest is not None and (self._open is None or self._open[0] != digest):
            known = self._reader.vector_file(digest, self.model.id)
            if known is not None:
                expected = vector_index.VectorFile(*known)
                try:
                    self._open = digest, vector_index.VectorIndex.open(self.path, expected, self.model.dim)
                except vector_index.VectorIndexError:
                    return None
        # a file that was opened stays valid when a newer one replaces it; it only has fewer vectors
        return None if self._open is None else self._open[1]

    def search(
        self, queries: "np.ndarray", k: int, allowed: "np.ndarray | None" = None
    ) -> "tuple[np.ndarray, np.ndarray]":
        """Find the `k` nearest embeddings for each query (n, dim).

        `allowed`: if given, only these embedding ids (int64) are searched. Returns scores (n, k) float32 in
        descending order and embedding ids (n, k) int64. If there are fewer than `k` hits, the remaining ids are -1.
        """
        file = self.file()
        results = [vector_index.empty_result(len(queries), k)]
        if file is not None and len(file):
            results.append(file.search(queries, min(k, len(file)), allowed))
        newer = self._reader.vectors(self.model, after=file.last_id if file else 0)
        results.append(vector_index.top_of(newer, queries, k, allowed))
        return vector_index.merge(results, k)

    def counts(self) -> tuple[int, int, int]:
        """Return how many vectors are in the file, how many are pending, and how many in the file were deleted."""
        file, all_there = self.file(), self._reader.embedding_count(self.model.id)
        if file is None:
            return 0, all_there, 0
        pending = self._reader.embedding_count(self.model.id, after=file.last_id)
        return len(file), pending, len(file) - (all_there - pending)

    def fold(self, writer: "Writer") -> bool:
        """Write a new file if there is none, or if many embeddings are pending or deleted. Returns whether it did."""
        inside, pending, gone = self.counts()
        if pending + gone < min(FOLD_AT_LEAST, max(1, inside // 10)):
            return False
        self.write(writer)
        return True

    def write(self, writer: "Writer") -> None:
        """Write a new file with all committed embeddings.

        Raises SearcherError if the file cannot be written, for example because the disk is full.
        """
        fresh = self.path.with_name(self.path.name + ".new")
        with writer.lock():
            try:
                with self._reader.snapshot():
                    count = self._reader.embedding_count(self.model.id)
                    file = vector_index.write(fresh, count, self.model.dim, self._reader.vectors(self.model))
                with writer.transaction():  # added before it is put in place, so that readers know every file they find
                    writer.add_vector_file(self.model.id, VectorFileRow(*file))
                fresh.replace(self.path)
            except OSError as error:
                raise SearcherError(f"cannot write {self.path}: {error.strerror}") from error
            finally:
                fresh.unlink(missing_ok=True)
        self._open = None
