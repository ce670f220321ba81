"""A thread pool that works ahead of its consumer, so that reading and decoding overlap with embedding.

The pool has one thread per core, and the neural network also has one thread per core. No core is reserved for either,
so no core is idle. When decoding is ahead, it waits with AHEAD items under way. When decoding is behind, the network
waits and decoding gets all cores. This balances the load without tuning.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from searcher.photos.cores import usable_cores

AHEAD = 96  # most items under way in the threads: three batches of the image encoder

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Like `map(work, items)`, but in threads. Yields results in order, with at most AHEAD items under way.

    When the generator is closed, it cancels the pending items and waits for the running ones.
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
