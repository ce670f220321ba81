"""Finding thresholds on labelled photos."""

import json
import shutil
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from searcher.models.layout import read_json
from searcher.tagger.calibrate import best_threshold, calibrate, measured, store_thresholds
from searcher.tagger.question import ask
from tests.histogram_model import HistogramModel


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
    found = calibrate(model, ask(colours), vectors, truth)
    assert (found.precision, found.recall, found.f1, found.per_photo) == (1, 1, 1, 1)
    assert found.folds == (1, 1)
    assert 0 < found.threshold < 1


def test_storing_thresholds_changes_nothing_else_in_the_manifest(small_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_folder, folder)
    before = read_json(folder, "searcher.json")
    store_thresholds(folder, {"*": 0.87654321, "dog": 0.5})
    after = read_json(folder, "searcher.json")
    assert after["thresholds"] == {"*": 0.876543, "dog": 0.5}
    assert json.dumps(after | {"thresholds": before["thresholds"]}) == json.dumps(before)
