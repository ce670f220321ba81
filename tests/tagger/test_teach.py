"""Labels taught by example."""

from pathlib import Path

import numpy as np
import pytest

from searcher import Library
from searcher.catalog import Catalog
from searcher.errors import SearcherError
from searcher.tagger import taught
from searcher.tagger.context import Context
from searcher.tagger.question import ask
from searcher.tagger.taught import fit, taught_labels
from tests.histogram_model import OtherModel
from tests.library.conftest import Album


def unit(rows: np.ndarray) -> np.ndarray:
    unit_rows: np.ndarray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return unit_rows


@pytest.fixture
def garden(album: Album) -> Album:
    """Six photos of each of four colours."""
    for colour in ("red", "green", "blue", "white"):
        for number in range(6):
            album.add(f"{colour}{number}.png", colour, number)
    album.index()
    return album


def have(album: Album, name: str) -> set[str]:
    return {album.name(photo.path) for photo in album.library.tagged([name]) if photo.tags}


def learn(album: Album, name: str, examples: list[str], against: list[str] | None = None) -> tuple[int, int]:
    paths = [[album.folder / each for each in some] for some in (examples, against or [])]
    counts = album.library.teach(name, paths[0], paths[1])
    album.library.tag([name])
    return counts


def test_photos_that_look_like_the_examples_get_the_label(garden: Album) -> None:
    assert learn(garden, "Rex", ["red0.png", "red1.png"]) == (2, 0)
    assert have(garden, "Rex") == {f"red{number}.png" for number in range(6)}
    counts = garden.library.label_counts()
    assert [(count.label, count.source) for count in counts] == [("Rex", "taught")]


def test_a_taught_label_works_like_any_other_label(garden: Album) -> None:
    learn(garden, "Rex", ["red0.png", "red1.png"])
    report = garden.library.tag(["Rex", "green", "blue", "white"], one=True)
    assert report.tagged == {"Rex": 6, "green": 6, "blue": 6, "white": 6}
    garden.add("new.png", "red", 30)
    garden.index()
    garden.library.tag_new()
    assert "new.png" in have(garden, "Rex")


def test_a_label_can_be_taught_with_photos_against_it(garden: Album) -> None:
    learn(garden, "Rex", ["red0.png", "red1.png"], ["blue0.png"])
    assert have(garden, "Rex") == {f"red{number}.png" for number in range(6)}


def test_examples_can_be_anywhere_and_can_be_deleted_afterwards(garden: Album, tmp_path: Path) -> None:
    outside = (garden.folder / "red0.png").rename(tmp_path / "elsewhere.png")
    garden.index()
    garden.library.teach("Rex", [outside])
    outside.unlink()
    garden.library.tag(["Rex"])
    assert have(garden, "Rex") == {f"red{number}.png" for number in range(1, 6)}


def test_a_taught_label_works_with_another_model_after_its_examples_are_deleted(garden: Album, tmp_path: Path) -> None:
    learn(garden, "Rex", ["red0.png", "red1.png"])
    for name in ("red0.png", "red1.png"):
        (garden.folder / name).unlink()
    garden.index()
    with Library.open(garden.library.folder, model=OtherModel()) as library:
        library.index(garden.folder)
        assert library.tag_new() == 22
        found = {garden.name(photo.path) for photo in library.tagged(["Rex"]) if photo.tags}
        assert found == {f"red{number}.png" for number in range(2, 6)}


def test_teaching_again_replaces_the_examples(garden: Album) -> None:
    learn(garden, "Rex", ["red0.png"])
    learn(garden, "Rex", ["green0.png", "green1.png"])
    assert have(garden, "Rex") == {f"green{number}.png" for number in range(6)}


def test_copies_of_a_photo_count_as_one_example(garden: Album) -> None:
    garden.copy("red0.png", "copy.png")
    assert learn(garden, "Rex", ["red0.png", "copy.png", "red0.png"]) == (1, 0)


def test_a_classifier_is_computed_once(garden: Album, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(garden, "Rex", ["red0.png", "red1.png"])
    with catalog.read() as view:
        row = view.models.current()
    assert row is not None
    context = Context(catalog, garden.model, row)
    first = taught_labels(context, ask(["Rex", "green"]))
    monkeypatch.setattr(taught, "fit", lambda *arguments: pytest.fail("the classifier was computed again"))
    again = taught_labels(context, ask(["Rex"]))
    assert list(first) == list(again) == ["Rex"]
    assert first["Rex"].pack() == pytest.approx(again["Rex"].pack())


def test_only_runs_and_lessons_store_a_classifier(
    garden: Album, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(garden, "Rex", ["red0.png", "red1.png"])
    with Library.open(garden.library.folder, model=OtherModel()) as library:
        library.index(garden.folder)
        made: list[taught.Taught] = []

        def spy(*arguments: np.ndarray) -> taught.Taught:
            made.append(fit(*arguments))
            return made[-1]

        monkeypatch.setattr(taught, "fit", spy)
        for _ in range(2):
            list(library.preview_tags(ask(["Rex"])))
            list(library.classify(ask(["Rex"]), [garden.folder / "red0.png"]))
        assert len(made) == 4
        library.tag_new()
        list(library.preview_tags(ask(["Rex"])))
        assert len(made) == 5


def test_a_forgotten_label_becomes_zero_shot_again(garden: Album) -> None:
    learn(garden, "red", ["green0.png", "green1.png"])
    assert "green2.png" in have(garden, "red")
    garden.library.forget_label("red")
    garden.library.untag(["red"])
    garden.library.tag(["red"])
    assert have(garden, "red") == {f"red{number}.png" for number in range(6)}
    with pytest.raises(SearcherError, match="never taught"):
        garden.library.forget_label("red")


def test_invalid_examples_are_an_error(garden: Album, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    red = garden.folder / "red0.png"
    wrong = [
        ("Rex", [tmp_path / "broken.jpg"], [], "broken.jpg"),
        ("Rex", [tmp_path / "missing.jpg"], [], "missing.jpg"),
        ("Rex", [red], [red], "both an example and a counterexample of 'Rex'"),
        ("Rex", [], [], "no example photos for 'Rex'; give at least one"),
        (" ", [red], [], "name"),
        ("\udcff", [red], [], "is not UTF-8 text"),
        ("a\0b", [red], [], "contains a NUL character"),
    ]
    for name, examples, against, message in wrong:
        with pytest.raises(SearcherError, match=message) as raised:
            garden.library.teach(name, examples, against)
        assert "\n" not in str(raised.value)
    with catalog.read() as view:
        assert view.tags.taught() == {}


@pytest.mark.parametrize("ordinary", [1, 2, 10, 400])
def test_a_classifier_is_finite_even_with_few_photos(ordinary: int) -> None:
    random = np.random.default_rng(0)
    center = random.normal(size=32)
    sample = unit(center + random.normal(size=(ordinary, 32)))
    examples = unit(center + 3 * np.eye(32)[0] + 0.3 * random.normal(size=(3, 32)))
    made = fit(examples, np.zeros((0, 32), np.float32), sample, sample[0], sample[:1])
    assert np.isfinite(made.pack()).all()
    assert (examples @ made.weights + made.offset).mean() > made.boundary


def test_few_ordinary_photos_get_the_label_by_mistake() -> None:
    random = np.random.default_rng(0)
    sample = unit(random.normal(size=(1000, 32)))
    examples = unit(2 * np.eye(32)[0] + 0.2 * random.normal(size=(5, 32)))
    made = fit(examples, np.zeros((0, 32), np.float32), sample, sample[0], sample[:5])
    assert ((sample @ made.weights + made.offset) >= made.boundary).mean() <= 0.021
    fresh = unit(2 * np.eye(32)[0] + 0.2 * random.normal(size=(50, 32)))
    assert ((fresh @ made.weights + made.offset) >= made.boundary).mean() > 0.9
