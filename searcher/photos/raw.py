"""Reads camera raw files with LibRaw (the package rawpy, in the extra `raw`): their preview, or a quick development.

Almost every camera stores a JPEG of the photo, as it shows it, in the raw file. LibRaw finds it. It also knows how the
photo must be turned: both the preview and the developed image are stored as the sensor saw them, but some programs turn
the preview before they store it.
"""

import contextlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from searcher.photos.errors import PhotoError, Unsupported
from searcher.photos.limits import MAX_PIXELS
from searcher.photos.raw_head import RawKind

if TYPE_CHECKING:
    import rawpy

# LibRaw's bits: 1 mirrors left and right, 2 up and down, and 4 then exchanges rows and columns
_ORIENTATIONS = {0: 1, 1: 2, 3: 3, 2: 4, 4: 5, 6: 6, 7: 7, 5: 8}


class RawFile:
    """An open raw file.

    size: width and height of the whole image in pixels, as the sensor saw it. orientation: how to turn it, 1 to 8, as
    in EXIF.
    """

    def __init__(self, file: "rawpy.RawPy", kind: RawKind) -> None:
        self._file, self._kind = file, kind
        sizes = file.sizes
        self.size = (int(sizes.width), int(sizes.height))
        self.orientation = _ORIENTATIONS.get(int(sizes.flip), 1)

    def preview(self) -> bytes | Image.Image | None:
        """The largest stored picture: the bytes of a JPEG, or an RGB image. None if there is none that can be read."""
        import rawpy

        try:
            found = self._file.extract_thumb()
        except rawpy.LibRawError:
            return None
        if isinstance(found.data, bytes):
            return found.data
        return Image.fromarray(found.data).convert("RGB")

    def develop(self) -> Image.Image:
        """The image from the sensor's values, RGB in sRGB, as the sensor saw it. Of half the size, except linear ones.

        Raises PhotoError.
        """
        with _errors(self._kind):
            levels = self._file.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
        return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).convert("RGB")


@contextlib.contextmanager
def open_raw(data: bytes, kind: RawKind) -> Iterator[RawFile]:
    """Open the bytes of a raw file. Raises PhotoError, also if it has too many pixels."""
    try:
        import rawpy
    except ImportError:
        raise Unsupported(f"camera raw ({kind.name}); to read it, run: pip install 'searcher[raw]'") from None
    with contextlib.closing(rawpy.RawPy()) as file:
        with _errors(kind):
            file.open_buffer(BytesIO(data))
        raw = RawFile(file, kind)
        width, height = raw.size
        if not width or not height:
            raise PhotoError("damaged: a raw image without pixels")
        if width * height > MAX_PIXELS:
            limit = f"the limit is {MAX_PIXELS / 1e6:,.0f} million"
            raise PhotoError(f"too large: {width} × {height} pixels ({limit})")
        yield raw


@contextlib.contextmanager
def _errors(kind: RawKind) -> Iterator[None]:
    """Turn LibRaw's errors into PhotoErrors."""
    import rawpy

    try:
        yield
    except (rawpy.LibRawUnsufficientMemoryError, rawpy.LibRawTooBigError) as error:
        raise PhotoError("not enough memory to decode it") from error
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError, rawpy.NotSupportedError) as error:
        raise Unsupported(f"camera raw ({kind.name}) of an unknown camera") from error
    except rawpy.LibRawIOError as error:
        raise PhotoError("truncated: the file ends before the image is complete") from error
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else ""
        text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise PhotoError(f"damaged: {text or 'the raw image cannot be decoded'}"[:200]) from error
