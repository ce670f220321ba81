"""VectorStore: search among all embeddings of a model.

Vector files cover ranges of ids. Embeddings that no file covers are read from the catalog and compared exactly, until
there are enough of them for a new file. So files can be incomplete, and no photo is missed.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searcher.catalog import Catalog
from searcher.catalog.read.embeddings import CHUNK
from searcher.catalog.read.view import View
from searcher.catalog.rows import ModelRow, VectorFile
from searcher.errors import Busy, Damaged, SearcherError
from searcher.progress import SILENT, Progress
from searcher.vectors.exact import empty_result, exact_search, merge
from searcher.vectors.part import Part, read_digest, verify
from searcher.vectors.plan import Span, max_vectors, to_write
from searcher.vectors.writing import write

log = logging.getLogger(__name__)

GRAPH_FROM = 200_000
"""From this many vectors on, a file has a graph. A smaller one is searched exactly, which finds every photo, and is
written in a second. Of 100,000 vectors of 512 numbers, a search with a graph saves 3 ms, and a new process loses more
when it opens the file: see benchmarks/graph_from.py. A file of long vectors can hold only some more than this, or
fewer: it has a graph when it is half full.
"""
AT_ONCE = 512
"""Vectors that are written between two looks at whether the work shall stop: a second on a busy machine."""
BUILD_LOCK = "vectors.lock"
_SUFFIX = ".faiss"
_END = 2**63 - 1  # no id is larger


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """kind: "hnsw" (some of the files have a graph), "flat" or "none". vectors: how many are in the files. pending: how
    many are in none. gone: how many are in one and no longer in the catalog.
    """

    kind: str
    vectors: int
    pending: int
    gone: int


@dataclass(frozen=True, slots=True)
class _State:
    """What a search sees, never changed once it is made. ids (n,) int64, ascending, and vectors (n, dim) float16: the
    embeddings up to `seen` that no part covers; `gaps` are the ranges of ids that they come from.
    """

    parts: tuple[Part, ...]
    ids: np.ndarray
    vectors: np.ndarray
    gaps: tuple[tuple[int, int], ...]
    seen: int


class VectorStore:
    """The embeddings of one model in the library in `folder`. Safe to share by threads.

    Call `sync` before `search`: a search sees what the last view held. If another thread has synced with a newer view,
    embeddings that are gone since may be missing, and newer ones are found.
    """

    def __init__(self, folder: Path, model: ModelRow) -> None:
        self.model = model
        self._folder = folder
        self._lock = threading.Lock()
        self._state = _State((), np.zeros(0, np.int64), np.zeros((0, model.dim), np.float16), (), 0)

    def sync(self, view: View) -> None:
        """Take in what the view holds: the good files, and the embeddings that none of them covers."""
        with self._lock:
            state, newest = self._state, view.embeddings.newest_id()
            if newest < state.seen:
                return  # another thread has synced with a newer view, and searches in what that one held
            # a file that was opened stays right when it is replaced: it is only less complete
            parts = _chain([*self._parts_on_disk(view, state.parts), *state.parts])
            if parts == state.parts and newest == state.seen:
                return
            gaps = tuple((after, min(last, newest)) for after, last in _gaps(parts) if after < newest)
            outside = [rows for gap in gaps for rows in self._outside(view, state, gap)]
            ids = np.concatenate([state.ids[:0], *(rows[0] for rows in outside)])
            vectors = np.concatenate([state.vectors[:0], *(rows[1] for rows in outside)])
            self._state = _State(parts, ids, vectors, gaps, newest)

    def _outside(self, view: View, state: _State, gap: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The embeddings in a gap: those that the last state held, and the others from the view."""
        after, last = gap
        known = next((min(old[1], last) for old in state.gaps if old[0] <= after < old[1]), after)
        here = (state.ids > after) & (state.ids <= known)
        yield state.ids[here], state.vectors[here]
        if known < last:
            yield from view.embeddings.chunks(self.model, after=known, last=last)

    def _parts_on_disk(self, view: View, opened: Iterable[Part] = ()) -> list[Part]:
        """The good files of this catalog, as they are now."""
        known, open_now = self._known(view), {part.file.digest: part for part in opened}
        parts = []
        for path, after in self._files():
            digest = read_digest(path)
            file = None if digest is None else known.get(digest)
            if file is None or file.after_id != after:
                continue
            if file.digest in open_now:
                parts.append(open_now[file.digest])
                continue
            with suppress(Damaged):
                parts.append(Part.open(path, file, self.model.dim))
        return parts

    def _known(self, view: View) -> dict[bytes, VectorFile]:
        return {file.digest: file for file in view.models.vector_files(self.model.id)}

    def path(self, after: int = 0) -> Path:
        """The file that begins after an id."""
        return self._folder / f"{self.model.vector_stem}{f'-{after}' if after else ''}{_SUFFIX}"

    def _files(self) -> Iterator[tuple[Path, int]]:
        """The files on disk, in the order of their ids, and the id after which each begins."""
        found = {}
        for path in self._folder.glob(f"{self.model.vector_stem}*{_SUFFIX}"):
            rest = path.name.removeprefix(self.model.vector_stem).removesuffix(_SUFFIX)
            if not rest or (rest[0] == "-" and rest[1:].isdecimal()):
                found[int(rest[1:] or 0)] = path
        return ((found[after], after) for after in sorted(found))

    @property
    def size(self) -> int:
        """How many vectors a search looks at, those that are gone from the catalog included."""
        return len(self._state.ids) + sum(map(len, self._state.parts))

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest embeddings of each query (n, dim), among the ids `allowed` (int64, ascending) if given.

        Returns scores (n, k) float32, descending, and embedding ids (n, k) int64. Some of them may be gone from the
        catalog. If there are fewer hits than `k`, the remaining ids are -1. Files with a graph can miss a few of the
        nearest ones, but they do not return fewer than there are.
        """
        state = self._state
        results = [empty_result(len(queries), k)]
        results += [part.search(queries, min(k, len(part)), allowed) for part in state.parts if len(part)]
        results.append(exact_search(state.ids, state.vectors, queries, min(k, max(1, len(state.ids))), allowed))
        return merge(results, k)

    def vectors(self, ids: np.ndarray) -> np.ndarray:
        """The vectors (n, dim) float16 under `ids` (n,) int64, zero for ids that the last view did not hold."""
        state, found = self._state, np.zeros((len(ids), self.model.dim), np.float16)
        for part in state.parts:
            here, rows = _places(part.ids, ids)
            found[here] = part.vectors(rows)
        here, rows = _places(state.ids, ids)
        found[here] = state.vectors[rows]
        return found

    def status(self, view: View) -> StoreStatus:
        """How far the files cover what the view holds."""
        parts = _chain(self._parts_on_disk(view, self._state.parts))
        held, count = sum(map(len, parts)), view.embeddings.count(self.model.id)
        kind = "hnsw" if any(part.kind == "hnsw" for part in parts) else "flat" if held else "none"
        live = sum(self._live(view, part.file.after_id, part.file.last_id) for part in parts)
        return StoreStatus(kind, held, count - live, held - live)

    def _live(self, view: View, after: int, last: int) -> int:
        return view.embeddings.count(self.model.id, after=after, last=last)

    def problems(self, view: View) -> list[str]:
        """What is wrong with the files. Reads them whole."""
        sound, found = self._verified(view)
        named = {path for path, _ in self._files()}
        missing = {self.path(after) for after, last in _gaps(_chain(sound)) if self._live(view, after, last)} - named
        written = {self.path(file.after_id) for file in self._known(view).values()}
        return list(found.values()) + [f"{path.name}: missing" for path in sorted(missing & written)]

    def _verified(self, view: View) -> tuple[list[Part], dict[Path, str]]:
        """The files whose every byte is right, and what is wrong with the others."""
        known, sound, found = self._known(view), [], {}
        for path, after in self._files():
            file = known.get(read_digest(path) or b"")
            if not verify(path):
                found[path] = f"{path.name}: damaged"
            elif file is None or file.after_id != after:
                found[path] = f"{path.name}: does not belong to this catalog"
            else:
                try:
                    sound.append(Part.open(path, file, self.model.dim))
                except Damaged as error:
                    found[path] = str(error)
        return sound, found

    def rebuild_if_needed(self, catalog: Catalog, progress: Progress = SILENT) -> bool:
        """Write files anew if many embeddings are in none, or are in one and gone. Returns whether it did.

        It does nothing while another process is at it. Raises SearcherError, for example if the disk is full.
        """
        try:
            with catalog.lock(progress, BUILD_LOCK, wait=False), self._writing():
                with catalog.read() as view:
                    parts = _chain(self._parts_on_disk(view, self._state.parts))
                    spans = self._to_write(view, parts)
                self._remove_unused(parts)
                self._write(catalog, spans, progress)
        except Busy:
            return False
        return bool(spans)

    def rebuild(self, catalog: Catalog, progress: Progress = SILENT) -> None:
        """Write all files anew, with everything that is committed.

        Raises SearcherError, for example if the disk is full.
        """
        with catalog.lock(progress, BUILD_LOCK), self._writing():
            with catalog.read() as view:
                newest = view.embeddings.newest_id()
            self._write(catalog, [Span(0, newest, 0, None)], progress)

    def needs_graph(self, catalog: Catalog) -> bool:
        """Whether `rebuild_if_needed` would build a graph now, which takes minutes."""
        with catalog.read() as view:
            spans = self._to_write(view, _chain(self._parts_on_disk(view, self._state.parts)))
        return any(self._has_graph(span.live) for span in spans)

    def _has_graph(self, count: int) -> bool:
        """Whether a file with so many vectors has a graph. Of more than a file can hold: whether the first one has."""
        return count >= min(GRAPH_FROM, max_vectors(self.model.dim) // 2)

    def repair(self, catalog: Catalog, progress: Progress = SILENT) -> None:
        """Write what is missing or wrong, and all embeddings that no file covers. Reads the files whole, and keeps the
        good ones.

        Raises SearcherError, for example if the disk is full.
        """
        with catalog.lock(progress, BUILD_LOCK), self._writing():
            with catalog.read() as view:
                sound, found = self._verified(view)
                parts, newest = _chain(sound), view.embeddings.newest_id()
                gaps = [(after, min(last, newest)) for after, last in _gaps(parts) if after < newest]
                spans = [Span(*gap, live, None) for gap in gaps if (live := self._live(view, *gap))]
            for path in found:  # first: a search finds the same in the catalog
                path.unlink(missing_ok=True)
            self._remove_unused(parts)
            self._write(catalog, spans, progress)

    def _remove_unused(self, parts: Sequence[Part]) -> None:
        """Remove the files that begin inside of a good one. A process that was killed has left them."""
        for path, after in self._files():
            if any(part.file.after_id < after < part.file.last_id for part in parts):
                path.unlink(missing_ok=True)

    def _to_write(self, view: View, parts: Sequence[Part]) -> list[Span]:
        newest = view.embeddings.newest_id()
        covered = [(part.file.after_id, part.file.last_id, len(part)) for part in parts]
        gaps = [(after, min(last, newest), None) for after, last in _gaps(parts) if after < newest]
        spans = [
            Span(after, last, self._live(view, after, last), held) for after, last, held in sorted([*covered, *gaps])
        ]
        return to_write(spans, max_vectors(self.model.dim))

    def _write(self, catalog: Catalog, spans: list[Span], progress: Progress) -> None:
        """Write each of these spans as one file, or as several if it is large, and remove the files inside of it.

        The caller holds the lock. Searches and writers of the catalog go on meanwhile.
        """
        for left in self._folder.glob(f"{self.model.vector_stem}*{_SUFFIX}.new"):
            left.unlink(missing_ok=True)  # of a process that was killed
        for span in spans:
            self._write_span(catalog, span, progress)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, MemoryError) as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else error.strerror or error
            raise SearcherError(
                f"cannot write the vector files in {self._folder}: {reason}; nothing is lost, and searches go on: "
                "solve this, and run `searcher index` again"
            ) from error

    def _phase(self, count: int, progress: Progress) -> AbstractContextManager[Progress]:
        """Where the progress of writing `count` vectors is shown: only that of graphs, which take minutes."""
        if not self._has_graph(count):
            return nullcontext(SILENT)
        progress.notice(f"arranging {count:,} vectors for fast searches, which go on meanwhile")
        return progress.phase("Arranging vectors")

    def _write_span(self, catalog: Catalog, span: Span, progress: Progress) -> None:
        with catalog.read() as view:
            ids = view.embeddings.ids(self.model.id, span.after, span.last)
        most, after = max_vectors(self.model.dim), span.after
        written: list[tuple[Path, VectorFile]] = []
        try:
            with self._phase(len(ids), progress) as phase:
                for start in range(0, max(1, len(ids)), most):
                    some = ids[start : start + most]
                    fresh = self.path(after).with_suffix(f"{_SUFFIX}.new")
                    rows = _counted(_committed(catalog, self.model, some), start, len(ids), phase)
                    file = write(fresh, len(some), self.model.dim, rows, after=after, graph=self._has_graph(len(some)))
                    written.append((fresh, file))
                    after = file.last_id
            with catalog.write() as change:  # before the files appear: a reader never meets an unknown one
                change.models.add_vector_files(self.model.id, [file for _, file in written])
            for fresh, file in reversed(written):  # the first one replaces the one that covered all of them
                fresh.replace(self.path(file.after_id))
            begins = {file.after_id for _, file in written}
            for path, after in self._files():
                if span.after < after < span.last and after not in begins:
                    path.unlink(missing_ok=True)
            with catalog.write() as change:  # after they are gone: a process that is killed here leaves no unknown one
                change.models.forget_vector_files(self.model.id, [file for _, file in written])
            log.debug("wrote %d files with %d vectors", len(written), len(ids))
        finally:
            for fresh, _ in written:
                fresh.unlink(missing_ok=True)


def _counted(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], done: int, total: int, progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same rows in smaller chunks. progress: is told when each is written. done: how many were before."""
    for ids, vectors in chunks:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            yield some, vectors[start : start + AT_ONCE]
            done += len(some)
            progress.advance(done, total)


def _committed(catalog: Catalog, model: ModelRow, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The embeddings with these ids, in chunks. Those that are gone by now are zero: no search shows them.

    Each chunk has a view of its own, because a graph takes minutes.
    """
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        vectors = np.zeros((len(some), model.dim), np.float16)
        with catalog.read() as view:
            for found, rows in view.embeddings.chunks(model, after=int(some[0]) - 1, last=int(some[-1])):
                vectors[np.searchsorted(some, found)] = rows
        yield some, vectors


def _places(known: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `ids` are among `known`, which ascend, and where."""
    rows = np.searchsorted(known, ids)
    here = np.flatnonzero(rows < len(known))
    here = here[known[rows[here]] == ids[here]]
    return here, rows[here]


def _chain(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts in the order of their ids, without those that begin inside of another one."""
    chosen: list[Part] = []
    for part in sorted(parts, key=lambda part: part.file.after_id):
        if not chosen or part.file.after_id >= chosen[-1].file.last_id:
            chosen.append(part)
    return tuple(chosen)


def _gaps(parts: Iterable[Part]) -> Iterator[tuple[int, int]]:
    """The ranges of ids (after, last) that no part covers; the last one has no end."""
    covered = 0
    for part in parts:
        if part.file.after_id > covered:
            yield covered, part.file.after_id
        covered = part.file.last_id
    yield covered, _END
