"""Label embeddings, and the label nearest to an image."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from searcher.datasets import BARE, ENSEMBLE, Label, read_labels
from searcher.models import Model, prompts
from searcher.models.prompts import encode_labels, nearest
from tests.watcher import Watcher


@pytest.fixture(scope="module")
def model(small_folder: Path) -> Model:
    return Model.open(small_folder)


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return found


def test_a_label_embedding_is_the_mean_of_its_prompts(model: Model) -> None:
    labels = [Label("dog", ("dog", "puppy")), Label("cat", ("cat",), templates=("my {}", "{}"))]
    found = encode_labels(model, labels, ["a photo of a {}.", "art of the {}."])
    dog = ["a photo of a dog.", "art of the dog.", "a photo of a puppy.", "art of the puppy."]
    expected = [unit(model.encode_texts(texts).mean(axis=0)) for texts in (dog, ["my cat", "cat"])]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_bare_template_embeds_the_names_themselves(model: Model) -> None:
    labels = read_labels("cat,dog,a red car")
    np.testing.assert_allclose(
        encode_labels(model, labels, BARE), model.encode_texts(["cat", "dog", "a red car"]), atol=1e-6
    )


def test_prompts_are_encoded_in_batches_and_progress_is_reported(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = read_labels("@cifar10")
    whole = encode_labels(model, labels, ENSEMBLE)
    monkeypatch.setattr(prompts, "TEXTS_AT_ONCE", 7)  # the prompts of one label fall into two batches
    progress = Watcher()
    np.testing.assert_allclose(encode_labels(model, labels, ENSEMBLE, progress), whole, atol=1e-6)
    assert progress.said[0] == (7, 80)
    assert progress.said[-1] == (80, 80)


def test_no_labels_give_no_embeddings(model: Model) -> None:
    assert encode_labels(model, []).shape == (0, model.dim)


VECTORS = npst.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(4)), elements=st.integers(-2, 2))


@given(VECTORS, VECTORS)
def test_the_nearest_label_has_the_largest_dot_product_and_the_first_one_wins_a_tie(
    images: np.ndarray, labels: np.ndarray
) -> None:
    assert nearest(images, labels).tolist() == (images @ labels.T).argmax(axis=1).tolist()


def test_images_are_rounded_to_float16_before_the_comparison() -> None:
    labels = np.eye(2, dtype=np.float32)
    image = np.array([[0.70710, 0.70712]], np.float32)  # before rounding, the second label is nearer
    assert nearest(image, labels).tolist() == nearest(image.astype(np.float16), labels).tolist() == [0]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_nearest_label_does_not_depend_on_the_batch_size(seed: int, step: int) -> None:
    rng = np.random.default_rng(seed)
    labels = unit(rng.normal(size=(30, 96))).astype(np.float32)
    close = labels[rng.integers(0, 30, 40)] + np.float32(1e-8) * rng.normal(size=(40, 96)).astype(np.float32)
    labels = np.concatenate([labels, unit(close)]).astype(
        np.float32
    )  # these labels differ from others only in their last bits
    images = unit(labels[rng.integers(0, 70, 40)] + 0.1 * rng.normal(size=(40, 96))).astype(np.float16)
    whole = nearest(images, labels)
    parts = [nearest(images[start : start + step], labels) for start in range(0, 40, step)]
    assert whole.tolist() == np.concatenate(parts).tolist()
    exact = images.astype(np.float64) @ labels.T.astype(np.float64)
    np.testing.assert_allclose(exact[np.arange(40), whole], exact.max(axis=1), rtol=0, atol=1e-14)
