"""The nearest photos of a library in Milvus, and their embeddings."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from searcher.filters import EVERYTHING, Filter
from searcher.scale.milvus.connection import BATCH, MOST_ROWS
from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.filtering import Compiled

SPARE = 16  # hits that are asked for beyond those wanted, where some are copies or fail the check

Found = list[list[tuple[int, float]]]


class FindMethods(MilvusCore):
    """Searches by vectors."""

    def nearest(self, vectors: np.ndarray, k: int, filter: Filter = EVERYTHING) -> Found:
        """For each vector (n, dim) the `k` nearest photos that meet `filter`: (id, cosine), best first.

        There are fewer only if no more photos meet the filter. Milvus returns up to 16,384 rows: for more photos, all
        embeddings that meet the filter are read and compared here.
        """
        compiled = self._compile(filter)
        if not len(vectors):
            return []
        certain = compiled.exact and not compiled.by_copy
        asked = min(k if certain else k + SPARE, MOST_ROWS)
        while True:
            hits = self._search(vectors, asked, compiled)
            found = [self._kept(row, compiled, k) for row in hits]
            short = [len(row) for row, kept in zip(hits, found, strict=True) if len(kept) < k]
            if not short:
                return found
            if min(short) < asked and self._connection.count(self._images, compiled.expression) <= min(short):
                return found
            if min(short) < asked or asked == MOST_ROWS:  # an approximate index has missed some, or there are too many
                return self._scan(vectors, k, compiled)
            asked = min(4 * asked, MOST_ROWS)

    def _search(self, vectors: np.ndarray, limit: int, compiled: Compiled) -> list[list[Any]]:
        fields = ["content", *(() if compiled.exact else compiled.fields)]
        return list(
            self._connection.call(
                "search",
                self._images,
                data=np.asarray(vectors, np.float32),
                anns_field="embedding",
                filter=compiled.expression,
                limit=limit,
                output_fields=fields,
                search_params={"metric_type": "IP"},
                consistency_level="Session",
            )
        )

    def _kept(self, hits: list[Any], compiled: Compiled, k: int) -> list[tuple[int, float]]:
        kept: dict[int, float] = {}
        for hit in hits:
            row = hit["entity"]
            if row["content"] not in kept and compiled.meets(row):
                kept[row["content"]] = float(hit["distance"])
                if len(kept) == k:
                    break
        return list(kept.items())

    def _scan(self, vectors: np.ndarray, k: int, compiled: Compiled) -> Found:
        """The same as `nearest`, by reading every embedding that meets the filter."""
        queries = np.asarray(vectors, np.float32)
        ids, scores = np.zeros(0, np.int64), np.zeros((len(queries), 0), np.float32)
        best = np.zeros((len(queries), 0), np.int64)
        rows = self._matching(compiled, ("embedding",))
        while chunk := list(islice(rows, BATCH)):
            ids = np.array([row["content"] for row in chunk], np.int64)
            new = queries @ np.array([row["embedding"] for row in chunk], np.float32).T
            scores = np.concatenate([scores, new], axis=1)
            best = np.concatenate([best, np.broadcast_to(ids, new.shape)], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores, best = np.take_along_axis(scores, order, 1), np.take_along_axis(best, order, 1)
        return [list(zip(*row, strict=True)) for row in zip(best.tolist(), scores.tolist(), strict=True)]

    def vectors(self, ids: Sequence[int]) -> dict[int, np.ndarray]:
        """id → its vector (dim,) float32. Those that are gone are left out."""
        rows = self._connection.query_in(self._images, "id", [int(id) for id in ids], ["content", "embedding"])
        return {row["id"]: np.array(row["embedding"], np.float32) for row in rows if row["content"] == row["id"]}

    def image_vectors(self, image_ids: Iterable[int]) -> dict[int, np.ndarray]:
        """image id → the vector (dim,) float32 of its photo. Images without one are left out."""
        rows = self._connection.query_in(self._images, "id", [int(id) for id in image_ids], ["embedding"])
        return {row["id"]: np.array(row["embedding"], np.float32) for row in rows}
