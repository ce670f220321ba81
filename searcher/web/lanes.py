"""Lanes: threads for each kind of work, so that slow work of one kind does not stop the others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from searcher.errors import SearcherError

Result = TypeVar("Result")


class TooMany(SearcherError):
    """More requests of one kind than the server takes."""


class Lane:
    """Threads for one kind of work. threads: how many. waiting: the most calls that wait for them."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._most = threads + waiting
        self._calls = 0
        self._pool = ThreadPoolExecutor(threads)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Call `work` in a thread of this lane. Raises TooMany."""
        if self._calls >= self._most:
            raise TooMany("the server is busy: try again")
        self._calls += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._calls -= 1

    def close(self) -> None:
        """Let no waiting call begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Lanes:
    """search: texts to hits. read: what is only looked up. decode: photos of the library. uploads: those of a request.

    More threads than cores would only add memory and delay. A photo that takes long delays other photos, no search.
    """

    def __init__(self, cores: int) -> None:
        self.search = Lane(cores, 200)
        self.read = Lane(4, 1000)
        self.decode = Lane(cores, 1000)
        self.uploads = Lane(1, 8)

    def close(self) -> None:
        for lane in (self.search, self.read, self.decode, self.uploads):
            lane.close()
