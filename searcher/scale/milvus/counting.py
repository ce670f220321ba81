"""How many photos of a library in Milvus there are, and which labels they have."""

from collections import Counter
from collections.abc import Collection, Iterable
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
            pairs = [(label, source) for label in self._below() for source in SOURCES if _counts(source, filter)]
            counted = Counter({pair: self._with_any(compiled, [mark(pair[1], pair[0])]) for pair in pairs})
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
            counted = {label: self._count_label(compiled, label, sources) for label in self._below()}
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

    def _count_label(self, compiled: Compiled, label: str, sources: Iterable[str]) -> tuple[int, dict[str, int]]:
        counts = {source: self._with_any(compiled, [mark(source, label)]) for source in sources}
        there = {source: photos for source, photos in counts.items() if photos}
        if len(there) < 2:
            return sum(there.values()), there
        return self._with_any(compiled, [mark(source, label) for source in there]), there

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
        everything = self._compile(EVERYTHING)
        return tuple(source for source in SOURCES if self._with_any(everything, [mark(source, "")]))

    def given_by_runs(self, labels: Collection[str]) -> dict[str, int]:
        """label → how many photos a run gave it to."""
        compiled = self._compile(EVERYTHING)
        if not self._are_few(compiled):
            return {label: self._with_any(compiled, tokens_of([label], RUNS)) for label in labels}
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

    def _with_any(self, compiled: Compiled, tokens: Iterable[str]) -> int:
        """How many photos that meet a filter have one of these tags."""
        wanted = ", ".join(map(literal, tokens))
        return self._connection.count(self._images, f"{compiled.expression} and ARRAY_CONTAINS_ANY(tags, [{wanted}])")


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
