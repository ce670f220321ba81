"""Labelling a whole library: what is stored, what is computed again, and what stays the same."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np
import pytest

from searcher.catalog.tags import TagReader
from searcher.catalog.writer import Writer
from searcher.datasets.labels import Label
from searcher.errors import SearcherError
from searcher.tagger import question as questions
from searcher.tagger import run as running
from searcher.tagger.question import Question, read_definition
from searcher.tagger.run import TagReport, clear, tag, tag_new, tagged_photos, would_tag
from tests.library.conftest import Album


def ask(*names: str, one: bool = False, top: int | None = None) -> Question:
    return Question(tuple(Label(name, (name,)) for name in names), one=one, top=top)


def nothing(*anything: object) -> None:
    pass


def put(album: Album, question: Question) -> TagReport:
    return tag(album.library, question, nothing, nothing)


def labels(album: Album, *names: str) -> dict[str, list[str]]:
    """Map the name of each photo to its labels among `names`."""
    found = tagged_photos(album.library, names)
    return {album.name(photo.path): [name for name, _ in photo.tags] for photo in found}


def test_each_photo_gets_the_labels_that_fit_and_may_get_none(album: Album) -> None:
    album.fill()
    report = put(album, ask("red", "green", "yellow"))
    assert labels(album, "red", "green", "yellow") == {
        "red.png": ["red"],
        "green.png": ["green"],
        "blue.png": [],
        "white.png": [],
    }
    assert report == TagReport(4, 4, {"red": 1, "green": 1, "yellow": 0}, calibrated=False)


def test_with_one_every_photo_gets_its_best_labels(album: Album) -> None:
    album.fill()
    report = put(album, ask("red", "green", one=True, top=2))
    assert report.calibrated
    for photo in tagged_photos(album.library, ["red", "green"]):
        assert len(photo.tags) == 2
        assert sum(chance for _, chance in photo.tags) == pytest.approx(1, abs=1e-5)
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
    monkeypatch.setattr(Writer, "__init__", lambda *arguments: pytest.fail("the catalog was opened for writing"))
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
    assert tag_new(album.library, nothing, nothing) == 1
    assert tag_new(album.library, nothing, nothing) == 0
    found = next(p for p in tagged_photos(album.library, ["red", "green", "white"]) if p.path.endswith("another.png"))
    assert dict(found.tags)["red"] > 0.5
    assert len(found.tags) == 2  # the other one is green or white


def test_tags_from_the_user_stay(album: Album) -> None:
    album.fill()
    put(album, ask("red"))
    with closing(Writer(album.library.folder)) as writer, writer.transaction():
        writer._raw.execute("INSERT INTO tags SELECT i.id, l.id, 'user', NULL, NULL, '2026' FROM images i, labels l")
    put(album, ask("red", one=True))
    clear(album.library, None, nothing)
    counts = TagReader(album.library.reader()).counts()
    assert [(count.label, count.source, count.photos) for count in counts] == [("red", "user", 4)]


def test_clear_removes_the_named_labels_and_they_return_only_on_request(album: Album) -> None:
    album.fill()
    put(album, ask("red", "green"))
    assert clear(album.library, ["red"], nothing) == 1
    assert labels(album, "red", "green") == {"red.png": [], "green.png": ["green"], "blue.png": [], "white.png": []}
    album.add("another.png", "red", 7)
    album.index()
    tag_new(album.library, nothing, nothing)
    assert labels(album, "red", "green")["another.png"] == []
    put(album, ask("red", "green"))
    assert labels(album, "red")["another.png"] == ["red"]
    assert clear(album.library, None, nothing) == 3
    assert TagReader(album.library.reader()).runs() == []


def test_clearing_an_unknown_label_is_an_error(album: Album) -> None:
    album.fill()
    with pytest.raises(SearcherError, match="'purple'"):
        clear(album.library, ["purple"], nothing)


def test_an_interrupted_run_keeps_its_answers_and_continues_from_there(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.fill()
    monkeypatch.setattr(running, "MOST_ROWS", 1)
    monkeypatch.setattr(running, "COMMIT_EMBEDDINGS", 1)
    done: list[int] = []

    def interrupt(so_far: int, total: int | None) -> None:
        done.append(so_far)
        if so_far == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag(album.library, ask("red", "green", "blue"), interrupt, nothing)
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
    dry = {photo.path: photo.tags for photo in would_tag(album.library, question, nothing)}
    assert TagReader(album.library.reader()).counts() == []
    put(album, question)
    assert dry == {photo.path: photo.tags for photo in tagged_photos(album.library, question.names)}
    assert len(dry) == 5


def test_the_thresholds_of_the_model_are_used_and_new_ones_start_the_run_again(album: Album) -> None:
    album.fill()
    question = ask("red", "green")
    put(album, question)
    album.model.info = {"thresholds": {"*": 1.0, "green": 0.0}}
    report = put(album, question)
    assert report.calibrated
    assert report.tagged == {"green": 4, "red": 0}


def test_a_library_without_photos_is_an_error(album: Album) -> None:
    with closing(Writer(album.library.folder)), pytest.raises(SearcherError, match="index"):
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
    assert all(
        {label for label, _ in photo.tags} == {name, "red"} for photo in tagged_photos(album.library, [name, "red"])
    )


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


def test_parents_are_stored(album: Album) -> None:
    album.fill()
    question = Question(
        (Label("red", ("red",), "warm"), Label("warm", ("warm",), "colour"), Label("green", ("green",)))
    )
    assert questions.parents(question.labels) == {"colour": None, "warm": "colour", "red": "warm", "green": None}
    put(album, question)
    rows = TagReader(album.library.reader()).labels()
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
    seen: list[tuple[int, int | None]] = []
    tag(album.library, ask("red"), lambda done, total: seen.append((done, total)), nothing)
    assert seen[-1] == (4, 4)
