"""Opening, searching and checking a library through its public methods."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from searcher import Library, Query, SearcherError, Term
from searcher.catalog.connect import CATALOG_NAME
from searcher.errors import NotFound
from searcher.library import default_library_dir, location
from searcher.vectors.writing import write
from tests.histogram_model import COLOURS, HistogramModel
from tests.library.conftest import Album


@pytest.fixture
def full(album: Album) -> Album:
    """An indexed album of 60 photos, ten of each colour."""
    for number, colour in enumerate(list(COLOURS) * 10):
        album.add(f"{colour}{number:02}.png", colour, number)
    album.index()
    return album


def index_file(album: Album) -> Path:
    (path,) = album.library.folder.glob("*.faiss")
    return path


def reopened(album: Album) -> Library:
    album.library.close()
    return Library.open(album.library.folder, model=album.model)


# the default folder


def test_the_default_library_depends_on_the_environment_and_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHER_LIBRARY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = default_library_dir()
    assert user.is_absolute() and user.name == "searcher"
    local = Path("index_data")
    local.mkdir()
    (local / "README.md").write_text("# Something else\n")
    assert default_library_dir() == user
    (local / "README.md").write_text(f"{location.README_TITLE}: the default library of this checkout\n")
    assert default_library_dir() == local
    (local / "README.md").unlink()
    (local / CATALOG_NAME).touch()
    assert default_library_dir() == local
    monkeypatch.setenv("SEARCHER_LIBRARY", str(tmp_path / "mine"))
    assert default_library_dir() == tmp_path / "mine"


def test_the_readme_of_this_checkout_marks_its_library() -> None:
    readme = Path(__file__).parents[2] / "index_data" / "README.md"
    assert readme.read_text(encoding="utf-8").startswith(location.README_TITLE)


def test_opening_a_missing_library_is_an_error_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(SearcherError, match="no library"):
        Library.open(tmp_path / "library")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_a_file_is_not_a_library(tmp_path: Path, create: bool) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(SearcherError, match="file is a file: name a folder for the library"):
        Library.open(tmp_path / "file", create=create)


# searching


def test_a_search_returns_the_best_hits_first_and_at_most_top(full: Album) -> None:
    hits = full.library.search("red", top=7)
    assert [hit.rank for hit in hits] == list(range(1, 8))
    assert all("red" in hit.path for hit in hits)
    scores = [hit.score for hit in full.library.search("red", top=1000)]
    assert scores == sorted(scores, reverse=True) and len(scores) == 60


def test_a_search_by_image_finds_the_image_itself_and_similar_ones(full: Album) -> None:
    path = full.folder / "green01.png"
    hits = full.library.search(like=path, top=10)
    assert all("green" in hit.path for hit in hits)
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    assert not hits.nothing_fits
    assert full.library.search(Query(like=path, top=10)) == hits


def test_a_hit_as_a_dict_has_the_documented_fields(full: Album) -> None:
    row = full.library.search("red", top=1)[0].as_dict()
    assert list(row) == ["rank", "id", "path", "copies", "score", "relevance", "taken_at", "tags"]
    assert (row["rank"], row["copies"], row["taken_at"], row["tags"]) == (1, [], None, [])
    assert 0.5 < row["relevance"] <= 1
    assert full.library.search(like=row["path"])[0].relevance is None


def test_nothing_fits_is_set_only_if_no_photo_fits(full: Album) -> None:
    assert full.library.search("a thing without a colour").nothing_fits
    assert not full.library.search("a red thing").nothing_fits


def test_an_invalid_query_is_an_error(full: Album) -> None:
    for wrong in (
        {"query": ""},
        {"query": " \n"},
        {},
        {"query": "red", "top": 0},
        {"query": "a", "like": "b"},
    ):
        with pytest.raises(SearcherError):
            full.library.search(**wrong)
    for like in (full.folder / "missing.png", full.folder):
        with pytest.raises(SearcherError):
            full.library.search(like=like)


def test_hits_are_the_same_with_a_new_an_old_and_no_index_file(full: Album) -> None:
    path = index_file(full)
    old = path.read_bytes()
    for number in range(60, 120):
        full.add(f"blue{number}.png", "blue", number)
    full.index()
    assert full.library.status().vectors == 120
    queries = ["red", "blue", "red yellow", "black white"]
    with_new = [full.library.search(query, top=50) for query in queries]
    path.write_bytes(old)
    with reopened(full) as library:
        status = library.status()
        assert (status.kind, status.vectors, status.pending) == ("flat", 60, 60)
        assert [library.search(query, top=50) for query in queries] == with_new
        path.unlink()
    with reopened(full) as library:
        assert (library.status().kind, library.status().pending) == ("none", 120)
        assert [library.search(query, top=50) for query in queries] == with_new


def test_vectors_of_deleted_photos_are_skipped_and_do_not_reduce_the_hits(full: Album) -> None:
    with closing(sqlite3.connect(full.library.folder / CATALOG_NAME)) as catalog, catalog:
        catalog.execute("PRAGMA foreign_keys = ON")
        catalog.execute("DELETE FROM images WHERE CAST(relpath AS TEXT) GLOB '*[0-4][0-9].png'")
        catalog.execute("DELETE FROM contents WHERE id NOT IN (SELECT content_id FROM images)")
    assert full.library.status().vectors == 60
    hits = full.library.search("red", top=10)
    assert len(hits) == full.library.status().images == 10


def test_a_truncated_or_foreign_index_file_is_not_used(full: Album, tmp_path: Path) -> None:
    path = index_file(full)
    whole = path.read_bytes()
    expected = full.library.search("red", top=60)
    other = write(tmp_path / "other", 60, 64, [(np.arange(1, 61), np.roll(np.eye(64, dtype=np.float16)[:60], 1))])
    assert other.bytes == len(whole)
    for content in (
        whole[:-1000],
        whole[: len(whole) // 2],
        b"",
        b"nonsense",
        (tmp_path / "other").read_bytes(),
    ):
        path.write_bytes(content)
        with reopened(full) as library:
            assert library.status().pending == 60
            assert library.search("red", top=60) == expected


def test_a_new_index_file_is_written_after_enough_changes(full: Album) -> None:
    before = index_file(full).read_bytes()
    full.add("one.png", "red", 70)
    full.index()
    assert (index_file(full).read_bytes(), full.library.status().pending) == (before, 1)
    for number in range(71, 80):
        full.add(f"{number}.png", "red", number)
    full.index()
    assert (full.library.status().vectors, full.library.status().pending) == (70, 0)
    for path in list(full.folder.glob("red*.png")):
        path.unlink()
    full.index()
    assert full.library.status().vectors == 60


def test_an_open_library_sees_commits_and_index_files_of_others(full: Album) -> None:
    with Library.open(full.library.folder, model=full.model) as reader:
        assert len(reader.search("red", top=100)) == 60
        for number in range(60, 100):
            full.add(f"red{number}.png", "red", number)
        full.index()
        assert reader.status().vectors == 100
        assert len(reader.search("red", top=100)) == 100


def test_a_library_that_was_never_indexed_finds_nothing(album: Album) -> None:
    album.index()
    assert list(album.library.search("red")) == []
    assert album.library.status().model is None
    assert album.library.check().ok


# the model


def test_searching_with_another_model_than_the_librarys_is_an_error(full: Album) -> None:
    other = HistogramModel(digest="f" * 16)
    with (
        Library.open(full.library.folder, model=other) as library,
        pytest.raises(SearcherError, match="was made with the model histogram"),
    ):
        library.search("red")


class Precise(HistogramModel):
    """A model in one precision. `close`: whether its embeddings can be mixed with other precisions."""

    def __init__(self, precision: str, close: bool) -> None:
        super().__init__()
        self.precision, self.close = precision, close

    def mixes_with(self, precision: str) -> bool:
        return self.close

    def in_precision(self, precision: str) -> Self:
        if precision == "float32":
            return type(self)(precision, self.close)
        raise SearcherError(f"no precision {precision}")


def test_precisions_that_differ_too_much_are_not_mixed(full: Album) -> None:
    folder = full.library.folder
    close, stray = Precise("int8", close=True), Precise("int8", close=False)
    for given, used in ((close, close), (stray, None)):
        with Library.open(folder, model=given) as library:
            assert library.search("red")
            assert (library.model is given) == (used is not None)
            assert library.model.precision == ("int8" if used else "float32")
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as catalog, catalog:
        catalog.execute("UPDATE embeddings SET precision = 'int4'")
    with (
        Library.open(folder, model=stray) as library,
        pytest.raises(
            SearcherError, match="in int4, and its int8 embeddings differ too much from that: import the model again"
        ),
    ):
        library.search("red")


def test_searching_with_a_missing_model_is_an_error(
    full: Album, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "store"))
    with Library.open(full.library.folder) as library:
        assert library.status().images == 60  # this needs no model
        with pytest.raises(SearcherError, match="histogram"):
            library.search("red")


def test_a_model_that_does_not_exist_leaves_no_library_behind(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with (
        Library.open(tmp_path / "library", model="no-such-model", create=True) as library,
        pytest.raises(SearcherError, match="no-such-model"),
    ):
        library.index(tmp_path / "photos")
    assert not (tmp_path / "library").exists()


# checking


def test_checking_an_intact_library_finds_no_problems(full: Album) -> None:
    report = full.library.check()
    assert (report.ok, report.as_dict()) == (True, {"ok": True, "problems": []})


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "foreign"])
def test_a_damaged_index_file_is_found_and_repaired(full: Album, damage: str) -> None:
    path = index_file(full)
    content = bytearray(path.read_bytes())
    expected = full.library.search("red", top=60)
    if damage == "flip":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:1000])
    elif damage == "remove":
        path.unlink()
    else:
        chunk = (np.arange(1, 61), np.eye(64, dtype=np.float16)[:60])
        write(path, 60, 64, [chunk])
    with reopened(full) as library:
        report = library.check()
        assert not report.ok and path.name in report.problems[0]
        report = library.check(repair=True)
        assert report.ok and len(report.repaired) == 1
        assert library.check().ok
        assert library.status().pending == 0
        assert library.search("red", top=60) == expected


def test_damaged_and_missing_embeddings_are_found_and_replaced_by_the_next_run(full: Album) -> None:
    expected = full.library.search("red", top=60)
    zeros, nan = bytes(128), np.full(64, np.nan, np.float16).tobytes()
    with closing(sqlite3.connect(full.library.folder / CATALOG_NAME)) as catalog, catalog:
        catalog.execute("UPDATE embeddings SET vector = ? WHERE id = 1", [zeros])
        catalog.execute("UPDATE embeddings SET vector = ? WHERE id = 2", [nan])
        catalog.execute("DELETE FROM embeddings WHERE id = 3")
        catalog.execute("UPDATE embeddings SET vector = ? WHERE id = 4", [zeros[:-2]])
    with reopened(full) as library:
        report = library.check()
        assert report.problems == ("catalog: 1 photo has no embedding", "catalog: 3 embeddings are damaged")
        assert "check --repair" in (report.advice or "")
        report = library.check(repair=True)
        assert report.problems == ("catalog: 4 photos have no embedding",)
        assert report.repaired[0] == "catalog: 3 embeddings are damaged"
        assert "searcher index" in (report.advice or "")
        again = library.index(full.folder)
        assert (again.unchanged, again.added, again.changed) == (60, 0, 0)
        assert library.check().ok
        assert {hit.path: hit.id for hit in library.search("red", top=60)} == {hit.path: hit.id for hit in expected}


def test_a_damaged_catalog_is_found_and_not_repaired(full: Album) -> None:
    full.library.close()
    path = full.library.folder / CATALOG_NAME
    damaged = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as catalog:  # keep the schema, so that the file can be opened
        pages = catalog.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 1").fetchall()
    for (page,) in pages:
        damaged[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(damaged)
    with Library.open(full.library.folder, model=full.model) as library:
        assert not library.check().ok
        assert library.check(repair=True).repaired == ()
        full.add("new.png", "red", 90)
        for use in (lambda: library.search("red"), lambda: library.index(full.folder), library.status):
            with pytest.raises(SearcherError):
                use()


def test_a_library_works_on_a_network_file_system(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searcher.catalog.connect.on_network", lambda folder: True)
    for number, colour in enumerate(COLOURS):
        album.add(f"{colour}.png", colour, number)
    assert album.counts() == {"added": 6}
    assert album.found("red") == ["red.png"]
    (album.folder / "red.png").rename(album.folder / "crimson.png")
    assert album.counts() == {"moved": 1, "unchanged": 5}
    assert not list(album.library.folder.glob("*-wal"))


def test_a_copied_library_can_be_searched(full: Album, tmp_path: Path) -> None:
    expected = full.library.search("red", top=60)
    full.library.close()
    shutil.copytree(full.library.folder, tmp_path / "copy")
    with Library.open(tmp_path / "copy", model=full.model) as library:
        assert library.search("red", top=60) == expected
        assert library.check().ok


def test_an_unknown_user_after_a_tilde_is_a_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHER_LIBRARY", "~nobody-here/library")
    for path in ("~nobody-here/library", None):
        with pytest.raises(SearcherError, match="~nobody-here/library"):
            Library.open(path)


def test_terms_add_up_and_pictures_come_from_files_bytes_and_the_library(album: Album) -> None:
    album.fill()
    red, green = (album.folder / f"{colour}.png" for colour in ("red", "green"))
    images = {album.name(hit.path): hit.id for hit in album.library.search("red", top=10)}
    for like in (red, red.read_bytes(), images["red.png"]):
        hits = album.library.search(Query(also=(Term(like=like), Term("green", weight=0.5))))
        assert [album.name(hit.path) for hit in hits[:2]] == ["red.png", "green.png"]
        assert hits[0].score == pytest.approx(1, abs=0.01)
        assert hits[1].score == pytest.approx(0.5, abs=0.01)
    both = album.library.search("red", also=[Term("green", weight=-1.0)], top=10)
    assert (album.name(both[0].path), album.name(both[-1].path)) == ("red.png", "green.png")
    assert both[0].relevance is not None
    assert both[0].relevance > 0.5
    assert not both.nothing_fits
    assert album.library.search("red", also=[Term("green")]).nothing_fits  # no photo shows both
    assert album.library.search(like=green, also=[Term("red", weight=-1.0)])[0].relevance is None
    with pytest.raises(NotFound, match="id 999"):
        album.library.search(Query(also=(Term(like=999),)))
