"""Embeddings under their ids. Ids ascend in the order of commits and are never used again."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from searcher.catalog.read.queries import IN_LIST, Queries, in_list
from searcher.catalog.rows import ContentFiles, ModelRow
from searcher.errors import Damaged
from searcher.filters import Filter

if TYPE_CHECKING:
    import numpy as np

CHUNK = 4096  # embeddings read at a time
LAST_ID = 2**63 - 1  # no id is larger
MISSING_CHUNK = 1000  # contents without an embedding that are listed at a time

# contents c that have an image and no embedding of a model
_MISSING = (
    "contents c WHERE NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.content_id = c.id AND e.model_id = ?) "
    "AND EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.id)"
)


class Embeddings(Queries):
    """The embeddings of the library's models."""

    def count(self, model_id: int, after: int = 0, last: int | None = None) -> int:
        """How many embeddings of a model have an id greater than `after`, and at most `last`."""
        if not after and last is None:
            return self._number("SELECT count(*) FROM embeddings WHERE model_id = ?", model_id)
        sql = "SELECT count(*) FROM embeddings WHERE model_id = ? AND id > ? AND id <= ?"
        return self._number(sql, model_id, after, LAST_ID if last is None else last)

    def ids(self, model_id: int, after: int, last: int) -> "np.ndarray":
        """The ids of a model's embeddings that are greater than `after`, and at most `last`: (n,) int64, ascending."""
        import numpy as np

        sql = "SELECT id FROM embeddings WHERE model_id = ? AND id > ? AND id <= ? ORDER BY id"
        rows = self._rows(sql, model_id, after, last)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def by_content(self, model_id: int) -> "tuple[np.ndarray, np.ndarray]":
        """The ids of contents (n,) int64, ascending, and the ids of their embeddings by a model (n,)."""
        import numpy as np

        sql = "SELECT content_id, id FROM embeddings WHERE +model_id = ? ORDER BY content_id"
        rows = np.fromiter(self._connection.execute(sql, (model_id,)), [("content", np.int64), ("id", np.int64)])
        return rows["content"], rows["id"]

    def any_after(self, model_id: int, last_id: int) -> bool:
        """Whether a model has an embedding with an id greater than `last_id`."""
        # the + keeps SQLite from walking the index of the model
        sql = "SELECT 1 FROM embeddings WHERE id > ? AND +model_id = ? LIMIT 1"
        return self._row(sql, last_id, model_id) is not None

    def newest_id(self) -> int:
        """The largest id that any embedding was ever given, 0 if there was none. A newer view has the same or more."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'embeddings'")
        return 0 if row is None else int(row[0])

    def has(self, digest: bytes, model_id: int) -> bool:
        """Whether a model has embedded the content with this digest."""
        sql = "SELECT 1 FROM contents c JOIN embeddings e ON e.content_id = c.id WHERE c.digest = ? AND e.model_id = ?"
        return self._row(sql, digest, model_id) is not None

    def existing(self, ids: "Iterable[int]") -> set[int]:
        """Those of `ids` that are embeddings of a photo."""
        # Python's driver gives other threads a turn at each row, so it asks for the few that are gone
        wanted = set(ids)
        sql = (
            "SELECT asked.value FROM json_each(?) asked WHERE NOT EXISTS (SELECT 1 FROM embeddings e "
            "WHERE e.id = asked.value AND EXISTS (SELECT 1 FROM images i WHERE i.content_id = e.content_id))"
        )
        return wanted - {row[0] for row in self._rows(sql, in_list(wanted))}

    def matching(self, filter: Filter, model_id: int) -> "tuple[np.ndarray, np.ndarray]":
        """The embeddings whose photo meets `filter`: ids (n,) int64, ascending, and the least probability of the
        tags asked for, (n,) float64.
        """
        import numpy as np

        matching, parameters = self._compiled(filter)
        # CROSS: the few contents that meet a filter first, and not all embeddings
        sql = (
            f"SELECT e.id, f.probability FROM ({matching}) f "
            "CROSS JOIN embeddings e ON e.content_id = f.content_id AND e.model_id = ? ORDER BY e.id"
        )
        rows = self._rows(sql, *parameters, model_id)
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return ids, np.fromiter((row[1] for row in rows), np.float64, len(rows))

    def of_wrong_length(self) -> list[int]:
        """The ids of the embeddings, of any model, that do not have as many numbers as their model says."""
        sql = "SELECT e.id FROM embeddings e JOIN models m ON m.id = e.model_id WHERE length(e.vector) <> 2 * m.dim"
        return [row[0] for row in self._rows(sql)]

    def chunks(
        self, model: ModelRow, after: int = 0, last: int = LAST_ID, *, skip_wrong_length: bool = False
    ) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
        """Embeddings with ids greater than `after`, and at most `last`, ascending, in chunks: ids (n,) int64, vectors
        (n, dim) float16.

        Raises Damaged for an embedding of a wrong length, unless these are skipped.
        """
        import numpy as np  # here: a run that finds nothing changed does not need it

        # no cursor stays open between chunks: it would keep the connection in its old state after the view is closed
        whole = f"AND length(vector) = {2 * model.dim} " if skip_wrong_length else ""
        sql = f"SELECT id, vector FROM embeddings WHERE model_id = ? AND id > ? AND id <= ? {whole}ORDER BY id LIMIT ?"
        while rows := self._rows(sql, model.id, after, last, CHUNK):
            after = rows[-1][0]
            ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            yield ids, self._vectors([row[1] for row in rows], model.dim)

    def block(self, model: ModelRow, after: int, limit: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """Up to `limit` embeddings with ids greater than `after`, ascending: ids (n,) int64, ids of their contents
        (n,) int64, vectors (n, dim) float16.
        """
        import numpy as np

        sql = "SELECT id, content_id, vector FROM embeddings WHERE id > ? AND +model_id = ? ORDER BY id LIMIT ?"
        rows = self._rows(sql, after, model.id, limit)
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        contents = np.fromiter((row[1] for row in rows), np.int64, len(rows))
        return ids, contents, self._vectors([row[2] for row in rows], model.dim)

    def of_contents(self, digests: Iterable[bytes], model: ModelRow) -> "dict[bytes, np.ndarray]":
        """The embeddings of the contents with these digests: digest → (dim,) float32. Others are left out."""
        import numpy as np

        sql = (
            "SELECT e.vector FROM contents c JOIN embeddings e ON e.content_id = c.id AND e.model_id = ? "
            "WHERE c.digest = ?"
        )
        found = {digest: self._row(sql, model.id, digest) for digest in digests}
        return {
            digest: np.frombuffer(row[0], np.float16).astype(np.float32)
            for digest, row in found.items()
            if row is not None
        }

    def of_ids(self, ids: Iterable[int], model: ModelRow) -> "dict[int, np.ndarray]":
        """The embeddings with these ids: id → (dim,) float32. Others are left out."""
        sql = f"SELECT id, vector FROM embeddings WHERE id IN {IN_LIST} AND +model_id = ?"
        return self._by_id(self._rows(sql, in_list(ids), model.id), model)

    def of_images(self, image_ids: Iterable[int], model: ModelRow) -> "dict[int, np.ndarray]":
        """The embeddings of the contents of these images: image id → (dim,) float32. Others are left out."""
        sql = (
            "SELECT i.id, e.vector FROM images i JOIN embeddings e ON e.content_id = i.content_id AND e.model_id = ? "
            f"WHERE i.id IN {IN_LIST}"
        )
        return self._by_id(self._rows(sql, model.id, in_list(image_ids)), model)

    def _by_id(self, rows: "list[Any]", model: ModelRow) -> "dict[int, np.ndarray]":
        import numpy as np

        vectors = self._vectors([row[1] for row in rows], model.dim).astype(np.float32)
        return {row[0]: vector for row, vector in zip(rows, vectors, strict=True)}

    def sample(self, model: ModelRow, count: int) -> "np.ndarray":
        """Up to `count` embeddings from all over the library, the same ones each time: (n, dim) float32."""
        import numpy as np

        # ids are dense except where photos were deleted: take ids that are evenly spaced, the first and the last too
        first, last = self._row("SELECT min(id), max(id) FROM embeddings WHERE model_id = ?", model.id)
        if first is None:
            return np.zeros((0, model.dim), np.float32)
        wanted = np.unique(np.linspace(first, last, min(count, last - first + 1)).round().astype(np.int64))
        sql = f"SELECT vector FROM embeddings WHERE id IN {IN_LIST} AND +model_id = ? ORDER BY id"
        rows = self._rows(sql, in_list(wanted), model.id)
        return self._vectors([row[0] for row in rows], model.dim).astype(np.float32)

    # contents that a model has not embedded

    def missing_count(self, model_id: int) -> int:
        """How many contents a model has not embedded yet."""
        return self._number(f"SELECT count(*) FROM {_MISSING}", model_id)

    def missing(self, model_id: int, after: int = 0, limit: int = MISSING_CHUNK) -> list[ContentFiles]:
        """Up to `limit` contents with ids greater than `after` that a model has not embedded yet, ascending."""
        sql = f"SELECT c.id, c.digest FROM {_MISSING} AND c.id > ? ORDER BY c.id LIMIT ?"
        return self._with_files(dict(self._rows(sql, model_id, after, limit)))

    def images_without(self, model_id: int) -> int:
        """How many images a model has no embedding for."""
        sql = (
            "SELECT count(*) FROM images i WHERE i.content_id IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM embeddings e WHERE e.content_id = i.content_id AND e.model_id = ?)"
        )
        return self._number(sql, model_id)

    def _vectors(self, blobs: list[bytes], dim: int) -> "np.ndarray[Any, Any]":
        import numpy as np

        blob = b"".join(blobs)
        if len(blob) != len(blobs) * dim * 2:
            raise Damaged(f"the catalog in {self._folder} is damaged: run `searcher check --repair`")
        return np.frombuffer(blob, np.float16).reshape(len(blobs), dim)
