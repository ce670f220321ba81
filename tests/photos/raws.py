"""Makes camera raw files with pidng: DNG as cameras and Adobe write it, and the same with the heads of other kinds."""

import io
from typing import Any

import numpy as np
from pidng.defs import CalibrationIlluminant, CFAPattern, DNGVersion, PhotometricInterpretation
from pidng.dng import DNG, Tag, Type, dngIFD, dngTag
from PIL import Image

_TO_CAMERA = [[part, 10_000] for part in (32_405, -15_371, -4_985, -9_693, 18_760, 416, 556, -2_040, 10_572)]  # sRGB
_TAKEN = "2021:05:06 07:08:09"
_SUB_DIRECTORY = (330, Type.Long)  # pidng cannot write the type that it has for it


def mosaic(image: Image.Image) -> np.ndarray:
    """What a sensor behind a mosaic of filters (RGGB) sees: linear light of 16 bits, uint16 (h, w)."""
    linear = (np.asarray(image) / 255.0) ** 2.2
    values = np.empty(linear.shape[:2])
    for top, left, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        values[top::2, left::2] = linear[top::2, left::2, channel]
    return (values * 65535).astype(np.uint16)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def dng(
    image: Image.Image,
    preview: bytes | None = None,
    preview_size: tuple[int, int] = (0, 0),
    orientation: int = 1,
    make: str = "Pentax",
    model: str = "Pentax K-1",
) -> bytes:
    """A DNG of an RGB image with even sides.

    orientation: 1 to 8, of the EXIF tag. preview: a JPEG of `preview_size`, in the first directory, as Adobe's
    converter writes it. Without it, the first directory is the raw image, as telephones write it.
    """
    values = mosaic(image)
    strips = [values.tobytes()]
    sensor = dngIFD()
    sensor.tags = [
        dngTag(Tag.NewSubfileType, [0]),
        dngTag(Tag.ImageWidth, [image.width]),
        dngTag(Tag.ImageLength, [image.height]),
        dngTag(Tag.BitsPerSample, [16]),
        dngTag(Tag.Compression, [1]),
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
    if preview is None:
        sensor.tags += general
        file.IFDs = [sensor]
    else:
        first = dngIFD()
        offsets.append(dngTag(Tag.StripOffsets, [0]))
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
            offsets[1],
            below,
            *general,
        ]
        below.setValue([8 + first.dataLen()])
        file.IFDs = [first, sensor]
        strips.append(preview)
    file.ImageDataStrips = strips
    size = file.dataLen()
    for offset, place in zip(offsets, file.StripOffsets.values(), strict=True):
        offset.setValue([place])
    buffer = bytearray(size)
    file.setBuffer(buffer)
    file.write()
    return bytes(buffer)
