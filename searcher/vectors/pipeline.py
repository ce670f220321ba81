"""Photo files → embeddings: read and decoded in threads, ahead of the thread that embeds them.

Every photo that becomes a vector goes this way: `index`, another model for a library, `evaluate`, `classify`, and the
validation of a training run. So they all see the same pixels.

There is one decoding thread per core, and the network has one thread per core, too: no core is reserved for either.
If decoding is ahead, it waits with AHEAD photos ready. If it is behind, the network waits and decoding gets all cores.
Memory is bounded by the number of files under way: a thread releases the bytes and the decoded picture of a file before
it takes the next one, and what waits is one preprocessed picture per file.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from threading import Event, Lock
from typing import Generic, TypeVar

import numpy as np

from searcher.catalog import Catalog
from searcher.models.encoder import DualEncoder
from searcher.photos.cores import usable_cores
from searcher.photos.decode import (
    PhotoError,
    PhotoFacts,
    Stopped,
    Unavailable,
    content_digest,
    decode_guarded,
    read_bytes,
)
from searcher.photos.likeness import Likeness, measure
from searcher.photos.thumbnail import draw_thumbnail

BATCH_SIZE = 32  # photos per pass through the network
REMEMBERED = 100_000  # contents of copies
AHEAD = 96  # photos under way in the threads at most: three batches

Key = TypeVar("Key")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PhotoFile(Generic[Key]):
    """A photo to embed. key: what the caller knows it by. paths: where it may be; the first that fits is taken.
    digest: the content that it must have, None for any.
    """

    key: Key
    paths: tuple[bytes, ...]
    digest: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embedded(Generic[Key]):
    """A photo file that was read.

    digest: of its content, None if it cannot be read. facts: what the file says about the photo. likeness: what the
    photo looks like, for a catalog. vector: (dim,) float32, unit length. error: why it has no vector. try_again: the
    error says nothing about the content. thumbnail: a WebP file, if one was asked for. A file whose content is known
    already, or is being embedded under another name, has neither facts nor vector nor error.
    """

    key: Key
    digest: bytes | None = None
    facts: PhotoFacts | None = None
    likeness: Likeness | None = None
    vector: np.ndarray | None = None
    error: str | None = None
    try_again: bool = False
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared(Generic[Key]):
    """A photo that is ready to be embedded. pixels: (3, H, W) float32, None if it has an error or is known."""

    result: Embedded[Key]
    pixels: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is made of a photo besides its pixels. thumbnail: pixels of the longer side, 0 for none."""

    likeness: bool = False
    thumbnail: int = 0


class _Known:
    """Which contents need no decoding: a model has embedded them, or they are under way. For use in threads."""

    def __init__(self, catalog: Catalog, model_id: int) -> None:
        self._catalog, self._model_id = catalog, model_id
        self._under_way: set[bytes] = set()
        self._copied: set[bytes] = set()  # contents that were found in the catalog: their next copies need no look
        self._lock = Lock()

    def claim(self, digest: bytes) -> bool:
        """Whether the caller is the one to decode this content."""
        with self._lock:
            if digest in self._under_way or digest in self._copied:
                return False
            self._under_way.add(digest)
        with self._catalog.read() as view:
            known = view.embeddings.has(digest, self._model_id)
        if known:
            with self._lock:
                self._under_way.discard(digest)
                if len(self._copied) < REMEMBERED:
                    self._copied.add(digest)
        return not known

    def release(self, digests: Iterable[bytes]) -> None:
        """These contents have been committed, or have failed."""
        with self._lock:
            self._under_way.difference_update(digests)


def embed_photos(
    model: DualEncoder, files: Iterable[PhotoFile[Key]], *, skip_known: tuple[Catalog, int] | None = None
) -> Generator[list[Embedded[Key]]]:
    """Embed photo files, in their order, in batches of at most BATCH_SIZE. Never raises for a bad file.

    skip_known: a catalog and the id of a model in it. Contents that this model has embedded are only hashed. A content
    counts as under way until the batch after its own is asked for: commit a batch before that.
    """
    known = _Known(*skip_known) if skip_known is not None else None
    stop = Event()

    def prepare(file: PhotoFile[Key]) -> Prepared[Key]:
        return _prepare(model, file, known, stop)

    batch: list[Prepared[Key]] = []
    for prepared in ahead(prepare, files, stop):
        batch.append(prepared)
        if len(batch) == BATCH_SIZE:
            yield embed_prepared(model, batch)
            _release(known, batch)
            batch = []
    if batch:
        yield embed_prepared(model, batch)
        _release(known, batch)


def hash_files(paths: Iterable[bytes]) -> Generator[bytes | None]:
    """The digest of each file's content, in order; None for a file that cannot be read."""
    yield from ahead(_hash_file, paths)


def ahead(
    work: Callable[[T], R], items: Iterable[T], stop: Event | None = None, *, threads: int | None = None
) -> Generator[R]:
    """`map(work, items)` in threads (None: one per core), in order, with at most AHEAD items under way.

    It stops cleanly when it is closed or interrupted. Then it sets `stop`, so that `work` can end early.
    """
    pool = ThreadPoolExecutor(threads or usable_cores(), thread_name_prefix="photos")
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        if stop is not None:
            stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _hash_file(path: bytes) -> bytes | None:
    try:
        return content_digest(read_bytes(path))
    except PhotoError:
        return None


def _prepare(model: DualEncoder, file: PhotoFile[Key], known: _Known | None, stop: Event) -> Prepared[Key]:
    """Read, hash and, if its content is new, decode and preprocess one file."""
    result = Embedded(file.key, error="cannot be read")
    for path in file.paths:
        try:
            data = read_bytes(path)
        except PhotoError as error:
            result = Embedded(file.key, error=storable(error.reason), try_again=isinstance(error, Unavailable))
            continue
        digest = content_digest(data)
        if file.digest is not None and digest != file.digest:
            result = Embedded(file.key, error="its content has changed")
            continue
        if known is not None and not known.claim(digest):
            return Prepared(Embedded(file.key, digest))
        return prepare(model, file.key, data, stop, Wanted(likeness=known is not None), digest)
    return Prepared(result)


def prepare(
    model: DualEncoder, key: Key, data: bytes, stop: Event, wanted: Wanted, digest: bytes | None = None
) -> Prepared[Key]:
    """Decode and preprocess the bytes of a file. Never raises for a bad one. Raises Stopped after `stop` was set.

    digest: of the bytes, if it is known.
    """
    digest = digest or content_digest(data)
    try:
        photo = decode_guarded(data, model.image_size, stop)
        pixels = model.preprocess(photo.image)
        likeness = measure(photo.image) if wanted.likeness else None
        thumbnail = draw_thumbnail(data, photo, wanted.thumbnail, stop) if wanted.thumbnail else None
        return Prepared(Embedded(key, digest, photo.facts, likeness, thumbnail=thumbnail), pixels)
    except PhotoError as error:
        reason, try_again = error.reason, isinstance(error, Unavailable)
    except Stopped:
        raise
    except Exception as error:  # nothing that one file does may stop the run
        reason, try_again = f"cannot be prepared: {error or type(error).__name__}", False
    return Prepared(Embedded(key, digest, error=storable(reason), try_again=try_again))


def storable(text: str) -> str:
    """`text` without what cannot be written as UTF-8, such as the escapes in a file name."""
    return text.encode("utf-8", "replace").decode("utf-8")


def embed_prepared(
    model: DualEncoder, batch: Sequence[Prepared[Key]], at_once: int = BATCH_SIZE
) -> list[Embedded[Key]]:
    """Embed a batch, `at_once` photos at most in one call of the model. What has no pixels stays as it is."""
    pixels = [prepared.pixels for prepared in batch if prepared.pixels is not None]
    passes = (pixels[start : start + at_once] for start in range(0, len(pixels), at_once))
    vectors = chain.from_iterable(model.encode_pixels(np.stack(part)) for part in passes)
    return [
        prepared.result if prepared.pixels is None else replace(prepared.result, vector=next(vectors))
        for prepared in batch
    ]


def _release(known: _Known | None, batch: list[Prepared[Key]]) -> None:
    if known is None:
        return
    # A copy of a content under way did not claim it. The file that did can be in a later batch.
    results = (prepared.result for prepared in batch)
    claimed = (result for result in results if result.facts is not None or result.error is not None)
    known.release(result.digest for result in claimed if result.digest is not None)


def embed_files(model: DualEncoder, paths: Iterable[str | os.PathLike[str]]) -> Generator[Embedded[str]]:
    """Embed loose image files, in their order, each known by its path as text."""
    files = (PhotoFile(os.fspath(path), (os.fsencode(path),)) for path in paths)
    for batch in embed_photos(model, files):
        yield from batch
