"""Builds image files byte by byte, because no library writes these kinds."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

CODES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B"}


def picture(seed: int = 3, width: int = 97, height: int = 61) -> Image.Image:
    """A smooth RGB image that is different on all sides."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(one: np.ndarray | Image.Image, other: np.ndarray | Image.Image) -> float:
    """Mean absolute difference, in levels of 0 to 255. Grey is compared with all three channels."""
    first, second = (
        values[..., None] if values.ndim == 2 else values
        for values in (np.asarray(one, float), np.asarray(other, float))
    )
    assert first.shape[:2] == second.shape[:2], (first.shape, second.shape)
    return float(np.abs(first - second).mean())


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    """A PNG chunk. Its checksum is wrong if `wrong` is not 0."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def png(image: Image.Image, before: bytes = b"", after: bytes = b"", wrong: int = 0) -> bytes:
    """An RGB PNG with chunks before and after its pixels. wrong: see `chunk`, for the pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(image))
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows), wrong)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def tiff(size: tuple[int, int], tags: dict[int, tuple[int, list[int]]], data: bytes, order: str = "<") -> bytes:
    """A TIFF of one strip. tags: number → (type, values)."""
    width, height = size
    all_tags = {256: (4, [width]), 257: (4, [height]), 259: (3, [1]), 278: (4, [height]), 279: (4, [len(data)])} | tags
    all_tags[273] = (4, [0])
    entries = sorted(all_tags.items())
    place = 8 + 2 + 12 * len(entries) + 4
    packed = {tag: struct.pack(order + CODES[kind] * len(values), *values) for tag, (kind, values) in entries}
    extra = sum(len(raw) + len(raw) % 2 for raw in packed.values() if len(raw) > 4)
    packed[273] = struct.pack(order + "I", place + extra)
    directory, after = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, values) in entries:
        raw = packed[tag]
        directory += struct.pack(order + "HHI", tag, kind, len(values))
        if len(raw) > 4:
            directory += struct.pack(order + "I", place + len(after))
            after += raw + bytes(len(raw) % 2)
        else:
            directory += raw.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return start + directory + bytes(4) + after + data


def grey_profile(gamma: float) -> bytes:
    """An ICC profile for grey images."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    white = b"".join(fixed(part) for part in (0.9642, 1, 0.8249))
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"t\0" + bytes(78)),
        (b"wtpt", b"XYZ \0\0\0\0" + white),
        (b"cprt", b"text\0\0\0\0x\0"),
        (b"kTRC", b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))),
    ]
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I", 132 + 12 * len(tags) + len(body)) + b"lcms" + struct.pack(">I", 0x02100000)
    head += b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + table + body
