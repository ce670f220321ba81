"""Threads that work ahead of the thread that takes their results: reading and decoding overlap with embedding.

There is one such thread a core, and the network has one a core, too: no core is set apart for either, to stand idle.
When decoding is ahead it waits, with AHEAD items ready; when it is behind, the network waits and decoding has all
cores. So the split finds itself, photo by photo.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from searcher.photos.cores import usable_cores

AHEAD = 96  # items under way in the threads at most: three batches of the image encoder

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """`map(work, items)` in threads, in order, with at most AHEAD items under way. Stops cleanly when it is
    closed.
    """
    pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="photos")
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
