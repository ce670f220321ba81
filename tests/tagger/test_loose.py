"""Labelling single files, and finding thresholds on labelled photos."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.models.files import BATCH_SIZE
from searcher.models.folder import read_json
from searcher.tagger import ask, tag, tagged_photos
from searcher.tagger.calibrate import best_threshold, calibrate, measured, store_thresholds
from searcher.tagger.loose import classify
from searcher.tagger.scorer import BACKGROUND, NoCache, background_vector
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album


def nothing(*anything: object) -> None:
    pass


@pytest.mark.parametrize("one", [True, False])
def test_a_single_file_gets_the_same_labels_as_in_a_library(album: Album, one: bool) -> None:
    album.fill()
    question = ask(["red", "green", "white"], one=one)
    tag(album.library, question, nothing, nothing)
    stored = {photo.path: dict(photo.tags) for photo in tagged_photos(album.library, question.names)}
    paths = sorted(album.folder.glob("*.png"))
    loose = list(classify(album.model, question, paths))  # type: ignore[arg-type]
    assert [photo.path for photo in loose] == [str(path) for path in paths]
    for photo in loose:
        assert dict(photo.tags) == pytest.approx(stored[photo.path], abs=1e-5)


def test_an_unreadable_file_is_reported_and_the_order_is_kept(album: Album) -> None:
    album.fill()
    (album.folder / "broken.jpg").write_bytes(b"nothing")
    names = ["red.png", "broken.jpg", "green.png"] * BATCH_SIZE
    found = list(classify(album.model, ask(["red", "green"], one=True), [album.folder / name for name in names]))  # type: ignore[arg-type]
    assert [photo.tags[0][0] if photo.tags else photo.error is not None for photo in found] == [
        "red",
        True,
        "green",
    ] * BATCH_SIZE


def test_the_background_is_the_mean_of_its_prompts() -> None:
    model = HistogramModel()
    mean = background_vector(model, NoCache())  # type: ignore[arg-type]
    assert mean == pytest.approx(model.encode_texts(BACKGROUND).mean(axis=0))
    assert len(BACKGROUND) == len(set(BACKGROUND)) == 20


@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 5))
def test_no_other_threshold_has_a_higher_f1_than_the_best_one(seed: int, photos: int, labels: int) -> None:
    random = np.random.default_rng(seed)
    chances = random.random((photos, labels)).round(1).astype(np.float32)  # rounded, so that many are equal
    truth = random.random((photos, labels)) < 0.4
    truth[0, 0] = True
    best = measured(chances, truth, best_threshold(chances, truth))[2]
    assert all(measured(chances, truth, float(bar))[2] <= best + 1e-9 for bar in np.linspace(0, 1.05, 43))


def test_calibration_is_perfect_if_the_labels_can_be_separated() -> None:
    model = HistogramModel()
    colours = ["red", "green", "blue"]
    vectors = np.repeat(model.encode_texts(colours), 5, axis=0)
    truth = np.repeat(np.eye(3, dtype=bool), 5, axis=0)
    found = calibrate(model, ask(colours), vectors, truth)  # type: ignore[arg-type]
    assert (found.precision, found.recall, found.f1, found.per_photo) == (1, 1, 1, 1)
    assert found.folds == (1, 1)
    assert 0 < found.threshold < 1


def test_storing_thresholds_changes_nothing_else_in_the_manifest(small_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(small_folder, folder)
    before = read_json(folder, "searcher.json")
    store_thresholds(folder, {"*": 0.87654321, "dog": 0.5})
    after = read_json(folder, "searcher.json")
    assert after["thresholds"] == {"*": 0.876543, "dog": 0.5}
    assert json.dumps(after | {"thresholds": before["thresholds"]}) == json.dumps(before)
