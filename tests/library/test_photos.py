"""One photo by its id: its details, its thumbnail, and the indexed folders."""

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from searcher import Library, SearcherError
from searcher.errors import InvalidInput, NotFound
from searcher.library.thumbnails import Thumbnails
from tests.library.conftest import Album


def test_a_photo_by_id_has_its_content_copies_and_tags(album: Album) -> None:
    album.fill()
    album.copy("red.png", "sub/copy.png")
    album.index()
    ids = {Path(path).name: number for number in range(1, 6) for path in [album.library.photo(number).photo.path]}
    album.library.add_tag("Rex", [ids["red.png"]])
    details = album.library.photo(ids["red.png"])
    assert details.photo.path == str(album.folder / "red.png")
    assert [(tag.label, tag.source, tag.probability) for tag in details.photo.tags] == [("Rex", "user", 1)]
    assert [copy.path for copy in details.copies] == [str(album.folder / "sub" / "copy.png")]
    assert details.copies[0].tags == details.photo.tags
    assert (details.content.width, details.content.height, details.content.format) == (20, 20, "PNG")


def test_an_unknown_id_is_not_found(album: Album) -> None:
    album.fill()
    for use in (album.library.photo, album.library.thumbnail):
        with pytest.raises(NotFound, match="99"):
            use(99)


def test_a_thumbnail_is_a_small_webp_and_comes_from_the_cache_the_second_time(album: Album) -> None:
    Image.new("RGB", (1000, 500), "red").save(album.folder / "wide.jpg")
    album.index()
    data = album.library.thumbnail(1, 128)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("WEBP", (128, 64))
    (album.folder / "wide.jpg").unlink()
    assert album.library.thumbnail(1, 128) == data
    assert album.library.thumbnail(1, 256) == data  # there is no larger one any more
    with pytest.raises(InvalidInput):
        album.library.thumbnail(1, 100)
    shutil.rmtree(album.library.folder / "thumbnails")
    with pytest.raises(NotFound, match="cannot be read"):
        album.library.thumbnail(1, 256)


def test_the_thumbnail_of_a_photo_whose_file_is_gone_is_made_from_a_copy(album: Album) -> None:
    album.fill()
    album.copy("red.png", "copy.png")
    album.index()
    red = next(number for number in range(1, 6) if album.library.photo(number).photo.relpath == b"red.png")
    (album.folder / "red.png").unlink()
    assert album.library.thumbnail(red)


def test_the_cache_keeps_the_thumbnails_that_were_used_last(album: Album) -> None:
    album.fill()
    cache = Thumbnails(album.library.folder, max_bytes=300)
    sizes = []
    for number in (1, 2, 3, 4) * 3:
        cache.keep(album.library.digest(number), 128, album.library.thumbnail(number, 128))
        sizes.append(cache.size())
    assert 0 < max(sizes) <= 300
    newest = album.library.photo(4).content.digest.hex()
    assert any(newest in path.name for path in cache.folder.rglob("*.webp"))
    assert not list(cache.folder.rglob("*.part"))


def test_a_library_that_cannot_be_written_to_makes_each_thumbnail_anew(album: Album) -> None:
    album.fill()
    (album.library.folder / "thumbnails").write_text("in the way")
    assert album.library.thumbnail(1) == album.library.thumbnail(1)


def test_folders_are_listed_with_counts(album: Album, tmp_path: Path) -> None:
    album.fill()
    (album.folder / "bad.jpg").write_text("no picture")
    album.index()
    other = tmp_path / "other"
    other.mkdir()
    single = album.add(str(other / "single.png"), "red", 9)
    album.index(single)
    found = {folder.path: folder for folder in album.library.folders()}
    assert (found[str(album.folder)].images, found[str(album.folder)].failed) == (4, 1)
    assert found[str(album.folder)].whole and not found[str(other)].whole
    other.rename(tmp_path / "unplugged")
    assert [folder.missing for folder in album.library.folders() if folder.path == str(other)] == [True]


def test_a_library_without_photos_has_no_collection(album: Album) -> None:
    with pytest.raises(SearcherError, match="no photos are indexed"):
        Library.open(album.library.folder, create=True).collection()
