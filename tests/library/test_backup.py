"""What a person has typed survives the loss of the catalog."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searcher import Filter, Library, OptionChange, SearcherError
from searcher.library import FolderOptions
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album


@pytest.fixture
def typed(album: Album) -> Album:
    """An album with tags by hand, one of them refused, a taught label, and a folder of which one file is indexed."""
    album.fill()
    album.library.index(album.folder, options=OptionChange(exclude=("*.gif",), hidden=True))
    name = os.fsdecode(b"caf\xe9.png")
    single = album.folder.with_name("single")
    single.mkdir()
    shutil.copy(album.folder / "red.png", single / name)
    shutil.copy(album.folder / "red.png", single / "not indexed.png")
    album.index(single / name)
    ids = album.ids()
    album.library.add_tag("Rex", [ids["red.png"], ids["blue.png"]])
    album.library.add_tag("東京", [ids["green.png"]])
    with album.library._catalog.write() as change:
        change.tags.add_labels({"poodle": "dog"})
    album.library.remove_tag("poodle", [ids["white.png"]])
    album.library.teach("red", [album.folder / "red.png"], [album.folder / "blue.png"])
    return album


@pytest.fixture
def empty(tmp_path: Path, model: HistogramModel) -> Iterator[Library]:
    with Library.open(tmp_path / "second", model=model, create=True) as library:
        yield library


def tags(library: Library) -> dict[str, set[tuple[str, float | None]]]:
    """path → its tags by hand."""
    with library._catalog.read() as view:
        found: dict[str, set[tuple[str, float | None]]] = {}
        for tag in view.backup.typed_tags():
            found.setdefault(os.fsdecode(tag.path), set()).add((tag.label, tag.probability))
        return found


def document(library: Library, file: Path) -> Any:
    library.export(file)
    return json.loads(file.read_bytes())


def without_time(document: Any) -> Any:
    return {key: value for key, value in document.items() if key != "written_at"}


def test_a_backup_in_an_empty_library_and_an_index_run_give_all_back(
    typed: Album, empty: Library, tmp_path: Path
) -> None:
    file, again = tmp_path / "backup.json", tmp_path / "again.json"
    report = typed.library.export(file)
    assert (report.roots, report.tags, report.waiting, report.labels) == (2, 5, 0, 1)
    restored = empty.restore(file)
    assert (restored.roots, restored.tags, restored.waiting, restored.labels) == (2, 5, 5, 1)
    assert without_time(document(empty, again)) == without_time(json.loads(file.read_bytes()))  # before any index run
    assert empty.index().as_dict()["added"] == 5
    assert without_time(document(empty, again)) == without_time(json.loads(file.read_bytes()))
    assert tags(empty) == tags(typed.library)
    assert empty.restore(file).waiting == 0
    assert {folder.path: folder.options for folder in empty.folders()} == {
        str(typed.folder): FolderOptions(("*.gif",), hidden=True),
        str(typed.folder.with_name("single")): FolderOptions(),
    }
    empty.tag(["red"])
    assert "red" in {count.label for count in empty.label_counts()}
    assert empty.check().ok


def test_tags_find_photos_that_moved_or_changed_since(typed: Album, empty: Library, tmp_path: Path) -> None:
    typed.library.export(tmp_path / "backup.json")
    before = tags(typed.library)
    (typed.folder / "sub").mkdir()
    (typed.folder / "blue.png").rename(typed.folder / "sub/moved.png")
    typed.add("green.png", "yellow", 9)
    shutil.copy(typed.folder / "red.png", typed.folder / "a copy of red.png")
    (typed.folder / "white.png").unlink()
    empty.restore(tmp_path / "backup.json")
    empty.index()
    after = tags(empty)
    assert after[str(typed.folder / "sub/moved.png")] == before[str(typed.folder / "blue.png")]
    assert after[str(typed.folder / "green.png")] == {("東京", None)}
    assert after[str(typed.folder / "red.png")] == {("Rex", None)}
    assert after[str(typed.folder / "a copy of red.png")] == {("Rex", None)}  # copies have the same tags by hand
    typed.add("white.png", "white", 3)
    assert (typed.folder / "white.png").stat().st_size
    empty.index()  # the photo that came back gets its tag
    with empty._catalog.read() as view:
        assert view.backup.waiting() == 0
    assert tags(empty)[str(typed.folder / "white.png")] == {("poodle", 0.0)}


def test_a_deleted_photo_has_its_tags_again_when_it_comes_back(typed: Album, empty: Library, tmp_path: Path) -> None:
    blue, away = typed.folder / "blue.png", tmp_path / "blue.png"
    blue.rename(away)
    typed.index(typed.folder)
    typed.add("blue.png", "yellow", 9)  # another photo at its place
    typed.index(typed.folder)
    assert str(blue) not in tags(typed.library)
    assert typed.library.export(tmp_path / "backup.json").waiting == 1
    empty.restore(tmp_path / "backup.json")
    away.rename(typed.folder / "back.png")
    for library in (typed.library, empty):
        library.index()
        after = tags(library)
        assert after[str(typed.folder / "back.png")] == {("Rex", None)} and str(blue) not in after


@pytest.mark.parametrize("other", ["photo", "broken"])
def test_a_renamed_photo_keeps_its_tags_though_another_file_has_its_old_name(typed: Album, other: str) -> None:
    blue = typed.folder / "blue.png"
    blue.rename(typed.folder / "best.png")
    typed.add("blue.png", "yellow", 9)
    if other == "broken":
        blue.write_bytes(blue.read_bytes()[:40])
    typed.index(typed.folder)
    after = tags(typed.library)
    assert after[str(typed.folder / "best.png")] == {("Rex", None)}
    assert after[str(blue)] == {("Rex", None)}  # it may also be an edited photo


def test_what_the_library_has_already_stays(typed: Album, tmp_path: Path) -> None:
    typed.library.export(tmp_path / "backup.json")
    ids = typed.ids()
    typed.library.remove_tag("Rex", [ids["blue.png"]])
    typed.library.index(typed.folder, options=OptionChange(hidden=False))
    before = typed.library.folders()
    report = typed.library.restore(tmp_path / "backup.json")
    assert report.roots == 0 and typed.library.folders() == before
    assert tags(typed.library)[str(typed.folder / "blue.png")] == {("Rex", 0.0)}


def test_a_label_that_was_refused_is_taken_from_what_runs_gave(typed: Album, empty: Library, tmp_path: Path) -> None:
    white = typed.folder / "white.png"
    for library in (typed.library, empty):
        library.index(typed.folder)
        library.tag(["white"])
        assert len(library.search(filter=Filter(tags=("white",)))) == 1
    typed.library.remove_tag("white", [white])
    typed.library.export(tmp_path / "backup.json")
    empty.restore(tmp_path / "backup.json")
    assert "white" not in {count.label for count in empty.label_counts()}
    empty.tag(["white"])
    assert "white" not in {count.label for count in empty.label_counts()}


def test_a_folder_that_overlaps_an_indexed_one_is_not_restored(typed: Album, empty: Library, tmp_path: Path) -> None:
    typed.library.export(tmp_path / "backup.json")
    typed.add("sub/x.png", "yellow", 9)
    empty.index(typed.folder / "sub")
    report = empty.restore(tmp_path / "backup.json")
    assert report.roots == 1 and len(report.notices) == 1 and "indexed already" in report.notices[0]


def test_an_export_replaces_a_backup_but_no_other_file(typed: Album, tmp_path: Path) -> None:
    other = tmp_path / "photos.json"
    other.write_text("[]")
    with pytest.raises(SearcherError, match="is no backup of searcher"):
        typed.library.export(other)
    assert other.read_text() == "[]"
    typed.library.export(tmp_path / "backup.json")
    typed.library.export(tmp_path / "backup.json")
    assert not list(tmp_path.glob(".*.part"))
    with pytest.raises(SearcherError, match="cannot write"):
        typed.library.export(tmp_path / "no/such/folder.json")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"\xff", b'{"kind": "backup of a searcher library"}', b"[" * 9999]
)
def test_another_file_is_refused(empty: Library, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file.json").write_bytes(data)
    with pytest.raises(SearcherError, match="no backup of searcher"):
        empty.restore(tmp_path / "file.json")
    with pytest.raises(SearcherError, match="no such file"):
        empty.restore(tmp_path / "missing.json")
    assert not empty.exists


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(
        ["folders", "labels", "photos", "taught", "version", "path", "options", "tags", "digest", "at", "files"]
    ),
    value=st.one_of(
        st.none(), st.integers(), st.text(max_size=5), st.just([None]), st.just({}), st.just("/a\0b"), st.just([[]])
    ),
)
def test_a_damaged_backup_is_one_clear_line_and_changes_nothing_or_is_restored(
    empty: Library, tmp_path: Path, where: str, value: object
) -> None:
    tag = {"label": "x", "given": True, "at": "2026-01-01T00:00:00Z"}
    photo = {"path": "/a.jpg", "digest": "00" * 16, "tags": [tag]}
    folder = {"path": "/a", "whole": False, "options": {"exclude": ["x"]}, "files": ["b.jpg"]}
    document: dict[str, Any] = {"kind": "backup of a searcher library", "version": 1, "folders": [folder]}
    document |= {"labels": [{"label": "x", "parent": None}], "photos": [photo], "taught": []}
    parts: list[dict[str, Any]] = [document, photo, folder, tag]
    for part in parts:
        if where in part:
            part[where] = value
    file = tmp_path / "backup.json"
    file.write_text(json.dumps(document))
    try:
        empty.restore(file)
    except SearcherError as error:
        assert "backup.json" in str(error)


def test_a_label_below_itself_and_a_file_outside_of_its_folder_are_refused(empty: Library, tmp_path: Path) -> None:
    document: dict[str, Any] = {"kind": "backup of a searcher library", "version": 1, "photos": [], "taught": []}
    folder = {"path": "/a", "whole": False, "options": {}, "files": ["../b.jpg"]}
    circle = [{"label": "x", "parent": "y"}, {"label": "y", "parent": "x"}]
    for change, says in (
        ({"labels": [], "folders": [folder]}, "outside"),
        ({"labels": circle, "folders": []}, "below itself"),
        ({"labels": [], "folders": [], "version": 2}, "newer searcher"),
    ):
        (tmp_path / "b.json").write_text(json.dumps(document | change))
        with pytest.raises(SearcherError, match=says):
            empty.restore(tmp_path / "b.json")
