"""Labelling single files."""

import pytest

from searcher.catalog import Catalog
from searcher.catalog.rows import TAUGHT, ZERO_SHOT, Photo
from searcher.tagger.classify import Classified, classify
from searcher.tagger.question import ask
from searcher.vectors.pipeline import BATCH_SIZE
from tests.library.conftest import Album


def probabilities(photo: Photo | Classified) -> dict[str, float]:
    return {tag.label: tag.probability for tag in photo.tags}


@pytest.mark.parametrize("one", [True, False])
def test_a_single_file_gets_the_same_labels_as_in_a_library(album: Album, one: bool) -> None:
    album.fill()
    question = ask(["red", "green", "white"], one=one)
    album.library.tag(question)
    stored = {photo.path: probabilities(photo) for photo in album.library.tagged(question.names)}
    paths = sorted(album.folder.glob("*.png"))
    loose = list(classify(album.model, question, paths))
    assert [photo.path for photo in loose] == [str(path) for path in paths]
    for photo in loose:
        assert probabilities(photo) == pytest.approx(stored[photo.path], abs=1e-5)


def test_an_unreadable_file_is_reported_and_the_order_is_kept(album: Album) -> None:
    album.fill()
    (album.folder / "broken.jpg").write_bytes(b"nothing")
    names = ["red.png", "broken.jpg", "green.png"] * BATCH_SIZE
    found = list(classify(album.model, ask(["red", "green"], one=True), [album.folder / name for name in names]))
    assert [photo.tags[0].label if photo.tags else photo.error is not None for photo in found] == [
        "red",
        True,
        "green",
    ] * BATCH_SIZE


def test_before_anything_is_indexed_the_model_that_was_asked_for_answers(album: Album) -> None:
    photo = album.add("red.png", "red")
    before = album.model.encoded
    (found,) = album.library.classify(ask(["red", "green"], one=True), [photo])
    assert album.model.encoded == before + 1
    assert [tag.label for tag in found.tags] == ["red"]
    assert not album.library.exists


def test_taught_labels_can_be_asked_and_nothing_is_stored(album: Album, catalog: Catalog) -> None:
    album.fill()
    album.library.teach("Rex", [album.folder / "red.png"])
    with catalog.read() as view:
        before = view.tags.taught(), view.tags.labels()
    (found,) = album.library.classify(ask(["Rex", "green"], one=True, top=2), [album.folder / "red.png"])
    assert {tag.label: tag.source for tag in found.tags} == {"Rex": TAUGHT, "green": ZERO_SHOT}
    assert found.tags[0].label == "Rex"
    with catalog.read() as view:
        assert (view.tags.taught(), view.tags.labels()) == before
        assert view.tags.runs() == []
        assert view.tags.counts() == []
