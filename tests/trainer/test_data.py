"""The order of records and their augmentation."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from searcher.datasets import Pair, read_source
from searcher.errors import SearcherError
from searcher.models.preprocess import Preprocess
from searcher.trainer.augment import Augment
from searcher.trainer.data import Layout, PairDataset, Records, SampleMaker, Schedule, Teacher, read_teacher
from searcher.trainer.distributed import Processes
from tests.pictures import draw


def records(dataset: PairDataset, batch_size: int = 6, **layout: Any) -> Records:
    """The data of a run with one process, unless `layout` changes it."""
    values: dict[str, Any] = {"parts": 1, "workers": 0, "seed": 0, "processes": Processes()} | layout
    return Records(dataset, np.ones(len(dataset.pairs)), Layout(batch_size, **values))


AUGMENT = Augment(16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def words(texts: list[str]) -> torch.Tensor:
    """A simple tokenizer for tests: one number per caption."""
    return torch.tensor([[int(hashlib.md5(text.encode()).hexdigest()[:6], 16)] for text in texts])


@given(st.integers(1, 60), st.integers(2, 9), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_an_epoch_has_full_batches_and_repeats_no_record(records: int, batch_size: int, seed: int) -> None:
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


def test_a_run_that_starts_at_a_later_step_takes_the_same_batches() -> None:
    schedule = Schedule(np.ones(25), 4, 1)
    whole = list(schedule.from_step(0, 20))
    assert len(whole) == 20
    assert list(schedule.from_step(7, 20)) == whole[7:]
    assert whole[:6] != whole[6:12]  # the order changes from epoch to epoch


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    pairs = []
    for i in range(12):
        draw(tmp_path / f"{i}.jpg", i)
        pairs.append(Pair(str(tmp_path / f"{i}.jpg"), (f"picture {i}", f"image {i}")))
    pairs.append(Pair(str(tmp_path / "gone.jpg"), ("gone",)))
    dataset = PairDataset([pairs], SampleMaker(AUGMENT, words), seed=5)
    runs = [list(records(dataset, workers=workers).parts(0, 8)) for workers in (0, 1, 2)]
    for other in runs[1:]:
        for one, two in zip(runs[0], other, strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in one)
    assert all(len(part["images"]) == 6 for part in runs[0])
    spoilt = next(part for part in runs[0] if part["bad"].sum() > 0)
    assert spoilt["bad"].sum().item() == pytest.approx(1)
    assert torch.equal(spoilt["images"][5], spoilt["images"][0])  # a copy of the first replaces the missing image


def test_an_image_is_compared_only_with_the_classes_of_its_source(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)

    def pairs(*labels: str | None) -> list[Pair]:
        return [Pair(str(tmp_path / "a.png"), ("a picture",), label) for label in labels]

    sources = [pairs("dog", "cat"), pairs("poodle", "dog", "beagle"), pairs(None)]
    dataset = PairDataset(sources, SampleMaker(AUGMENT, words), seed=5)
    assert list(dataset.classes) == ["dog", "cat", "poodle", "beagle"]
    samples = [dataset[(0, record, 0)] for record in range(6)]
    assert [sample and sample["classes"].item() for sample in samples] == [0, 1, 2, 0, 3, -1]
    rivals = [sample["rivals"].int().tolist() for sample in samples if sample]
    assert rivals == [[1, 1, 0, 0]] * 2 + [[1, 0, 1, 1]] * 3 + [[0, 0, 0, 0]]


def test_processes_and_parts_split_the_same_batches(tmp_path: Path) -> None:
    pairs = []
    for i in range(16):
        draw(tmp_path / f"{i}.jpg", i)
        pairs.append(Pair(str(tmp_path / f"{i}.jpg"), (f"picture {i}",)))
    dataset = PairDataset([pairs], SampleMaker(AUGMENT, words), seed=5)
    whole = list(records(dataset, batch_size=8).parts(1, 4))
    shares = [
        list(records(dataset, batch_size=8, parts=2, processes=Processes(rank, 2)).parts(1, 4)) for rank in (0, 1)
    ]
    for step, batch in enumerate(whole):
        joined = [part["images"] for share in shares for part in share[2 * step : 2 * step + 2]]
        assert torch.equal(torch.cat(joined), batch["images"])


def test_a_batch_that_cannot_be_divided_gives_an_error() -> None:
    with pytest.raises(SearcherError, match="a batch of 10 cannot be divided into 2 processes × 3 parts"):
        _ = Layout(10, 3, 0, 0, Processes(0, 2)).part_size


def test_a_teachers_embeddings_are_next_to_the_data_with_one_row_per_record(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, 1)
    (tmp_path / "pairs.csv").write_text("image,caption\na.png,one\ngone.png,two\nb.png,three\na.png,four\n")
    np.save(tmp_path / "pairs.npy", np.arange(12, dtype=np.float16).reshape(4, 3))
    source = read_source(tmp_path / "pairs.csv")
    rows = read_teacher(source.path, source.records, 3)
    teacher = Teacher([(rows, source.pairs), (None, source.pairs[:1])], 3)
    found = [teacher[i].tolist() for i in range(3)]
    assert found == [[0, 1, 2], [6, 7, 8], [0, 0, 0]]  # for a.png, for b.png, and for a source without a teacher
    with pytest.raises(SearcherError, match=r"\[4, 3\], but 4 records need \[4, 5\]"):
        read_teacher(source.path, 4, 5)
    (tmp_path / "pairs.npy").write_bytes(b"no array")
    with pytest.raises(SearcherError, match="is not a NumPy array"):
        read_teacher(source.path, 4, 3)


def test_an_image_is_not_mirrored_if_its_caption_contains_left_or_right(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :12] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    make, data = SampleMaker(AUGMENT, words), (tmp_path / "a.png").read_bytes()

    def mirrored(caption: str) -> int:
        rows = [make(data, [caption], "a", np.random.default_rng(seed))["images"] for seed in range(20)]
        return sum(bool(row[0, :, 0].mean() < row[0, :, -1].mean()) for row in rows)

    assert mirrored("white on the Left, black on the right") == mirrored("left") == 0
    assert 3 < mirrored("leftovers") < 17


def test_an_uncropped_image_without_jitter_equals_the_input_of_search() -> None:
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    augment = Augment(32, AUGMENT.mean, AUGMENT.std, min_area=1.0, jitter=0.0)
    search = Preprocess(size=(32, 32), mean=AUGMENT.mean, std=AUGMENT.std, resize_mode="squash")
    found = augment(image, np.random.default_rng(0), mirror=False).numpy()
    assert np.abs(found - search(image)).max() < 0.04


@pytest.mark.parametrize("least", [0.2, 0.8])
def test_a_crop_keeps_at_least_min_area_of_the_image(least: float) -> None:
    x, y = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    image = Image.fromarray(np.stack([x, y, x], axis=-1))  # red encodes x, green encodes y
    augment = Augment(64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), min_area=least, jitter=0.0)
    crops = [augment(image, np.random.default_rng(seed)) for seed in range(60)]
    areas = [float(np.ptp(crop[0].numpy()) * np.ptp(crop[1].numpy())) for crop in crops]
    assert least - 0.05 < min(areas) < least + 0.1
    assert max(areas) > 0.85


def test_the_given_share_of_images_becomes_grayscale() -> None:
    ramp = Image.linear_gradient("L")
    image = Image.merge("RGB", [ramp.rotate(angle) for angle in (0, 90, 180)])

    def how_many(share: float) -> int:
        augment = Augment(16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), grayscale=share)
        pictures = [augment(image, np.random.default_rng(seed)) for seed in range(60)]
        return sum(torch.equal(picture[0], picture[1]) and torch.equal(picture[1], picture[2]) for picture in pictures)

    assert how_many(0.0) == 0
    assert 15 < how_many(0.5) < 45
    assert how_many(1.0) == 60


def test_augmented_pixels_are_float32_and_differ_between_seeds() -> None:
    image = Image.effect_noise((80, 50), 60).convert("RGB")
    one, two = (AUGMENT(image, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.dtype == two.dtype == torch.float32
    assert one.shape == (3, 16, 16)
    assert not torch.equal(one, two)
