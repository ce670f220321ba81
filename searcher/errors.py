"""Errors that end a command with one line. The message says what is wrong, then what to do."""

from typing import NamedTuple


class SearcherError(Exception):
    """Something that a person can understand and act on. The message is one line, without a final period."""


class NotFound(SearcherError):
    """Something that was named does not exist: a file, a library, a model, a label, a photo."""


class InvalidInput(SearcherError):
    """An argument, a file of labels or captions, or a query that cannot be used as it is."""


class Busy(SearcherError):
    """Another program holds what is needed. The same call can succeed later."""


class Damaged(SearcherError):
    """A file of a library or a model is not what was written."""


class Interrupted(SearcherError):
    """The user stopped the work. The message is a sentence that says how to go on. The exit code is 130."""


class Failure(NamedTuple):
    """A file or a record that could not be used, and why. `path` is absolute."""

    path: str
    error: str

    def as_dict(self) -> dict[str, str]:
        """The failure as `--json` prints it."""
        return self._asdict()


def shortened(text: str, most: int = 100) -> str:
    """What a message quotes of a text that may be long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
