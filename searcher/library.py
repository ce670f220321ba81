# ruff: noqa: PTH105, PTH112, PTH118
"""A library: one folder on disk with a catalog, a vector index per model, and the model of both."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from searcher import query as queries
from searcher.catalog.connect import CATALOG_NAME
from searcher.catalog.reader import Reader
from searcher.catalog.records import ModelRow
from searcher.errors import SearcherError
from searcher.query import Hits, Query

if TYPE_CHECKING:
    import numpy as np

    from searcher.catalog.writer import Writer
    from searcher.indexer import IndexReport
    from searcher.models import Model
    from searcher.vector_index import VectorIndex

README_TITLE = "# index_data"  # the first line of the file that marks a checkout's own library folder
FOLD_AT_LEAST = 1000  # vectors outside the file that are worth a new one, however many are inside


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    error: str

    def as_dict(self) -> dict[str, str]:
        return {"path": self.path, "error": self.error}


@dataclass(frozen=True, slots=True)
class Status:
    """A library at a glance; `as_dict` is what `status --json` prints."""

    library: str
    model: str | None
    roots: tuple[str, ...]
    missing: tuple[str, ...]
    images: int
    failed: int
    kind: str
    vectors: int
    pending: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "library": self.library,
            "model": self.model,
            "roots": list(self.roots),
            "images": self.images,
            "failed": self.failed,
            "index": {"kind": self.kind, "vectors": self.vectors, "pending": self.pending},
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found; `repaired` says what was mended."""

    ok: bool
    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, "problems": list(self.problems)}


def default_library_dir() -> Path:
    """$SEARCHER_LIBRARY, else ./index_data where that is a library or a checkout's, else the user's data
    folder.
    """
    if given := os.environ.get("SEARCHER_LIBRARY"):
        return Path(given).expanduser()
    local = Path("index_data")
    if (local / CATALOG_NAME).exists() or _is_checkout(local / "README.md"):
        return local
    import platformdirs

    return Path(platformdirs.user_data_dir("searcher", appauthor=False))


def _is_checkout(readme: Path) -> bool:
    try:
        with readme.open(encoding="utf-8") as lines:
            return lines.readline().startswith(README_TITLE)
    except (OSError, ValueError):
        return False


class Library:
    """One library on disk. Use it as a context manager, or call `close`; it may be used by one thread at a
    time.
    """

    def __init__(self, folder: Path, model: "str | Path | Model | None") -> None:
        self.folder = folder
        self._asked_model = model
        self._model: Model | None = None
        self._reader: Reader | None = None
        self._index: VectorIndex | None = None
        self._index_digest: bytes | None = None

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        model: "str | Path | Model | None" = None,
        create: bool = False,
    ) -> Self:
        """The library in the folder `path`, by default where `default_library_dir` says.

        `model`: a name or a folder; by default the one that the library remembers, and the built-in model for
        a new library. With `create`, a library that is not there yet is made by its first `index`; without,
        SearcherError.
        """
        folder = default_library_dir() if path is None else Path(path).expanduser()
        library = cls(folder.absolute(), model)
        if not create:
            library.reader()
        return library

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._index = self._index_digest = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def asks_for_a_model(self) -> bool:
        """Whether a model was named when the library was opened."""
        return self._asked_model is not None

    @property
    def exists(self) -> bool:
        """Whether there is a catalog yet."""
        return (self.folder / CATALOG_NAME).exists()

    def reader(self) -> Reader:
        """The catalog, open for reading. Raises SearcherError when there is none."""
        if self._reader is None:
            self._reader = Reader(self.folder)
        return self._reader

    # the model

    @property
    def model(self) -> "Model":
        """The model of this library, opened at first use. Raises SearcherError when it is gone or another one
        is asked.
        """
        if self._model is None:
            row = self.reader().model() if self.exists else None
            self._model = self._open_model(row)
        return self._model

    def check_model(self) -> None:
        """Raises SearcherError when the model that was asked for is not there, or not the library's."""
        _ = self.model

    def _open_model(self, row: ModelRow | None) -> "Model":
        asked = self._asked_model
        if asked is None and row is not None:
            return _remembered_model(row)
        if asked is None or isinstance(asked, str | os.PathLike):
            from searcher.models import Model
            from searcher.models.store import default_name

            model = Model.open(default_name() if asked is None else asked)
        else:
            model = asked
        if row is not None and row.digest != model.digest:
            raise SearcherError(
                f"the library {self.folder} was made with the model {row.name} {row.version}, not with "
                f"{model.name} {model.version}: leave --model out, or use another --library"
            )
        return model

    # what a user does

    def index(
        self,
        *paths: str | Path,
        progress: Callable[[int, int | None], None] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> "IndexReport":
        """Bring folders and single files up to date, without any all that are known: see `indexer.run`."""
        from searcher import indexer

        return indexer.run(self, paths, progress or (lambda done, total: None), notice or (lambda line: None))

    def search(
        self, query: str | Query | None = None, *, like: str | Path | None = None, top: int = 20
    ) -> Hits:
        """Photos that fit a text, or that look like the image file `like`; best first.

        Raises SearcherError for an empty query, an image that is not there, a library without photos' model.
        """
        if not isinstance(query, Query):
            query = Query(text=query, like=None if like is None else Path(like), top=top)
        reader = self.reader()
        row = reader.model()
        if row is None:
            return Hits()
        if query.text is not None:
            vector = self.model.encode_texts([query.text])[0]
        else:
            assert query.like is not None
            vector = self.model.encode_images([query.like])[0]
        with reader.snapshot():
            row = reader.model() or row
            hits = queries.find(reader, self.searcher(row), vector, query.top)
            return Hits(hits, nothing_fits=queries.nothing_fits(hits, query, row))

    def forget(self, folder: str | Path) -> int:
        """Forget what was indexed in a folder (no photo is touched); returns how many images."""
        from searcher import indexer

        return indexer.forget(self, folder)

    def status(self) -> Status:
        """Counts and sizes. Raises SearcherError when there is no library."""
        reader = self.reader()
        with reader.snapshot():
            row = reader.model()
            index = None if row is None else self.vector_index(row)
            roots = [root.path for root in reader.roots()]
            return Status(
                library=os.fspath(self.folder),
                model=None if row is None else row.name,
                roots=tuple(os.fsdecode(root) for root in roots),
                missing=tuple(os.fsdecode(root) for root in roots if not os.path.isdir(root)),
                images=reader.image_count(),
                failed=len(reader.failed()),
                kind="none" if index is None else "flat",
                vectors=0 if index is None else len(index),
                pending=0 if row is None else reader.embedding_count(row.id, index.last_id if index else 0),
                bytes=sum(file.stat().st_size for file in self.folder.iterdir() if _is_ours(file)),
            )

    def failures(self) -> list[Failure]:
        """Every file that could not be indexed, with the reason."""
        rows = self.reader().failed()
        return [
            Failure(os.fsdecode(os.path.join(root.path, relpath)), error) for root, relpath, error in rows
        ]

    def check(self, repair: bool = False) -> CheckReport:
        """Verify every byte that can be verified; `repair` builds again what derives from the catalog."""
        from searcher import vector_index

        reader = self.reader()
        problems = reader.problems()
        row = reader.model()
        derived = []
        if row is not None and not problems:
            path = self.index_path(row)
            count = reader.embedding_count(row.id)
            if path.exists() and not vector_index.verify(path):
                derived.append(f"{path.name}: damaged")
            elif (index := self.vector_index(row)) is None:
                if count >= FOLD_AT_LEAST or path.exists():
                    derived.append(f"{path.name}: {'not of this catalog' if path.exists() else 'missing'}")
            elif len(index) < reader.embedding_count(row.id) - reader.embedding_count(row.id, index.last_id):
                derived.append(f"{path.name}: vectors are missing")
        repaired = []
        if repair and derived and row is not None:
            self.rebuild_index(row)
            repaired, derived = derived, []
        return CheckReport(not problems and not derived, (*problems, *derived), tuple(repaired))

    # the vector index

    def index_path(self, row: ModelRow) -> Path:
        """The FAISS file of a model."""
        return self.folder / f"{row.slug}-{row.digest[:8]}.faiss"

    def vector_index(self, row: ModelRow) -> "VectorIndex | None":
        """The FAISS file of a model, mapped; None when there is none, or not a good one: then the catalog is
        scanned.
        """
        from searcher import vector_index

        path = self.index_path(row)
        digest = vector_index.read_digest(path)
        if digest is None:
            return None
        if self._index is None or digest != self._index_digest:
            known = self.reader().vector_file(digest, row.id)
            if known is None:
                return None
            try:
                self._index = vector_index.VectorIndex.open(path, known, row.dim)
            except vector_index.VectorIndexError:
                return None
            self._index_digest = digest
        return self._index

    def searcher(self, row: ModelRow) -> queries.Search:
        """A function (queries (n, dim), k) → scores, ids over all embeddings of a model: the file's and the
        newer ones.
        """
        from searcher import vector_index

        reader, index = self.reader(), self.vector_index(row)

        def search(vectors: "np.ndarray", k: int) -> "tuple[np.ndarray, np.ndarray]":
            results = [vector_index.empty_result(len(vectors), k)]
            if index is not None and len(index):
                results.append(index.search(vectors, min(k, len(index))))
            newer = reader.vectors(row, after=index.last_id if index else 0)
            results.append(vector_index.top_of(newer, vectors, k))
            return vector_index.merge(results, k)

        return search

    def fold(self, writer: "Writer", row: ModelRow) -> bool:
        """Write a new FAISS file when many embeddings are outside of the present one; returns whether."""
        reader = self.reader()
        index, count = self.vector_index(row), reader.embedding_count(row.id)
        pending = reader.embedding_count(row.id, index.last_id) if index else count
        stale = 0 if index is None else len(index) - (count - pending)
        if index is not None and pending + stale < min(FOLD_AT_LEAST, max(1, len(index) // 10)):
            return False
        if index is None and not count:
            return False
        self._write_index(writer, row)
        return True

    def rebuild_index(self, row: ModelRow) -> None:
        """Write the FAISS file anew from the catalog."""
        from searcher.catalog.writer import Writer

        writer = Writer(self.folder)
        try:
            self._write_index(writer, row)
        finally:
            writer.close()

    def _write_index(self, writer: "Writer", row: ModelRow) -> None:
        from searcher import vector_index

        reader, path = self.reader(), self.index_path(row)
        fresh = path.with_name(path.name + ".new")
        with writer.lock():
            try:
                with reader.snapshot():
                    count = reader.embedding_count(row.id)
                    file = vector_index.write(fresh, count, row.dim, reader.vectors(row))
                with (
                    writer.transaction()
                ):  # known before it appears: a reader never meets a file it does not know
                    writer.add_vector_file(row.id, file)
                os.replace(fresh, path)
            except OSError as error:
                raise SearcherError(f"cannot write {path}: {error.strerror}") from error
            finally:
                fresh.unlink(missing_ok=True)


def _is_ours(file: Path) -> bool:
    return file.name.startswith(CATALOG_NAME) or file.suffix == ".faiss"


def _remembered_model(row: ModelRow) -> "Model":
    """The model that the library remembers, where it was or anywhere in the store. SearcherError when it is
    gone.
    """
    from searcher.models import Model
    from searcher.models.store import find_digest

    try:
        model = Model.open(Path(row.folder))
        if model.digest == row.digest:
            return model
    except SearcherError:
        pass
    folder = find_digest(row.digest)
    if folder is None:
        version = f" {row.version}" if row.version else ""
        raise SearcherError(
            f"this library was made with the model {row.name}{version}, which is no longer in {row.folder}"
        )
    return Model.open(folder)
