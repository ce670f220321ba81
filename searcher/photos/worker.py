"""A process that decodes photos for `guard`: bytes in, pixels and JSON out, until its caller is gone."""

import fcntl
import json
import os
import resource
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from searcher.photos import decoder as decoding
from searcher.photos.decoder import DecodedPhoto, PhotoError
from searcher.photos.guard import DECODED, FAILED, STARTED, WAITING
from searcher.photos.shared import SharedBytes

CPU_SECONDS = 60  # for one file; a worker whose caller was killed ends by itself
MAX_MEMORY = 2 * 2**30  # bytes of address space


def main(descriptor: int, shared_descriptor: int, large_lock: int) -> None:
    """Answer requests: JSON with "min_side" and the number of "bytes" of the file, which are in the shared memory. The
    pixels go back the same way.

    descriptor: of the socket. shared_descriptor: of the shared memory. large_lock: of a file that workers lock while
    they decode a large picture.
    """
    connection, shared = Connection(descriptor), SharedBytes(shared_descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    decoding.hold_for_large_pictures(_Turn(connection, large_lock))
    _limit(resource.RLIMIT_AS, MAX_MEMORY)
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + CPU_SECONDS)
        connection.send_bytes(STARTED)
        try:
            photo = decoding.decode(shared.get(request["bytes"]), request["min_side"])
        except PhotoError as error:
            connection.send_bytes(FAILED + json.dumps(error.reason).encode())
            continue
        shared.put(photo.image.tobytes())
        connection.send_bytes(DECODED + json.dumps(_facts(photo)).encode())


class _Turn:
    """Lets one worker at a time decode a large picture. The caller is told that this one waits, and when it begins.

    The lock belongs to the process, and goes away with it.
    """

    def __init__(self, connection: Connection, descriptor: int) -> None:
        self._connection, self._descriptor = connection, descriptor

    def __enter__(self) -> None:
        self._connection.send_bytes(WAITING)
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        self._connection.send_bytes(STARTED)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _facts(photo: DecodedPhoto) -> dict[str, Any]:
    return {
        "width": photo.width,
        "height": photo.height,
        "format": photo.format,
        "metadata": photo.metadata.as_dict(),
        "size": photo.image.size,
    }


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, hard))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    finally:
        os._exit(0)
