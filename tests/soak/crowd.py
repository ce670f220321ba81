"""Two writers and eight readers use one library at the same time."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.soak.contents import differences, problems
from tests.soak.interrupt import Broken
from tests.soak.jobs import add_photos
from tests.soak.place import Place

READERS = 8
FOLDERS = ("a", "b")


def crowd(place: Place, rounds: int) -> tuple[int, int]:
    """Let two writers index a folder each, `rounds` times with new photos, while others search.

    Returns how many runs wrote and how many searched. Raises Broken if any fails or sees less than before, or if the
    library is not the one that a single run makes.
    """
    for number, folder in enumerate(FOLDERS):
        add_photos(place, 10_000 * number, 10_000 * number + 10, folder)
    place.must("index", "photos/a", "photos/b", "--model", "tiny")
    writing = threading.Event()
    writing.set()

    def write(number: int) -> int:
        folder = FOLDERS[number]
        for turn in range(rounds):
            first = 10_000 * number + 10 + 40 * turn
            add_photos(place, first, first + 40, folder)
            place.must("index", f"photos/{folder}")
        return rounds

    def read(number: int) -> int:
        seen, searches = 0, 0
        while writing.is_set():
            hits = len(json.loads(place.must("search", "red", "--top", "100000", "--json")))
            if hits < seen:
                raise Broken(f"a search found {hits} photos after {seen}")
            seen, searches = hits, searches + 1
        return searches

    with ThreadPoolExecutor(READERS + len(FOLDERS)) as pool:
        readers = [pool.submit(read, number) for number in range(READERS)]
        try:
            written = sum(pool.map(write, range(len(FOLDERS))))
        finally:
            writing.clear()
        searched = sum(reader.result() for reader in readers)
    found = place.contents()
    lines = problems(place.library)
    for file in place.library.iterdir():
        file.unlink()
    place.must("index", "photos/a", "photos/b", "--model", "tiny")
    if lines := lines + differences(found, place.contents()):
        raise Broken("; ".join(lines))
    return written, searched
