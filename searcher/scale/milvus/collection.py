"""MilvusCollection: the read side of a library in Milvus, and what may be changed about its tags."""

from pathlib import Path
from typing import Self

from searcher.scale.milvus.address import Address, read_address
from searcher.scale.milvus.browsing import BrowseMethods
from searcher.scale.milvus.connection import Connection, nothing_at
from searcher.scale.milvus.core import model_row
from searcher.scale.milvus.finding import FindMethods
from searcher.scale.milvus.overview import OverviewMethods
from searcher.scale.milvus.registry import Registry
from searcher.scale.milvus.runs import RunMethods
from searcher.scale.milvus.schema import thumbnails_of
from searcher.scale.milvus.showing import ShowMethods
from searcher.scale.milvus.tagging import TagMethods
from searcher.scale.shards import Facts


class MilvusCollection(FindMethods, BrowseMethods, ShowMethods, OverviewMethods, TagMethods, RunMethods):
    """A `searcher.search.collection.Collection` on Milvus. Use it as a context manager, or call `close`."""

    @classmethod
    def open(cls, address: str | Address) -> Self:
        """The library at an address: see `read_address`.

        Raises NotFound if nothing was loaded there, InvalidInput for a wrong address, token or version, Busy if the
        server does not answer.
        """
        connection = Connection(address if isinstance(address, Address) else read_address(address))
        where = connection.address
        file = Path(where.uri)
        if where.is_lite and file.parent.is_dir() and not file.exists():  # which the client would make
            raise nothing_at(where)
        try:
            library = Registry(connection).library()
            name = connection.address.collection
            for each in (name, thumbnails_of(name)):
                connection.call("load_collection", each)
        except BaseException:
            connection.close()
            raise
        return cls(connection, model_row(library["model"], library["model"]["dim"]))

    @property
    def address(self) -> str:
        """Where the library is, without token and password."""
        return str(self._connection.address)

    def facts(self) -> Facts:
        """Which model made the embeddings."""
        return Facts(**self._registry.library()["model"])

    def close(self) -> None:
        """Release the server or the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
