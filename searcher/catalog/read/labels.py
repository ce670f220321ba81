"""Labels at a glance: how many photos have each, a few of these photos, and what the label was taught with."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import nlargest
from itertools import islice
from typing import NamedTuple

from searcher.catalog.filtering import STANDS
from searcher.catalog.read.queries import IN_LIST, Queries, in_list
from searcher.catalog.rows import FILE, TAUGHT, USER, ZERO_SHOT
from searcher.filters import EVERYTHING, SOURCES, Filter

SAMPLED = 64  # photos of a label, the newest, of which the most likely ones are shown
FEW = 10_000  # photos whose labels are read one by one


class LabelOverview(NamedTuple):
    """A label. photos: how many have it. sources: how many from each source. samples: ids of images that have it.

    examples, against: how many photos it was taught with; 0 if it was not taught.
    """

    label: str
    photos: int
    sources: dict[str, int]
    samples: tuple[int, ...] = ()
    examples: int = 0
    against: int = 0


class LabelReads(Queries):
    """Labels with the photos that have them. Copies of a photo count once."""

    def overview(self, filter: Filter = EVERYTHING, samples: int = 4, most: int = 1000) -> list[LabelOverview]:
        """Every label that a photo has, most photos first, and every taught label; at most `most`.

        With `filter`, only the photos that meet it count, only tags from its sources, and only labels that a photo has.
        """
        # without labels asked for, sources say which tags count, and that a photo has one follows
        narrowed = filter if filter.tags or filter.not_tags else replace(filter, sources=())
        within = self._contents(narrowed) if narrowed else None
        sources = set(filter.sources or SOURCES)
        by_runs = self._by_runs(within, sources)
        given = self._given(within, sources)
        totals = {label_id: sum(counts.values()) for label_id, counts in by_runs.items()}
        counted = {label_id: dict(counts) for label_id, counts in by_runs.items()}
        for label_id, found in given.items():
            contents = set[int]().union(*found.values())
            known = self._also_by_runs(label_id, contents, sources) if label_id in by_runs else 0
            totals[label_id] = totals.get(label_id, 0) + len(contents) - known
            counted.setdefault(label_id, {}).update({source: len(ids) for source, ids in found.items()})
        names: dict[int, str] = dict(self._rows("SELECT id, name FROM labels"))
        taught = self._taught()
        if not filter:
            totals |= {label_id: 0 for label_id in taught if label_id not in totals}
        chosen = sorted(totals, key=lambda label_id: (-totals[label_id], names[label_id]))[:most]
        shown = {
            label_id: self._samples(label_id, label_id in by_runs, given.get(label_id, {}), within, samples)
            for label_id in chosen
        }
        images = self._images(content_id for contents in shown.values() for content_id in contents)
        return [
            LabelOverview(
                names[label_id],
                totals[label_id],
                counted.get(label_id, {}),
                tuple(images[content_id] for content_id in shown[label_id] if content_id in images),
                *taught.get(label_id, (0, 0)),
            )
            for label_id in chosen
        ]

    def sources(self) -> list[str]:
        """The sources of the tags that there are."""
        by_runs = "SELECT 1 FROM content_tags WHERE source = ? LIMIT 1"
        given = "SELECT 1 FROM tags WHERE source = ? AND probability IS NOT 0 LIMIT 1"
        tables = {ZERO_SHOT: by_runs, TAUGHT: by_runs, USER: given, FILE: given}
        return [source for source, sql in tables.items() if self._row(sql, source) is not None]

    def taught_with(self, name: str) -> list[tuple[int, bool]]:
        """(image id, whether it shows the label) of those photos a label was taught with that are in the library."""
        sql = (
            "SELECT min(i.id), e.positive FROM labels l JOIN examples e ON e.label_id = l.id "
            "JOIN contents c ON c.digest = e.digest JOIN images i ON i.content_id = c.id "
            "WHERE l.name = ? GROUP BY e.digest ORDER BY 1"
        )
        return [(image_id, bool(positive)) for image_id, positive in self._rows(sql, name)]

    def _contents(self, filter: Filter) -> set[int]:
        matching, parameters = self._compiled(filter)
        return {row[0] for row in self._rows(f"SELECT content_id FROM ({matching})", *parameters)}

    def _by_runs(self, within: set[int] | None, sources: set[str]) -> dict[int, dict[str, int]]:
        """label id → source → how many of the contents `within` (None: all) a run gave it to."""
        found: dict[int, dict[str, int]] = {}
        if not sources & {ZERO_SHOT, TAUGHT}:
            return found
        if within is not None and len(within) <= FEW:
            rows = self._rows(
                "SELECT label_id, source, count(*) FROM content_tags "
                f"WHERE content_id IN {IN_LIST} GROUP BY label_id, source",
                in_list(within),
            )
            for label_id, source, count in rows:
                found.setdefault(label_id, {})[source] = count
        else:
            # from the indexes alone: the table itself takes ten times as long
            condition = "1" if within is None else f"+content_id IN {IN_LIST}"
            parameters = [] if within is None else [in_list(within)]
            count = f"SELECT label_id, count(*) FROM content_tags INDEXED BY {{}} WHERE {condition}"
            all_runs = self._rows(f"{count.format('content_tags_label')} GROUP BY label_id", *parameters)
            sql = f"{count.format('content_tags_taught')} AND source = '{TAUGHT}' GROUP BY label_id"
            taught = dict(self._rows(sql, *parameters))
            for label_id, photos in all_runs:
                by_taught = taught.get(label_id, 0)
                found[label_id] = {ZERO_SHOT: photos - by_taught, TAUGHT: by_taught}
        left = {
            label_id: {source: count for source, count in counts.items() if count and source in sources}
            for label_id, counts in found.items()
        }
        return {label_id: counts for label_id, counts in left.items() if counts}

    def _given(self, within: set[int] | None, sources: set[str]) -> dict[int, dict[str, set[int]]]:
        """label id → source → the contents `within` (None: all) that a person or a file gave it to."""
        found: dict[int, dict[str, set[int]]] = {}
        sql = (
            "SELECT t.label_id, t.source, i.content_id FROM tags t JOIN images i ON i.id = t.image_id "
            f"WHERE {STANDS} AND i.content_id IS NOT NULL"
        )
        for label_id, source, content_id in self._rows(sql):
            if source in sources and (within is None or content_id in within):
                found.setdefault(label_id, {}).setdefault(source, set()).add(content_id)
        return found

    def _also_by_runs(self, label_id: int, contents: Iterable[int], sources: set[str]) -> int:
        """How many of these contents a run gave a label to."""
        sql = f"SELECT source FROM content_tags WHERE label_id = ? AND content_id IN {IN_LIST}"
        return sum(row[0] in sources for row in self._rows(sql, label_id, in_list(contents)))

    def _taught(self) -> dict[int, tuple[int, int]]:
        """label id → how many photos show it, and how many are against it."""
        sql = "SELECT label_id, sum(positive), sum(NOT positive) FROM examples GROUP BY label_id"
        return {row[0]: (row[1], row[2]) for row in self._rows(sql)}

    def _samples(
        self, label_id: int, by_runs: bool, given: dict[str, set[int]], within: set[int] | None, count: int
    ) -> Sequence[int]:
        """Up to `count` contents that have a label: those that a person gave it to, then the most likely ones."""
        found = dict.fromkeys(nlargest(count, given.get(USER, ())))
        if by_runs and len(found) < count:
            newest = self._connection.execute(
                "SELECT content_id FROM content_tags INDEXED BY content_tags_label WHERE label_id = ? "
                "ORDER BY content_id DESC",
                (label_id,),
            )
            some = list(islice((row[0] for row in newest if within is None or row[0] in within), SAMPLED))
            newest.close()
            rows = self._rows(
                f"SELECT content_id FROM content_tags WHERE label_id = ? AND content_id IN {IN_LIST} "
                "ORDER BY probability DESC LIMIT ?",
                label_id,
                in_list(some),
                count,
            )
            found |= dict.fromkeys(row[0] for row in rows)
        found |= dict.fromkeys(nlargest(count, given.get(FILE, ())))
        return [*found][:count]

    def _images(self, content_ids: Iterable[int]) -> dict[int, int]:
        """content id → the id of its oldest image."""
        sql = f"SELECT content_id, min(id) FROM images WHERE content_id IN {IN_LIST} GROUP BY content_id"
        return dict(self._rows(sql, in_list(content_ids)))
