"""What was computed from a catalog, remembered until the catalog changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Value = TypeVar("Value")

MOST = 64  # values that are remembered


class Remembered:
    """Values by their keys, each of one revision of the catalog. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, _Value] = OrderedDict()

    def get(self, key: Hashable, revision: str, compute: Callable[[], Value]) -> Value:
        """The value of a key. It is computed if the revision is another one; threads that want the same wait for it."""
        with self._lock:
            value = self._values.setdefault(key, _Value())
            self._values.move_to_end(key)
            while len(self._values) > MOST:
                self._values.popitem(last=False)
        with value.lock:
            if value.revision != revision:
                value.content = compute()
                value.revision = revision
            found: Value = value.content
            return found


class _Value:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.revision: str | None = None
        self.content: Any = None
