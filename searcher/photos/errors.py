"""The errors of everything that reads photos."""

from searcher.errors import SearcherError


class PhotoError(SearcherError):
    """Raised if a file is not a readable photo. `reason` is the message without the path."""

    def __init__(self, reason: str, path: str | None = None) -> None:
        super().__init__(f"cannot read {path}: {reason}" if path else reason)
        self.reason = reason


class Unsupported(PhotoError):
    """Raised if a file may be sound, but is of a kind that is not supported. kind: for example "TIFF of 3 bits"."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"unsupported kind: {kind}")


class Unavailable(PhotoError):
    """Raised if a file cannot be read now, such as after a disk was unplugged. It may be readable later."""


class RefusedError(SearcherError):
    """Raised if XMP cannot be read or changed safely. The message does not have the path of its file."""
