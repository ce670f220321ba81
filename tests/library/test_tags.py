"""Labels that a person gives by hand, and how many photos have each label."""

import pytest

from searcher import Filter
from searcher.catalog.rows import USER, ZERO_SHOT, LabelCount, PhotoTag
from searcher.datasets.labels import Label
from searcher.errors import InvalidInput, NotFound
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
    assert library.remove_tag("red", ids.values()) == 2
    assert have(filled, "red") == ["red.png"]
    library.add_tag("red", [ids["green.png"]])
    library.untag(["red"])
    assert have(filled, "red") == ["green.png"]


def test_a_copy_does_not_get_the_label_of_the_other_photo(filled: Album) -> None:
    filled.copy("red.png", "copy.png")
    filled.index()
    library = filled.library
    (hit,) = library.search("red", top=1)
    library.add_tag("holiday", [hit.id])
    details = library.photo(hit.id)
    assert [tag.label for tag in details.photo.tags] == ["holiday"]
    assert [copy.tags for copy in details.copies] == [()]


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
    assert filled.library.add_tag("holiday", everything) == 5
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
