"""Folders that are found at another path."""

import os
import shutil
from pathlib import Path

import pytest

from searcher import SearcherError
from searcher.photos.decode import read_bytes
from searcher.vectors import pipeline
from tests.library.conftest import Album


def paths(album: Album) -> list[str]:
    return [folder.path for folder in album.library.folders()]


def test_a_moved_folder_keeps_its_photos_ids_and_tags(album: Album) -> None:
    album.fill()
    ids, new = album.ids(), album.folder.with_name("elsewhere")
    album.library.add_tag("mine", [ids["red.png"]])
    album.folder.rename(new)
    assert album.library.move_folder(album.folder, new) == [(str(album.folder), str(new))]
    encoded = album.model.encoded
    assert album.library.index().unchanged == 4 and album.model.encoded == encoded
    assert {Path(name).name: id for name, id in album.ids().items()} == ids
    assert [tag.label for tag in album.library.photo(ids["red.png"]).photo.tags] == ["mine"]


def test_only_a_sample_of_the_photos_is_read(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        album.add(f"{number}.png", "red", number)
    album.index()
    monkeypatch.setattr("searcher.indexer.moving.COMPARED", 5)
    read: list[bytes] = []

    def read_and_note(path: bytes) -> bytes:
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(pipeline, "read_bytes", read_and_note)
    new = album.folder.with_name("elsewhere")
    shutil.copytree(album.folder, new)  # with other times, so only the contents say that they are the same
    for path in new.iterdir():
        os.utime(path, (1, 1))
    album.library.move_folder(album.folder, new)
    assert len(read) == 5 and paths(album) == [str(new)]


def test_all_folders_below_a_mount_point_are_moved_at_once_or_none(album: Album, tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        album.add(f"{name}/1.png", "red", number)
        album.index(album.folder / name)
    new = tmp_path / "mnt"
    shutil.copytree(album.folder, new)
    (new / "b/1.png").write_bytes(b"another file")
    with pytest.raises(SearcherError, match=r"of 1 compared, 1 are missing or others, such as 1\.png"):
        album.library.move_folder(album.folder, new)
    assert paths(album) == [str(album.folder / "a"), str(album.folder / "b")]
    shutil.copy(album.folder / "b/1.png", new / "b/1.png")
    album.library.move_folder(album.folder, new)
    assert paths(album) == [str(new / "a"), str(new / "b")]


def test_a_move_that_makes_no_sense_is_refused_and_changes_nothing(album: Album, tmp_path: Path) -> None:
    album.fill()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(album.folder / "red.png", other / "red.png")
    album.index(other)
    (tmp_path / "empty").mkdir()
    before = paths(album)
    for old, new, says in (
        (album.folder, tmp_path / "nowhere", "no folder"),
        (tmp_path / "nowhere", tmp_path / "empty", "no indexed folder"),
        (album.folder / "sub", tmp_path / "empty", "no indexed folder"),
        (album.folder, tmp_path / "empty", "does not hold the photos"),
        (album.folder, other, "in the library already"),
        (other, album.folder, "in the library already"),
    ):
        with pytest.raises(SearcherError, match=says):
            album.library.move_folder(old, new)
    assert paths(album) == before


def test_a_few_photos_that_changed_since_do_not_prevent_a_move(album: Album) -> None:
    for number in range(20):
        album.add(f"{number}.png", "red", number)
    album.index()
    new = album.folder.with_name("elsewhere")
    album.folder.rename(new)
    (new / "3.png").unlink()
    album.library.move_folder(album.folder, new)
    report = album.library.index()
    assert (report.unchanged, report.removed) == (19, 1)


def test_a_sidecar_of_a_moved_folder_is_still_ours(album: Album) -> None:
    album.fill()
    album.library.teach("red", [album.folder / "red.png"], [album.folder / "blue.png"])
    album.library.tag(["red"])
    album.library.write_sidecars(album.library.tagged(["red"]), {"red": None})
    assert len(list(album.folder.glob("*.xmp"))) >= 1
    new = album.folder.with_name("elsewhere")
    album.folder.rename(new)
    album.library.move_folder(album.folder, new)
    album.library.untag(["red"])
    album.library.write_sidecars(album.library.tagged([]), {"red": None})
    assert "red" not in "".join(path.read_text() for path in new.glob("*.xmp"))
