"""Tests of searches run with exact vector files, and with several files that have graphs."""

from collections.abc import Iterator

import pytest

from searcher.vectors import store


@pytest.fixture(params=["exact", "graphs"], scope="module")
def stored(request: pytest.FixtureRequest) -> Iterator[None]:
    """What kind of vector files the libraries of a test have."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "graphs":
            patch.setattr(store, "GRAPH_FROM", 1)
            patch.setattr(store, "max_vectors", lambda dim: 40)
        yield
