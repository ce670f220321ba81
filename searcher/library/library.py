"""Library: everything that a user can do with one library. Safe to share by threads."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from searcher.errors import Failure, InvalidInput, NotFound
from searcher.library.labels import LabelMethods
from searcher.library.location import default_library_dir
from searcher.library.overview import OverviewMethods
from searcher.library.pictures import PictureMethods
from searcher.library.searching import SearchMethods
from searcher.photos.rules import NO_CHANGE, OptionChange
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from searcher.indexer import IndexReport
    from searcher.library.backup import BackupReport
    from searcher.library.reports import CheckReport, Folder, Status
    from searcher.models.encoder import DualEncoder
    from searcher.search.duplicates import DuplicateGroup


log = logging.getLogger(__name__)


class Library(SearchMethods, PictureMethods, LabelMethods, OverviewMethods):
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

    # what is found in it

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
        return find_duplicates(self._catalog, self._store_of(row), parts, progress)

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
