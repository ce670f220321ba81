"""Read the catalog: the fixed queries of a search, a status and a comparison with the disk.

They use Python's sqlite3 module. A search is a short process, and importing SQLAlchemy takes longer than all of
these queries. Changes and queries that are composed at run time use SQLAlchemy: see `writer`.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.catalog.connect import SCHEMA_VERSION, check_version, connect
from searcher.catalog.records import ModelRow, PhotoRow, Root, VectorFileRow, after_prefix
from searcher.errors import SearcherError

if TYPE_CHECKING:
    import numpy as np

VECTOR_CHUNK = 4096  # embeddings per chunk


class Reader:
    """Reads one library's catalog. Each call sees the last committed state. Inside `snapshot`, all calls see the
    same state.
    """

    def __init__(self, folder: Path) -> None:
        """Open the catalog in `folder`. An older version is migrated first.

        Raises SearcherError if there is no catalog or it cannot be read.
        """
        self.folder = folder
        self._connection = connect(folder)
        try:
            if check_version(self._connection, folder) < SCHEMA_VERSION:
                self._connection.close()
                from searcher.catalog.writer import Writer

                Writer(folder).close()
                self._connection = connect(folder)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside this context see the same committed state."""
        with self._errors():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")  # nothing was written

    def _rows(self, sql: str, *parameters: object) -> list[Any]:
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def _row(self, sql: str, *parameters: object) -> Any:
        """Return the first row, or None if there is none."""
        with self._errors():
            return self._connection.execute(sql, parameters).fetchone()

    def _number(self, sql: str, *parameters: object) -> int:
        return int(self._row(sql, *parameters)[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of a damaged catalog into a SearcherError."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise SearcherError(f"the catalog in {self.folder} is damaged ({error})") from error

    # roots and files

    def roots(self) -> list[Root]:
        rows = self._rows("SELECT id, path, whole FROM roots ORDER BY path")
        return [Root(id, path, bool(whole)) for id, path, whole in rows]

    def files(self, root_id: int, prefix: bytes = b"") -> dict[bytes, tuple[int, int, bool]]:
        """Return all images below `prefix` in a root: relpath → (size in bytes, mtime_ns, failed)."""
        sql = "SELECT relpath, size, mtime_ns, error IS NOT NULL FROM images WHERE root_id = ?"
        parameters: list[object] = [root_id]
        if prefix:
            sql += " AND relpath >= ? AND relpath < ?"
            parameters += [prefix, after_prefix(prefix)]
        return {row[0]: row[1:] for row in self._rows(sql, *parameters)}

    def some_files(self, root_id: int, count: int) -> list[tuple[bytes, int, int]]:
        """Return (relpath, size in bytes, mtime_ns) of up to `count` images of a root."""
        sql = "SELECT relpath, size, mtime_ns FROM images WHERE root_id = ? ORDER BY id LIMIT ?"
        return self._rows(sql, root_id, count)

    def content_digest(self, root_id: int, relpath: bytes) -> bytes | None:
        """Return the content digest of a file when it was last read, or None if it is not known."""
        sql = (
            "SELECT c.digest FROM images i JOIN contents c ON c.id = i.content_id WHERE i.root_id = ? AND i.relpath = ?"
        )
        row = self._row(sql, root_id, relpath)
        return None if row is None else row[0]

    def failed(self) -> list[tuple[Root, bytes, str]]:
        """Return (root, relpath, reason) of every file that could not be indexed."""
        sql = (
            "SELECT r.id, r.path, r.whole, i.relpath, i.error FROM images i JOIN roots r ON r.id = i.root_id "
            "WHERE i.error IS NOT NULL ORDER BY r.path, i.relpath"
        )
        rows = self._rows(sql)
        return [(Root(id, path, bool(whole)), relpath, error) for id, path, whole, relpath, error in rows]

    def failed_count(self) -> int:
        """Return how many files could not be indexed."""
        return self._number("SELECT count(*) FROM images WHERE error IS NOT NULL")

    def image_count(self) -> int:
        """Return how many images can be found. Each copy counts as one."""
        return self._number("SELECT count(*) FROM images WHERE content_id IS NOT NULL")

    def knows(self, root_id: int, relpath: bytes) -> bool:
        """Return whether the catalog has an image or a failed file at this path."""
        return self._row("SELECT 1 FROM images WHERE root_id = ? AND relpath = ?", root_id, relpath) is not None

    # models and embeddings

    def model(self) -> ModelRow | None:
        """Return the model that searches of this library use, or None before the first index run."""
        return next(iter(self._models("m.id = l.model_id")), None)

    def model_by_digest(self, digest: str) -> ModelRow | None:
        """Return a known model, whether searches use it or not, or None if it is not known."""
        return next(iter(self._models("m.digest = ?", digest)), None)

    def retired_models(self) -> list[ModelRow]:
        """Return the models that were replaced by another one."""
        return self._models("m.retired")

    def begun_models(self) -> list[ModelRow]:
        """Return the models that the library is switching to: they have embedded some photos but are not in use yet."""
        some = "EXISTS (SELECT 1 FROM embeddings e WHERE e.model_id = m.id)"
        return self._models(f"m.id <> l.model_id AND NOT m.retired AND {some}")

    def _models(self, condition: str, *parameters: object) -> list[ModelRow]:
        columns = ", ".join(f"m.{name}" for name in ModelRow._fields)
        rows = self._rows(f"SELECT {columns} FROM models m, library l WHERE {condition}", *parameters)
        return [ModelRow(*row) for row in rows]

    def noise_vectors(self, model: ModelRow) -> "np.ndarray | None":
        """Return the embeddings (n, dim) float32 of meaningless queries, or None if they are not computed yet."""
        import numpy as np

        row = self._row("SELECT noise_vectors FROM models WHERE id = ?", model.id)
        if row is None or row[0] is None:
            return None
        return np.frombuffer(row[0], np.float16).reshape(-1, model.dim).astype(np.float32)

    def is_derived(self) -> bool:
        """Return whether the derived data is up to date.

        This means that the FAISS file and the noise floor were updated after the last embedding was added, and that
        the embeddings of retired models are removed.
        """
        sql = (
            "SELECT m.derived_to IS (SELECT max(id) FROM embeddings) AND NOT EXISTS (SELECT 1 FROM models r "
            "JOIN embeddings e ON e.model_id = r.id WHERE r.retired) FROM library l JOIN models m ON m.id = l.model_id"
        )
        row = self._row(sql)
        return row is None or bool(row[0])

    def has_embedding(self, digest: bytes, model_id: int) -> bool:
        sql = "SELECT 1 FROM contents c JOIN embeddings e ON e.content_id = c.id WHERE c.digest = ? AND e.model_id = ?"
        return self._row(sql, digest, model_id) is not None

    def precision(self, model_id: int) -> str | None:
        """Return the encoder precision of one of a model's embeddings, or None if it has no embeddings here."""
        row = self._row("SELECT precision FROM embeddings WHERE model_id = ? LIMIT 1", model_id)
        return None if row is None else str(row[0])

    def embedding_count(self, model_id: int, after: int = 0) -> int:
        """Return how many embeddings of a model have an id greater than `after`."""
        if not after:
            return self._number("SELECT count(*) FROM embeddings WHERE model_id = ?", model_id)
        return self._number("SELECT count(*) FROM embeddings WHERE model_id = ? AND id > ?", model_id, after)

    def vectors(self, model: ModelRow, after: int = 0) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
        """Yield the embeddings with an id greater than `after`, by ascending id, in chunks.

        Each chunk is a pair of ids (n,) int64 and vectors (n, dim) float16.
        Raises SearcherError if the catalog is damaged.
        """
        import numpy as np  # imported here because a run without changes does not need it

        sql = "SELECT id, vector FROM embeddings WHERE model_id = ? AND id > ? ORDER BY id"
        with self._errors():
            cursor = self._connection.execute(sql, (model.id, after))
            while rows := cursor.fetchmany(VECTOR_CHUNK):
                ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
                blob = b"".join(row[1] for row in rows)
                if len(blob) != len(rows) * model.dim * 2:
                    raise SearcherError(f"the catalog in {self.folder} is damaged: run `searcher check`")
                yield ids, np.frombuffer(blob, np.float16).reshape(len(rows), model.dim)

    def has_vector_file(self, model_id: int) -> bool:
        """Return whether a FAISS file was ever written for a model."""
        return self._row("SELECT 1 FROM vector_files WHERE model_id = ?", model_id) is not None

    def vector_file(self, digest: bytes, model_id: int) -> VectorFileRow | None:
        """Return the row of the FAISS file with this digest, or None if this catalog does not know the file."""
        sql = "SELECT digest, last_id, vectors, bytes FROM vector_files WHERE digest = ? AND model_id = ?"
        row = self._row(sql, digest, model_id)
        return None if row is None else VectorFileRow(*row)

    # hits

    def photos(self, embedding_ids: Sequence[int]) -> dict[int, list[PhotoRow]]:
        """Return the images of embeddings: embedding id → its images (copies of one content), by ascending id."""
        sql = (
            "SELECT e.id, i.id, r.path, i.relpath, c.taken_at FROM embeddings e "
            "JOIN contents c ON c.id = e.content_id JOIN images i ON i.content_id = c.id "
            "JOIN roots r ON r.id = i.root_id WHERE e.id IN (SELECT value FROM json_each(?)) ORDER BY i.id"
        )
        found: dict[int, list[PhotoRow]] = {}
        for row in self._rows(sql, json.dumps([int(id) for id in embedding_ids])):
            found.setdefault(row[0], []).append(PhotoRow(*row))
        return found

    def tags(self, image_ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the labels of images: image id → its labels, most probable first."""
        sql = (
            "WITH wanted(id) AS (SELECT value FROM json_each(?)) "
            "SELECT t.image_id, l.name, max(t.p) AS p FROM ("
            "SELECT image_id, label_id, coalesce(probability, 1) AS p FROM tags WHERE image_id IN wanted UNION ALL "
            "SELECT i.id, c.label_id, c.probability FROM images i JOIN content_tags c ON c.content_id = i.content_id "
            "WHERE i.id IN wanted) t JOIN labels l ON l.id = t.label_id "
            "GROUP BY t.image_id, l.id ORDER BY p DESC, l.name"
        )
        found: dict[int, list[str]] = {}
        for image_id, label, _ in self._rows(sql, json.dumps([int(id) for id in image_ids])):
            found.setdefault(image_id, []).append(label)
        return found

    # checks

    def images_without_embedding(self, model_id: int) -> int:
        """Return how many images have no embedding by a model."""
        sql = (
            "SELECT count(*) FROM images i WHERE i.content_id IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM embeddings e WHERE e.content_id = i.content_id AND e.model_id = ?)"
        )
        return self._number(sql, model_id)

    def problems(self) -> list[str]:
        """Return the problems inside the SQLite file, one line each. The list is empty if there are none."""
        problems = []
        try:
            rows = [str(row[0]) for row in self._rows("PRAGMA integrity_check(5)")]
            problems += [f"catalog: {row}" for row in rows if row != "ok"]
            broken = self._rows("PRAGMA foreign_key_check")
            if broken:
                problems.append(f"catalog: {len(broken)} rows refer to rows that do not exist")
            sql = (
                "SELECT count(*) FROM embeddings e JOIN models m ON m.id = e.model_id "
                "WHERE length(e.vector) <> 2 * m.dim"
            )
            if wrong := self._number(sql):
                problems.append(f"catalog: {wrong} embeddings have the wrong length")
        except SearcherError as error:
            problems.append(f"catalog: {error}")
        return problems
