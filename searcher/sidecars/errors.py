"""Errors of this package."""

from searcher.errors import SearcherError


class SidecarError(SearcherError):
    """Raised if a sidecar cannot be read or written. The file is unchanged, and the message has its path."""


class RefusedError(SearcherError):
    """Raised if a file cannot be read or changed safely. The message does not have its path."""
