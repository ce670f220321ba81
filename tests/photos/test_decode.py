"""Decoding a file gives an upright image with its metadata, or an error with a reason."""

import io
import os
import socket
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl
import pytest
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.errors import SearcherError
from searcher.photos import decoder as module
from searcher.photos.decode import PhotoError, content_digest, decode, open_photo, read_bytes

pillow_heif.register_heif_opener()
assert pillow_jxl  # registers itself with Pillow

SIZE = (48, 32)


def corners() -> Image.Image:
    """An image with four different quarters: red and green above blue and white."""
    image = Image.new("RGB", SIZE, "white")
    w, h = SIZE[0] // 2, SIZE[1] // 2
    image.paste("red", (0, 0, w, h))
    image.paste("lime", (w, 0, 2 * w, h))
    image.paste("blue", (0, h, w, 2 * h))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two images, in levels of 0 to 255."""
    assert (one.mode, one.size) == (other.mode, other.size)
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, 2),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 2),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 8),
        ("BMP", {}, 0),
        ("AVIF", {"quality": 95}, 8),
        ("HEIF", {"quality": 95}, 8),
    ],
)
def test_every_format_is_decoded_to_the_original_pixels(kind: str, options: dict[str, Any], tolerance: float) -> None:
    photo = decode(saved(corners(), kind, **options))
    assert (photo.width, photo.height, photo.format) == (*SIZE, kind)
    assert difference(photo.image, corners()) <= tolerance


def test_an_image_of_one_pixel_is_decoded() -> None:
    photo = decode(saved(Image.new("RGB", (1, 1), "red"), "PNG"), min_side=224)
    assert (photo.width, photo.height) == (1, 1)
    assert photo.image.getpixel((0, 0)) == (255, 0, 0)


# Orientation → the transform from the upright image to the stored image. It is the inverse of the turn when reading.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 95}),
        ("HEIF", {"quality": 95}),
    ],
)
def test_every_orientation_is_turned_upright(kind: str, options: dict[str, Any], orientation: int) -> None:
    turn = STORED[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, kind, exif=exif.tobytes(), **options)
    for min_side in (None, 4, 16):
        photo = decode(data, min_side)
        assert (photo.width, photo.height) == SIZE
        assert difference(photo.image, corners().resize(photo.image.size, Image.Resampling.BOX)) < 8


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_invalid_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = decode(saved(corners(), "PNG", exif=exif))
    assert difference(photo.image, corners()) == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_only_the_first_frame_or_page_is_decoded(kind: str) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    rest = [Image.new("RGB", SIZE, colour) for colour in ("lime", "blue")]
    data = saved(Image.new("RGB", SIZE, "red"), kind, save_all=True, append_images=rest, **lossless)
    photo = decode(data)
    assert photo.format == kind
    assert difference(photo.image, Image.new("RGB", SIZE, "red")) < 2


def test_only_the_first_image_of_an_mpo_file_is_decoded() -> None:
    data = saved(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", SIZE)], quality=95)
    photo = decode(data)
    assert photo.format == "JPEG"
    assert difference(photo.image, corners()) < 5


@cache
def noise(kind: str) -> bytes:
    return saved(Image.effect_noise((900, 601), 50).convert("RGB"), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("min_side", [3, 50, 75, 100, 300, 301, 1000])
def test_a_reduced_image_has_at_least_twice_the_requested_side(kind: str, min_side: int) -> None:
    photo = decode(noise(kind), min_side)
    assert (photo.width, photo.height) == (900, 601)
    assert min(photo.image.size) >= min(601, 2 * min_side)
    assert photo.image.width / photo.image.height == pytest.approx(900 / 601, rel=0.02)


@pytest.mark.parametrize("path", sample_photos(), ids=lambda path: path.stem)
def test_reduced_decoding_gives_nearly_the_same_model_input(path: Path) -> None:
    small = (64, 64)
    for data in (path.read_bytes(), saved(Image.open(path).convert("RGB"), "JPEG", quality=95)):
        full = decode(data).image.resize(small, Image.Resampling.BICUBIC)
        reduced = decode(data, min_side=64).image
        assert difference(reduced.resize(small, Image.Resampling.BICUBIC), full) < 1.5


def test_the_digest_has_16_bytes_and_depends_on_the_content() -> None:
    assert content_digest(b"a") == content_digest(bytearray(b"a")) != content_digest(b"b")  # type: ignore[arg-type]
    assert len(content_digest(b"")) == 16


# --- data that cannot be decoded


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is no picture\n" * 100, "not an image"),
        (b"\xff\xd8\xff", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported kind: PostScript"),
        (b"8BPS\0\1" + bytes(100), "unsupported kind: Photoshop"),
        (b"\xff\x0a" + bytes(100), "damaged"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "damaged: a JPEG XL file without an image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "damaged"),
        (b"\xff\x4f\xff\x51" + bytes(100), "damaged"),
        (b"\0\0\1\0\0\0", "damaged: an icon file without a picture"),
        (b"\0\0\1\0\1\0" + bytes(100), "truncated"),
        (b"P6 10 10 99999\n", "damaged: the header of the PNM file is not valid"),
        (b"P2 2 2 255\n1 2 3 four", "damaged: the PNM file contains something that is not a number"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported kind: SVG"),
        (b"RIFF\x40\0\0\0AVI LIST" + bytes(50), "unsupported kind: video"),
        (b"II*\0\x08\0\0\0" + bytes(100), "not an image"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "not an image"),
        (b"\0\0\0\x18ftypavif" + bytes(100), "not an image"),
        (b"\0\0\0\x18ftypisom" + bytes(100), "unsupported kind: video"),
        (
            b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100),
            r"unsupported kind: camera raw \(CR3\)",
        ),
    ],
)
def test_data_that_is_not_an_image_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "PPM", "JPEG2000", "JXL"]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_ends_early_fails(kind: str, share: float) -> None:
    whole = saved(Image.effect_noise((300, 200), 80).convert("RGB"), kind)
    for min_side in (None, 50):
        with pytest.raises(PhotoError) as caught:
            decode(whole[: int(len(whole) * share)], min_side)
        assert len(str(caught.value).splitlines()) == 1


def test_jpegs_of_12_bits_and_lossless_jpegs_are_unsupported() -> None:
    data = saved(corners(), "JPEG")
    frame = data.index(b"\xff\xc0")
    for changed, reason in (
        (data[: frame + 4] + b"\x0c" + data[frame + 5 :], "unsupported kind: JPEG of 12 bits"),
        (data[:frame] + b"\xff\xc3" + data[frame + 2 :], "unsupported kind: lossless JPEG"),
    ):
        with pytest.raises(PhotoError, match=reason):
            decode(changed)


def test_a_truncated_jpeg_says_that_it_is_truncated() -> None:
    whole = saved(Image.effect_noise((300, 200), 80), "JPEG")
    with pytest.raises(PhotoError, match="truncated"):
        decode(whole[: len(whole) // 2])


def test_running_out_of_memory_is_a_photo_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(image: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "to_rgb", exhausted)
    with pytest.raises(PhotoError, match="memory"):
        decode(saved(corners(), "PNG"))


def test_min_side_below_one_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="min_side"):
        decode(saved(corners(), "PNG"), min_side=0)


# --- files


def test_a_photo_is_opened_by_any_kind_of_path(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    corners().save(path)
    for given in (path, str(path), os.fsencode(path)):
        assert difference(open_photo(given).image, corners()) == 0


def test_a_name_that_is_not_utf8_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(saved(corners(), "PNG"))
    assert open_photo(path).width == SIZE[0]
    Path(os.fsdecode(path)).write_bytes(b"")
    with pytest.raises(PhotoError) as caught:
        open_photo(path)
    assert str(caught.value) == f"cannot read {os.fsdecode(path)}: empty file"
    assert caught.value.reason == "empty file"
    assert isinstance(caught.value, SearcherError)


def reason_without_waiting(path: Path) -> str:
    """The reason why reading the file fails. Fails the test if reading blocks."""
    reasons: list[str] = []

    def read() -> None:
        try:
            read_bytes(os.fsencode(path))
        except PhotoError as error:
            reasons.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "reading blocks"
    return reasons[0]


def test_reading_a_pipe_a_socket_or_a_folder_never_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason_without_waiting(tmp_path / "pipe.jpg") == "not a regular file"
    assert reason_without_waiting(Path("/dev/null")) == "not a regular file"
    (tmp_path / "folder.jpg").mkdir()
    assert reason_without_waiting(tmp_path / "folder.jpg") == "Is a directory"
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        server.bind("s.jpg")
        assert reason_without_waiting(tmp_path / "s.jpg") == "not a regular file"


def test_link_loops_and_broken_links_are_errors_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("b.jpg")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "c.jpg").symlink_to("nowhere")
    assert "symbolic links" in reason_without_waiting(tmp_path / "a.jpg")
    assert reason_without_waiting(tmp_path / "c.jpg") == "No such file or directory"
    with pytest.raises(PhotoError, match="null"):
        read_bytes(b"a\0b.jpg")
    with pytest.raises(PhotoError, match="surrogates"):
        open_photo("\ud800.jpg")


def test_a_file_above_the_size_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(module.MAX_BYTES + 1)
    with pytest.raises(PhotoError, match=r"too large: 256 MiB \(the limit is 256 MiB\)"):
        read_bytes(os.fsencode(tmp_path / "sparse.jpg"))
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    (tmp_path / "ten.jpg").write_bytes(bytes(10))
    assert read_bytes(os.fsencode(tmp_path / "ten.jpg")) == bytes(10)
