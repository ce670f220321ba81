"""Stop a run between two steps, so that its state can be saved and continued."""

import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether the user pressed Ctrl-C, or the process was asked to end, since the `with` block began.

    A second Ctrl-C raises KeyboardInterrupt at once. Signals that are ignored stay ignored, as `nohup` needs it. Only
    the main thread can receive signals. In another thread nothing changes.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before is not None and before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


def ignore_interrupts(worker: int) -> None:
    """For a loader's worker process: Ctrl-C reaches it, too, but the training process decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
