"""Files that ask for too much are refused before they are decoded, and nothing is ever printed."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from searcher.photos import decoder as module
from searcher.photos import jpeg_xl, limits
from searcher.photos.decode import PhotoError, decode
from tests.photos.files import difference, picture, saved

pillow_heif.register_heif_opener()


def png_of(width: int, height: int) -> bytes:
    """A PNG of a few bytes with a valid header that has a very large size."""
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # pytest resets our own filter
@pytest.mark.parametrize("size", [(20_000, 10_000), (20_000, 20_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_rejected_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match=r"too large.*million"):
        decode(png_of(*size), min_side=224)


def test_a_large_jpeg_is_decoded_only_at_a_reduced_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DECODED_PIXELS", 100_000)
    monkeypatch.setattr(module, "LARGE_PIXELS", 10_000)
    data = saved(Image.new("RGB", (1000, 500), "red"), "JPEG")
    with pytest.raises(PhotoError, match="1000 × 500"):
        decode(data)
    photo = decode(data, min_side=50)
    assert (photo.width, photo.height) == (1000, 500)
    assert photo.image.size == (250, 125)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("PNG", "MAX_DECODED_PIXELS"),
        ("WEBP", "MAX_WEBP_PIXELS"),
        ("HEIF", "MAX_HEIF_PIXELS"),
        ("AVIF", "MAX_HEIF_PIXELS"),
    ],
)
def test_each_format_has_a_limit_of_pixels(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture(width=48, height=32), kind)
    monkeypatch.setattr(module, name, 48 * 32)
    assert decode(data, 10).width == 48
    monkeypatch.setattr(module, name, 48 * 32 - 1)
    with pytest.raises(PhotoError, match="too large: 48 × 32 pixels"):
        decode(data, 10)


def test_the_documentation_states_the_limits() -> None:
    text = (Path(__file__).parents[2] / "docs" / "which-photos.md").read_text()
    text = " ".join(text.split())
    for limit in (
        *(limits.MAX_PIXELS, module.MAX_DECODED_PIXELS, module.MAX_HEIF_PIXELS, module.MAX_WEBP_PIXELS),
        *(jpeg_xl.MAX_PIXELS, module.MAX_JPEG_2000_PIXELS, module.MAX_LINEAR_RAW_PIXELS),
    ):
        assert f"more than {limit / 1e6:.0f} million" in text, limit
    assert f"larger than {module.MAX_BYTES >> 20} MiB" in text


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "CMYK", "P", "I;16"])
@pytest.mark.parametrize("size", [(403, 301), (1, 700), (700, 33)])
def test_a_large_picture_is_reduced_in_bands_to_the_same_pixels(
    mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Image.effect_noise(size, 90)
    source = noise.convert("RGB").quantize(200) if mode == "P" else noise.convert("RGB").convert("L")
    if mode == "I;16":
        source = Image.fromarray(np.asarray(source).astype(np.uint16) * 257)
    elif mode != "P":
        source = Image.merge("RGB", [noise, noise.transpose(Image.Transpose.ROTATE_180), noise]).convert(mode)
    data = saved(source, "TIFF" if mode == "CMYK" else "PNG")
    whole = decode(data, 4).image
    monkeypatch.setattr(module, "LARGE_PIXELS", 1)
    bands = decode(data, 4).image
    assert bands.size == whole.size
    assert difference(bands, whole) < 1


def test_a_failure_with_a_large_picture_does_not_block_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_PIXELS", 1)
    whole = saved(Image.effect_noise((300, 200), 80), "JPEG")
    for _ in range(2):
        with pytest.raises(PhotoError, match="truncated"):
            decode(whole[:5000])
    assert decode(whole).width == 300


def test_decoding_prints_nothing_and_importing_keeps_the_limit_of_pillow() -> None:
    """Importing must not change Pillow's limit. Pillow's warnings must not be printed."""
    program = (
        "import sys; from PIL import Image; from searcher.photos.decode import decode\n"
        "assert Image.MAX_IMAGE_PIXELS < 2e8, 'importing must not change the limit'\n"
        "data = sys.stdin.buffer.read()\n"
        "try: decode(data)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "assert Image.MAX_IMAGE_PIXELS\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=png_of(20_000, 20_000), capture_output=True, check=True
    )
    assert done.stderr == b""
    assert done.stdout.startswith(b"PhotoError too large")


DAMAGED = """
import io, logging, random, sys
import numpy as np, pillow_heif
from PIL import Image
from searcher.photos.decode import PhotoError, decode
import tifffile
pillow_heif.register_heif_opener()
random.seed(7)
image = Image.effect_noise((120, 90), 80).convert("RGB")
def saved(kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
def written(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()
files = [saved("TIFF", compression=name) for name in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg")]
files += [saved(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF")]
values = np.asarray(image)
files += [written((values / 255).astype("f4")), written(values.astype("u4"), compression="zlib")]
files += [written(values.astype("f8") * float("nan"), tile=(32, 32))]
decoded = failed = 0
for round in range(800):
    data = bytearray(files[round % len(files)])
    for _ in range(random.randint(1, 9)):
        places = random.randrange(len(data)), random.randrange(300), len(data) - random.randrange(1, 300)
        place = random.choice(places)
        data[place] = random.randrange(256)
        if random.random() < 0.1:
            del data[place : place + 9]
    try:
        decode(bytes(data), random.choice((None, 30)))
        decoded += 1
    except PhotoError:
        failed += 1
assert decoded > 20 and failed > 20, (decoded, failed)
"""


def test_damaged_files_print_nothing_and_the_libraries_neither() -> None:
    """Not even the C code of libtiff, and no warnings of NumPy and no logs of Pillow."""
    done = subprocess.run([sys.executable, "-c", DAMAGED], capture_output=True, timeout=300)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def run_length_bmp(width: int, height: int) -> bytes:
    body = b"\1\5\0\0" * 100 + b"\0\1"
    offset = 14 + 40 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + header + bytes(1024) + body


@pytest.mark.parametrize("height", [8944, -8944])
def test_a_large_run_length_encoded_bmp_is_refused(height: int) -> None:
    with pytest.raises(PhotoError, match="too large: run-length encoded BMP of 8944 × 8944 pixels"):
        decode(run_length_bmp(8944, height))
    assert decode(run_length_bmp(100, 100)).width == 100


def test_a_tiff_of_too_many_tags_or_strips_is_refused() -> None:
    tags = struct.pack("<H", 60_000) + b"".join(struct.pack("<HHII", tag, 4, 1, 1) for tag in range(60_000))
    with pytest.raises(PhotoError, match="too large: more than 4,096 TIFF tags"):
        decode(b"II*\0\x08\0\0\0" + tags + bytes(4))
    strips = struct.pack("<HHHII", 1, 273, 4, limits.MAX_TIFF_BLOCKS + 1, 30)
    with pytest.raises(PhotoError, match="too large: more than 400,000 strips or tiles"):
        decode(b"II*\0\x08\0\0\0" + strips + bytes(4 * limits.MAX_TIFF_BLOCKS + 100))


MEMORY = """
import sys
from PIL import Image
from searcher.photos.decode import decode
data = sys.stdin.buffer.read()
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1000
start = peak()
photo = decode(data, 224)
print(photo.width, round(peak() - start))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("kind", "mode", "size", "options"),
    [
        ("PNG", "RGBA", (10_000, 10_000), {"compress_level": 1}),
        ("PNG", "L", (10_000, 9_000), {"compress_level": 1}),
        ("JPEG", "RGB", (10_000, 9_990), {"progressive": True, "subsampling": 0}),
        ("WEBP", "RGBA", (6_300, 6_300), {"lossless": True}),
        ("HEIF", "RGB", (8_600, 8_600), {}),
        ("TIFF", "F", (10_000, 9_990), {"compression": "tiff_lzw"}),
    ],
)
def test_the_largest_picture_takes_less_than_700_mb(
    kind: str, mode: str, size: tuple[int, int], options: dict[str, Any]
) -> None:
    data = saved(Image.new(mode, size), kind, **options)
    done = subprocess.run([sys.executable, "-c", MEMORY], input=data, capture_output=True, check=True, timeout=300)
    width, megabytes = map(int, done.stdout.split())
    assert width == size[0]
    assert megabytes < 700
