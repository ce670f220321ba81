"""The mark on pictures that searcher draws. With it they are not indexed, and other files are not overwritten."""

import os
import stat
from pathlib import Path

MARK = "Drawn by searcher"
"""A comment in JPEG files, the software in the metadata of PNG and WebP files, and the generator of pages."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""What pictures are written as."""

PAGE_SUFFIX = ".html"
PAGE_START = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="generator" content="{MARK}">\n'
"""What a page is written as, and how it begins."""

_EDGE = 4096  # bytes: the mark is near the beginning of a JPEG or PNG file, and near the end of a WebP file


def is_own_picture(path: Path) -> bool:
    """Whether searcher drew the picture or the page in this file. False if the file cannot be read."""
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, PAGE_SUFFIX):
        return False
    try:
        # O_NONBLOCK: without it, opening a FIFO that has no writer blocks forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return False
        start = os.read(descriptor, _EDGE)
        if suffix == PAGE_SUFFIX:
            return start.startswith(PAGE_START.encode())
        if MARK.encode() in start or not start.startswith(b"RIFF"):
            return MARK.encode() in start
        os.lseek(descriptor, max(0, status.st_size - _EDGE), os.SEEK_SET)
        return MARK.encode() in os.read(descriptor, _EDGE)
    except OSError:
        return False
    finally:
        os.close(descriptor)
