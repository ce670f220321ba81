"""The tree of labels of a library in Milvus. Each label has one parent at most."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from searcher.datasets.labels import lineage
from searcher.scale.milvus.registry import LABEL, Registry


class LabelTree:
    """All labels, read once. `store` writes those that were added or got a parent."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.parents: dict[str, str | None] = {name: entry["parent"] for name, entry in registry.all(LABEL).items()}
        self._changed: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.parents

    def below(self) -> dict[str, frozenset[str]]:
        """label → it and all labels below it."""
        found: dict[str, set[str]] = {name: {name} for name in self.parents}
        for name in self.parents:
            for wider in lineage(name, self.parents):
                found[wider].add(name)
        return {name: frozenset(names) for name, names in found.items()}

    def add(self, parents: Mapping[str, str | None]) -> None:
        """Add labels (name → parent) that do not exist yet. One without a parent here keeps the one that it has."""
        for name, parent in parents.items():
            for each in (name, parent):
                if each is not None and each not in self.parents:
                    self._put(each, None)
            if parent is not None and self.parents[name] != parent:
                self._put(name, parent)

    def of_keywords(self, paths: Iterable[Sequence[str]]) -> set[str]:
        """The labels that a photo with these keywords gets, each a path of names from the broadest down.

        A path becomes labels, each below the one before it, and the photo gets the last one. If that would give a label
        a second parent, or make a circle, the tree stays as it is, and the photo gets all labels of the path.
        """
        found: set[str] = set()
        for path in paths:
            self.add(dict.fromkeys(path))
            found.update(path[-1:] if self._hang(path) else path)
        return found

    def store(self) -> None:
        """Write what has changed."""
        if self._changed:
            self._registry.put(LABEL, {name: {"parent": self.parents[name]} for name in sorted(self._changed)})
            self._changed.clear()

    def _put(self, name: str, parent: str | None) -> None:
        self.parents[name] = parent
        self._changed.add(name)

    def _hang(self, path: Sequence[str]) -> bool:
        """Put each label below the one before it. False, and no change, if that is not possible."""
        above = [name for name in lineage(path[0], self.parents) if name != path[0]]
        if len({*path, *above}) < len(path) + len(above):
            return False
        if any(self.parents[child] not in (None, parent) for parent, child in pairwise(path)):
            return False
        for parent, child in pairwise(path):
            if self.parents[child] is None:
                self._put(child, parent)
        return True
