"""Library: everything that a user can do with one library. Safe to share by threads."""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from searcher.catalog.rows import ModelRow
from searcher.errors import Failure, InvalidInput, NotFound
from searcher.filters import EVERYTHING, Filter, Sort
from searcher.library.labels import LabelMethods
from searcher.library.location import default_library_dir
from searcher.library.overview import OverviewMethods
from searcher.photos.rules import NO_CHANGE, OptionChange
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from searcher.indexer import IndexReport
    from searcher.library.backup import BackupReport
    from searcher.library.reports import CheckReport, Folder, PhotoDetails, Status
    from searcher.models.encoder import DualEncoder
    from searcher.search.collection import Collection
    from searcher.search.duplicates import DuplicateGroup
    from searcher.search.query import Hits, Query, Term


log = logging.getLogger(__name__)


class Library(LabelMethods, OverviewMethods):
    """One library on disk. Use it as a context manager, or call `close`. Threads may share it.

    Methods raise SearcherError (see `searcher.errors`) with one line for the user.
    """

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        model: "str | Path | DualEncoder | None" = None,
        create: bool = False,
    ) -> Self:
        """The library in the folder `path`, by default the one of `default_library_dir`.

        model: a name or a folder; by default the model that the library remembers, and the built-in model for a new
        library. With `create`, a library that does not exist yet is made by its first `index`. Without it, NotFound.
        Raises InvalidInput if `path` is a file.
        """
        folder = default_library_dir() if path is None else Path(os.path.expanduser(path))
        if folder.is_file():
            raise InvalidInput(f"{folder} is a file: name a folder for the library")
        library = cls(folder.absolute(), model)
        if not create:
            with library._catalog.read():
                pass
        return library

    # photos

    def index(
        self,
        *paths: str | Path,
        options: OptionChange = NO_CHANGE,
        retry: bool = False,
        check_content: bool = False,
        progress: Progress = SILENT,
    ) -> "IndexReport":
        """Bring `paths` (folders or files; none means all known folders) up to date: embed what is new or changed,
        forget what is gone.

        options: what changes about the options of the named folders, which are kept with them. retry: read files again
        that failed earlier, even if they have not changed. check_content: read all files, and take in those whose
        content has changed although size and time are the same.

        Ctrl-C and errors keep what was committed, and the next run goes on from there.
        """
        from searcher.library.indexing import index

        return index(
            self._catalog,
            self._encoders,
            self._store_of,
            paths,
            progress,
            options=options,
            retry=retry,
            check_content=check_content,
        )

    def watch(
        self, *paths: str | Path, stop: threading.Event | None = None, progress: Progress = SILENT
    ) -> "Iterator[IndexReport]":
        """Index `paths` (folders; none means all known folders), and again whenever something in them changes.

        Yields the report of each run, until `stop` is set. Raises SearcherError if the first run fails; later errors
        become notices. Needs the extra `watch`.
        """
        from searcher.library.watching import watch

        def index(touched: Sequence[str]) -> "IndexReport":
            return self.index(*touched, progress=progress)

        return watch(self._catalog, index, paths, stop or threading.Event(), progress)

    def forget(self, folder: str | Path, progress: Progress = SILENT) -> int:
        """Forget what was indexed in a folder. No photo is touched. Returns how many images."""
        from searcher import indexer
        from searcher.library.refresh import refresh

        count = indexer.forget(self._catalog, folder, progress)
        if (row := self._current()) is not None:
            refresh(self._catalog, self._store_of(row), progress)
        return count

    def move_folder(self, old: str | Path, new: str | Path, progress: Progress = SILENT) -> list[tuple[str, str]]:
        """The indexed folder `old`, or all of them below it, are now at `new`. A sample of the photos is compared.

        Returns the old and the new path of each. Raises NotFound if `old` was not indexed or `new` is no folder,
        InvalidInput if the photos are others.
        """
        from searcher.indexer.moving import move_roots

        return [(os.fsdecode(was), os.fsdecode(now)) for was, now in move_roots(self._catalog, old, new, progress)]

    def folders(self) -> "list[Folder]":
        """The indexed folders, by path."""
        from searcher.library.reports import Folder

        with self._catalog.read() as view:
            roots, counts = view.files.roots(), view.files.counts_by_root()
        return [
            Folder(
                os.fsdecode(root.path),
                root.whole,
                not os.path.isdir(root.path),  # noqa: PTH112
                *counts.get(root.id, (0, 0)),
                options=root.options,
            )
            for root in roots
        ]

    def failures(self) -> list[Failure]:
        """Every file that could not be indexed, with the reason."""
        with self._catalog.read() as view:
            rows = view.files.failures()
        return [Failure(os.fsdecode(os.path.join(root.path, relpath)), error) for root, relpath, error in rows]  # noqa: PTH118

    def photo(self, image_id: int) -> "PhotoDetails":
        """Everything the catalog knows about one photo, its tags included. Raises NotFound for an unknown id."""
        from searcher.library.reports import PhotoDetails

        with self._catalog.read() as view:
            photo = view.photos.one(image_id)
            if photo is None:
                raise NotFound(f"no photo has the id {image_id}")
            copies = view.photos.of_contents([photo.content_id])
            tags = view.photos.tags([copy.id for copy in copies])
            content = view.photos.content(photo.content_id)
        tagged = [copy._replace(tags=tuple(tags.get(copy.id, ()))) for copy in copies]
        (own,) = (copy for copy in tagged if copy.id == image_id)
        return PhotoDetails(own, content, tuple(copy for copy in tagged if copy.id != image_id))

    def thumbnail(self, image_id: int, size: int = 256) -> bytes:
        """A WebP file of one photo, its longer side `size` pixels at most (128, 256, 512 or 1024). Cached.

        Raises NotFound for an unknown id, or if the photo cannot be read.
        """
        details = self.photo(image_id)
        with self._lock:
            if self._thumbnails is None:
                from searcher.library.thumbnails import Thumbnails

                self._thumbnails = Thumbnails(self.folder)
            thumbnails = self._thumbnails
        return thumbnails.get([details.photo, *details.copies], details.content.digest, size)

    # search

    def search(
        self,
        query: "str | Query | None" = None,
        *,
        like: str | Path | None = None,
        top: int = 20,
        filter: Filter = EVERYTHING,
        min_relevance: float | None = None,
        sort: Sort | None = None,
        also: "Sequence[Term]" = (),
    ) -> "Hits":
        """Photos that fit a text, or that look like the image file `like`, best first. No hits in an empty library.

        With both, or with further terms in `also`, all of them add up. min_relevance: leave out hits with a smaller
        relevance; it needs a text. sort: "time" puts the hits in order by time, newest first. Without a text and an
        image that is the default; "relevance" then puts the photos first that are most likely to have the labels asked
        for.

        Raises InvalidInput for an empty query, PhotoError for an image that cannot be read, NotFound for a tag that no
        photo has, or a folder without an indexed photo.
        """
        from searcher.search import asked as asking
        from searcher.search import find as searching
        from searcher.search.query import Hits, Query

        if not isinstance(query, Query):
            image = None if like is None else Path(like)
            query = Query(query, image, top, filter, min_relevance, sort, tuple(also))
        while (row := self._current()) is not None:
            model = self._encoders.of(row)
            started = time.perf_counter()
            named = {term.like for term in query.terms if isinstance(term.like, int)}
            stored = self._collection(row).image_vectors(named) if named else {}
            if missing := named - stored.keys():
                raise NotFound(f"no photo has the id {min(missing)}")
            with self._encoding:
                asked = asking.encode(model, query, stored)
            encoded = time.perf_counter()
            with self._searching:
                hits = searching.find(self._collection(row), query, asked)
            finished = time.perf_counter()
            log.debug("encoded in %.0f ms, searched in %.0f ms", (encoded - started) * 1e3, (finished - encoded) * 1e3)
            hits.notices = (*searching.remarks(model, query), *hits.notices)
            now = self._current()
            if now is not None and now.id == row.id:  # else the library was given another model meanwhile
                return hits
        return Hits()

    @staticmethod
    def terms(
        texts: Sequence[str] = (), without: Sequence[str] = (), likes: Sequence[str | bytes] = ()
    ) -> "tuple[Term, ...]":
        """The terms that `search` takes in `also`, from texts, texts that photos shall not show, and images.

        Each can begin with a weight ("2:a red car"). An image is a file, id:N for a photo of the library, or its bytes.
        Raises InvalidInput for an empty text or a wrong weight.
        """
        from dataclasses import replace

        from searcher.search.query import Term

        negative = [Term.parse(text) for text in without]
        return (
            *map(Term.parse, texts),
            *(replace(term, weight=-term.weight) for term in negative),
            *map(Term.parse_image, likes),
        )

    def duplicates(self, folder: str | Path | None = None, progress: Progress = SILENT) -> "list[DuplicateGroup]":
        """Groups of photos that are copies of one another, exact ones first. Nothing is deleted.

        folder: look only at the photos in it. `progress` gets a notice if some photos could not be compared. Raises
        NotFound if the folder is not in the library. No groups in an empty library.
        """
        from searcher.catalog.folders import parts_of
        from searcher.search.duplicates import find_duplicates

        row = self._current()
        if row is None:
            return []
        parts = None
        if folder is not None:
            with self._catalog.read() as view:
                parts = parts_of(view.files.roots(), os.fspath(folder))
            if not parts:
                raise NotFound(f"{folder} is not in the library: `searcher roots` lists the indexed folders")
        return find_duplicates(self._catalog, row, parts, progress)

    def collection(self) -> "Collection":
        """The read side of this library, for the model that searches use now. Raises NotFound in an empty library."""
        return self._collection(self._model_row())

    def _collection(self, row: ModelRow) -> "Collection":
        from searcher.search.collection import LocalCollection

        return LocalCollection(self._catalog, self._store_of(row), row)

    # the library itself

    def status(self) -> "Status":
        """Counts and sizes. Raises NotFound if there is no library."""
        from searcher.library.reports import Status

        with self._catalog.read() as view:
            row = view.models.current()
            state = None if row is None else self._store_of(row).status(view)
        folders = self.folders()
        return Status(
            library=os.fspath(self.folder),
            model=None if row is None else row.name,
            roots=tuple(folder.path for folder in folders),
            missing=tuple(folder.path for folder in folders if folder.missing),
            images=sum(folder.images for folder in folders),
            failed=sum(folder.failed for folder in folders),
            kind="none" if state is None else state.kind,
            vectors=0 if state is None else state.vectors,
            pending=0 if state is None else state.pending,
            bytes=self._bytes(),
        )

    def export(self, file: str | Path) -> "BackupReport":
        """Write what a person has typed to a JSON file: tags by hand, taught labels, folders with their options.

        Raises InvalidInput if the file exists and is no backup.
        """
        from searcher.library.backup import write_backup

        return write_backup(self._catalog, Path(os.path.expanduser(file)))

    def restore(self, file: str | Path, progress: Progress = SILENT) -> "BackupReport":
        """Add what `export` has written. What the library has already stays. Tags of photos that are not in the library
        wait until `index` finds them.

        Raises NotFound, or InvalidInput if the file is no backup; then nothing is changed.
        """
        from searcher.library.backup import restore_backup

        return restore_backup(self._catalog, Path(os.path.expanduser(file)), progress)

    def check(self, repair: bool = False, photos: bool = False, progress: Progress = SILENT) -> "CheckReport":
        """Verify everything that can be verified. `repair` makes again what can be derived. `photos` also reads all
        photos and says which no longer are what was indexed.
        """
        from searcher.library import check
        from searcher.library.reports import CheckReport

        with self._catalog.read() as view:
            damage, row = view.problems(), None
            if not damage:
                row = view.models.current()
        if row is None:
            return CheckReport(tuple(damage))  # a damaged catalog cannot be derived from anything
        store = self._store_of(row)
        report = check.find_problems(self._catalog, store)
        if repair and not report.ok:
            report = check.repair(self._catalog, store, report, progress)
        return check.with_photos(self._catalog, report, progress) if photos else report
