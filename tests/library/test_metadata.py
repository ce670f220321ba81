"""What photos and their sidecars say reaches the catalog, and stays up to date."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from searcher.catalog.rows import FILE, USER, Content
from searcher.datasets.labels import Label
from searcher.errors import NotFound
from searcher.filters import Filter
from searcher.tagger.question import Question
from tests.histogram_model import COLOURS
from tests.library.conftest import Album
from tests.photos.test_metadata import bag, packet


def photo(album: Album, name: str, xmp: str = "", colour: str = "red") -> Path:
    path = album.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), COLOURS[colour]).save(path, "JPEG", xmp=xmp.encode())
    return album.touch(path)


def sidecar(album: Album, name: str, properties: str = "", attributes: str = "") -> Path:
    path = album.folder / name
    path.write_text(packet(properties, attributes))
    return album.touch(path)


def subject(*words: str) -> str:
    return bag("dc:subject", *words)


def tags(album: Album, name: str, source: str = FILE) -> list[str]:
    return sorted(tag.label for tag in details(album, name)[1] if tag.source == source)


def content(album: Album, name: str) -> Content:
    return details(album, name)[0]


def details(album: Album, name: str) -> tuple[Content, tuple]:  # type: ignore[type-arg]
    for found in album.library.tagged([]):
        if found.path == str(album.folder / name):
            whole = album.library.photo(found.id)
            return whole.content, whole.photo.tags
    raise AssertionError(f"{name} is not in the library")


@contextmanager
def database(album: Album) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(album.library.folder / "catalog.sqlite")) as connection, connection:
        yield connection


def test_keywords_in_a_photo_become_tags_of_the_file(album: Album) -> None:
    photo(album, "a.jpg", packet(subject("sea", "sea", "café"), 'xmp:Rating="4"'))
    photo(album, "b.jpg", colour="blue")
    album.index()
    assert (tags(album, "a.jpg"), tags(album, "b.jpg")) == (["café", "sea"], [])
    assert {album.name(photo.path): photo.rating for photo in album.library.tagged([])} == {"a.jpg": 4, "b.jpg": None}
    (hit,) = album.library.search(filter=Filter(tags=("sea",)))
    assert album.name(hit.path) == "a.jpg"
    assert {(count.label, count.source) for count in album.library.label_counts()} == {("café", FILE), ("sea", FILE)}


def test_a_path_of_keywords_becomes_labels_with_parents(album: Album) -> None:
    photo(album, "a.jpg", packet(bag("lr:hierarchicalSubject", "Places|France|Paris")))
    photo(album, "b.jpg", packet(bag("lr:hierarchicalSubject", "Places|France"), 'xmp:Rating="1"'), "blue")
    album.index()
    assert (tags(album, "a.jpg"), tags(album, "b.jpg")) == (["Paris"], ["France"])
    assert len(album.library.search(filter=Filter(tags=("Places",)))) == 2
    assert len(album.library.search(filter=Filter(tags=("Paris",)))) == 1


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("People|Paris", ["Paris", "People"]),  # a label has one parent
        ("Paris|Places", ["Paris", "Places"]),  # a circle
        ("Berlin|Berlin", ["Berlin"]),
        ("Paris|Louvre", ["Louvre"]),
        ("World|Places", ["Places"]),
    ],
)
def test_a_path_that_does_not_fit_the_tree_becomes_plain_labels(album: Album, second: str, expected: list[str]) -> None:
    photo(album, "a.jpg", packet(bag("lr:hierarchicalSubject", "Places|Paris")))
    album.index()
    photo(album, "b.jpg", packet(bag("lr:hierarchicalSubject", second)), "blue")
    album.index()
    assert tags(album, "b.jpg") == expected
    assert len(album.library.search(filter=Filter(tags=("Paris",)))) >= 1
    assert album.library.check().ok


def test_a_keyword_of_a_file_that_a_person_refused_does_not_count(album: Album) -> None:
    photo(album, "a.jpg", packet(bag("lr:hierarchicalSubject", "Places|Paris") + subject("Paris", "sea")))
    shutil.copy2(album.folder / "a.jpg", album.folder / "copy.jpg")
    album.index()
    in_files = Filter(sources=(FILE,))
    library = album.library
    assert {count.label for count in library.label_counts(in_files)} == {"Paris", "sea"}
    assert len(library.search(filter=Filter(tags=("Places",), sources=(FILE,)))) == 1
    assert library.edit_tags([album.folder / "a.jpg"], remove=["Paris"]).removed == {"Paris": 1}
    sidecar(album, "a.jpg.xmp", subject("Paris", "lake"))  # reading it again does not bring the label back
    album.index()
    assert (tags(album, "a.jpg"), tags(album, "copy.jpg")) == (["lake"], ["sea"])
    assert {count.label for count in library.label_counts(in_files)} == {"lake", "sea"}
    with pytest.raises(NotFound, match="no photo has the label 'Places'"):
        library.search(filter=Filter(tags=("Places",)))
    assert len(library.search(filter=Filter(not_tags=("Paris",), sources=(FILE,)))) == 1
    library.add_tag("Paris", [album.folder / "copy.jpg"])
    assert tags(album, "a.jpg") == ["Paris", "lake"]


def test_a_changed_photo_has_its_new_keywords_and_keeps_those_given_by_hand(album: Album) -> None:
    photo(album, "a.jpg", packet(subject("old", "both")))
    album.index()
    (first,) = album.library.tagged([])
    album.library.add_tag("mine", [first.id])
    photo(album, "a.jpg", packet(subject("new", "both")))
    assert album.counts() == {"changed": 1}
    assert tags(album, "a.jpg") == ["both", "new"]
    assert tags(album, "a.jpg", USER) == ["mine"]


def test_a_sidecar_is_read_when_it_appears_changes_and_goes_though_its_photo_does_not_change(album: Album) -> None:
    photo(album, "a.jpg", packet(subject("inside"), 'xmp:Rating="2" exif:DateTimeOriginal="2020-01-02T03:04:05+01:00"'))
    album.index()
    path = sidecar(album, "a.jpg.xmp", subject("beside"), 'xmp:Rating="5" exif:DateTimeOriginal="2021-06-01"')
    report = album.index()
    assert (report.unchanged, report.changed) == (1, 0)
    assert report.notices == (
        "1 sidecar was added, changed or removed: the tags and metadata of the photos are up to date",
    )
    found = content(album, "a.jpg")
    assert (found.rating, found.taken_at, found.taken_offset) == (5, "2021-06-01T00:00:00", None)
    assert tags(album, "a.jpg") == ["beside"]

    sidecar(album, "a.jpg.xmp", "<dc:description>sun</dc:description>")
    album.index()
    found = content(album, "a.jpg")
    assert (found.rating, found.taken_at, found.taken_offset) == (2, "2020-01-02T03:04:05", 60)
    assert (found.description, tags(album, "a.jpg")) == ("sun", ["inside"])
    assert album.index().notices == ()

    path.unlink()
    album.index()
    assert content(album, "a.jpg").description is None
    assert album.index().notices == ()
    assert album.model.encoded == 1


def test_a_new_photo_is_read_together_with_its_sidecar(album: Album) -> None:
    photo(album, "a.jpg")
    sidecar(album, "a.XMP", subject("short name"))
    photo(album, "b.jpg", colour="blue")
    sidecar(album, "b.jpg.xmp", subject("long"))
    sidecar(album, "b.xmp", subject("ignored"))
    assert album.index().notices == ()
    assert (tags(album, "a.jpg"), tags(album, "b.jpg")) == (["short name"], ["long"])


def test_a_sidecar_that_may_belong_to_two_photos_belongs_to_none_but_a_raw_file_is_no_other_photo(album: Album) -> None:
    for name, colour in (("a.jpg", "red"), ("a.png", "blue"), ("b.jpg", "green")):
        photo(album, name, colour=colour)
    (album.folder / "b.CR2").write_bytes(b"raw")
    sidecar(album, "a.xmp", subject("whose"))
    sidecar(album, "b.xmp", subject("raw and jpeg"))
    album.index()
    assert [tags(album, name) for name in ("a.jpg", "a.png", "b.jpg")] == [[], [], ["raw and jpeg"]]
    album.index(album.folder / "a.jpg", album.folder / "b.jpg")
    assert [tags(album, name) for name in ("a.jpg", "b.jpg")] == [[], ["raw and jpeg"]]


def test_the_sidecar_of_a_single_named_photo_is_read(album: Album) -> None:
    path = photo(album, "sub/a.jpg")
    sidecar(album, "sub/a.jpg.xmp", subject("one"))
    album.index(path)
    assert tags(album, "sub/a.jpg") == ["one"]
    sidecar(album, "sub/a.jpg.xmp", subject("two"))
    album.index(path)
    assert tags(album, "sub/a.jpg") == ["two"]


def test_a_sidecar_moves_with_its_photo_and_stays_behind_without_it(album: Album) -> None:
    for name, colour in (("a.jpg", "red"), ("b.jpg", "blue")):
        photo(album, name, colour=colour)
        sidecar(album, f"{name}.xmp", subject(f"with {name}"), 'xmp:Rating="3"')
    album.index()
    (album.folder / "new").mkdir()
    for name in ("a.jpg", "a.jpg.xmp", "b.jpg"):
        shutil.move(album.folder / name, album.folder / "new" / name)
    assert album.counts() == {"moved": 2}
    assert (tags(album, "new/a.jpg"), tags(album, "new/b.jpg")) == (["with a.jpg"], [])
    assert (content(album, "new/a.jpg").rating, content(album, "new/b.jpg").rating) == (3, None)
    assert album.index().notices == ()


def test_a_copy_has_the_keywords_of_its_own_sidecar(album: Album) -> None:
    photo(album, "a.jpg", packet(subject("inside")))
    album.copy("a.jpg", "b.jpg")
    sidecar(album, "b.jpg.xmp", subject("beside"), 'xmp:Rating="5"')
    album.index()
    assert (tags(album, "a.jpg"), tags(album, "b.jpg")) == (["inside"], ["beside"])
    assert content(album, "a.jpg").rating == 5
    (album.folder / "b.jpg").unlink()
    album.index()
    assert content(album, "a.jpg").rating is None


def test_what_searcher_wrote_into_a_sidecar_does_not_come_back_as_peoples_own(album: Album) -> None:
    photo(album, "red.jpg")
    sidecar(album, "red.jpg.xmp", subject("holiday"))
    album.index()
    album.library.tag(Question((Label("red", ("red",), "colour"),)))
    assert album.library.write_sidecars(album.library.tagged(["red"]), {"red": None}).changed == 1
    assert "red" in (album.folder / "red.jpg.xmp").read_text()
    album.index()
    assert tags(album, "red.jpg") == ["holiday"]
    # moved, and copied, with its sidecar
    (album.folder / "sub").mkdir()
    for name in ("red.jpg", "red.jpg.xmp"):
        shutil.copy(album.folder / name, album.folder / "sub" / name)
    album.index()
    for name in ("red.jpg", "red.jpg.xmp"):
        (album.folder / name).rename(album.folder / f"moved-{name}")
    album.index()
    assert (tags(album, "moved-red.jpg"), tags(album, "sub/red.jpg")) == (["holiday"], ["holiday"])


def test_a_sidecar_that_cannot_be_read_is_a_notice_once_and_fails_no_photo(album: Album) -> None:
    photo(album, "a.jpg", packet(subject("inside")))
    (album.folder / "a.jpg.xmp").write_text('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    report = album.index()
    assert (report.added, report.failed) == (1, 0)
    assert len(report.notices) == 1 and "a.jpg.xmp: unsafe XML" in report.notices[0]
    assert tags(album, "a.jpg") == ["inside"]
    assert album.index().notices == ()


def test_photos_that_an_earlier_version_indexed_are_read_once_and_not_embedded_again(album: Album) -> None:
    photo(album, "a.jpg", packet(subject("sea"), 'xmp:Rating="4"'))
    photo(album, "b.jpg", packet(subject("snow")), "blue")
    photo(album, "gone.jpg", packet(subject("city")), "green")
    album.index()
    sharp = content(album, "a.jpg")
    assert sharp.phash is not None and sharp.sharpness is not None
    with database(album) as older:
        older.execute("UPDATE contents SET embedded = NULL, phash = NULL, sharpness = NULL, rating = NULL")
        older.execute("DELETE FROM tags")
    sidecar(album, "b.jpg.xmp", attributes='xmp:Rating="1"')
    away = album.folder.parent / "gone.jpg"
    shutil.move(album.folder / "gone.jpg", away)
    report = album.index(album.folder / "a.jpg", album.folder / "b.jpg")
    assert (report.unchanged, report.added, report.changed) == (2, 0, 0)
    assert report.notices[-1] == "the metadata of 2 photos that an earlier version indexed was read"
    assert content(album, "a.jpg") == sharp
    assert (tags(album, "a.jpg"), tags(album, "b.jpg"), tags(album, "gone.jpg")) == (["sea"], ["snow"], [])
    assert content(album, "b.jpg").rating == 1
    shutil.move(away, album.folder / "gone.jpg")
    assert album.index().notices == ("the metadata of 1 photo that an earlier version indexed was read",)
    assert tags(album, "gone.jpg") == ["city"]
    assert album.index().notices == ()
    assert album.model.encoded == 3


def test_an_older_photo_that_is_refused_now_is_tried_once(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(album, "a.jpg", packet(subject("sea")))
    album.index()
    with database(album) as older:
        older.execute("UPDATE contents SET embedded = NULL")

    def refuse(*_: object) -> None:
        raise ValueError("refused")

    monkeypatch.setattr("searcher.indexer.metadata.decode_guarded", refuse)
    album.index()
    monkeypatch.undo()
    assert album.index().notices == ()
    assert tags(album, "a.jpg") == []
