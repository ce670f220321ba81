from collections.abc import Iterator
from contextlib import closing

import pytest

from searcher.catalog import Catalog
from tests.library.conftest import Album, album, model

__all__ = ["album", "catalog", "model"]


@pytest.fixture
def catalog(album: Album) -> Iterator[Catalog]:
    """The catalog of the album's library, opened a second time."""
    with closing(Catalog(album.library.folder)) as opened:
        yield opened
