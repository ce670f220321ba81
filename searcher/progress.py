"""How long work reports to whoever started it. It is passed as an argument and is never global."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Progress:
    """Receives the progress and the notices of long work. This class ignores them: override what you need.

    All methods are called in the thread that started the work.
    """

    def advance(self, done: int, total: int | None) -> None:
        """`done` of `total` items are finished. `total` is None while the items are still being counted."""

    @contextmanager
    def phase(self, title: str) -> "Iterator[Progress]":
        """For a part of the work that counts other things than the rest: it reports to what this yields.

        title: what is done meanwhile, such as "Arranging vectors".
        """
        yield self

    def notice(self, message: str) -> None:
        """A line that the user should read now, for example that the work waits for another process."""

    def metrics(self, values: Mapping[str, Any]) -> None:
        """The numbers of a training step, as they are written to `metrics.jsonl`."""


SILENT = Progress()
