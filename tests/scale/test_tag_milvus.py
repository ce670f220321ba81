"""Zero-shot tags in Milvus are those of a library on this machine, and runs follow the same rules."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from searcher.catalog import Catalog
from searcher.catalog.rows import PhotoTag
from searcher.errors import NotFound
from searcher.progress import Progress
from searcher.scale.milvus import answering
from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.answering import clear, preview, tag
from searcher.scale.milvus.collection import MilvusCollection
from searcher.scale.milvus.connection import Connection
from searcher.tagger.question import ask
from tests.histogram_model import COLOURS
from tests.library.conftest import Album, album, model
from tests.scale.milvus.filling import copy_to_milvus

__all__ = ["album", "model"]

NAMES = ["red", "green", "blue", "white", "bird"]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A library of Milvus Lite that the tests of this module fill one after another. It stays open meanwhile."""
    address = read_address(f"milvus:{tmp_path_factory.mktemp('milvus')}/library.db/photos")
    with closing(Connection(address)) as connection:
        connection.call("list_collections")
        yield connection


@pytest.fixture
def copy(album: Album, connection: Connection, tmp_path: Path) -> Iterator[MilvusCollection]:
    """The photos of the album's library, in Milvus."""
    album.fill()
    for number, colour in enumerate(COLOURS):
        album.add(f"more/{colour}.png", colour, 30 + number)
    album.copy("red.png", "copy.png")
    album.index()
    with closing(Catalog(album.library.folder)) as catalog:
        with catalog.read() as view:
            row = view.models.current()
        assert row is not None
        with copy_to_milvus(catalog, row, connection.address, tmp_path) as collection:
            yield collection


def tags_of(photos: Any) -> dict[str, list[PhotoTag]]:
    """path → tags, in an order that does not depend on which of two equally probable ones comes first."""
    return {photo.path: sorted(photo.tags) for photo in photos}


def labels_of(collection: MilvusCollection, *names: str) -> dict[str, set[str]]:
    """Path in the album → labels."""
    found = collection.tagged(names)
    return {photo.path.rpartition("/photos/")[2]: {tag.label for tag in photo.tags} for photo in found}


@pytest.mark.parametrize("options", [{"least": 0.05, "top": 2}, {"one": True, "top": 3}])
def test_the_answers_are_those_of_a_library_on_this_machine(
    album: Album, copy: MilvusCollection, options: dict[str, Any]
) -> None:
    question = ask(NAMES, **options)
    planned = tags_of(preview(copy, album.model, question))
    assert copy.label_counts() == []
    assert tag(copy, album.model, question) == album.library.tag(question)
    assert tags_of(copy.tagged(NAMES)) == tags_of(album.library.tagged(NAMES)) == planned
    assert tag(copy, album.model, question) == album.library.tag(question)  # nothing new
    assert copy.label_counts() == album.library.label_counts()


def test_what_a_person_refused_stays_away_and_what_was_given_stays(album: Album, copy: MilvusCollection) -> None:
    tag(copy, album.model, ask(["red"]))
    ids = {Path(photo.path).name: photo.id for photo in copy.tagged([])}
    copy.edit_tags([ids["copy.png"]], ["green"], ["red"])
    for question in (ask(["red", "green"]), ask(["red"], least=0.1)):
        tag(copy, album.model, question)
        found = labels_of(copy, "red", "green")
        assert found["copy.png"] == {"green"}
        assert tags_of(preview(copy, album.model, question)) == tags_of(copy.tagged(question.names))
    assert labels_of(copy, "green")["green.png"] == {"green"}


def test_a_run_continues_where_it_stopped(
    album: Album, copy: MilvusCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stops(Progress):
        def advance(self, done: int, total: int | None) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(answering, "COMMIT_PHOTOS", 1)
    with monkeypatch.context() as patch:
        patch.setattr("searcher.scale.milvus.tagging.BATCH", 3)
        with pytest.raises(KeyboardInterrupt):
            tag(copy, album.model, ask(NAMES), Stops())
    report = tag(copy, album.model, ask(NAMES))
    assert (report.asked, report.photos) == (7, 10)
    assert report.tagged == album.library.tag(ask(NAMES)).tagged


def test_a_label_belongs_to_the_latest_question_and_can_be_cleared(album: Album, copy: MilvusCollection) -> None:
    parents = ask(["red", "green"])
    tag(copy, album.model, parents)
    tag(copy, album.model, ask(["green", "blue"], least=0.0))
    assert [run.retracted for run in copy.runs()] == [frozenset({"green"}), frozenset()]
    assert len([name for name, labels in labels_of(copy, "green").items() if labels]) == 11
    assert tag(copy, album.model, parents).asked == 10  # asked again: the labels are those of this question now
    assert len([name for name, labels in labels_of(copy, "green").items() if labels]) == 2
    with pytest.raises(NotFound, match="'purple'"):
        clear(copy, ["red", "purple"])
    assert clear(copy, ["red"], dry_run=True) == 2
    assert clear(copy, ["red"]) == 2
    assert not any(labels_of(copy, "red").values())
    assert clear(copy, None) == 12 and copy.runs() == []
    assert copy.label_counts() == []


def test_another_calibration_starts_a_run_again(album: Album, copy: MilvusCollection) -> None:
    tag(copy, album.model, ask(["red"]))
    album.model.info = {"relevance": {"slope": [20.0, 0.0], "offset": [100.0, 0.0], "measured": False}}
    report = tag(copy, album.model, ask(["red"]))
    assert (report.asked, report.tagged, report.calibrated) == (10, {"red": 10}, False)
