"""A terminal of our own: a program runs in it, and the bytes that it prints are kept."""

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ROWS, COLUMNS, CELL = 24, 100, (10, 20)  # a character has 10 × 20 pixels
SIXEL = b"\x1b[?62;4;22c"  # what a terminal with sixel pictures answers when it is asked for its attributes


class Shown(NamedTuple):
    """What a program printed in a terminal, and its exit code."""

    bytes: bytes
    code: int

    @property
    def text(self) -> str:
        return self.bytes.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def run_in_terminal(
    command: Sequence[str], environment: Mapping[str, str], answer: bytes | None = None, timeout: float = 120
) -> Shown:
    """Run a program whose streams and controlling terminal are a new terminal. stderr is not kept.

    answer: the reply to the question for the device attributes (DA1). None: the terminal does not reply.
    """
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * CELL[0], ROWS * CELL[1]))
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    printed, asked = b"", False
    end = time.monotonic() + timeout
    try:
        while time.monotonic() < end:
            ready = select.select([ours], [], [], 0.05)[0]
            if ready:
                printed += os.read(ours, 65536)
            elif process.poll() is not None:
                break
            if not asked and answer is not None and b"\x1b[c" in printed:
                os.write(ours, answer)
                asked = True
    finally:
        process.kill()
        process.wait()
        left = termios.tcgetattr(theirs)[3]
        os.close(theirs)
        os.close(ours)
    assert left & termios.ECHO and left & termios.ICANON, "the program changed the terminal"
    return Shown(printed, process.returncode)
