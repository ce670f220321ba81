"""Shards → the catalog of a library on this machine, batch by batch, without a look at the photos themselves.

A row whose photo is in the library already is skipped. So a run that was interrupted is continued by the next one.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.catalog.rows import UNREAD, ModelRow, Place
from searcher.errors import Failure, InvalidInput, SearcherError
from searcher.indexer.commit import Committer
from searcher.indexer.report import Counts
from searcher.progress import Progress
from searcher.scale.files import first_line, shown
from searcher.scale.homes import Homes, Parents, Spot, add_roots, spot_of
from searcher.scale.photo_rows import COLUMNS, THUMBNAIL, PhotoRow, photo_rows
from searcher.scale.shards import Facts, list_shards, read_facts, read_rows, schema
from searcher.vectors.pipeline import Embedded

Item = TypeVar("Item")

LARGEST_DIM = 1 << 16
AT_ONCE = 1000  # rows of one commit
SHOWN = 3  # new folders that are named

_DIGEST = re.compile(r"[0-9a-f]{8,128}")  # it becomes a part of file names


class Shard(NamedTuple):
    """One file, and the columns to read."""

    path: str
    facts: Facts
    rows: int
    columns: tuple[str, ...]


@dataclass(slots=True)
class Shards:
    """The files in a folder: those that can be read, and why the others cannot."""

    files: pafs.FileSystem
    good: list[Shard]
    damaged: list[Failure]

    @property
    def facts(self) -> Facts:
        """The model of all of them. Their precisions may differ."""
        return self.good[0].facts


class Thumbnail(NamedTuple):
    """A WebP file of the content with this digest."""

    digest: bytes
    data: bytes


@dataclass(slots=True)
class Tally:
    """What a run did so far, in photos. failed: those with an error. left_out: rows whose path no catalog can hold, and
    the first of them.
    """

    counts: Counts = field(default_factory=Counts)
    failed: int = 0
    left_out: int = 0
    first_left_out: bytes = b""


def open_shards(where: str) -> Shards:
    """The shards in a folder or below a URI. Files that cannot be read are listed.

    Raises NotFound if there is no Parquet file, InvalidInput if none can be read or if they are of several models.
    """
    files, paths = list_shards(where)
    found = Shards(files, [], [])
    for path in paths:
        try:
            found.good.append(_open(files, path))
        except SearcherError as error:
            found.damaged.append(Failure(path, str(error)))
    if not found.good:
        raise InvalidInput(found.damaged[0].error)
    first, *others = found.good
    for other in others:
        if (other.facts.digest, other.facts.dim) != (first.facts.digest, first.facts.dim):
            raise InvalidInput(
                f"the shards in {shown(where)} were made with several models, {first.path} with {_label(first.facts)} "
                f"and {other.path} with {_label(other.facts)}: put those of each model into a folder of its own"
            )
    return found


def _label(facts: Facts) -> str:
    return f"{facts.model} {facts.version} ({facts.digest[:8]})"


def _open(files: pafs.FileSystem, path: str) -> Shard:
    facts = read_facts(files, path)
    texts = (facts.model, facts.digest, facts.version, facts.slug, facts.folder, facts.precision)
    if not (all(isinstance(text, str) for text in texts) and _DIGEST.fullmatch(facts.digest)):
        raise InvalidInput(f"{path} does not say which model made it: write it again with `searcher embed`")
    if not isinstance(facts.dim, int) or not 0 < facts.dim <= LARGEST_DIM:
        raise InvalidInput(f"{path} says that an embedding has {facts.dim} numbers: write it again")
    try:
        footer = pq.read_metadata(path, filesystem=files)
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read: {first_line(error)}") from error
    actual, expected = footer.schema.to_arrow_schema(), schema(facts, thumbnails=True)
    columns = (*COLUMNS, THUMBNAIL) if THUMBNAIL in actual.names else COLUMNS
    for name in columns:
        if actual.get_field_index(name) < 0 or not actual.field(name).type.equals(expected.field(name).type):
            raise InvalidInput(f"{path} has no column {name} of type {expected.field(name).type}: write it again")
    return Shard(path, facts, footer.num_rows, columns)


def load(
    catalog: Catalog, model: ModelRow, shards: Shards, tally: Tally, progress: Progress
) -> Iterator[list[Thumbnail]]:
    """Take the rows of `shards` into a catalog whose current model is `model`, and count in `tally`.

    Yields the thumbnails of each batch after its commit. A shard that turns out to be damaged is added to
    `shards.damaged`; its rows before the damage are kept. Raises SearcherError.
    """
    run = _Load(catalog, model, shards, tally, progress)
    run.add_roots()
    total, done = sum(shard.rows for shard in shards.good), 0
    progress.advance(0, total)
    for shard in shards.good:
        committer = Committer(catalog, model, shard.facts.precision, set(), tally.counts, looks=False)
        rows = run.rows(shard)
        while batch := list(islice(rows, AT_ONCE)):
            yield run.take(batch, committer)
            done += len(batch)
            progress.advance(done, total)


@dataclass(slots=True)
class _Load:
    catalog: Catalog
    model: ModelRow
    shards: Shards
    tally: Tally
    progress: Progress
    homes: Homes = field(init=False)

    def __post_init__(self) -> None:
        self._find_homes()

    def _find_homes(self) -> None:
        with self.catalog.read() as view:
            self.homes = Homes(view.files.roots())

    def add_roots(self) -> None:
        """Let the common parents of photos that are in no indexed folder become indexed folders."""
        parents = Parents()
        for shard in self.shards.good:
            for folders in self._safely(shard, self._folders(shard)):
                for folder in folders:
                    if self.homes.of(folder) is None:
                        parents.add(folder)
        self._add_roots(parents.folders())

    def _folders(self, shard: Shard) -> Iterator[set[bytes]]:
        for batch in read_rows(self.shards.files, shard.path, ("path", "path_bytes")):
            names = zip(batch.column("path_bytes").to_pylist(), batch.column("path").to_pylist(), strict=True)
            spots = (spot_of(name or (text or "").encode()) for name, text in names)
            yield {spot.folder for spot in spots if spot is not None}

    def _add_roots(self, folders: list[bytes]) -> None:
        if not folders:
            return
        with self.catalog.write(self.progress) as change:
            before = set(change.view.files.root_paths().values())
            notices = add_roots(change, folders)
            new = sorted(set(change.view.files.root_paths().values()) - before)
        for notice in notices:
            self.progress.notice(notice)
        if new:
            more = "" if len(new) <= SHOWN else f" and {len(new) - SHOWN:,} more"
            names = ", ".join(os.fsdecode(path) for path in new[:SHOWN])
            self.progress.notice(f"new {'folder' if len(new) == 1 else 'folders'} in the library: {names}{more}")
        self._find_homes()

    def rows(self, shard: Shard) -> Iterator[PhotoRow]:
        """The rows of a shard, up to the first that is damaged."""
        batches = read_rows(self.shards.files, shard.path, shard.columns)
        return self._safely(shard, (row for batch in batches for row in photo_rows(batch, shard.facts.dim)))

    def _safely(self, shard: Shard, items: Iterator[Item]) -> Iterator[Item]:
        """What is read from a shard, up to the first damage, which is noted."""
        try:
            yield from items
        except InvalidInput as error:
            self._note_damage(shard, str(error))
        except UnicodeDecodeError as error:
            self._note_damage(shard, f"{shard.path} cannot be read: it holds text that is not UTF-8 ({error})")

    def _note_damage(self, shard: Shard, reason: str) -> None:
        if all(failure.path != shard.path for failure in self.shards.damaged):
            self.shards.damaged.append(Failure(shard.path, reason))

    def take(self, rows: list[PhotoRow], committer: Committer) -> list[Thumbnail]:
        """Commit what the catalog does not have yet. Returns the thumbnails of the photos that it has now."""
        spots = [spot_of(row.path) for row in rows]
        # those that no parent covers: a folder that the options of the one around it leave out
        alone = {spot.folder for spot in spots if spot is not None and self.homes.of(spot.folder) is None}
        self._add_roots(sorted(alone))
        news: list[Embedded[Place]] = []
        thumbnails: list[Thumbnail] = []
        with self.catalog.read() as view:
            for row, spot in zip(rows, spots, strict=True):
                place = None if spot is None else self._place(spot, row)
                if place is None:
                    self.tally.left_out += 1
                    self.tally.first_left_out = self.tally.first_left_out or row.path
                    continue
                if self._is_news(view, place, row.read):
                    read = row.read
                    news.append(Embedded(place, read.digest, read.facts, read.likeness, read.vector, read.error))
                if row.thumbnail and row.read.digest is not None:
                    thumbnails.append(Thumbnail(row.read.digest, row.thumbnail))
        if news:
            committer.commit(news, self.progress)
        return thumbnails

    def _place(self, spot: Spot, row: PhotoRow) -> Place | None:
        home = self.homes.of(spot.folder)
        return None if home is None else Place(home[0], home[1] + spot.name, row.size, row.mtime_ns)

    def _is_news(self, view: View, place: Place, read: Embedded[None]) -> bool:
        """Whether a row says something that the catalog does not know. Counts the others.

        An error never replaces a photo, and an older file never a newer one.
        """
        stored = view.files.stored(place.root_id, place.relpath, self.model.id)
        if read.error is not None:
            if stored is not None and stored.digest is not None:
                self.tally.counts.unchanged += 1
                return False
            self.tally.failed += 1
            return stored is None or (stored.error, stored.mtime_ns) != (read.error, place.mtime_ns)
        if stored is None or stored.digest is None:
            return True
        older = UNREAD < place.mtime_ns < stored.mtime_ns
        known = stored.embedded if stored.digest == read.digest else older
        self.tally.counts.unchanged += known
        return not known
