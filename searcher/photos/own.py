"""The mark on pictures that searcher draws. With it they are not indexed, and other files are not overwritten."""

from pathlib import Path

MARK = "Drawn by searcher"
"""A comment in JPEG files, and the software in the metadata of PNG and WebP files."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""What pictures are written as."""

_EDGE = 4096  # bytes: the mark is near the beginning of a JPEG or PNG file, and near the end of a WebP file


def is_own_picture(path: Path) -> bool:
    """Whether searcher drew the picture in this file. False if the file cannot be read."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_EDGE)
            if MARK.encode() in start or not start.startswith(b"RIFF"):
                return MARK.encode() in start
            file.seek(max(0, path.stat().st_size - _EDGE))
            return MARK.encode() in file.read(_EDGE)
    except OSError:
        return False
