"""One Library that many threads share, as a server does."""

import io
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from searcher import Filter, Library
from tests.histogram_model import COLOURS
from tests.library.conftest import Album
from tests.library.test_processes import INDEX, start, wait_for

THREADS, CALLS = 8, 200


@pytest.fixture
def many(album: Album) -> Album:
    """An album of 320 photos in all colours. The first 64 are indexed and have labels."""
    for number in range(64):
        album.add(f"{number:03}.png", list(COLOURS)[number % 6], number)
    album.index()
    album.library.add_tag("Rex", range(1, 20))
    for number in range(64, 320):
        album.add(f"{number:03}.png", list(COLOURS)[number % 6], number)
    return album


def calls(library: Library) -> list[Callable[[random.Random], object]]:
    """One call of each kind. Each checks what it gets."""

    def search(rng: random.Random) -> None:
        assert 64 <= len(library.search(rng.choice(list(COLOURS)), top=1000)) <= 320

    def search_with_tag(rng: random.Random) -> None:
        assert len(library.search(rng.choice(list(COLOURS)), filter=Filter(tags=("Rex",)), top=1000)) == 19

    def status(rng: random.Random) -> None:
        assert 64 <= library.status().images <= 320

    def counts(rng: random.Random) -> None:
        assert [(count.label, count.photos) for count in library.label_counts()] == [("Rex", 19)]

    def photo(rng: random.Random) -> None:
        number = rng.randint(1, 64)
        assert library.photo(number).photo.id == number

    def thumbnail(rng: random.Random) -> None:
        with Image.open(io.BytesIO(library.thumbnail(rng.randint(1, 64)))) as image:
            assert image.format == "WEBP"

    def tag(rng: random.Random) -> None:
        library.add_tag("Rex", [1])  # it has the label: another writer, and no change

    return [search, search, search_with_tag, status, counts, photo, thumbnail, tag]


def test_eight_threads_make_mixed_calls_while_another_process_indexes(many: Album) -> None:
    indexing = start(INDEX, many.library.folder, many.folder, 0.05)
    wait_for(indexing, 32)
    kinds = calls(many.library)

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(CALLS):
            rng.choice(kinds)(rng)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, seed) for seed in range(THREADS)]:
            done.result()
    output, errors = indexing.communicate()
    assert indexing.returncode == 0, errors
    assert output.splitlines()[-1] == "report 256 64"
    assert len(many.library.search("red", top=1000)) == 320
    assert many.library.check().ok


def test_a_library_is_opened_by_many_threads_at_once(many: Album) -> None:
    with Library.open(many.library.folder, model=many.model) as library:
        barrier = threading.Barrier(THREADS)

        def work(_: int) -> int:
            barrier.wait()
            return len(library.search("red", top=1000))

        with ThreadPoolExecutor(THREADS) as pool:
            assert set(pool.map(work, range(THREADS))) == {64}


def test_threads_index_and_search_one_library(many: Album) -> None:
    done = threading.Event()

    def search() -> int:
        searches = 0
        while not done.is_set() or not searches:
            assert 64 <= len(many.library.search("red", top=1000)) <= 320
            searches += 1
        return searches

    with ThreadPoolExecutor(THREADS) as pool:
        searching = [pool.submit(search) for _ in range(4)]
        indexing = [pool.submit(many.index) for _ in range(2)]
        reports = [future.result() for future in indexing]
        done.set()
        assert all(future.result() for future in searching)
    assert sum(report.added for report in reports) == 256
    assert all(report.added + report.unchanged == 320 for report in reports)
    assert many.library.check().ok
