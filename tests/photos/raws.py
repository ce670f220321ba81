"""Makes camera raw files with pidng: DNG as cameras and Adobe write it, and the same with the heads of other kinds."""

import io
import struct
from typing import Any

import numpy as np
from pidng.defs import CalibrationIlluminant, CFAPattern, DNGVersion, PhotometricInterpretation
from pidng.dng import DNG, Tag, Type, dngIFD, dngTag
from PIL import Image

_TO_CAMERA = [[part, 10_000] for part in (32_405, -15_371, -4_985, -9_693, 18_760, 416, 556, -2_040, 10_572)]  # sRGB
_TAKEN = "2021:05:06 07:08:09"
_XMP = (700, Type.Byte)
_SUB_DIRECTORY = (330, Type.Long)  # pidng cannot write the type that it has for it


def mosaic(image: Image.Image) -> np.ndarray:
    """What a sensor behind a mosaic of filters (RGGB) sees: linear light of 16 bits, uint16 (h, w)."""
    linear = (np.asarray(image) / 255.0) ** 2.2
    values = np.empty(linear.shape[:2])
    for top, left, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        values[top::2, left::2] = linear[top::2, left::2, channel]
    return (values * 65535).astype(np.uint16)


def lossless_jpeg(values: np.ndarray) -> bytes:
    """A lossless JPEG of one channel of 16 bits, as most raw files hold it. pidng's does not work with Python 3.10."""
    height, width = values.shape
    numbers = values.astype(int)
    before = np.roll(numbers, 1, axis=1)
    before[1:, 0] = numbers[:-1, 0]
    before[0, 0] = 1 << 15
    steps = (numbers - before + (1 << 15)) % (1 << 16) - (1 << 15)
    bits = ""
    for step in steps.ravel().tolist():
        length = 16 if step == -(1 << 15) else abs(step).bit_length()
        bits += f"{length:05b}"  # all 17 codes have 5 bits
        if 0 < length < 16:
            bits += f"{step if step > 0 else step + (1 << length) - 1:0{length}b}"
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    frame = b"\xff\xc3" + struct.pack(">HBHHB", 11, 16, height, width, 1) + b"\1\x11\0"
    table = b"\xff\xc4" + struct.pack(">HB", 36, 0) + bytes([0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    return b"\xff\xd8" + frame + table + b"\xff\xda\0\x08\1\1\0\1\0\0" + coded + b"\xff\xd9"


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def dng(
    image: Image.Image,
    preview: bytes | None = None,
    preview_size: tuple[int, int] = (0, 0),
    orientation: int = 1,
    compressed: bool = False,
    make: str = "Pentax",
    model: str = "Pentax K-1",
    xmp: str = "",
) -> bytes:
    """A DNG of an RGB image with even sides.

    orientation: 1 to 8, of the EXIF tag. preview: a JPEG of `preview_size`, in the first directory, as Adobe's
    converter writes it. Without it, the first directory is the raw image, as telephones write it. compressed: as a
    lossless JPEG.
    """
    values = mosaic(image)
    strips = [values.tobytes()]
    if compressed:
        strips = [lossless_jpeg(values)]
    sensor = dngIFD()
    sensor.tags = [
        dngTag(Tag.NewSubfileType, [0]),
        dngTag(Tag.ImageWidth, [image.width]),
        dngTag(Tag.ImageLength, [image.height]),
        dngTag(Tag.BitsPerSample, [16]),
        dngTag(Tag.Compression, [7 if compressed else 1]),
        dngTag(Tag.PhotometricInterpretation, [PhotometricInterpretation.Color_Filter_Array]),
        dngTag(Tag.SamplesPerPixel, [1]),
        dngTag(Tag.RowsPerStrip, [image.height]),
        dngTag(Tag.StripByteCounts, [len(strips[0])]),
        dngTag(Tag.CFARepeatPatternDim, [2, 2]),
        dngTag(Tag.CFAPattern, CFAPattern.RGGB),
        dngTag(Tag.BlackLevel, [0]),
        dngTag(Tag.WhiteLevel, [65535]),
    ]
    general = [
        dngTag(Tag.Make, make),
        dngTag(Tag.Model, model),
        dngTag(Tag.Orientation, [orientation]),
        dngTag(Tag.DateTime, _TAKEN),
        dngTag(Tag.DNGVersion, DNGVersion.V1_4),
        dngTag(Tag.DNGBackwardVersion, DNGVersion.V1_0),
        dngTag(Tag.UniqueCameraModel, model),
        dngTag(Tag.ColorMatrix1, _TO_CAMERA),
        dngTag(Tag.CalibrationIlluminant1, [CalibrationIlluminant.D65]),
        dngTag(Tag.AsShotNeutral, [[1, 1], [1, 1], [1, 1]]),
    ]
    file = DNG()
    offsets = [dngTag(Tag.StripOffsets, [0])]
    sensor.tags.append(offsets[0])
    if xmp:
        general.append(dngTag(_XMP, [*xmp.encode()]))
    if preview is None:
        sensor.tags += general
        file.IFDs = [sensor]
    else:
        first = dngIFD()
        offsets.insert(0, dngTag(Tag.StripOffsets, [0]))
        below = dngTag(_SUB_DIRECTORY, [0])
        first.tags = [
            dngTag(Tag.NewSubfileType, [1]),
            dngTag(Tag.ImageWidth, [preview_size[0]]),
            dngTag(Tag.ImageLength, [preview_size[1]]),
            dngTag(Tag.BitsPerSample, [8, 8, 8]),
            dngTag(Tag.Compression, [7]),
            dngTag(Tag.PhotometricInterpretation, [6]),
            dngTag(Tag.SamplesPerPixel, [3]),
            dngTag(Tag.RowsPerStrip, [preview_size[1]]),
            dngTag(Tag.StripByteCounts, [len(preview)]),
            offsets[0],
            below,
            *general,
        ]
        below.setValue([8 + first.dataLen()])
        file.IFDs = [first, sensor]
        strips.insert(0, preview)
    file.ImageDataStrips = strips
    size = file.dataLen()
    for offset, place in zip(offsets, file.StripOffsets.values(), strict=True):
        offset.setValue([place])
    buffer = bytearray(size)
    file.setBuffer(buffer)
    file.write()
    return bytes(buffer)
