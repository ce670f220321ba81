from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from searcher.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path)) as catalog:
        yield catalog
