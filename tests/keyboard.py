"""A program in a terminal of its own, for what a person types and sees."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


class Terminal:
    """The keyboard and the screen of a program."""

    def __init__(self, process: int, descriptor: int) -> None:
        self.process, self._descriptor = process, descriptor
        self.screen = ""  # everything that was shown since the last `expect`

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def interrupt(self) -> None:
        """Type Ctrl-C. A person does not do that in the moment when Python begins to wait: it would notice it late."""
        time.sleep(0.3)
        self.type("\x03")

    def expect(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """Wait until the screen shows `pattern`, and forget what was shown up to its end."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.screen)):
            left = end - time.monotonic()
            assert left > 0 and select.select([self._descriptor], [], [], left)[0], (pattern, self.screen)
            try:
                read = os.read(self._descriptor, 65536)
            except OSError:  # the program has ended
                read = b""
            assert read, (pattern, self.screen)
            self.screen += read.decode(errors="replace")
        self.screen = self.screen[found.end() :]
        return found

    def exit_code(self) -> int:
        """Wait for the end of the program."""
        with suppress(OSError):
            while chunk := os.read(self._descriptor, 65536):
                self.screen += chunk.decode(errors="replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@contextmanager
def terminal(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Terminal]:
    """Run a program in a new terminal of 200 columns. It is killed at the end of the block if it still runs."""
    process, descriptor = pty.fork()
    if not process:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C works also if pytest runs in the background
        os.chdir(folder)
        os.execvpe(arguments[0], list(arguments), dict(environment) | {"TERM": "xterm", "NO_COLOR": "1"})
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    shown = Terminal(process, descriptor)
    try:
        yield shown
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(process, os.WNOHANG) == (0, 0):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
        os.close(descriptor)
