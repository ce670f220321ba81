"""A Progress that remembers what it was told."""

from searcher.progress import Progress


class Steps(Progress):
    """seen: the arguments of `advance`. notices: those of `notice`."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []
        self.notices: list[str] = []

    def advance(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))

    def notice(self, message: str) -> None:
        self.notices.append(message)
