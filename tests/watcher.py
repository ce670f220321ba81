"""A Progress that remembers what it was told."""

from collections.abc import Callable

from searcher.progress import Progress


class Watcher(Progress):
    """Collects progress as `said` and notices as `notices`, and calls `on_advance` with each progress."""

    def __init__(self, on_advance: Callable[[int, int | None], None] | None = None) -> None:
        self.said: list[tuple[int, int | None]] = []
        self.notices: list[str] = []
        self._on_advance = on_advance

    def advance(self, done: int, total: int | None) -> None:
        self.said.append((done, total))
        if self._on_advance is not None:
            self._on_advance(done, total)

    def notice(self, message: str) -> None:
        self.notices.append(message)
