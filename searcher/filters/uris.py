"""Paths of photos and folders that are URIs, such as s3://bucket/photo.jpg: they are not on this machine."""

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_uri(path: str) -> bool:
    """Whether a path is a URI."""
    return _SCHEME.match(path) is not None
