"""How many photos of a library in Milvus there are, and which labels they have."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from heapq import nlargest, nsmallest

from searcher.catalog.read.labels import SAMPLED, LabelOverview
from searcher.catalog.rows import LabelCount
from searcher.filters import EVERYTHING, RUNS, SOURCES, USER, Filter
from searcher.scale.milvus.connection import literal
from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.filtering import Compiled
from searcher.scale.milvus.labels import LabelTree
from searcher.scale.milvus.marks import mark, read_marks, standing, tokens_of

FEW = 100_000  # photos whose tags are read one by one rather than counted by Milvus

Tagged = dict[int, dict[str, float]]
"""Photos with a label: content id → source → probability."""


class CountMethods(MilvusCore):
    """Counts of photos. Copies of a photo count once."""

    def labels(self) -> list[str]:
        """All labels, by name."""
        return sorted(LabelTree(self._registry).parents)

    def label_parents(self) -> dict[str, str | None]:
        """label → its parent, None without one."""
        return LabelTree(self._registry).parents

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        """How many of the photos that meet `filter` have each label, most first. Only tags from its sources count."""
        compiled = self._compile(filter)
        if self._are_few(compiled):
            counted = Counter[tuple[str, str]]()
            for row in self._matching(compiled, ("marks",)):
                tags = standing(read_marks(row["marks"]))
                counted.update((tag.label, tag.source) for tag in tags if _counts(tag.source, filter))
        else:
            sources = [source for source in self.label_sources() if _counts(source, filter)]
            pairs = [(label, source) for label in self._below() for source in sources]
            numbers = self._with_each(compiled, [[mark(source, label)] for label, source in pairs])
            counted = Counter(dict(zip(pairs, numbers, strict=True)))
        found = [LabelCount(label, source, photos) for (label, source), photos in counted.items() if photos]
        return sorted(found, key=lambda each: (-each.photos, each.label, each.source))

    def label_overview(self, filter: Filter = EVERYTHING, samples: int = 4, most: int = 1000) -> list[LabelOverview]:
        """The labels of the photos that meet `filter`, most photos first, each with the ids of a few of them: those
        that a person gave it to, then those of the newest that are the most likely ones, then others.
        """
        # without labels asked for, sources say which tags count, and that a photo has one follows
        narrowed = filter if filter.tags or filter.not_tags else replace(filter, sources=())
        compiled = self._compile(narrowed)
        sources = [source for source in SOURCES if _counts(source, filter)]
        if self._are_few(compiled):
            having = self._read_labels(compiled, sources)
            counted = {label: (len(photos), _by_source(photos)) for label, photos in having.items()}
        else:
            having = {}
            counted = self._count_labels(compiled, sources)
        found = [(label, photos, counts) for label, (photos, counts) in counted.items() if photos]
        overview = []
        for label, photos, counts in nsmallest(most, found, key=lambda each: (-each[1], each[0])):
            some = having.get(label) or self._some_of(compiled, label, sources)
            overview.append(LabelOverview(label, photos, counts, tuple(_samples(some, samples))))
        return overview

    def _read_labels(self, compiled: Compiled, sources: Iterable[str]) -> dict[str, Tagged]:
        wanted = set(sources)
        having: dict[str, Tagged] = {}
        for row in self._matching(compiled, ("marks",)):
            for tag in standing(read_marks(row["marks"])):
                if tag.source in wanted:
                    having.setdefault(tag.label, {}).setdefault(row["content"], {})[tag.source] = tag.probability
        return having

    def _count_labels(self, compiled: Compiled, sources: Sequence[str]) -> dict[str, tuple[int, dict[str, int]]]:
        """label → how many photos have it, and how many from each source."""
        labels, there = [*self._below()], [source for source in self.label_sources() if source in sources]
        totals = self._with_each(compiled, [tokens_of([label], there) for label in labels] if there else [])
        had = [(label, total) for label, total in zip(labels, totals, strict=False) if total]
        pairs = [(label, source) for label, _ in had for source in there]
        numbers = iter(self._with_each(compiled, [[mark(source, label)] for label, source in pairs]))
        return {
            label: (total, {source: photos for source in there if (photos := next(numbers))}) for label, total in had
        }

    def _some_of(self, compiled: Compiled, label: str, sources: Iterable[str]) -> Tagged:
        """Some of very many photos with a label."""
        found: Tagged = {}
        for source in sources:
            expression = f"{compiled.expression} and ARRAY_CONTAINS(tags, {literal(mark(source, label))})"
            for row in self._connection.query(self._images, expression, ["content", "marks"], limit=SAMPLED):
                found.setdefault(row["content"], {})[source] = read_marks(row["marks"])[mark(source, label)]
        return found

    def label_sources(self) -> tuple[str, ...]:
        """The sources of the tags that there are."""
        numbers = self._with_each(self._compile(EVERYTHING), [[mark(source, "")] for source in SOURCES])
        return tuple(source for source, photos in zip(SOURCES, numbers, strict=True) if photos)

    def given_by_runs(self, labels: Collection[str]) -> dict[str, int]:
        """label → how many photos a run gave it to."""
        compiled = self._compile(EVERYTHING)
        if not self._are_few(compiled):
            numbers = self._with_each(compiled, [tokens_of([label], RUNS) for label in labels])
            return dict(zip(labels, numbers, strict=True))
        counted = dict.fromkeys(labels, 0)
        for row in self._matching(compiled, ("marks",)):
            given = {tag.label for tag in standing(read_marks(row["marks"])) if tag.source in RUNS}
            for label in given & counted.keys():
                counted[label] += 1
        return counted

    def _are_few(self, compiled: Compiled) -> bool:
        """Whether the photos are read: there are few, or Milvus cannot tell them or their copies apart."""
        if not compiled.exact or compiled.by_copy:
            return True
        return self._connection.count(self._images, compiled.expression) <= FEW

    def _with_each(self, compiled: Compiled, tokens: Sequence[Sequence[str]]) -> list[int]:
        """How many photos that meet a filter have one of some tags, for each list of tags."""
        lists = (", ".join(map(literal, some)) for some in tokens)
        filters = [f"{compiled.expression} and ARRAY_CONTAINS_ANY(tags, [{some}])" for some in lists]
        return self._connection.counts(self._images, filters)


def _by_source(photos: Tagged) -> dict[str, int]:
    counts = Counter(source for sources in photos.values() for source in sources)
    return {source: counts[source] for source in SOURCES if counts[source]}


def _samples(photos: Tagged, count: int) -> list[int]:
    """Up to `count` photos that show a label."""
    by_hand = nlargest(count, (id for id, sources in photos.items() if USER in sources))
    by_runs = nlargest(SAMPLED, (id for id, sources in photos.items() if not sources.keys().isdisjoint(RUNS)))
    likely = sorted(by_runs, key=lambda id: -max(photos[id].get(source, 0.0) for source in RUNS))
    return [*dict.fromkeys((*by_hand, *likely, *nlargest(count, photos)))][:count]


def _counts(source: str, filter: Filter) -> bool:
    return not filter.sources or source in filter.sources
