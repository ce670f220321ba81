# ruff: noqa: PTH112, PTH118
"""A library: a folder with a catalog and one vector index per model."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from searcher import query as queries
from searcher.catalog.connect import CATALOG_NAME
from searcher.catalog.reader import Reader
from searcher.catalog.records import Failure, ModelRow
from searcher.errors import SearcherError
from searcher.library.reports import CheckReport, Status
from searcher.query import Hits, Query

if TYPE_CHECKING:
    import numpy as np

    from searcher.catalog.writer import Writer
    from searcher.indexer import IndexReport
    from searcher.library.vectors import Vectors
    from searcher.models import Model
    from searcher.tagger import TagReport

SWEPT_AT_ONCE = 10_000  # embeddings of retired models that are removed per transaction
README_TITLE = "# index_data"  # how the README in a checkout's own library folder begins


def default_library_dir() -> Path:
    """Return the default library folder.

    This is $SEARCHER_LIBRARY if it is set. Otherwise it is ./index_data if that is a library or belongs to a checkout,
    and if not, the user's data folder.
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
    """A library on disk. Use it as a context manager, or call `close`. Only one thread at a time may use it."""

    def __init__(self, folder: Path, model: "str | Path | Model | None") -> None:
        self.folder = folder
        self._asked_model = model
        self._model: Model | None = None
        self._reader: Reader | None = None
        self._vectors: Vectors | None = None

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        model: "str | Path | Model | None" = None,
        create: bool = False,
    ) -> Self:
        """Open the library in the folder `path`. The default is the result of `default_library_dir`.

        model: a model, its name or its folder. The default is the model that the library remembers, or the default
        model for a new library. create: if the library does not exist yet, let the first `index` create it.

        Raises SearcherError if the library cannot be read, or if it does not exist and `create` is false.
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
        """Close the files of the library."""
        self._vectors = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def exists(self) -> bool:
        """Whether the library has a catalog yet."""
        return (self.folder / CATALOG_NAME).exists()

    def reader(self) -> Reader:
        """Return the catalog, open for reading. Raises SearcherError if there is none."""
        if self._reader is None:
            self._reader = Reader(self.folder)
        return self._reader

    # the model

    @property
    def model(self) -> "Model":
        """The model of this library. It is opened at first use, and again if the library has switched to another model.

        Raises SearcherError if the model is missing, or if `open` was given a different model.
        """
        return self._model_of(self.reader().model() if self.exists else None)

    def _model_of(self, row: ModelRow | None) -> "Model":
        if self._model is None or (row is not None and row.digest != self._model.digest):
            model = _remembered_model(row) if row is not None and self._asked_model is None else self._open_asked()
            if row is not None and row.digest != model.digest:
                raise SearcherError(
                    f"the library {self.folder} was made with the model {row.label}, not with {model.name}: omit "
                    f"--model, use another --library, or switch this one to that model (searcher index --model)"
                )
            self._model = model if row is None else self._fitting(model, row)
        return self._model

    def _fitting(self, model: "Model", row: ModelRow) -> "Model":
        """Return `model` in a precision whose embeddings can be mixed with those in the library."""
        made = self.reader().precision(row.id)
        if made is None or made == model.precision or model.mixes_with(made):
            return model
        try:
            return model.in_precision(made)
        except SearcherError as error:
            raise SearcherError(
                f"the photos in {self.folder} were embedded with {row.label} in {made}, and its {model.precision} "
                f"embeddings differ too much from that: import the model again with --precision {made}"
            ) from error

    def new_model(self) -> "Model | None":
        """Return the model that was given to `open` if it is not the library's model, otherwise None.

        Raises SearcherError if that model does not exist.
        """
        row = self.reader().model() if self.exists else None
        if row is None or self._asked_model is None:
            return None
        model = self._open_asked()
        if model.digest == row.digest:
            return None
        begun = self.reader().model_by_digest(model.digest)
        return model if begun is None else self._fitting(model, begun)

    def _open_asked(self) -> "Model":
        asked = self._asked_model
        if asked is not None and not isinstance(asked, str | os.PathLike):
            return asked
        from searcher.models import Model
        from searcher.models.store import default_name

        return Model.open(default_name() if asked is None else asked)

    # what a user does

    def index(
        self,
        *paths: str | Path,
        progress: Callable[[int, int | None], None] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> "IndexReport":
        """Update the library with these folders and files, or with all known ones if none are given.

        See `indexer.run`. Raises SearcherError.
        """
        from searcher import indexer

        return indexer.run(self, paths, progress or (lambda done, total: None), notice or (lambda line: None))

    def search(self, query: str | Query | None = None, *, like: str | Path | None = None, top: int = 20) -> Hits:
        """Find photos that fit a text or look like the image file `like`, best first.

        `top`: the maximum number of hits. Raises SearcherError if the query is empty, if the image file cannot be
        read, or if the model of the library is missing.
        """
        if not isinstance(query, Query):
            query = Query(text=query, like=None if like is None else Path(like), top=top)
        reader = self.reader()
        while (row := reader.model()) is not None:
            vector = self._embed(query, self._model_of(row))[0]
            with reader.snapshot():
                now = reader.model()
                if now is None or now.id != row.id:
                    continue  # the library switched to another model in the meantime
                hits = queries.find(reader, self._search_for(query, now), vector, query.top)
                return Hits(hits, nothing_fits=queries.nothing_fits(hits, query, now))
        return Hits()

    def _search_for(self, query: Query, row: ModelRow) -> queries.Search:
        """Return a search over all photos, or over the photos with the tags of the query."""
        search = self.vectors(row).search
        if not query.tags:
            return search
        ids, chances = queries.tagged(self.reader(), query.tags, row)
        alone = query.text is None and query.like is None
        return queries.most_probable(ids, chances) if alone else queries.among(search, ids)

    def _embed(self, query: Query, model: "Model") -> "np.ndarray":
        """Return the embedding of the query, (1, dim) float32. It is zero if the query has only tags."""
        if query.text is not None:
            return model.encode_texts([query.text])
        if query.like is None:  # tags alone
            import numpy as np

            return np.zeros((1, model.dim), np.float32)
        from searcher.photos.decode import open_photo

        assert query.like is not None
        photo = open_photo(query.like, min_side=model.image_size)  # read it in the same way as for indexing
        return model.encode_images([photo.image])

    def tag(
        self,
        labels: Sequence[str] | str,
        *,
        one: bool = False,
        top: int | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> "TagReport":
        """Tag every photo that these labels were not applied to yet.

        labels: label names, or a string as for `searcher tag --labels`. one: pick exactly one label per photo instead
        of any that apply. top: the maximum number of labels per photo. `search` can find the photos by these tags
        (`Query.tags`). Raises SearcherError.
        """
        from searcher import tagger

        return tagger.tag(self, tagger.ask(labels, one, top), progress or (lambda done, total: None), lambda line: None)

    def forget(self, folder: str | Path) -> int:
        """Remove a folder from the library and return how many images were removed. The photos are not deleted.

        Raises SearcherError if nothing in the folder was indexed.
        """
        from searcher import indexer

        return indexer.forget(self, folder)

    def status(self) -> Status:
        """Return counts and sizes. Raises SearcherError if there is no library."""
        reader = self.reader()
        with reader.snapshot():
            row = reader.model()
            inside, pending, _ = (0, 0, 0) if row is None else self.vectors(row).counts()
            roots = [root.path for root in reader.roots()]
            return Status(
                library=os.fspath(self.folder),
                model=None if row is None else row.name,
                roots=tuple(os.fsdecode(root) for root in roots),
                missing=tuple(os.fsdecode(root) for root in roots if not os.path.isdir(root)),
                images=reader.image_count(),
                failed=reader.failed_count(),
                kind="flat" if inside else "none",
                vectors=inside,
                pending=pending,
                bytes=sum(file.stat().st_size for file in self.folder.iterdir() if _is_ours(file)),
            )

    def failures(self) -> list[Failure]:
        """Return every file that could not be indexed, with the reason."""
        rows = self.reader().failed()
        return [Failure(os.fsdecode(os.path.join(root.path, relpath)), error) for root, relpath, error in rows]

    def check(self, repair: bool = False) -> CheckReport:
        """Check the whole library for damage. With `repair`, rebuild what is derived from the catalog."""
        from searcher.library import check

        reader = self.reader()
        if damage := reader.problems():
            return CheckReport(tuple(damage))  # a damaged catalog cannot be rebuilt
        row = reader.model()
        if row is None:
            return CheckReport(())
        vectors = self.vectors(row)
        report = check.find_problems(reader, vectors)
        if not repair or report.ok:
            return report
        from searcher.catalog.writer import Writer

        with closing(Writer(self.folder)) as writer:
            check.repair(reader, writer, vectors)
        left = check.find_problems(reader, vectors).problems
        return CheckReport(left, tuple(line for line in report.problems if line not in left))

    # the embeddings

    def vectors(self, row: ModelRow) -> "Vectors":
        """Return all embeddings of a model, ready to be searched."""
        if self._vectors is None or self._vectors.model.id != row.id:
            from searcher.library.vectors import Vectors

            self._vectors = Vectors(self.folder, self.reader(), row)
        return self._vectors

    def derive(self, writer: "Writer", coming: "tuple[ModelRow, Model] | None" = None) -> None:
        """Update what is derived from the embeddings: the FAISS file and the score of meaningless queries.

        This also removes the embeddings and files of retired models. `coming`: update the data of this model, which
        searches do not use yet, instead of the data of the library's model.
        """
        reader = self.reader()
        row = reader.model() if coming is None else coming[0]
        if row is None:
            return
        self.vectors(row).fold(writer)
        noise = reader.noise_vectors(row)
        if noise is None:
            noise = (self._model_of(row) if coming is None else coming[1]).encode_texts(queries.MEANINGLESS)
        floor = queries.noise_floor(reader, self.vectors(row).search, noise)
        self._sweep(writer)
        with writer.transaction():
            writer.set_derived(row.id, noise, floor)

    def _sweep(self, writer: "Writer") -> None:
        more = bool(self.reader().retired_models())
        while more:  # in small steps, so that other writers do not wait long
            with writer.transaction():
                more = writer.remove_retired(SWEPT_AT_ONCE)
        for row in self.reader().retired_models():
            (self.folder / row.vector_file).unlink(missing_ok=True)


def _is_ours(file: Path) -> bool:
    return file.name.startswith(CATALOG_NAME) or file.suffix == ".faiss"


def _remembered_model(row: ModelRow) -> "Model":
    """Return the model that the library remembers, from its last folder or from anywhere in the store.

    Raises SearcherError if it is missing.
    """
    from searcher.models import Model
    from searcher.models.store import find_digest

    try:
        model = Model.open(Path(os.fsdecode(row.folder)))
        if model.digest == row.digest:
            return model
    except SearcherError:
        pass
    folder = find_digest(row.digest)
    if folder is None:
        raise SearcherError(
            f"this library was made with the model {row.label}, but it is no longer in {os.fsdecode(row.folder)}"
        )
    return Model.open(folder)
