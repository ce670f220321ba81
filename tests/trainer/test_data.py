"""Which record comes when, and how it is augmented."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from searcher.datasets import Pair
from searcher.trainer.data import Augment, PairDataset, Schedule, loader
from tests.pictures import draw

AUGMENT = Augment(16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def words(texts: list[str]) -> torch.Tensor:
    """A stand-in tokenizer: one number a caption."""
    return torch.tensor([[int(hashlib.md5(text.encode()).hexdigest()[:6], 16)] for text in texts])


@given(st.integers(1, 60), st.integers(2, 9), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_an_epoch_takes_each_record_its_weight_of_times(records: int, batch_size: int, seed: int) -> None:
    schedule = Schedule(np.ones(records), batch_size, seed)
    batches = schedule.epoch(3)
    assert {len(batch) for batch in batches} == {batch_size}
    assert len(batches) == schedule.steps_per_epoch
    taken = Counter(record for batch in batches for _, record, _ in batch)
    if records >= batch_size:
        assert max(taken.values()) == 1


def test_weights_say_how_often_a_record_is_drawn() -> None:
    weights = np.array([0.5] * 1000 + [3.0] * 1000)
    taken = Counter(record for batch in Schedule(weights, 10, 0).epoch(0) for _, record, _ in batch)
    assert sum(taken[r] for r in range(1000)) == pytest.approx(500, abs=60)
    assert sum(taken[r] for r in range(1000, 2000)) == pytest.approx(3000, abs=60)


def test_a_run_that_starts_later_takes_the_same_batches() -> None:
    schedule = Schedule(np.ones(25), 4, 1)
    whole = list(schedule.from_step(0, 20))
    assert len(whole) == 20
    assert list(schedule.from_step(7, 20)) == whole[7:]
    assert whole[:6] != whole[6:12]  # another epoch, another order


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    pairs = []
    for i in range(12):
        draw(tmp_path / f"{i}.jpg", i)
        pairs.append(Pair(str(tmp_path / f"{i}.jpg"), (f"picture {i}", f"image {i}")))
    pairs.append(Pair(str(tmp_path / "gone.jpg"), ("gone",)))
    schedule = Schedule(np.ones(13), 6, 0)
    runs = []
    for workers in (0, 1, 2):
        dataset = PairDataset(pairs, AUGMENT, words, seed=5)
        runs.append(list(loader(dataset, schedule.from_step(0, 8), workers)))
    for other in runs[1:]:
        for one, two in zip(runs[0], other, strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in one)
    assert sum(int(batch["bad"]) for batch in runs[0]) > 0
    assert all(len(batch["images"]) + int(batch["bad"]) == 6 for batch in runs[0])


def test_the_plain_picture_is_the_whole_picture_squashed() -> None:
    image = Image.effect_noise((80, 50), 60).convert("RGB")
    augment = Augment(16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC), np.float32).transpose(2, 0, 1) / 255
    assert np.abs(augment.plain(image).numpy() - expected).max() <= 1.5 / 255


def test_augmented_pixels_are_float32_and_differ_from_draw_to_draw() -> None:
    image = Image.effect_noise((80, 50), 60).convert("RGB")
    one, two = (AUGMENT(image, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.dtype == two.dtype == torch.float32
    assert one.shape == (3, 16, 16)
    assert not torch.equal(one, two)
