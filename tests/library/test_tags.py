"""Labels that a person gives by hand, and how many photos have each label."""

from pathlib import Path
from typing import Any

import pytest

from searcher import Filter
from searcher.catalog.rows import USER, ZERO_SHOT, LabelCount, PhotoTag
from searcher.datasets.labels import Label
from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.tagger.question import Question
from tests.library.conftest import Album


@pytest.fixture
def filled(album: Album) -> Album:
    """Four indexed photos of one colour each."""
    album.fill()
    return album


def have(album: Album, label: str) -> list[str]:
    """The names of the photos that a filter by label finds."""
    return sorted(album.name(hit.path) for hit in album.library.search(filter=Filter(tags=(label,))))


def test_a_label_can_be_given_by_hand_and_taken_back(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    assert library.add_tag("holiday", [ids["red.png"], ids["blue.png"]]) == 2
    assert have(filled, "holiday") == ["blue.png", "red.png"]
    assert library.photo(ids["red.png"]).photo.tags == (PhotoTag("holiday", USER, 1),)
    assert library.remove_tag("holiday", [ids["red.png"], ids["green.png"]]) == 1
    assert have(filled, "holiday") == ["blue.png"]
    assert library.photo(ids["red.png"]).photo.tags == ()


def test_only_photos_that_get_or_lose_the_label_count(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    assert library.add_tag("holiday", [ids["red.png"]]) == 1
    assert library.add_tag("holiday", [ids["red.png"], ids["blue.png"]]) == 1
    assert library.add_tag("holiday", []) == 0
    assert library.add_tag("holiday", [max(ids.values()) + 1000]) == 0  # no such photo
    assert library.remove_tag("holiday", [ids["green.png"]]) == 0


def test_white_space_around_and_in_a_label_becomes_one_space(filled: Album) -> None:
    library, ids = filled.library, filled.ids().values()
    library.add_tag("  my \n dog ", ids)
    assert library.labels() == ["my dog"]
    assert library.remove_tag(" my  dog", ids) == 4
    library.teach("my  cup", [filled.folder / "red.png"])
    library.forget_label("my \t cup")
    with pytest.raises(NotFound, match="never taught"):
        library.forget_label("my cup")


@pytest.mark.parametrize(
    ("label", "reason"), [("", "name"), ("  \n", "name"), ("a\0b", "NUL"), ("caf\udce9", "not UTF-8")]
)
def test_a_name_that_no_label_can_have_is_refused(filled: Album, label: str, reason: str) -> None:
    library, ids = filled.library, filled.ids().values()
    for change in (library.add_tag, library.remove_tag):
        with pytest.raises(InvalidInput, match=reason):
            change(label, ids)
    with pytest.raises(InvalidInput, match=reason):
        library.teach(label, [filled.folder / "red.png"])
    assert library.labels() == []


def test_removing_an_unknown_label_is_an_error(filled: Album) -> None:
    with pytest.raises(NotFound, match="'purple'"):
        filled.library.remove_tag("purple", filled.ids().values())


def test_a_label_from_a_run_and_one_by_hand_do_not_affect_each_other(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    library.tag(["red"])
    library.add_tag("red", [ids["red.png"], ids["green.png"]])
    sources = [tag.source for tag in library.photo(ids["red.png"]).photo.tags]
    assert sorted(sources) == [USER, ZERO_SHOT]
    assert have(filled, "red") == ["green.png", "red.png"]
    library.untag(["red"])
    assert have(filled, "red") == ["green.png", "red.png"]


def test_a_label_that_a_person_removed_does_not_come_back_until_it_is_added(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    question = library.ask(["red", "green"])
    library.tag(question)
    assert library.remove_tag("red", ids.values()) == 1
    assert library.remove_tag("red", ids.values()) == 0
    library.untag()
    assert library.tag(question).tagged == {"green": 1, "red": 0}
    library.teach("red", [filled.folder / "red.png"])
    library.tag(question)
    library.tag(["red"], one=True)
    filled.add("another.png", "red", 9)
    filled.index()
    library.tag_new()
    assert have(filled, "red") == ["another.png"]
    assert library.label_counts(Filter(sources=(USER,))) == []
    assert {
        tag.label for photo in library.preview_tags(question) if photo.id in ids.values() for tag in photo.tags
    } == {"green"}
    assert library.add_tag("red", [ids["red.png"]]) == 1
    assert have(filled, "red") == ["another.png", "red.png"]


def test_what_a_dry_run_shows_is_what_a_run_gives_with_the_corrections(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    library.edit_tags([ids["red.png"]], add=["blue", "holiday"])
    library.add_tag("red", [ids["white.png"]])
    library.add_tag("green", [ids["green.png"]])
    library.remove_tag("red", [ids["red.png"]])
    question = library.ask(["red", "green", "blue"])
    shown = {photo.path: photo.tags for photo in library.preview_tags(question)}
    library.tag(question)
    assert shown == {photo.path: photo.tags for photo in library.tagged(question.names)}
    assert {filled.name(path): [(tag.label, tag.source) for tag in tags] for path, tags in shown.items()} == {
        "red.png": [("blue", USER)],
        "green.png": [("green", USER)],
        "blue.png": [("blue", ZERO_SHOT)],
        "white.png": [("red", USER)],
    }


def test_copies_get_and_lose_labels_together(filled: Album) -> None:
    library = filled.library
    library.tag(["red"])
    library.edit_tags([filled.folder / "red.png"], add=["holiday"], remove=["red"])
    filled.copy("red.png", "copy.png")
    filled.index()
    (filled.folder / "red.png").unlink()
    filled.index()
    library.tag(["red"], one=True)
    assert have(filled, "holiday") == ["copy.png"]
    assert "copy.png" not in have(filled, "red")
    filled.copy("copy.png", "again.png")
    filled.index()
    assert library.remove_tag("holiday", [filled.folder / "again.png"]) == 1
    assert library.label_counts(Filter(sources=(USER,))) == []


def test_a_photo_that_takes_the_content_of_another_one_keeps_its_own_labels(filled: Album) -> None:
    filled.library.add_tag("holiday", [filled.folder / "red.png"])
    filled.library.add_tag("work", [filled.folder / "blue.png"])
    filled.copy("red.png", "blue.png")
    filled.index()
    tags = {photo.path: photo.tags for photo in filled.library.tagged(["holiday", "work"])}
    assert [tag.label for tag in tags[str(filled.folder / "blue.png")]] == ["work"]


def test_photos_can_be_named_by_path(filled: Album, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(filled.folder)
    library = filled.library
    (tmp_path / "link").symlink_to(filled.folder, target_is_directory=True)
    (tmp_path / "link.png").symlink_to(filled.folder / "white.png")
    filled.add("caf\udce9.png", "red", 8)
    filled.index()
    named: list[int | str | Path] = [
        "red.png",
        Path("../photos/green.png"),
        tmp_path / "link/blue.png",
        tmp_path / "link.png",
        "caf\udce9.png",
    ]
    assert library.add_tag("holiday", named) == 5
    assert library.remove_tag("holiday", "red.png") == 1
    (filled.folder / "green.png").unlink()
    assert library.remove_tag("holiday", ["green.png"]) == 1
    assert have(filled, "holiday") == ["blue.png", "caf\udce9.png", "white.png"]


def test_a_path_that_is_not_in_the_library_changes_nothing(filled: Album) -> None:
    (filled.folder / "broken.png").write_bytes(b"not a photo")
    filled.index()
    red = filled.folder / "red.png"
    cases: list[tuple[list[str | Path], str]] = [
        ([red, "/nowhere/1.png", "/nowhere/2.png"], "/nowhere/1.png, and 1 more of 3"),
        ([filled.folder / "broken.png", red], "not a photo of the library: .*broken.png; "),
        ([filled.folder], "is a folder"),
        ([""], "empty"),
    ]
    for wrong, message in cases:
        with pytest.raises(SearcherError, match=message):
            filled.library.add_tag("holiday", wrong)
    with pytest.raises(NotFound, match="purple"):
        filled.library.edit_tags([red], add=["holiday"], remove=["purple"])
    with pytest.raises(InvalidInput, match="both"):
        filled.library.edit_tags([red], add=["my  dog"], remove=["my dog"])
    assert filled.library.labels() == []


def test_an_edit_says_what_it_changes_and_a_dry_run_says_the_same(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    library.tag(Question((Label("red", ("red",), "colour"), Label("green", ("green",), "colour"))))
    library.add_tag("holiday", [ids["red.png"]])
    before = library.label_counts()
    photos = [ids["red.png"], ids["green.png"], ids["blue.png"]]
    planned = library.edit_tags(photos, add=["holiday"], remove=["colour", "red"], dry_run=True)
    assert library.label_counts() == before
    edit = library.edit_tags(photos, add=["holiday"], remove=["colour", "red"])
    assert edit == planned
    assert edit[:4] == (3, {"holiday": 2}, {"colour": 0, "red": 1}, {"colour": ("green",)})
    assert {photo.id for photo in edit.images} == set(photos)
    assert library.label_counts() == [LabelCount("holiday", USER, 3), LabelCount("green", ZERO_SHOT, 1)]


def test_filters_by_source_and_by_missing_labels(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    library.tag(["red", "green"])
    library.add_tag("red", [ids["blue.png"]])

    def names(**conditions: Any) -> list[str]:
        return sorted(filled.name(hit.path) for hit in library.search(filter=Filter(**conditions)))

    assert names(sources=(USER,)) == ["blue.png"]
    assert names(tags=("red",), sources=(ZERO_SHOT,)) == ["red.png"]
    assert names(not_tags=("red",)) == ["green.png", "white.png"]
    assert names(not_tags=("red",), sources=(ZERO_SHOT,)) == ["green.png"]
    assert library.search(filter=Filter(tags=("green",), sources=(USER,))) == []
    assert library.label_counts(Filter(sources=(USER,))) == [LabelCount("red", USER, 1)]
    for name in ("purple", "caf\udce9"):
        hits = library.search(filter=Filter(not_tags=(name,)))
        assert len(hits) == 4 and len(hits.notices) == 1


def test_label_counts_list_every_label_and_source_most_photos_first(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    assert library.label_counts() == []
    library.tag(["red", "green", "yellow"])
    library.add_tag("holiday", ids.values())
    assert library.label_counts() == [
        LabelCount("holiday", USER, 4),
        LabelCount("green", ZERO_SHOT, 1),
        LabelCount("red", ZERO_SHOT, 1),
    ]


def test_copies_of_a_photo_count_once(filled: Album) -> None:
    filled.copy("red.png", "copy.png")
    filled.index()
    everything = [photo.id for photo in filled.library.tagged([])]
    assert len(everything) == 5
    assert filled.library.add_tag("holiday", everything) == 4
    assert filled.library.label_counts() == [LabelCount("holiday", USER, 4)]


def test_label_counts_with_a_filter_count_only_photos_that_meet_it(filled: Album) -> None:
    library, ids = filled.library, filled.ids()
    library.tag(["red", "green", "blue"])
    library.add_tag("holiday", [ids["red.png"], ids["blue.png"], ids["white.png"]])
    library.add_tag("beach", [ids["white.png"]])
    assert library.label_counts(Filter(tags=("holiday",))) == [
        LabelCount("holiday", USER, 3),
        LabelCount("beach", USER, 1),
        LabelCount("blue", ZERO_SHOT, 1),
        LabelCount("red", ZERO_SHOT, 1),
    ]
    assert library.label_counts(Filter(tags=("holiday", "red"))) == [
        LabelCount("holiday", USER, 1),
        LabelCount("red", ZERO_SHOT, 1),
    ]
    assert library.label_counts(Filter(tags=("purple",))) == []


def test_a_filter_by_a_broad_label_counts_the_photos_with_a_narrower_one(filled: Album) -> None:
    filled.library.tag(Question((Label("red", ("red",), "colour"),)))
    filled.library.add_tag("holiday", filled.ids().values())
    assert filled.library.label_counts(Filter(tags=("colour",))) == [
        LabelCount("holiday", USER, 1),
        LabelCount("red", ZERO_SHOT, 1),
    ]
