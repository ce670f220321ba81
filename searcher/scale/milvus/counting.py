"""How many photos of a library in Milvus have what: labels, cameras, formats, folders, places."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from searcher.catalog.rows import LabelCount
from searcher.filters import EVERYTHING, RUNS, SOURCES, Filter
from searcher.scale.milvus.connection import literal
from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.filtering import Compiled
from searcher.scale.milvus.labels import LabelTree
from searcher.scale.milvus.marks import mark, read_marks, standing, tokens_of
from searcher.scale.milvus.registry import SHARD

FEW = 100_000  # photos whose tags are read one by one rather than counted by Milvus


class Counts(NamedTuple):
    """images: one a path. photos: copies count once. failed: files that were not embedded."""

    images: int
    photos: int
    failed: int


class CountMethods(MilvusCore):
    """Counts of photos. Copies of a photo count once."""

    def counts(self) -> Counts:
        """How many images and photos there are, and how many files of the loaded shards have an error."""
        failed = sum(entry["failed"] for entry in self._registry.all(SHARD).values())
        images = self._connection.count(self._images)
        return Counts(images, self._connection.count(self._images, "first == true"), failed)

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


def _counts(source: str, filter: Filter) -> bool:
    return not filter.sources or source in filter.sources
