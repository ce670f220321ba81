"""A library in Milvus: it reads and tags like one in a folder, and says in one line what it cannot do."""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from searcher import Filter, Library, Near
from searcher.catalog import Catalog
from searcher.catalog.rows import Photo
from searcher.errors import Busy, InvalidInput, NotFound, SearcherError
from searcher.library.folders import FolderMethods
from searcher.library.remote import RemoteLibrary
from searcher.library.revision import PATIENCE_S, Revision
from searcher.library.tagging import TeachMethods
from searcher.scale.milvus.address import read_address
from tests.histogram_model import COLOURS, HistogramModel
from tests.library.conftest import Album
from tests.scale.milvus.filling import copy_to_milvus


def photo_of_paris(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS 5"
    exif.get_ifd(0x8769)[0x9003] = "2023:06:05 10:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 21.0, 0.0)})
    Image.new("RGB", (30, 20), COLOURS["blue"]).save(path, exif=exif)


class Twins:
    """The same photos in a folder and in Milvus, under the same ids."""

    def __init__(self, folder: Path) -> None:
        model = HistogramModel()
        (folder / "photos").mkdir()
        self.folder = Library.open(folder / "library", model=model, create=True)
        album = Album(folder / "photos", self.folder, model)
        album.add("red.png", "red", 1)
        album.add("trips/green.png", "green", 2)
        photo_of_paris(album.folder / "trips" / "blue.jpg")
        album.copy("red.png", "trips/copy of red.png")
        (album.folder / "broken.jpg").write_text("no picture")
        album.index()
        self.ids = {os.path.relpath(hit.path, album.folder): hit.id for hit in self.folder.search("red green blue")}
        self.folder.tag(["red", "blue"])
        self.folder.add_tag("Rex", [self.ids["trips/green.png"]])
        self.address = f"milvus:{folder}/library.db/photos"
        with closing(Catalog(self.folder.folder)) as catalog, catalog.read() as view:
            row = view.models.current()
            assert row is not None
            copy_to_milvus(catalog, row, read_address(self.address), folder).close()
        self.milvus = Library.open(self.address, model=model)

    def close(self) -> None:
        self.milvus.close()
        self.folder.close()


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with closing(Twins(tmp_path_factory.mktemp("twins"))) as twins:
        yield twins


def plain(value: Any) -> Any:
    """A value without what is kept in another way: the root of a photo, the last digits of a score."""
    if isinstance(value, Photo):
        return (value.id, value.path, value.taken_at, value.rating, value.width, value.height, *value.tags)
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "__slots__"):
        return [plain(getattr(value, name)) for name in value.__slots__]
    return value


READS: dict[str, Callable[[Library, dict[str, int]], Any]] = {
    "search": lambda library, ids: library.search("red"),
    "search like a photo": lambda library, ids: library.search(also=library.terms(likes=[f"id:{ids['red.png']}"])),
    "search like a file": lambda library, ids: library.search(like=library.photo(ids["red.png"]).photo.path),
    "search with a tag": lambda library, ids: library.search(filter=Filter(tags=("Rex",))),
    "search in a folder": lambda library, ids: library.search(
        "red",
        filter=Filter(folders=(os.path.dirname(library.photo(ids["trips/green.png"]).photo.path),)),  # noqa: PTH120
    ),
    "search near": lambda library, ids: library.search(filter=Filter(near=Near(48.86, 2.35, km=20), camera="canon")),
    "page": lambda library, ids: library.page(library.rank(), 1, 2),
    "photo": lambda library, ids: library.photo(ids["red.png"]),
    "digest": lambda library, ids: library.digest(ids["red.png"]),
    "content": lambda library, ids: library.content(ids["red.png"]),
    "thumbnail": lambda library, ids: library.thumbnail(ids["trips/blue.jpg"], 128),
    "preview": lambda library, ids: library.preview(ids["trips/blue.jpg"]),
    "image_files": lambda library, ids: library.image_files([ids["red.png"], 999]),
    "with_copies": lambda library, ids: library.with_copies([ids["red.png"], 999]),
    "labels": lambda library, ids: library.labels(),
    "label_counts": lambda library, ids: library.label_counts(),
    "label_counts with a filter": lambda library, ids: library.label_counts(Filter(sources=("user",))),
    "label_overview": lambda library, ids: library.label_overview(),
    "tagged": lambda library, ids: list(library.tagged(["Rex", "blue"])),
    "preview_tags": lambda library, ids: sorted(map(plain, library.preview_tags(library.ask("green")))),
    "timeline": lambda library, ids: library.timeline(),
    "places": lambda library, ids: library.places(),
    "facets": lambda library, ids: [library.facets().cameras, library.facets().formats, library.facets().orientations],
    "sources": lambda library, ids: library.facets().sources,
    "summary": lambda library, ids: [(folder.images, folder.failed) for folder in library.summary().folders],
    "status": lambda library, ids: [library.status().model, library.status().images, library.status().vectors],
    "classify": lambda library, ids: list(
        library.classify(library.ask("red,blue"), [Path(library.photo(ids["red.png"]).photo.path)])
    ),
}


@pytest.mark.parametrize("read", READS)
def test_both_kinds_of_library_answer_the_same(twins: Twins, read: str) -> None:
    found = plain(READS[read](twins.milvus, twins.ids))
    assert found == plain(READS[read](twins.folder, twins.ids))
    assert found


def test_labels_given_by_hand_are_found_at_once_and_taken_away_again(twins: Twins) -> None:
    library, before = twins.milvus, twins.milvus.revision
    path = library.photo(twins.ids["red.png"]).photo.path
    planned = library.edit_tags([path], add=["Anna"], dry_run=True)
    assert (planned.photos, planned.added) == (1, {"Anna": 1})
    assert library.revision == before
    assert library.add_tag("Anna", [path]) == 1
    assert library.revision != before
    (hit,) = library.search(filter=Filter(tags=("Anna",)))
    assert (hit.path, len(hit.copies)) == (path, 1)
    assert [count.photos for count in library.label_counts() if count.label == "Anna"] == [1]
    assert library.remove_tag("Anna", [hit.id]) == 1
    assert not library.search(filter=Filter(tags=("Anna",), sources=("user",)))
    with pytest.raises(NotFound, match="not a photo of the library"):
        library.add_tag("Anna", ["/elsewhere/red.png"])


def test_a_run_tags_all_photos_and_can_be_taken_back(twins: Twins) -> None:
    library = twins.milvus
    report = library.tag(["green"])
    assert (report.photos, report.tagged) == (3, {"green": 1})
    assert [hit.id for hit in library.search(filter=Filter(tags=("green",)))] == [twins.ids["trips/green.png"]]
    assert library.tag(["green"]).asked == 0
    assert library.untag(["green"], dry_run=True) == 1
    assert library.untag(["green"]) == 1
    assert not library.search(filter=Filter(tags=("green",), sources=("zero-shot",)))


def test_what_needs_a_folder_is_refused_with_one_line(twins: Twins) -> None:
    names = [name for methods in (FolderMethods, TeachMethods) for name in vars(methods) if not name.startswith("_")]
    assert len(names) > 15
    assert not twins.milvus.has_folder
    for name in names:
        with pytest.raises(InvalidInput) as refused:
            getattr(twins.milvus, name)()
        assert str(refused.value).startswith(f"{twins.milvus.location} is a Milvus collection: `searcher ")
        assert str(refused.value).endswith("` needs a library folder")
    with pytest.raises(InvalidInput, match="`searcher index` needs"):
        twins.milvus.index("photos")
    with pytest.raises(AttributeError):
        twins.milvus.no_such_method  # type: ignore[attr-defined]  # noqa: B018


def test_errors_of_opening_are_one_line(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = twins.address.replace("photos", "others")
    with pytest.raises(NotFound, match="holds no photos: fill it with `searcher load"):
        Library.open(nowhere, create=True)
    with pytest.raises(InvalidInput, match="the address names no server"):
        Library.open("milvus:photos")
    with Library.open(twins.address, model=HistogramModel("another")) as library, pytest.raises(InvalidInput):
        library.search("red")
    with Library.open(twins.address) as library, pytest.raises(NotFound, match="neither in /models/histogram nor"):
        library.search("red")
    for name in [name for name in sys.modules if name.startswith("searcher.scale.milvus.co")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(SearcherError, match=r"needs pymilvus: run pip install 'searcher\[scale\]'"):
        Library.open(twins.address)


def test_the_environment_names_a_collection(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHER_LIBRARY", twins.address)
    with Library.open() as library:
        assert isinstance(library, RemoteLibrary)
        assert library.location == twins.address


class FewMilvus:
    """What a RemoteLibrary asks of a collection to show one photo, whose file is at `path`."""

    def __init__(self, path: str, thumbnail: bytes | None) -> None:
        self.photo = Photo(1, 1, b"", os.fsencode(path))
        self.thumbnail = thumbnail


def test_pictures_come_from_uris_and_else_from_thumbnails(twins: Twins, tmp_path: Path) -> None:
    from tests.scale.milvus.test_loading import FACTS  # noqa: F401

    assert twins and tmp_path


def test_a_revision_does_not_wait_for_a_slow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, slow = iter(["1", "2"]), threading.Event()

    def ask() -> str:
        if slow.is_set():
            time.sleep(2)
            raise Busy("the server does not answer")
        return next(answers)

    monkeypatch.setattr("searcher.library.revision.EVERY_S", 0.0)
    revision = Revision(ask)
    assert revision.text() == "2"
    slow.set()
    begun = time.monotonic()
    assert [revision.text() for _ in range(5)] == ["2"] * 5
    assert time.monotonic() - begun < PATIENCE_S + 1


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
