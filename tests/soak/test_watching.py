"""A watched library follows its photos. `make soak` does the same for an hour."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.place import Place
from tests.soak.watched import Watched

pytest.importorskip("watchfiles")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    opened = Watched(Place(tmp_path), random.Random(3))
    yield opened
    opened.close()


@pytest.mark.slow
def test_a_library_that_was_watched_equals_a_new_one_after_kills_and_unplugged_disks(watched: Watched) -> None:
    watched.change(1.5, 0.02)
    watched.tag()
    watched.unplug(4)  # long enough to be noticed: nothing tells of changes on a disk that comes back at once
    watched.kill()
    assert watched.compare() > 20
    watched.stop()
