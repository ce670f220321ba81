"""The revision of a library on a server, without a wait for a server that is slow or away."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from searcher.errors import SearcherError

EVERY_S = 2.0  # how often the server is asked
PATIENCE_S = 0.2  # the most time that a caller waits for its answer


class Revision:
    """The last revision that a server told. Safe to share by threads.

    ask: asks the server. It may take long and raise SearcherError; then the revision stays what it was.
    """

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._text = ask()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next = time.monotonic() + EVERY_S

    def text(self) -> str:
        """The revision, EVERY_S old at most while the server answers."""
        thread = None
        with self._lock:
            now = time.monotonic()
            if now >= self._next and (self._thread is None or not self._thread.is_alive()):
                self._next = now + EVERY_S
                thread = self._thread = threading.Thread(target=self.look, name="revision", daemon=True)
                thread.start()
        if thread is not None:
            thread.join(PATIENCE_S)
        return self._text

    def look(self) -> None:
        """Ask the server now: after a change of our own, and every EVERY_S."""
        with suppress(SearcherError):
            self._text = self._ask()
