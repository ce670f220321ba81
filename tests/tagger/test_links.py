"""Sorting photos into folders of symbolic links."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.catalog.rows import ZERO_SHOT, Photo, PhotoTag
from searcher.errors import SearcherError
from searcher.tagger.links import LONGEST_NAME, folder_name, link_photos


def photo(number: int, path: bytes, *labels: str) -> Photo:
    return Photo(number, number, b"/photos", path, tags=tuple(PhotoTag(label, ZERO_SHOT, 0.9) for label in labels))


def links(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): str(path.readlink()) for path in folder.rglob("*") if path.is_symlink()}


def test_there_is_one_folder_per_label_with_one_link_per_photo(tmp_path: Path) -> None:
    report = link_photos([photo(1, b"a/x.jpg", "cat", "dog"), photo(2, b"y.jpg")], ["cat", "dog"], tmp_path / "out")
    assert links(tmp_path / "out") == {"cat/x.jpg": "/photos/a/x.jpg", "dog/x.jpg": "/photos/a/x.jpg"}
    assert (report.made, report.kept, report.removed) == (2, 0, 0)


def test_other_labels_of_a_photo_get_no_folder(tmp_path: Path) -> None:
    report = link_photos([photo(1, b"x.jpg", "cat", "dog")], ["dog"], tmp_path / "out")
    assert links(tmp_path / "out") == {"dog/x.jpg": "/photos/x.jpg"}
    assert report.made == 1


def test_photos_with_the_same_file_name_all_get_a_link(tmp_path: Path) -> None:
    photos = [photo(1, b"a/x.jpg", "cat"), photo(2, b"b/x.jpg", "cat")]
    link_photos(photos, ["cat"], tmp_path)
    expected = {"cat/x.jpg": "/photos/a/x.jpg", "cat/x (2).jpg": "/photos/b/x.jpg"}
    assert links(tmp_path) == expected
    assert link_photos(photos, ["cat"], tmp_path).kept == 2
    assert links(tmp_path) == expected


def test_a_link_is_removed_with_its_label_and_other_files_stay(tmp_path: Path) -> None:
    link_photos([photo(1, b"x.jpg", "cat"), photo(2, b"y.jpg", "cat")], ["cat"], tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("mine")
    (tmp_path / "cat" / "elsewhere").symlink_to("/somewhere/else.jpg")
    report = link_photos([photo(1, b"x.jpg", "cat"), photo(2, b"y.jpg")], ["cat"], tmp_path)
    assert links(tmp_path) == {"cat/x.jpg": "/photos/x.jpg", "cat/elsewhere": "/somewhere/else.jpg"}
    assert (tmp_path / "cat" / "notes.txt").read_text() == "mine"
    assert (report.made, report.kept, report.removed) == (0, 1, 1)


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "x.jpg").write_text("mine")
    link_photos([photo(1, b"x.jpg", "cat")], ["cat"], tmp_path)
    assert (tmp_path / "cat" / "x.jpg").read_text() == "mine"
    assert links(tmp_path) == {"cat/x~.jpg": "/photos/x.jpg"}


def test_a_dry_run_makes_no_links(tmp_path: Path) -> None:
    assert link_photos([photo(1, b"x.jpg", "cat")], ["cat"], tmp_path / "out", dry_run=True).made == 1
    assert not (tmp_path / "out").exists()


def test_file_names_need_not_be_utf8(tmp_path: Path) -> None:
    link_photos([photo(1, b"caf\xe9.jpg", "cat")], ["cat"], tmp_path)
    assert links(tmp_path) == {"cat/caf\udce9.jpg": "/photos/caf\udce9.jpg"}


@given(st.text(min_size=1, max_size=400).filter(lambda name: name.strip()))
def test_any_label_becomes_a_valid_folder_name(label: str) -> None:
    name = folder_name(label.encode("utf-8", "replace").decode())
    assert name not in ("", ".", "..") and "/" not in name and "\0" not in name
    assert len(name.encode()) <= LONGEST_NAME + 9


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SearcherError, match="cannot make links"):
        link_photos([photo(1, b"x.jpg", "cat")], ["cat"], tmp_path / "file")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("target", ["photos", "absent"])
def test_a_label_folder_that_is_a_link_is_refused_and_its_target_unchanged(
    tmp_path: Path, dry_run: bool, target: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.jpg").symlink_to("/photos/y.jpg")  # would be removed as a link without its label
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cat").symlink_to(tmp_path / target)
    with pytest.raises(SearcherError, match="cat is itself a link"):
        link_photos([photo(1, b"x.jpg", "cat"), photo(2, b"y.jpg")], ["cat"], tmp_path / "out", dry_run=dry_run)
    assert links(tmp_path / "photos") == {"x.jpg": "/photos/y.jpg"}
    assert not (tmp_path / "absent").exists()


def test_the_folder_of_all_links_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    assert link_photos([photo(1, b"x.jpg", "cat")], ["cat"], tmp_path / "out").made == 1
    assert links(tmp_path / "real") == {"cat/x.jpg": "/photos/x.jpg"}
