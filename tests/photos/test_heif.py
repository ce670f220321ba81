"""HEIC and AVIF pictures are turned upright once, whichever way the file says how."""

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from searcher.photos.decode import decode
from searcher.photos.heif import orientation_from_exif
from tests.photos.files import difference, picture, saved

pillow_heif.register_heif_opener()

TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def exif_of(orientation: int, tag: int = 0x0112) -> bytes:
    exif = Image.Exif()
    exif[tag] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2023:06:01 12:34:56"
    return exif.tobytes()


def turned_by_exif(kind: str, orientation: int) -> bytes:
    """A file that says only in EXIF how it is turned.

    The writers turn an orientation into properties. So it is written as another tag, whose number is then changed.
    """
    data = saved(picture(width=96, height=64), kind, quality=95, exif=exif_of(orientation, tag=0x0128))
    for order in ("little", "big"):
        other, wanted = (tag.to_bytes(2, order) + (3).to_bytes(2, order) for tag in (0x0128, 0x0112))
        data = data.replace(other, wanted)
    return data


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_the_orientation_of_exif_is_applied_only_if_the_file_does_not_turn_itself(kind: str, orientation: int) -> None:
    image = picture(width=96, height=64)
    turn = TURNED[orientation]
    expected = image if turn is None else image.transpose(turn)
    data = saved(image, kind, quality=95, exif=exif_of(orientation))
    only_exif = turned_by_exif(kind, orientation)
    for file in (data, only_exif):
        photo = decode(file)
        assert (photo.width, photo.height) == expected.size
        assert difference(photo.image, np.asarray(expected)) < 4
        assert str(photo.metadata.taken_at) == "2023-06-01 12:34:56"
    assert b"irot" not in only_exif
    assert b"imir" not in only_exif
    assert orientation_from_exif(data) == 1
    assert orientation_from_exif(only_exif) == orientation


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_invalid_boxes_are_ignored(kind: str) -> None:
    data = turned_by_exif(kind, 6)
    assert orientation_from_exif(data) == 6
    for name in (b"pitm", b"iprp", b"ipma", b"iinf", b"iloc", b"meta", b"infe"):
        start = data.index(name) - 4
        for size in (0, 1, 7, 9, 12, 2**31):
            changed = data[:start] + size.to_bytes(4) + data[start + 4 :]
            assert orientation_from_exif(changed) in (1, 6)
    for length in range(0, len(data), 7):
        assert orientation_from_exif(data[:length]) in (1, 6)
