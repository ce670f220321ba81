from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from searcher.models.preprocess import Preprocess
from tests.models.towers import real_photos

CONFIGS = [
    {},
    {"size": 64},
    {"size": [96, 64]},
    {"size": 96, "interpolation": "bilinear"},
    {"size": 64, "resize_mode": "squash"},
    {"size": [64, 96], "resize_mode": "squash", "interpolation": "bilinear"},
    {"size": 64, "resize_mode": "longest"},
    {
        "size": 64,
        "resize_mode": "longest",
        "fill_color": 127,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
    },
    {"size": 64, "interpolation": "random"},
]


def difference(config: dict[str, Any], image: Image.Image) -> float:
    """Largest difference from open_clip's transform. Pixel values are from 0 to 1."""
    cfg = PreprocessCfg(**config)
    expected = image_transform_v2(cfg, is_train=False)(image).numpy()
    found = Preprocess.from_config(asdict(cfg))(image)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    return float(np.abs((found - expected) * np.asarray(cfg.std, dtype=np.float32)[:, None, None]).max())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_preprocessing_equals_open_clip_on_real_photos(config: dict[str, Any]) -> None:
    for photo in real_photos():
        assert difference(config, photo) < 1 / 255


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    config=st.sampled_from(CONFIGS[1:]),
    seed=st.integers(0, 9),
)
def test_preprocessing_equals_open_clip_for_any_image_size(
    width: int, height: int, config: dict[str, Any], seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    try:
        found = difference(config, Image.fromarray(noise))
    except ValueError as error:  # open_clip itself fails if a side has zero pixels
        assert "height and width must be > 0" in str(error)
    else:
        assert found < 1 / 255


@pytest.mark.parametrize(("width", "height"), [(1, 30_000), (30_000, 2)])
def test_preprocessing_a_very_long_image_takes_little_memory(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    genuine = Image.Image.resize

    def resize(self: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        sizes.append(size)
        return genuine(self, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", resize)
    assert Preprocess(size=(64, 96)).crop(Image.new("RGB", (width, height))).size == (96, 64)
    assert sizes == [(96, 64)]


def test_cropping_a_long_image_before_resizing_gives_nearly_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    slope = np.linspace(0, 255, 3 * 1500).reshape(1500, 3)
    photo = Image.fromarray(slope.astype(np.uint8)).convert("RGB")
    found = np.asarray(Preprocess(size=(32, 32)).crop(photo), int)
    monkeypatch.setattr("searcher.models.preprocess.LONG", 1e9)
    assert np.abs(found - np.asarray(Preprocess(size=(32, 32)).crop(photo), int)).max() <= 2


@pytest.mark.parametrize(
    "config",
    [
        {"size": [1, 2, 3]},
        {"size": 0},
        {"std": [0, 1, 1]},
        {"mean": [0.5]},
        {"interpolation": "nearest"},
        {"resize_mode": "crop"},
        {"mode": "L"},
    ],
    ids=str,
)
def test_a_preprocessing_config_that_open_clip_does_not_support_is_rejected(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Preprocess.from_config(config)
