"""Write a drawn picture or page: marked as ours, whole or not at all, and never over a file that is not ours."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.photos.own import MARK, PAGE_SUFFIX, is_own_picture
from searcher.photos.own import SUFFIXES as SUFFIXES

SHEET_SUFFIXES = (*SUFFIXES, PAGE_SUFFIX)
"""What contact sheets are written as."""

_SOFTWARE = 0x0131  # EXIF tag


def check_target(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise SearcherError if a picture cannot be written to `path`: call it before long work.

    The suffix must be one of `suffixes`, the folder must exist, and an existing file must be one that searcher drew.
    """
    if path.suffix.lower() not in suffixes:
        raise InvalidInput(f"cannot write {path.name}: the suffix must be one of {', '.join(suffixes)}")
    if not path.absolute().parent.is_dir():
        raise NotFound(f"cannot write {path}: no such folder")
    if os.path.lexists(path) and not is_own_picture(path):
        raise InvalidInput(f"cannot write {path}: it exists and was not drawn by searcher; choose another name")


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format of the suffix of `path`, replacing one that searcher drew earlier.

    It is written to a temporary file, which is renamed. Raises SearcherError as `check_target`, and if the file cannot
    be written.
    """
    check_target(path)
    kind = {".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG")
    with _written(path) as unfinished:
        if kind == "JPEG":
            picture.save(unfinished, kind, quality=90, comment=MARK)
        elif kind == "PNG":
            text = PngInfo()
            text.add_text("Software", MARK)
            picture.save(unfinished, kind, pnginfo=text)
        else:
            exif = Image.Exif()
            exif[_SOFTWARE] = MARK
            picture.save(unfinished, kind, quality=90, exif=exif)


def save_page(page: str, path: Path) -> None:
    """Write a page that begins with PAGE_START as UTF-8, as `save_picture` writes a picture."""
    check_target(path, SHEET_SUFFIXES)
    with _written(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", newline="\n")


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """The temporary file that is renamed to `path` after the block. Raises SearcherError if it cannot be written."""
    _remove_leftovers(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise SearcherError(f"cannot write {path}: {error.strerror or error}") from error
    except ValueError as error:  # a WebP picture can have 16,383 pixels per side
        raise SearcherError(f"cannot write {path}: {error}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes left behind when they wrote this picture."""
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        number = part.name.split(".")[-2]
        if number.isdigit() and not _runs(int(number)):
            with suppress(OSError):
                part.unlink()


def _runs(process: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(process))
