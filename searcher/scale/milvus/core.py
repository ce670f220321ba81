"""What the parts of a MilvusCollection share: the connection, the model, and filters compiled for it."""

import os
import threading
from collections.abc import Iterator

from searcher.catalog.rows import ModelRow
from searcher.errors import NotFound
from searcher.filters import Filter
from searcher.scale.milvus.connection import Connection, Row
from searcher.scale.milvus.filtering import Compiled, compile_filter
from searcher.scale.milvus.labels import LabelTree
from searcher.scale.milvus.registry import Registry


class MilvusCore:
    """A library in Milvus. Safe to share by threads.

    The id of an embedding is that of the first row with its content, and so is the id of that content.
    """

    def __init__(self, connection: Connection, model: ModelRow) -> None:
        self.model = model
        self._connection = connection
        self._images = connection.address.collection
        self._registry = Registry(connection)
        self._lock = threading.Lock()
        self._known_below: tuple[str, dict[str, frozenset[str]]] = ("", {})  # with the revision that it is of

    @property
    def revision(self) -> str:
        """A text that is another one after each change of the library by searcher."""
        return self._registry.revision()

    def _below(self) -> dict[str, frozenset[str]]:
        """label → it and the labels below it."""
        revision = self.revision
        with self._lock:
            if self._known_below[0] != revision:
                self._known_below = revision, LabelTree(self._registry).below()
            return self._known_below[1]

    def _compile(self, filter: Filter) -> Compiled:
        """Raises NotFound for a folder without a photo."""
        compiled = compile_filter(filter, self._below() if filter.tags or filter.not_tags else {})
        for folder in filter.folders:
            inside = compile_filter(Filter(folders=(folder,)), {})
            if not self._connection.query(self._images, inside.expression, ["id"], limit=1):
                raise NotFound(f"no indexed photo is in {folder}: name a folder of the photos that were loaded")
        return compiled

    def _matching(self, compiled: Compiled, fields: tuple[str, ...]) -> Iterator[Row]:
        """Those fields, and `content`, of one row of each photo that meets a filter, in no order. All are read."""
        wanted = dict.fromkeys(("id", "content", *fields, *(() if compiled.exact else compiled.fields)))
        seen: set[int] = set()
        for row in self._connection.rows(self._images, compiled.expression, list(wanted)):
            if compiled.meets(row) and row["content"] not in seen:
                if compiled.by_copy:
                    seen.add(row["content"])
                yield row


def model_row(facts: dict[str, str], dim: int) -> ModelRow:
    """The model of a library, from the facts of its shards."""
    folder = os.fsencode(facts["folder"])
    return ModelRow(1, facts["digest"], facts["model"], facts["slug"], facts["version"], folder, dim)
