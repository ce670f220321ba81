from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from searcher.catalog import Catalog
from tests.catalog.filling import fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library with a catalog of ten images, which no one has open."""
    with closing(Catalog(tmp_path / "library")) as catalog:
        fill(catalog, 10)
    return tmp_path / "library"


@pytest.fixture
def catalog(folder: Path) -> Iterator[Catalog]:
    """An open catalog of ten images."""
    with closing(Catalog(folder)) as catalog:
        yield catalog
