"""The runs that are interrupted: what is there before, what runs, and what happens to the photos meanwhile."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from searcher.catalog.connect import CATALOG_NAME
from tests.pictures import draw
from tests.soak.place import Place

SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmp:Rating="3"><dc:subject><rdf:Bag><rdf:li>holiday</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>
</x:xmpmeta>
"""


@dataclass(frozen=True)
class Job:
    """prepare: makes what is there before. command: what is interrupted. again: what continues it. meanwhile: changes
    of the photos while the command runs, which ends by itself only without them.
    """

    name: str
    prepare: Callable[[Place], None]
    command: tuple[str, ...]
    again: tuple[str, ...]
    meanwhile: Sequence[Callable[[Place], None]] = ()


def add_photos(place: Place, first: int, last: int, folder: str = "") -> None:
    (place.photos / folder).mkdir(parents=True, exist_ok=True)
    for number in range(first, last):
        draw(place.photos / folder / f"{number:03}.jpg", number, (24, 18))


def _first(place: Place) -> None:
    add_photos(place, 0, 70)


def _index(place: Place) -> None:
    """Photos were added, moved, changed and deleted after the last run."""
    add_photos(place, 0, 30)
    place.must("index", "photos", "--model", "tiny")
    place.must("tag", "--add", "Rex", *(f"photos/{number:03}.jpg" for number in range(6)))
    photos = place.photos
    add_photos(place, 30, 90, "new")
    (photos / "moved").mkdir()
    for number in range(3):
        (photos / f"{number:03}.jpg").rename(photos / f"moved/{number:03}.jpg")
    shutil.copy2(photos / "003.jpg", photos / "new/copy.jpg")
    draw(photos / "004.jpg", 1000, (24, 18))
    (photos / "005.jpg").unlink()  # its label waits
    for number in range(10, 13):
        (photos / f"{number:03}.jpg").unlink()
        draw(photos / f"{number + 5:03}.jpg", 1000 + number, (24, 18))
    (photos / "new/broken.jpg").write_text("no photo")
    (photos / "new/040.jpg.xmp").write_text(SIDECAR)
    (photos / "020.xmp").write_text(SIDECAR)


def _fold(place: Place) -> None:
    """The last run was killed before it wrote the vector file anew."""
    add_photos(place, 0, 30)
    place.must("index", "photos", "--model", "tiny")
    (vectors,) = place.library.glob("*.faiss")
    old = vectors.read_bytes()
    add_photos(place, 30, 100)
    place.must("index")
    vectors.write_bytes(old)
    with closing(sqlite3.connect(place.library / CATALOG_NAME)) as catalog, catalog:
        catalog.execute("UPDATE models SET refreshed_to = NULL")


def _reembed(place: Place) -> None:
    add_photos(place, 0, 100)
    place.must("index", "photos", "--model", "tiny")
    place.must("tag", "--add", "Rex", "photos/003.jpg")


def _tag(place: Place) -> None:
    add_photos(place, 0, 60)
    for number in range(0, 20, 2):
        (place.photos / f"{number:03}.jpg.xmp").write_text(SIDECAR)
    place.must("index", "photos", "--model", "tiny")
    place.must("tag", "--labels", "red,green,dark", "--min-relevance", "0.01", "--top", "2", "--xmp")


def _restore(place: Place) -> None:
    add_photos(place, 0, 40)
    place.must("index", "photos", "--model", "tiny", "--exclude", "*.png")
    place.must("tag", "--add", "Rex", *(f"photos/{number:03}.jpg" for number in range(30)))
    place.must("tag", "--add", "Max", "photos/031.jpg")
    place.must("tag", "--remove", "Max", "photos/031.jpg")
    place.must("teach", "Tom", "photos/001.jpg", "photos/002.jpg", "photos/003.jpg")
    place.must("export", "backup.json")
    shutil.rmtree(place.library)
    for number in range(20, 40):
        (place.photos / f"{number:03}.jpg").rename(place.now / f"{number:03}.jpg")
    place.must("index", "photos", "--model", "tiny")


def _watch(place: Place) -> None:
    add_photos(place, 0, 20)
    place.must("index", "photos", "--model", "tiny")
    place.must("tag", "--add", "Rex", "photos/001.jpg")
    (place.now / "camera").mkdir()
    for number in range(20, 80):
        draw(place.now / f"camera/{number:03}.jpg", number, (24, 18))


def _copies(first: int, last: int) -> Callable[[Place], None]:
    def copy(place: Place) -> None:
        for number in range(first, last):
            shutil.copy2(place.now / f"camera/{number:03}.jpg", place.photos / f"{number:03}.jpg")

    return copy


def _move(place: Place) -> None:
    (place.photos / "sub").mkdir()
    (place.photos / "001.jpg").rename(place.photos / "sub/001.jpg")


def _delete(place: Place) -> None:
    (place.photos / "002.jpg").unlink()


FIRST = ("index", "photos", "--model", "tiny")
XMP = ("tag", "--labels", "red,green,blue,bright", "--min-relevance", "0.01", "--top", "2", "--xmp")
JOBS = {
    job.name: job
    for job in (
        Job("first index", _first, FIRST, FIRST),
        Job("index", _index, ("index",), ("index",)),
        Job("fold", _fold, ("index",), ("index",)),
        Job("index --model", _reembed, ("index", "--model", "other"), ("index", "--model", "other")),
        Job("tag --xmp", _tag, XMP, XMP),
        Job("restore", _restore, ("restore", "backup.json"), ("restore", "backup.json")),
        Job(
            "watch",
            _watch,
            ("watch",),
            ("index",),
            (_copies(20, 40), _move, _copies(40, 60), _delete, _copies(60, 80)),
        ),
    )
}
