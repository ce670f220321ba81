"""A library in Milvus: it reads and tags like one in a folder, and says in one line what it cannot do."""

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from searcher import Filter, Library, Near
from searcher.catalog.rows import Photo
from searcher.commands import main
from searcher.errors import Busy, InvalidInput, NotFound, SearcherError
from searcher.library.folders import FolderMethods
from searcher.library.remote import RemoteLibrary
from searcher.library.revision import PATIENCE_S, Revision
from searcher.library.tagging import TeachMethods
from tests.histogram_model import HistogramModel
from tests.library.twins import Twins, twins_in


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with twins_in(tmp_path_factory.mktemp("twins")) as twins:
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
    "search": lambda library, ids: library.search("red", top=1),
    "search like a photo": lambda library, ids: library.search(
        also=library.terms(likes=[f"id:{ids['red.png']}"]), top=1
    ),
    "search like a file": lambda library, ids: library.search(like=library.photo(ids["red.png"]).photo.path, top=1),
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
    "image_files": lambda library, ids: [
        (id, file.photo.path, file.width, file.height, file.bytes)
        for id, file in library.image_files([ids["red.png"], 999]).items()
    ],
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


def test_both_kinds_of_library_answer_the_same(twins: Twins) -> None:
    found, expected = (
        {name: plain(read(library, twins.ids)) for name, read in READS.items()}
        for library in (twins.milvus, twins.folder)
    )
    assert all(expected.values())
    assert {name: value for name, value in found.items() if value != expected[name]} == {}


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
    with pytest.raises(NotFound, match="no photo has the label 'Anna'"):
        library.search(filter=Filter(tags=("Anna",)))
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
    with pytest.raises(NotFound, match="no photo has the label 'green'"):
        library.search(filter=Filter(tags=("green",)))


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


def test_pictures_come_from_uris_or_from_the_thumbnails_that_were_loaded(twins: Twins) -> None:
    library = twins.far
    assert library.content(1) == (twins.album.folder / "red.png").read_bytes()
    assert opened(library.thumbnail(1, 128)).format == "WEBP"
    assert library.thumbnail(2, 256) == twins.stored
    assert library.thumbnail(2, 512) == twins.stored
    assert opened(library.thumbnail(2, 128)).size == (128, 85)
    assert opened(library.thumbnail(2, 1024)).size == (256, 170)
    for read in (library.thumbnail, library.preview, library.content):
        with pytest.raises(NotFound, match="cannot be read"):
            read(3)
    for read in (library.preview, library.content):
        with pytest.raises(NotFound, match=r"/elsewhere/green\.png"):
            read(2)
    with pytest.raises(InvalidInput, match="a thumbnail has 128, 256, 512, 1024 pixels, not 100"):
        library.thumbnail(2, 100)
    roots = {folder.path: folder.missing for folder in library.summary().folders}
    assert all(missing == (not path.startswith(("file://", "gone://"))) for path, missing in roots.items()), roots


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


def test_commands_show_a_collection(twins: Twins, capsys: pytest.CaptureFixture[str]) -> None:
    def prints(*words: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main.main(args=[*words, "--library", twins.address, "--json"])
        said = capsys.readouterr()
        assert (ended.value.code or 0, said.err) == (0, "")
        return json.loads(said.out)

    status = prints("status")
    assert (status["library"], status["images"], status["bytes"]) == (twins.address, 4, None)
    assert status["index"] == {"kind": "milvus", "vectors": 3, "pending": 0}
    photo = str(twins.album.folder / "red.png")
    assert prints("tag", "--add", "Mia", photo)["added"] == {"Mia": 1}
    assert {"label": "Mia", "source": "user", "photos": 1} in prints("tags")
    assert prints("tag", "--remove", "Mia", photo)["removed"] == {"Mia": 1}


def test_commands_that_need_a_folder_say_so(
    twins: Twins, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = str(twins.album.folder / "red.png")
    monkeypatch.chdir(tmp_path)
    for words, named in {
        ("index", photo): "index",
        ("index", "--model", "builtin"): "index",
        ("watch",): "watch",
        ("teach", "Rex", photo): "teach",
        ("teach", "Rex", "--forget"): "teach --forget",
        ("duplicates",): "duplicates",
        ("forget", photo): "forget",
        ("roots",): "roots",
        ("roots", "move", photo, str(tmp_path)): "roots move",
        ("export", "backup.json"): "export",
        ("restore", "backup.json"): "restore",
        ("check",): "check",
        ("status", "--failed"): "status --failed",
        ("tag", "--labels", "violet", "--xmp"): "tag --xmp",
        ("tag", "--add", "Anna", photo, "--xmp"): "tag --xmp",
    }.items():
        with pytest.raises(SystemExit) as ended:
            main.main(args=[*words, "--library", twins.address])
        said = capsys.readouterr()
        line = f"Error: {twins.address} is a Milvus collection: `searcher {named}` needs a library folder\n"
        assert (ended.value.code, said.out, said.err) == (1, "", line), words
    assert not {"violet", "Anna"} & {count.label for count in twins.milvus.label_counts()}
    assert not list(tmp_path.iterdir())


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
