"""Copies of a photo have nearly the same perceptual hash, and a photo in focus is sharper."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from searcher.datasets.samples import sample_photos
from searcher.photos.decode import decode
from searcher.photos.likeness import MIN_SIDE, measure
from tests.photos.files import saved


def bits(image: Image.Image) -> np.ndarray:
    return np.unpackbits(np.array([measure(image).phash], np.int64).view(np.uint8))


def recompressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    across, down = image.width // 50, image.height // 50
    return image.crop((across, down, image.width - across, image.height - down))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    found = [Image.open(path).convert("RGB") for path in sample_photos()]
    for image in found:
        image.thumbnail((512, 512))
    return found


def test_copies_are_told_from_different_photos(photos: list[Image.Image]) -> None:
    hashes = np.array([bits(image) for image in photos])
    apart = (hashes[:, None] != hashes[None]).sum(2)[np.triu_indices(len(photos), 1)]
    assert apart.min() > 16
    for change in (recompressed, cropped, lambda image: image.resize((200, 150)), lambda image: image.reduce(4)):
        copies = np.array([bits(change(image)) for image in photos])
        distances = (hashes != copies).sum(1)
        assert np.quantile(distances, 0.9) <= 12
        assert ((hashes[:, None] != copies[None]).sum(2).argmin(0) == np.arange(len(photos))).all()


def test_a_photo_in_focus_is_sharper(photos: list[Image.Image]) -> None:
    for image in photos:
        blurred = [measure(image.filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (0, 1, 2, 4)]
        assert blurred == sorted(blurred, reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (5000, 3), (33, 31)])
def test_pictures_of_any_size_are_measured(size: tuple[int, int]) -> None:
    found = measure(Image.new("RGB", size, "teal"))
    assert -(2**63) <= found.phash < 2**63
    assert found.sharpness == 0


def test_a_reduced_decode_is_measured_like_the_whole_photo(photos: list[Image.Image]) -> None:
    large = photos[0].resize((1600, 1600), Image.Resampling.BICUBIC)
    data = saved(large, "JPEG", quality=95)
    whole, reduced = decode(data).image, decode(data, MIN_SIDE).image
    assert reduced.size != whole.size
    assert (bits(whole) != bits(reduced)).sum() <= 2
    assert measure(reduced).sharpness == pytest.approx(measure(whole).sharpness, rel=0.2)
