"""JPEG XL files, which need an extra."""

import io
import sys
import warnings

import pillow_jxl
import pytest
from PIL import Image

from searcher.photos import jpeg_xl
from searcher.photos.decode import PhotoError, decode
from tests.photos.files import difference, picture, saved

assert pillow_jxl  # registers itself with Pillow


@pytest.mark.parametrize("size", [(97, 61), (64, 64), (256, 128), (640, 360), (300, 250), (1, 1000), (3000, 5)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_is_read_before_the_image_is_decoded(
    size: tuple[int, int], container: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(width=size[0], height=size[1])
    data = saved(image, "JXL", lossless=True, use_container=container)
    monkeypatch.setattr(jpeg_xl, "MAX_PIXELS", size[0] * size[1])
    photo = decode(data)
    assert photo.format == "JPEG XL"
    assert difference(photo.image, image) == 0
    monkeypatch.setattr(jpeg_xl, "MAX_PIXELS", size[0] * size[1] - 1)
    with pytest.raises(PhotoError, match=f"too large: {size[0]} × {size[1]} pixels"):
        decode(data)


def test_only_a_packed_jpeg_is_turned_as_its_exif_data_says() -> None:
    """The coded image has an orientation of its own, and the standard says that EXIF does not count."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Canon"
    photo = decode(saved(picture(), "JXL", exif=exif.tobytes()))
    assert (photo.width, photo.height, photo.metadata.camera) == (97, 61, "Canon")


def test_a_packed_jpeg_is_turned_as_its_exif_data_says(tmp_path: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = io.BytesIO()
        path = f"{tmp_path}/photo.jpg"
        picture().save(path, exif=exif.tobytes())
        with Image.open(path) as image:
            image.save(file, "JXL")
    photo = decode(file.getvalue())
    assert (photo.width, photo.height) == (61, 97)
    with Image.open(path) as image:
        assert difference(photo.image, image.convert("RGB").transpose(Image.Transpose.ROTATE_270)) < 2


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(PhotoError, match=r"unsupported kind: JPEG XL; to read it, run: pip install 'searcher\[jxl\]'"):
        decode(b"\xff\x0a" + bytes(20))
