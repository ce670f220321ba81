"""Decode files without being held up: what may take long is decoded in a process that can be ended.

Decoders hold on to a thread until they are done, and some small files take minutes. So a file that does not surely
decode quickly (see `quick`) goes to a worker process, which is killed when MAX_SECONDS are over or the caller stops.
Workers are started when they are first needed, one per file under way, and wait for more. They are started anew, not
forked, because the caller may have threads. A worker gets the bytes of a file, never its name, and answers with pixels
and JSON: nothing that it says is executed. Its output streams lead nowhere.
"""

import atexit
import json
import logging
import math
import os
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

from searcher.photos.decoder import DecodedPhoto, PhotoError, Unavailable, decode
from searcher.photos.metadata import Metadata
from searcher.photos.quick import decodes_quickly
from searcher.photos.shared import SharedBytes

log = logging.getLogger(__name__)

MAX_SECONDS = 20.0
"""The most time for one file."""

START_SECONDS = 60.0  # for a worker to start on a busy machine
TICK_SECONDS = 0.1  # how often a waiting thread looks whether it should stop

STARTED, WAITING, FAILED, DECODED = b"S", b"W", b"E", b"P"  # the first byte of a worker's answer


class Stopped(Exception):
    """The caller does not want the result any more."""


class _NotBegun(Exception):
    """The worker ended before it began to decode, so the file is not the reason."""


def decode_guarded(data: bytes, min_side: int | None = None, stop: threading.Event | None = None) -> DecodedPhoto:
    """`decode`, but it never takes longer than about MAX_SECONDS, and ends within TICK_SECONDS after `stop` is set.

    Raises PhotoError as `decode` does, and for a file that takes too long. Raises Unavailable if no process can be
    started. Raises Stopped. Raises ValueError if `min_side` is below 1.
    """
    if min_side is not None and min_side < 1:
        raise ValueError("min_side must be at least 1")
    if os.name != "posix" or decodes_quickly(data):
        return decode(data, min_side)
    return _workers().decode(data, min_side, stop)


class _Workers:
    """Idle worker processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._large_lock = SharedBytes()  # workers lock it while they decode a large picture

    def decode(self, data: bytes, min_side: int | None, stop: threading.Event | None) -> DecodedPhoto:
        while True:
            worker = self._take()
            try:
                photo = worker.decode(data, min_side, stop)
            except _NotBegun as error:
                if worker.fresh:
                    raise Unavailable("the process that decodes photos does not start") from error
                continue  # it was killed while it was idle
            except PhotoError:
                if worker.alive:
                    self._keep(worker)
                raise
            except BaseException:
                worker.kill()
                raise
            self._keep(worker)
            return photo

    def _take(self) -> "_Worker":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            return _Worker(self._large_lock.descriptor)
        except OSError as error:
            raise Unavailable(f"cannot start the process that decodes photos: {error.strerror}") from error

    def _keep(self, worker: "_Worker") -> None:
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()
        self._large_lock.close()


@cache
def _workers() -> _Workers:
    workers = _Workers()
    atexit.register(workers.close)
    return workers


class _Worker:
    """One process, used by one thread at a time."""

    def __init__(self, large_lock: int) -> None:
        self.fresh = True  # it has not begun to decode any file
        self._shared = SharedBytes()
        try:
            self._start(large_lock)
        except OSError:
            self._shared.close()
            raise
        log.debug("started the decoding process %d", self._process.pid)

    def _start(self, large_lock: int) -> None:
        ours, theirs = socket.socketpair()
        descriptors = (theirs.fileno(), self._shared.descriptor, large_lock)
        with ours, theirs:
            # -P: without it, the worker would import modules from the current folder, which may hold anything
            command = [sys.executable, "-P", "-m", "searcher.photos.worker", *map(str, descriptors)]
            home = str(Path(__file__).parents[2])
            paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
            # one thread: there is a worker for each core, and their threads would use up the memory that it may take
            own = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                command,
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | own,
                start_new_session=True,  # Ctrl-C on the terminal is for us alone
            )
            self._connection = Connection(ours.detach())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._connection.close()
        self._shared.close()
        self._process.wait()

    def decode(self, data: bytes, min_side: int | None, stop: threading.Event | None) -> DecodedPhoto:
        self._begun = False
        try:
            self._shared.put(data)
            self._connection.send_bytes(json.dumps({"bytes": len(data), "min_side": min_side}).encode())
            answer = self._wait(stop)
            kind, document = answer[:1], json.loads(answer[1:])
            if kind == FAILED:
                raise PhotoError(str(document))
            width, height = document["size"]
            image = Image.frombytes("RGB", (width, height), self._shared.get(3 * width * height))
        except (OSError, EOFError) as error:
            self.kill()
            if not self._begun:
                raise _NotBegun from error
            raise PhotoError("the decoder crashed: the file is damaged or malicious") from error
        metadata = Metadata.from_dict(document["metadata"])
        return DecodedPhoto(document["width"], document["height"], document["format"], metadata, image)

    def _wait(self, stop: threading.Event | None) -> bytes:
        """The worker's answer. The time counts from when it begins to decode. It does not count while the worker waits
        for another one to finish a large picture.
        """
        deadline = time.monotonic() + MAX_SECONDS + (START_SECONDS if self.fresh else 0)
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            left = deadline - time.monotonic()
            if left <= 0:
                log.debug("ended the decoding process %d after %.0f s", self._process.pid, MAX_SECONDS)
                self.kill()
                if not self._begun:
                    raise _NotBegun
                raise PhotoError(f"takes longer than {MAX_SECONDS:.0f} s to decode")
            if self._connection.poll(min(left, TICK_SECONDS)):
                answer = self._connection.recv_bytes()
                self.fresh, self._begun = False, True
                if answer not in (STARTED, WAITING):
                    return answer
                deadline = time.monotonic() + MAX_SECONDS if answer == STARTED else math.inf
