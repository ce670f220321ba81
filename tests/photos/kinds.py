"""One small file of each kind that is read, and how to damage it."""

import random
import warnings
from functools import cache

import numpy as np
import pillow_heif
import pillow_jxl
from PIL import Image, ImageCms

from tests.photos.files import picture, saved
from tests.photos.raws import dng, jpeg

pillow_heif.register_heif_opener()
assert pillow_jxl  # registers itself with Pillow

NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0")


@cache
def one_of_each_kind() -> dict[str, bytes]:
    """The bytes of a photo of 96 × 64 pixels by a name with its suffix, with EXIF and a colour profile if possible."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Canon", "EOS", 6
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (50.0, 5.0, 0.0), 3: "E", 4: (14.0, 25.0, 0.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image, preview = picture(width=96, height=64), picture(seed=4, width=60, height=40)
    grey, values = image.convert("L"), np.asarray(image)
    about = {"exif": exif.tobytes(), "icc_profile": profile}
    animated = {"save_all": True, "append_images": [image.transpose(Image.Transpose.ROTATE_180)]}
    nef = dng(image, jpeg(preview), preview.size, make="NIKON CORPORATION", model="NIKON D90")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "photo.jpg": saved(image, "JPEG", **about),
            "progressive.jpg": saved(image, "JPEG", progressive=True, **about),
            "photo.mpo": saved(image, "MPO", **about),
            "photo.png": saved(image, "PNG", **about),
            "animated.apng": saved(image, "PNG", **animated),
            "photo.webp": saved(image, "WEBP", **about),
            "animated.webp": saved(image, "WEBP", **animated),
            "animated.gif": saved(image, "GIF", **animated),
            "photo.tif": saved(image, "TIFF", **about),
            "packed.tif": saved(image, "TIFF", compression="tiff_lzw"),
            "fax.tif": saved(image.convert("1"), "TIFF", compression="group4"),
            "jpeg.tif": saved(image, "TIFF", compression="jpeg"),
            "photo.bmp": saved(image, "BMP"),
            "photo.avif": saved(image, "AVIF", **about),
            "photo.heic": saved(image, "HEIF", **about),
            "photo.jp2": saved(image, "JPEG2000"),
            "photo.j2k": saved(image, "JPEG2000", no_jp2=True, irreversible=True, tile_size=(32, 32)),
            "photo.jpx": saved(image, "JPEG2000").replace(b"ftypjp2 ", b"ftypjpx "),
            "photo.jxl": saved(image, "JXL", exif=exif.tobytes()),
            "lossless.jxl": saved(image, "JXL", lossless=True, use_container=True),
            "photo.ppm": saved(image, "PPM"),
            "photo.pgm": b"P5 96 64 65535\n" + (np.asarray(grey).astype(">u2") * 257).tobytes(),
            "photo.pbm": saved(image.convert("1"), "PPM"),
            "photo.pnm": b"P3 96 64 255\n" + b" ".join(b"%d" % value for value in values.ravel()),
            "icon.ico": saved(image.resize((64, 64)), "ICO", sizes=[(64, 64), (16, 16)]),
            "old.ico": saved(image.resize((64, 64)), "ICO", sizes=[(64, 64), (16, 16)], bitmap_format="bmp"),
            "photo.dng": dng(image, jpeg(preview), preview.size, orientation=6),
            "telephone.dng": dng(image, compressed=True),
            "photo.nef": nef.replace(b"\x12\xc6\1\0", b"\x11\xc6\1\0"),  # the tag that says that it is a DNG
        }


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Overwrite, remove and insert bytes, most often where the headers are."""
    new = bytearray(data)
    for _ in range(chance.randint(1, chance.choice((1, 3, 9)))):
        place = chance.choice((chance.randrange(len(new)), chance.randrange(min(600, len(new)))))
        action = chance.random()
        if action < 0.5:
            new[place] = chance.randrange(256)
        elif action < 0.75:
            new[place : place + 4] = chance.choice(NUMBERS)
        elif action < 0.85:
            del new[place : place + chance.randint(1, 20)]
        elif action < 0.95:
            new[place:place] = chance.randbytes(chance.randint(1, 20))
        else:
            start = chance.randrange(len(new))
            new[place:place] = new[start : start + chance.randint(1, 200)]
    if chance.random() < 0.1:
        del new[chance.randrange(1, len(new)) :]
    return bytes(new)
