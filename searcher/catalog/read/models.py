"""Models whose embeddings the library holds, and the vector files that were written for them."""

from searcher.catalog.read.queries import Queries
from searcher.catalog.rows import ModelRow, VectorFile


class Models(Queries):
    """Models and their vector files."""

    def current(self) -> ModelRow | None:
        """The model that searches use, None before the first index run."""
        return next(iter(self._models("m.id = l.model_id")), None)

    def by_digest(self, digest: str) -> ModelRow | None:
        """A model that the library knows, whether searches use it or not."""
        return next(iter(self._models("m.digest = ?", digest)), None)

    def retired(self) -> list[ModelRow]:
        """Models that another one replaced."""
        return self._models("m.retired")

    def unfinished(self) -> list[ModelRow]:
        """Models that are to replace the current one and have not embedded all photos yet."""
        some = "EXISTS (SELECT 1 FROM embeddings e WHERE e.model_id = m.id)"
        return self._models(f"m.id <> l.model_id AND NOT m.retired AND {some}")

    def _models(self, condition: str, *parameters: object) -> list[ModelRow]:
        columns = ", ".join(f"m.{name}" for name in ModelRow._fields)
        rows = self._rows(f"SELECT {columns} FROM models m, library l WHERE {condition}", *parameters)
        return [ModelRow(*row) for row in rows]

    def precision(self, model_id: int) -> str | None:
        """The encoder precision of a model's first embedding here, None if it has none."""
        row = self._row("SELECT precision FROM embeddings WHERE model_id = ? LIMIT 1", model_id)
        return None if row is None else str(row[0])

    def is_refreshed(self) -> bool:
        """Whether the vector file was refreshed after the last embedding, and the embeddings of retired models are
        gone.
        """
        sql = (
            "SELECT m.refreshed_to IS (SELECT max(id) FROM embeddings) AND NOT EXISTS (SELECT 1 FROM models r "
            "JOIN embeddings e ON e.model_id = r.id WHERE r.retired) FROM library l JOIN models m ON m.id = l.model_id"
        )
        row = self._row(sql)
        return row is None or bool(row[0])

    def vector_files(self, model_id: int) -> list[VectorFile]:
        """The vector files that were written for a model, of those that are still recognised."""
        columns = ", ".join(VectorFile._fields)
        rows = self._rows(f"SELECT {columns} FROM vector_files WHERE model_id = ?", model_id)
        return [VectorFile(*row) for row in rows]
