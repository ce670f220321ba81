"""Changes of embeddings."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, bindparam, delete
from sqlalchemy.dialects.sqlite import insert

from searcher.catalog.schema import embeddings


class EmbeddingChanges:
    """The embeddings of the library's models."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, content_id: int, model_id: int, precision: str, vector: np.ndarray) -> None:
        """Store a unit vector (dim,) as float16, unless the content has one of this model."""
        blob = np.ascontiguousarray(vector, np.float16).tobytes()
        row = {"content_id": content_id, "model_id": model_id, "precision": precision, "vector": blob}
        self._connection.execute(_ADD, row)

    def remove(self, ids: Sequence[int]) -> None:
        """Remove embeddings that are damaged."""
        if ids:
            self._connection.execute(_REMOVE, [{"embedding": id} for id in ids])


# Built once: building a statement takes longer than running it.
_ADD = insert(embeddings).on_conflict_do_nothing()
_REMOVE = delete(embeddings).where(embeddings.c.id == bindparam("embedding"))
