"""View: one committed state of the catalog."""

from functools import cached_property

from searcher.catalog.connect import SQLITE_ERRORS, plain_error
from searcher.catalog.read.backup import Backup
from searcher.catalog.read.embeddings import Embeddings
from searcher.catalog.read.files import Files
from searcher.catalog.read.labels import LabelReads
from searcher.catalog.read.likeness import Likenesses
from searcher.catalog.read.metadata import MetadataReads
from searcher.catalog.read.models import Models
from searcher.catalog.read.overview import Overview
from searcher.catalog.read.photos import Photos
from searcher.catalog.read.queries import Queries
from searcher.catalog.read.sidecars import Sidecars
from searcher.catalog.read.tags import Tags
from searcher.errors import Damaged


class View(Queries):
    """One committed state of the catalog, in parts by subject. A thread uses it alone and closes it soon."""

    @cached_property
    def files(self) -> Files:
        """Roots and the files in them."""
        return Files(self._connection, self._folder)

    @cached_property
    def metadata(self) -> MetadataReads:
        """What was read from photos and sidecars."""
        return MetadataReads(self._connection, self._folder)

    @cached_property
    def models(self) -> Models:
        """Models and their vector files."""
        return Models(self._connection, self._folder)

    @cached_property
    def embeddings(self) -> Embeddings:
        """Vectors under their ids."""
        return Embeddings(self._connection, self._folder)

    @cached_property
    def photos(self) -> Photos:
        """What is shown of photos."""
        return Photos(self._connection, self._folder)

    @cached_property
    def likenesses(self) -> Likenesses:
        """What photos look like."""
        return Likenesses(self._connection, self._folder)

    @cached_property
    def overview(self) -> Overview:
        """Cameras, formats, folders and places."""
        return Overview(self._connection, self._folder)

    @cached_property
    def labels(self) -> LabelReads:
        """Labels at a glance."""
        return LabelReads(self._connection, self._folder)

    @cached_property
    def tags(self) -> Tags:
        """Labels, tags, runs and taught labels."""
        return Tags(self._connection, self._folder)

    @cached_property
    def sidecars(self) -> Sidecars:
        """What was written into XMP sidecars."""
        return Sidecars(self._connection, self._folder)

    @cached_property
    def backup(self) -> Backup:
        """What a person has typed."""
        return Backup(self._connection, self._folder)

    def problems(self) -> list[str]:
        """What is wrong with the SQLite file itself, one line each. Reads the whole file."""
        problems = []
        try:
            rows = [str(row[0]) for row in self._rows("PRAGMA integrity_check(5)")]
            problems += [f"catalog: {row}" for row in rows if row != "ok"]
            if broken := self._rows("PRAGMA foreign_key_check"):
                problems.append(f"catalog: references to rows that are gone: {len(broken)}")
        except SQLITE_ERRORS as error:
            if not isinstance(plain_error(error, self._folder, "read"), Damaged):
                raise
            problems.append(f"catalog: damaged ({error})")
        return problems
