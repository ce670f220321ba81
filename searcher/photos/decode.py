"""Read and decode photos: what other packages use of `decoder` and `guard`."""

import os
from pathlib import Path

from searcher.photos.decoder import MAX_BYTES as MAX_BYTES
from searcher.photos.decoder import DecodedPhoto as DecodedPhoto
from searcher.photos.decoder import PhotoFacts as PhotoFacts
from searcher.photos.decoder import content_digest as content_digest
from searcher.photos.decoder import decode as decode
from searcher.photos.decoder import read_bytes as read_bytes
from searcher.photos.decoder import upright_rgb as upright_rgb
from searcher.photos.errors import PhotoError as PhotoError
from searcher.photos.errors import Unavailable as Unavailable
from searcher.photos.guard import Stopped as Stopped
from searcher.photos.guard import decode_guarded as decode_guarded


def open_photo(path: bytes | str | Path, min_side: int | None = None) -> DecodedPhoto:
    """Read a file and decode it with `decode_guarded`. Raises PhotoError with the path in its message."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise PhotoError(str(error)) from error
    try:
        return decode_guarded(read_bytes(name), min_side)
    except PhotoError as error:
        raise PhotoError(error.reason, path=os.fsdecode(name)) from error
