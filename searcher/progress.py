"""How long work reports to whoever started it. It is passed as an argument and is never global."""

from collections.abc import Mapping
from typing import Any


class Progress:
    """Receives the progress and the notices of long work. This class ignores them: override what you need.

    All methods are called in the thread that started the work.
    """

    def advance(self, done: int, total: int | None) -> None:
        """`done` of `total` items are finished. `total` is None while the items are still being counted."""

    def notice(self, message: str) -> None:
        """A line that the user should read now, for example that the work waits for another process."""

    def metrics(self, values: Mapping[str, Any]) -> None:
        """The numbers of a training step, as they are written to `metrics.jsonl`."""


SILENT = Progress()
