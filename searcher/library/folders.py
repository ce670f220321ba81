"""The part of Library that needs the folders of a library on this machine: what indexes, compares and repairs."""

import os
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.errors import Failure, NotFound
from searcher.library.local import LocalCore
from searcher.photos.rules import NO_CHANGE, OptionChange
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from searcher.indexer import IndexReport
    from searcher.library.backup import BackupReport
    from searcher.library.reports import CheckReport, Folder, LoadReport
    from searcher.search.duplicates import DuplicateGroup


class FolderMethods(LocalCore):
    """The folders of a library, and the library itself."""

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
    ) -> "Generator[IndexReport]":
        """Index `paths` (folders; none means all known folders), and again whenever something in them changes.

        Yields the report of each run, until `stop` is set. Raises SearcherError if the first run fails; later errors
        become notices. Needs the extra `watch`.
        """
        from searcher.library import indexing
        from searcher.library.background import Background
        from searcher.library.watching import watch

        background = Background()

        def update(touched: Sequence[str]) -> "IndexReport":
            return indexing.index(
                self._catalog,
                self._encoders,
                self._store_of,
                touched,
                progress,
                options=NO_CHANGE,
                retry=False,
                check_content=False,
                renew=background.refresh,
            )

        return watch(self._catalog, update, background, paths, stop or threading.Event(), progress)

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

    def load(self, folder: str, progress: Progress = SILENT) -> "LoadReport":
        """Take in what `searcher embed` wrote into `folder`, a path or a URI. The photos themselves are not looked at.

        Photos that the library has already are skipped, so a run that was interrupted is continued by the next one.
        Raises NotFound if there are no Parquet files, InvalidInput if they were made with another model than the
        library. A damaged file is in the report, and the others are loaded. Needs the extra `scale`.
        """
        from searcher.library.loading import load

        return load(self._catalog, self._encoders, self._store_of, self._cache(), folder, progress)
