"""Errors of this package."""

from searcher.errors import SearcherError
from searcher.photos.errors import RefusedError as RefusedError


class SidecarError(SearcherError):
    """Raised if a sidecar cannot be read or written. The file is unchanged, and the message has its path."""
