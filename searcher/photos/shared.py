"""Memory that a process and its worker share: bytes go through it faster than through a socket."""

import mmap
import os
import tempfile

_STEP = 2**20  # grows in steps of so many bytes


class SharedBytes:
    """A block of bytes behind a file descriptor. Both sides put bytes at its beginning, in turns."""

    def __init__(self, descriptor: int | None = None) -> None:
        """descriptor: of a block that another process made; None makes one."""
        if descriptor is None:
            if hasattr(os, "memfd_create"):
                descriptor = os.memfd_create("searcher")
            else:
                descriptor, name = tempfile.mkstemp(prefix="searcher-")
                os.unlink(name)  # noqa: PTH108
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    def put(self, data: bytes) -> None:
        """Store bytes, for the other side to `get`."""
        self._mapped(len(data))[: len(data)] = data

    def get(self, size: int) -> bytes:
        """The `size` bytes that the other side put."""
        return self._mapped(size)[:size]

    def _mapped(self, size: int) -> mmap.mmap:
        if self._map is None or len(self._map) < size:
            wanted = -(-max(size, 1) // _STEP) * _STEP
            there = os.fstat(self.descriptor).st_size
            if there < wanted:
                os.ftruncate(self.descriptor, wanted)
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self.descriptor, max(there, wanted))
        return self._map

    def close(self) -> None:
        """Release the memory."""
        if self._map is not None:
            self._map.close()
        os.close(self.descriptor)
