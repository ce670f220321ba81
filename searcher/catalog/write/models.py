"""Changes of models and of the vector files that were written for them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from searcher.catalog.rows import ModelRow, VectorFile
from searcher.catalog.schema import embeddings, library, models, vector_files

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

KEPT_VECTOR_FILES = 32  # how many earlier vector files are still recognised


class ModelChanges:
    """Models and their vector files."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, model: "DualEncoder | ModelRow", folder: Path) -> int:
        """Remember a model, to be found in `folder`. Returns its id.

        A ModelRow describes a model that is not on this machine; its id and folder do not matter.
        """
        found = {"name": model.name, "version": model.version or "", "folder": os.fsencode(folder.absolute())}
        row = insert(models).values(digest=model.digest, slug=model.slug, dim=model.dim, **found)
        row = row.on_conflict_do_update(index_elements=["digest"], set_={**found, "retired": False})
        model_id: int = self._connection.execute(row.returning(models.c.id)).scalar_one()
        return model_id

    def use(self, model_id: int) -> None:
        """Let searches use a model. All others are retired: see `remove_retired`."""
        self._connection.execute(update(library).values(model_id=model_id))
        others = update(models).where(models.c.id != model_id)
        self._connection.execute(others.values(retired=True, refreshed_to=None))
        self._connection.execute(update(models).where(models.c.id == model_id).values(retired=False))
        self._connection.execute(delete(vector_files).where(vector_files.c.model_id != model_id))

    def remove_retired(self, at_once: int) -> bool:
        """Remove up to `at_once` embeddings of retired models. Returns whether there may be more."""
        retired = select(models.c.id).where(models.c.retired)
        some = select(embeddings.c.id).where(embeddings.c.model_id.in_(retired)).limit(at_once)
        return self._connection.execute(delete(embeddings).where(embeddings.c.id.in_(some))).rowcount == at_once

    def set_refreshed(self, model_id: int) -> None:
        """Everything derived is up to date."""
        newest = select(func.max(embeddings.c.id)).scalar_subquery()
        self._connection.execute(update(models).where(models.c.id == model_id).values(refreshed_to=newest))

    def add_vector_files(self, model_id: int, files: Sequence[VectorFile]) -> None:
        """Remember vector files that are about to appear, one after the other. The oldest ones that begin where the
        first one does are forgotten.
        """
        for file in files:
            row = insert(vector_files).values(model_id=model_id, **file._asdict()).on_conflict_do_nothing()
            self._connection.execute(row)
        here = [vector_files.c.model_id == model_id, vector_files.c.after_id == files[0].after_id]
        newest = (
            select(vector_files.c.digest).where(*here).order_by(vector_files.c.last_id.desc()).limit(KEPT_VECTOR_FILES)
        )
        self._connection.execute(delete(vector_files).where(*here, vector_files.c.digest.not_in(newest)))

    def forget_vector_files(self, model_id: int, files: Sequence[VectorFile]) -> None:
        """Forget the vector files inside of the range of ids that `files` cover, except those."""
        begins, digest = vector_files.c.after_id, vector_files.c.digest
        inside = [begins > files[0].after_id, begins < files[-1].last_id]
        kept = [file.digest for file in files]
        self._connection.execute(
            delete(vector_files).where(vector_files.c.model_id == model_id, *inside, digest.not_in(kept))
        )
