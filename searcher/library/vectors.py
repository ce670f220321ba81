"""All embeddings of a model, as a search sees them: the FAISS file, and the catalog's newer ones.

The file covers the ids up to the largest one inside it. What came later is read from the catalog and compared
exactly, until there is enough of it for a new file. So a file can be old, and nothing is missed.
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

FOLD_AT_LEAST = 1000  # vectors outside the file, or gone from the catalog, that are worth a new file


class Vectors:
    """The embeddings of one model in the library in `folder`."""

    def __init__(self, folder: Path, reader: Reader, model: ModelRow) -> None:
        self.path = folder / model.vector_file
        self.model = model
        self._reader = reader
        self._open: tuple[bytes, vector_index.VectorIndex] | None = None

    def file(self) -> vector_index.VectorIndex | None:
        """The newest good FAISS file, mapped; None when there is none: then the catalog is scanned."""
        digest = vector_index.read_digest(self.path)
        if digest is not None and (self._open is None or self._open[0] != digest):
            known = self._reader.vector_file(digest, self.model.id)
            if known is not None:
                expected = vector_index.VectorFile(*known)
                try:
                    self._open = digest, vector_index.VectorIndex.open(self.path, expected, self.model.dim)
                except vector_index.VectorIndexError:
                    return None
        # a file that was opened stays right when another takes its place: it is only less complete
        return None if self._open is None else self._open[1]

    def search(
        self, queries: "np.ndarray", k: int, allowed: "np.ndarray | None" = None
    ) -> "tuple[np.ndarray, np.ndarray]":
        """The `k` nearest of each query (n, dim): scores (n, k), descending, and embedding ids (n, k).

        `allowed` (int64): only these ids. Fewer hits than `k` are filled up with id -1.
        """
        file = self.file()
        results = [vector_index.empty_result(len(queries), k)]
        if file is not None and len(file):
            results.append(file.search(queries, min(k, len(file)), allowed))
        newer = self._reader.vectors(self.model, after=file.last_id if file else 0)
        results.append(vector_index.top_of(newer, queries, k, allowed))
        return vector_index.merge(results, k)

    def counts(self) -> tuple[int, int, int]:
        """How many vectors are in the file, how many are pending, how many of the file's are gone."""
        file, all_there = self.file(), self._reader.embedding_count(self.model.id)
        if file is None:
            return 0, all_there, 0
        pending = self._reader.embedding_count(self.model.id, after=file.last_id)
        return len(file), pending, len(file) - (all_there - pending)

    def fold(self, writer: "Writer") -> bool:
        """Write a new file when many embeddings are pending or gone, or there is none; returns whether."""
        inside, pending, gone = self.counts()
        if pending + gone < min(FOLD_AT_LEAST, max(1, inside // 10)):
            return False
        self.write(writer)
        return True

    def write(self, writer: "Writer") -> None:
        """Write a new file with all that is committed. SearcherError when the disk is full."""
        fresh = self.path.with_name(self.path.name + ".new")
        with writer.lock():
            try:
                with self._reader.snapshot():
                    count = self._reader.embedding_count(self.model.id)
                    file = vector_index.write(fresh, count, self.model.dim, self._reader.vectors(self.model))
                with writer.transaction():  # known before it appears: a reader never meets one that it does not know
                    writer.add_vector_file(self.model.id, VectorFileRow(*file))
                fresh.replace(self.path)
            except OSError as error:
                raise SearcherError(f"cannot write {self.path}: {error.strerror}") from error
            finally:
                fresh.unlink(missing_ok=True)
        self._open = None
