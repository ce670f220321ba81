"""Photos that no longer are what was indexed."""

import os
import shutil
from pathlib import Path

from tests.library.conftest import Album


def rot(album: Album, name: str, other: str) -> Path:
    """Give a photo the content of another one. Its size and time stay."""
    path, data = album.folder / name, (album.folder / other).read_bytes()
    status = path.stat()
    path.write_bytes(data.ljust(status.st_size, b"\0")[: status.st_size])
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return path


def test_a_photo_whose_content_changed_under_the_same_size_and_time_is_named(album: Album) -> None:
    album.fill()
    assert album.library.check(photos=True).as_dict() == {
        "ok": True,
        "problems": [],
        "photos": {"compared": 4, "skipped": 0, "changed": [], "unreadable": []},
    }
    path = rot(album, "red.png", "green.png")
    (album.folder / "blue.png").unlink()
    album.touch(album.folder / "white.png")
    report = album.library.check(photos=True)
    assert report.photos is not None and not report.ok
    assert report.photos.as_dict() == {"compared": 2, "skipped": 2, "changed": [str(path)], "unreadable": []}
    assert report.problems == (f"{path}: not what was indexed, although its size and time are the same",)
    assert report.advice is not None and "searcher index --check-content" in report.advice
    assert album.library.check().ok  # without reading the photos


def test_check_content_takes_such_photos_in_and_embeds_no_others(album: Album) -> None:
    album.fill()
    ids = album.ids()
    rot(album, "red.png", "green.png")
    assert album.counts() == {"unchanged": 4}
    encoded = album.model.encoded
    report = album.library.index(check_content=True)
    assert (report.changed, report.unchanged, album.model.encoded - encoded) == (1, 3, 1)
    assert album.found("red") == [] and album.library.photo(ids["red.png"])
    assert album.library.check(photos=True).ok
    assert album.library.index(check_content=True).unchanged == 4


def test_photos_of_a_missing_disk_are_not_compared(album: Album) -> None:
    album.fill()
    shutil.move(album.folder, album.folder.with_name("away"))
    report = album.library.check(photos=True)
    assert report.ok and report.photos is not None and (report.photos.compared, report.photos.skipped) == (0, 4)
