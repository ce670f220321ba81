"""Relevance: from cosines to the probability that a photo shows what a text says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.datasets.labels import Label
from searcher.models import Model
from searcher.models.relevance import (
    BUILTIN,
    BUILTIN_STRANGERS,
    FITS,
    MOST_WORDINGS,
    Calibration,
    calibration,
    logit,
    read_labels,
    read_text,
    relevance,
    strangers,
)
from tests.histogram_model import HistogramModel


@pytest.fixture(scope="module")
def builtin() -> Model:
    return Model.open("builtin")


@given(st.floats(-800, 800))
def test_relevance_and_logit_are_inverse_and_do_not_overflow(value: float) -> None:
    chance = float(relevance(np.array([value]))[0])
    assert 0 <= chance <= 1
    if abs(value) > 1e-6:
        assert (chance >= FITS) == (value >= 0)
    if abs(value) < 10:
        assert logit(chance) == pytest.approx(value, abs=0.01)


def test_the_first_wording_is_the_text_and_a_kind_has_more(builtin: Model) -> None:
    bird, robin, sentence = (read_text(builtin, text) for text in ("bird", "robin redbreast", "a dog in the deep snow"))
    assert len(bird.vectors) == MOST_WORDINGS
    assert len(sentence.vectors) == 1
    assert np.linalg.norm(bird.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert sentence.vectors[0] == pytest.approx(builtin.encode_texts(["a dog in the deep snow"])[0], abs=1e-4)
    assert (bird.slopes > 0).all()
    # a photo can never be as near to a broad word as to a narrow one
    boundary = -bird.offsets / bird.slopes
    assert boundary[0] < boundary[1:].min() < (-robin.offsets / robin.slopes)[0]


def test_the_relevance_of_a_photo_is_that_of_its_best_wording(builtin: Model) -> None:
    wordings = read_text(builtin, "dog")
    photos = np.random.default_rng(0).normal(size=(50, builtin.dim)).astype(np.float32)
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    each = photos @ wordings.vectors.T * wordings.slopes + wordings.offsets
    assert wordings.logits(photos) == pytest.approx(each.max(axis=1), abs=1e-4)


def test_a_label_has_its_own_wordings_and_templates_first(builtin: Model) -> None:
    label = Label("pet", ("cat", "dog"), templates=("a drawing of a {}",))
    (found,) = read_labels(builtin, [label])
    assert len(found.vectors) == MOST_WORDINGS
    drawings = builtin.encode_texts(["a drawing of a cat", "a drawing of a dog"])
    assert found.vectors[:2] == pytest.approx(drawings, abs=1e-4)
    many = Label("many", tuple(f"word {number}" for number in range(40)))
    assert len(read_labels(builtin, [many])[0].vectors) == MOST_WORDINGS


def test_labels_are_read_alike_alone_and_together(builtin: Model) -> None:
    labels = [Label(name, (name,)) for name in ("dog", "a red car", "sunset over the sea")]
    for label, found in zip(labels, read_labels(builtin, labels), strict=True):
        assert found.vectors == pytest.approx(read_text(builtin, label.name).vectors, abs=1e-5)


@given(st.floats(-0.3, 0.3), st.floats(0.01, 0.3), st.integers(1, 1000))
def test_a_calibration_that_is_moved_says_the_same_of_cosines_that_are_as_unusual(
    mean: float, spread: float, breadth: int
) -> None:
    moved = BUILTIN.moved(BUILTIN_STRANGERS, (mean, spread))
    assert not moved.measured
    z = np.linspace(-2, 5, 9)
    here = BUILTIN_STRANGERS[0] + z * BUILTIN_STRANGERS[1]
    (slope,), (offset,) = BUILTIN.lines(np.array([breadth]))
    height = np.log(breadth)
    slope_there = moved.slope[0] + moved.slope[1] * height
    there = slope_there * (mean + z * spread) + moved.offset[0] + moved.offset[1] * height
    assert there == pytest.approx(slope * here + offset, abs=1e-3)


def test_a_slope_is_never_negative() -> None:
    slopes, _ = Calibration((10.0, -5.0), (0.0, 0.0), measured=True).lines(np.array([1.0, 1e6]))
    assert (slopes > 0).all()


def test_strangers_do_not_depend_on_the_few_that_belong_together() -> None:
    draw = np.random.default_rng(0)
    photos, texts = draw.normal(size=(200, 64)) / 8, draw.normal(size=(100, 64)) / 8
    before = strangers(photos, texts)
    photos[:5] = texts[:5] * 10
    assert strangers(photos, texts) == pytest.approx(before, abs=0.01)


def test_a_model_that_was_never_measured_gets_the_values_of_its_family() -> None:
    model = HistogramModel()
    model.info = {}
    found = calibration(model)
    assert not found.measured
    boundary = -found.offset[0] / found.slope[0]
    assert 0.22 < boundary < 0.4  # where photos and texts of CLIP models begin to belong together


def test_the_built_in_model_is_measured_and_the_constants_are_its_own(builtin: Model) -> None:
    found = calibration(builtin)
    assert found.measured
    assert (*found.slope, *found.offset) == pytest.approx((*BUILTIN.slope, *BUILTIN.offset), rel=0.01)
