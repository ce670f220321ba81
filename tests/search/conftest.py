"""Searches run on each kind of library: with exact vector files, with several files that have graphs, and in Milvus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from searcher.catalog import Catalog
from searcher.catalog.rows import ModelRow
from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.collection import MilvusCollection
from searcher.scale.milvus.connection import Connection
from searcher.search.collection import Collection
from searcher.search.local import LocalCollection
from searcher.vectors import store
from searcher.vectors.store import VectorStore
from tests.scale.milvus.filling import copy_to_milvus


class Backend:
    """What searches in a catalog."""

    in_milvus = False

    def collection(self, catalog: Catalog, vectors: VectorStore, model: ModelRow) -> Collection:
        """The collection that holds what the catalog does now."""
        return LocalCollection(catalog, vectors, model)

    def examples(self, count: int) -> int:
        """How many random examples of a test there is time for, if it has `count` of them elsewhere."""
        return count


class MilvusBackend(Backend):
    """Searches in copies of catalogs in a file of Milvus Lite."""

    in_milvus = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = read_address(f"milvus:{folder}/library.db/photos")
        self._open = Connection(self._address)  # until the end: opening the file takes a while
        self._open.call("list_collections")
        self._copied: tuple[object, ...] = ()
        self._collection: MilvusCollection | None = None

    def collection(self, catalog: Catalog, vectors: VectorStore, model: ModelRow) -> Collection:
        state = (catalog.folder, catalog.revision())
        if self._collection is None or self._copied != state:
            if self._collection is not None:
                self._collection.close()
            self._collection = copy_to_milvus(catalog, model, self._address, self._folder)
            self._copied = state
        return self._collection

    def examples(self, count: int) -> int:
        return max(1, count // 5)

    def close(self) -> None:
        if self._collection is not None:
            self._collection.close()
        self._open.close()


@pytest.fixture(params=["exact", "graphs", "milvus"], scope="module")
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """What kind of library the tests search in."""
    if request.param == "milvus":
        milvus = MilvusBackend(tmp_path_factory.mktemp("milvus"))
        yield milvus
        milvus.close()
        return
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "graphs":
            patch.setattr(store, "GRAPH_FROM", 1)
            patch.setattr(store, "max_vectors", lambda dim: 40)
        yield Backend()
