"""URIs: the names of photos that are no files of this machine, such as s3://bucket/photo.jpg.

A photo inside an archive of this machine has such a name, too: file:///folder/archive.tar#photo.jpg
"""

import os
import re

_URI = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]+://")
# pathlib makes s3:/bucket of s3://bucket
_SHORTENED = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]+):(?:/+(?=[^/])|//+$)")


def is_uri(path: str | bytes) -> bool:
    """Whether the path of an indexed folder, or of a photo in it, is a URI."""
    return _URI.match(os.fsencode(path)) is not None


def as_uri(path: bytes) -> bytes | None:
    """The URI that a person, or pathlib, means with `path`; without a slash at its end. None if it is a plain path."""
    found = _SHORTENED.match(path)
    if found is None:
        return None
    slashes = b":///" if found[1].lower() == b"file" else b"://"
    return found[1] + slashes + path[found.end() :].rstrip(b"/")


def real(path: bytes) -> bytes:
    """The absolute path without links. A URI stays as it is."""
    return path if is_uri(path) else os.path.realpath(path)


def without_slash(folder: bytes) -> bytes:
    """The path of a folder without a slash at its end, but "/" and "https://" as they are."""
    return folder if folder.endswith(b"://") else folder.rstrip(b"/") or b"/"
