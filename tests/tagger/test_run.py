"""Labelling a whole library: what is stored, what is computed again, and what stays the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import Photo
from searcher.datasets.labels import Label
from searcher.errors import SearcherError
from searcher.models.relevance import FITS
from searcher.progress import Progress
from searcher.tagger import question as questions
from searcher.tagger import run as running
from searcher.tagger.question import Question, read_definition
from searcher.tagger.run import TagReport
from tests.histogram_model import COLOURS
from tests.library.conftest import Album
from tests.watcher import Watcher


def ask(*names: str, one: bool = False, top: int | None = None) -> Question:
    return Question(tuple(Label(name, (name,)) for name in names), one=one, top=top)


def put(album: Album, question: Question) -> TagReport:
    return album.library.tag(question)


def labels(album: Album, *names: str) -> dict[str, list[str]]:
    """Map the name of each photo to its labels among `names`."""
    return {album.name(photo.path): list(probabilities(photo)) for photo in album.library.tagged(names)}


def probabilities(photo: Photo) -> dict[str, float]:
    """The labels of a photo, most probable first."""
    assert len({tag.label for tag in photo.tags}) == len(photo.tags)
    return {tag.label: tag.probability for tag in photo.tags}


def interrupt_after_two(done: int, total: int | None) -> None:
    if done == 2:
        raise KeyboardInterrupt


def test_each_photo_gets_the_labels_that_fit_and_may_get_none(album: Album) -> None:
    album.fill()
    report = put(album, ask("red", "green", "yellow"))
    assert labels(album, "red", "green", "yellow") == {
        "red.png": ["red"],
        "green.png": ["green"],
        "blue.png": [],
        "white.png": [],
    }
    assert report == TagReport(4, 4, {"red": 1, "green": 1, "yellow": 0}, calibrated=True)


def test_with_one_every_photo_gets_its_best_labels(album: Album) -> None:
    album.fill()
    report = put(album, ask("red", "green", one=True, top=2))
    assert report.calibrated
    for photo in album.library.tagged(["red", "green"]):
        assert len(photo.tags) == 2
        assert sum(probabilities(photo).values()) == pytest.approx(1, abs=1e-5)
    assert labels(album, "red", "green")["green.png"] == ["green", "red"]


def test_no_photo_is_opened_or_embedded(album: Album) -> None:
    album.fill()
    encoded = album.model.encoded
    for photo in album.folder.iterdir():
        photo.unlink()
    put(album, ask("red"))
    assert labels(album, "red")["red.png"] == ["red"]
    assert album.model.encoded == encoded


def test_a_second_run_checks_only_new_photos(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.fill()
    assert put(album, ask("red", "green")).asked == 4
    monkeypatch.setattr(Catalog, "write", lambda *arguments: pytest.fail("the catalog was opened for writing"))
    assert put(album, ask("red", "green")).asked == 0
    monkeypatch.undo()
    album.add("more.png", "red", 9)
    album.index()
    assert put(album, ask("red", "green")).asked == 1
    assert labels(album, "red", "green")["more.png"] == ["red"]


def test_prompts_are_encoded_once(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.fill()
    asked: list[str] = []
    encode = album.model.encode_texts

    def spy(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return encode(texts)

    monkeypatch.setattr(album.model, "encode_texts", spy)
    put(album, ask("red", "green"))
    put(album, ask("red", "green", one=True))
    put(album, ask("green", "red", "blue"))
    assert len(asked) == len(set(asked))


def test_a_copy_and_a_changed_photo_get_the_labels_of_their_content(album: Album) -> None:
    album.fill()
    put(album, ask("red", "green"))
    album.copy("red.png", "copy.png")
    album.copy("green.png", "blue.png")
    album.index()
    assert labels(album, "red", "green") == {
        "red.png": ["red"],
        "green.png": ["green"],
        "blue.png": ["green"],
        "white.png": [],
        "copy.png": ["red"],
    }


def test_a_later_run_replaces_only_the_labels_that_it_names(album: Album) -> None:
    album.fill()
    put(album, ask("red", "green", "blue"))
    put(album, ask("green", "white", one=True))
    given = {name: tags for name, tags in labels(album, "red", "blue").items() if tags}
    assert given == {"red.png": ["red"], "blue.png": ["blue"]}
    either = labels(album, "green", "white")
    assert all(len(tags) == 1 for tags in either.values())


def test_a_replaced_question_is_answered_again_when_it_is_repeated(album: Album) -> None:
    album.fill()
    put(album, ask("red", "green"))
    put(album, ask("green", "white", one=True))
    assert put(album, ask("red", "green")).asked == 4
    assert [name for name, tags in labels(album, "green").items() if tags] == ["green.png"]


def test_new_photos_get_all_earlier_labels_but_none_from_replaced_questions(album: Album) -> None:
    album.fill()
    put(album, ask("red", "green"))
    put(album, ask("green", "white", one=True))
    album.add("another.png", "red", 7)
    album.index()
    assert album.library.tag_new() == 1
    assert album.library.tag_new() == 0
    found = next(p for p in album.library.tagged(["red", "green", "white"]) if p.path.endswith("another.png"))
    assert probabilities(found)["red"] > 0.5
    assert len(found.tags) == 2  # the other one is green or white


def test_tags_from_the_user_stay(album: Album) -> None:
    album.fill()
    put(album, ask("red"))
    album.library.add_tag("red", album.ids().values())
    put(album, ask("red", one=True))
    album.library.untag(None)
    counts = album.library.label_counts()
    assert [(count.label, count.source, count.photos) for count in counts] == [("red", "user", 4)]


def test_clear_removes_the_named_labels_and_they_return_only_on_request(album: Album, catalog: Catalog) -> None:
    album.fill()
    put(album, ask("red", "green"))
    assert album.library.untag(["red"]) == 1
    assert labels(album, "red", "green") == {"red.png": [], "green.png": ["green"], "blue.png": [], "white.png": []}
    album.add("another.png", "red", 7)
    album.index()
    album.library.tag_new()
    assert labels(album, "red", "green")["another.png"] == []
    put(album, ask("red", "green"))
    assert labels(album, "red")["another.png"] == ["red"]
    assert album.library.untag(None) == 3
    with catalog.read() as view:
        assert view.tags.runs() == []


def test_clearing_an_unknown_label_is_an_error(album: Album) -> None:
    album.fill()
    with pytest.raises(SearcherError, match="'purple'"):
        album.library.untag(["purple"])


def test_an_interrupted_run_keeps_its_answers_and_continues_from_there(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    monkeypatch.setattr(running, "MOST_ROWS", 1)
    monkeypatch.setattr(running, "COMMIT_EMBEDDINGS", 1)
    with pytest.raises(KeyboardInterrupt):
        album.library.tag(ask("red", "green", "blue"), progress=Watcher(interrupt_after_two))
    assert [name for name, tags in labels(album, "red", "green", "blue").items() if tags]
    assert put(album, ask("red", "green", "blue")).asked == 2
    assert sum(bool(tags) for tags in labels(album, "red", "green", "blue").values()) == 3


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_the_answers_do_not_depend_on_the_block_size(album: Album, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    album.fill()
    monkeypatch.setattr(running, "MOST_ROWS", rows)
    put(album, ask("red", "green", "blue", "white", one=True))
    assert labels(album, "red", "green", "blue", "white") == {
        f"{colour}.png": [colour] for colour in ("red", "green", "blue", "white")
    }


def test_a_dry_run_gives_the_same_labels_as_a_run_and_stores_nothing(album: Album) -> None:
    album.fill()
    album.copy("red.png", "copy.png")
    album.index()
    question = ask("red", "green", one=True, top=2)
    dry = {photo.path: photo.tags for photo in album.library.preview_tags(question)}
    assert album.library.label_counts() == []
    put(album, question)
    assert dry == {photo.path: photo.tags for photo in album.library.tagged(question.names)}
    assert len(dry) == 5


def test_the_calibration_of_the_model_is_used_and_a_new_one_starts_the_run_again(album: Album) -> None:
    album.fill()
    question = ask("red", "green")
    assert put(album, question).tagged != {"red": 4, "green": 4}
    album.model.info = {"relevance": {"slope": [20.0, 0.0], "offset": [100.0, 0.0], "measured": False}}
    report = put(album, question)
    assert not report.calibrated
    assert report.tagged == {"red": 4, "green": 4}


def test_the_least_relevance_of_a_question_decides(album: Album) -> None:
    album.fill()
    assert put(album, Question((Label("red", ("red",)),), least=0.0)).tagged == {"red": 4}
    assert put(album, Question((Label("red", ("red",)),), least=1.0)).tagged == {"red": 0}


def test_a_library_without_photos_is_an_error(album: Album, catalog: Catalog) -> None:
    with pytest.raises(SearcherError, match="index"):
        put(album, ask("red"))
    with catalog.write():
        pass
    with pytest.raises(SearcherError, match="index"):
        put(album, ask("red"))


@pytest.mark.parametrize(
    "name",
    [
        "a, b",
        'say "cheese"',
        "it's",
        "🐕‍🦺",
        "Straße",
        "a photo of a red boat, seen from far away at night.",
        "x" * 5000,
    ],
)
def test_a_label_may_be_any_text(album: Album, name: str) -> None:
    album.fill()
    put(album, ask(name, "red", one=True, top=2))
    assert all({tag.label for tag in photo.tags} == {name, "red"} for photo in album.library.tagged([name, "red"]))


def test_ten_thousand_labels_are_possible(album: Album) -> None:
    album.fill()
    names = [*(f"label {number}" for number in range(10_000)), "red"]
    question = Question(tuple(Label(name, (name,)) for name in names), one=True, templates=("{}",))
    report = put(album, question)
    assert report.tagged["red"] == 1
    assert len(report.tagged) == 10_001
    assert put(album, question).asked == 0


def test_a_question_can_be_read_back_from_its_definition() -> None:
    label = Label("beagle", ("beagle", "a dog called beagle"), "dog", ("a {}.",))
    question = Question((label, Label("dog", ("dog",), "animal")), one=True, top=3)
    again = read_definition(question.definition())
    assert again == question
    assert again.key() == question.key() != ask("beagle").key()


def test_parents_are_stored(album: Album, catalog: Catalog) -> None:
    album.fill()
    question = Question(
        (Label("red", ("red",), "warm"), Label("warm", ("warm",), "colour"), Label("green", ("green",)))
    )
    assert questions.parents(question.labels) == {"colour": None, "warm": "colour", "red": "warm", "green": None}
    put(album, question)
    with catalog.read() as view:
        rows = view.tags.labels()
    names = {row.name: None if row.parent is None else rows[row.parent].name for row in rows.values()}
    assert names == {"colour": None, "warm": "colour", "red": "warm", "green": None}


def test_labels_that_cannot_be_stored_are_refused() -> None:
    with pytest.raises(SearcherError, match="UTF-8"):
        ask("\udcff")
    with pytest.raises(SearcherError, match="no labels"):
        ask()
    with pytest.raises(SearcherError, match="number of labels must be at least 1"):
        ask("red", top=0)


def test_progress_counts_photos(album: Album) -> None:
    album.fill()
    watcher = Watcher()
    album.library.tag(ask("red"), progress=watcher)
    assert watcher.said[-1] == (4, 4)


def test_labels_that_are_cleared_during_a_run_stay_cleared(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    album.fill()
    monkeypatch.setattr(running, "MOST_ROWS", 1)
    monkeypatch.setattr(running, "COMMIT_EMBEDDINGS", 1)

    class Clears(Progress):
        """Clears labels, as another process could, when the first photo is done."""

        def __init__(self, names: list[str] | None) -> None:
            self.names = names

        def advance(self, done: int, total: int | None) -> None:
            if done == 1:
                album.library.untag(self.names)

    album.library.tag(ask("red", "green", "blue", one=True), progress=Clears(["green"]))
    given = labels(album, "red", "green", "blue")
    assert [given[f"{colour}.png"] for colour in ("red", "green", "blue")] == [["red"], [], ["blue"]]
    album.library.tag(ask("red", "white"), progress=Clears(None))
    assert not any(labels(album, "red", "green", "blue", "white").values())


def test_no_view_is_open_while_the_model_encodes_or_the_caller_has_a_photo(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    read, encode, open_views = Catalog.read, album.model.encode_texts, [0]

    @contextmanager
    def counted(catalog: Catalog) -> Iterator[View]:
        with read(catalog) as view:
            open_views[0] += 1
            try:
                yield view
            finally:
                open_views[0] -= 1

    def encoded(texts: Sequence[str]) -> np.ndarray:
        assert open_views == [0]
        return encode(texts)

    monkeypatch.setattr(Catalog, "read", counted)
    monkeypatch.setattr(album.model, "encode_texts", encoded)
    album.library.teach("Rex", [album.folder / "red.png"])
    put(album, ask("red", "Rex"))
    for photos in (album.library.tagged(["red"]), album.library.preview_tags(ask("blue", "Rex"))):
        for _ in photos:
            assert open_views == [0]


def test_tag_and_search_agree_on_each_photo(album: Album) -> None:
    album.fill()
    for number, (left, right) in enumerate((("red", "green"), ("blue", "white"), ("white", "red"))):
        picture = Image.new("RGB", (40, 20), COLOURS[left])
        picture.paste(COLOURS[right], (24, 0, 40, 20))
        picture.save(album.folder / f"two colours {number}.png")
    album.index()
    names = ["red", "green", "blue", "white", "bird"]
    put(album, ask(*names))
    tagged = {album.name(photo.path): probabilities(photo) for photo in album.library.tagged(names)}
    for name in names:
        hits = album.library.search(name, top=100)
        assert len(hits) == len(tagged)
        for hit in hits:
            assert hit.relevance is not None
            found = tagged[album.name(hit.path)].get(name)
            assert (hit.relevance >= FITS) == (found is not None)
            if found is not None:
                assert hit.relevance == pytest.approx(found, abs=1e-4)
