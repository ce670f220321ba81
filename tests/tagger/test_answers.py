"""Computing the labels of photos, with `one` and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.models.prompts import nearest
from searcher.models.relevance import logit, relevance
from searcher.tagger.answers import answer
from searcher.tagger.scorer import Scorer


def unit(seed: int, count: int, dim: int = 16) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    unit_rows: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit_rows


def scorer(labels: np.ndarray, one: bool = True, threshold: float = 0.5, offset: float = 0.0) -> Scorer:
    count = len(labels)
    return Scorer(one, labels, np.full(count, offset, np.float32), np.arange(count), 20.0, logit(threshold))


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 12))
def test_with_one_probabilities_sum_to_1_and_the_best_comes_first(seed: int, photos: int, labels: int) -> None:
    answers = answer(unit(seed, photos), scorer(unit(seed + 1, labels)), most=labels)
    assert answers.rows.tolist() == np.repeat(np.arange(photos), labels).tolist()
    chances = answers.probabilities.reshape(photos, labels)
    assert chances.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (np.diff(chances, axis=1) <= 1e-6).all()
    assert (np.sort(answers.labels.reshape(photos, labels), axis=1) == np.arange(labels)).all()


@given(st.integers(0, 1000), st.integers(1, 4))
def test_the_best_label_does_not_depend_on_top_and_is_the_same_as_in_evaluate(seed: int, top: int) -> None:
    photos, labels = unit(seed, 20), unit(seed + 1, 6)
    labels[4] = labels[2]  # a tie between two labels
    single = answer(photos, scorer(labels), most=1)
    several = answer(photos, scorer(labels), most=top)
    assert several.labels[::top].tolist() == single.labels.tolist() == nearest(photos, labels).tolist()


def test_softmax_uses_the_scale_and_does_not_overflow() -> None:
    photo, labels = np.eye(2, dtype=np.float32)[:1], np.eye(2, dtype=np.float32)
    chances = answer(photo, scorer(labels), most=2).probabilities
    assert chances == pytest.approx([1 / (1 + np.exp(-20)), np.exp(-20) / (1 + np.exp(-20))])
    large = Scorer(True, labels, np.zeros(2, np.float32), np.arange(2), 1e4, 0.0)
    assert answer(photo, large, most=2).probabilities.tolist() == [1, 0]


@given(st.integers(0, 1000), st.floats(0.05, 0.95), st.floats(-2, 2))
def test_without_one_exactly_the_labels_above_their_threshold_are_given(
    seed: int, threshold: float, offset: float
) -> None:
    photos, labels = unit(seed, 9), 5 * unit(seed + 1, 7)
    answers = answer(photos, scorer(labels, one=False, threshold=threshold, offset=offset), most=100)
    stored = photos.astype(np.float16).astype(np.float32)
    chances = relevance(stored @ labels.T + np.float32(offset))
    expected = {(row, label) for row, label in np.argwhere(chances >= threshold)}
    near = {(row, label) for row, label in np.argwhere(np.abs(chances - threshold) < 1e-4)}
    given_ = set(zip(answers.rows.tolist(), answers.labels.tolist(), strict=True))
    assert expected - near <= given_ <= expected | near
    assert answers.probabilities == pytest.approx(chances[answers.rows, answers.labels], abs=1e-5)
    order = np.lexsort((-answers.probabilities, answers.rows))
    assert (np.diff(answers.rows) >= 0).all()
    assert answers.probabilities[order].tolist() == answers.probabilities.tolist()


def test_a_photo_gets_at_most_the_requested_number_of_labels_and_may_get_none() -> None:
    labels = np.array([[9, 0], [8, 0], [7, 0]], np.float32)
    photos = np.array([[1, 0], [-1, 0]], np.float32)
    answers = answer(photos, scorer(labels, one=False), most=2)
    assert (answers.rows.tolist(), answers.labels.tolist()) == ([0, 0], [0, 1])


def test_thresholds_of_0_and_1_mean_always_and_never() -> None:
    photos, labels = np.array([[-1, 0], [1, 0]], np.float32), np.array([[5, 0]], np.float32)
    for threshold, rows in ((0.0, [0, 1]), (1.0, [])):
        assert answer(photos, scorer(labels, one=False, threshold=threshold), most=9).rows.tolist() == rows


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_label_counts_as_its_best_wording(seed: int, sizes: list[int]) -> None:
    photos, wordings = unit(seed, 9), 5 * unit(seed + 1, sum(sizes))
    starts = np.cumsum([0, *sizes[:-1]])
    asked = Scorer(False, wordings, np.zeros(len(wordings), np.float32), starts, 1.0, -np.inf)
    answers = answer(photos, asked, most=100)
    scores = photos.astype(np.float16).astype(np.float32) @ wordings.T
    best = [scores[:, start : start + size].max(axis=1) for start, size in zip(starts, sizes, strict=True)]
    found = relevance(np.stack(best, axis=1))[answers.rows, answers.labels]
    assert answers.probabilities == pytest.approx(found, abs=1e-6)


def test_without_photos_there_are_no_answers() -> None:
    for one in (True, False):
        answers = answer(np.zeros((0, 16), np.float16), scorer(unit(1, 3), one=one), most=2)
        assert len(answers.rows) == len(answers.labels) == len(answers.probabilities) == 0
