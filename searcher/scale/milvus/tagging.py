"""Changes of the tags of a library in Milvus: by hand, and by runs.

The tags of a photo are in the rows of all of its copies, so that filters see them. A change writes these rows again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from searcher.catalog.rows import USER, Photo, PhotoTag
from searcher.datasets.labels import lineage
from searcher.errors import InvalidInput, NotFound
from searcher.filters import RUNS
from searcher.progress import SILENT, Progress
from searcher.scale.milvus.connection import BATCH, literal
from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.labels import LabelTree
from searcher.scale.milvus.marks import (
    Marks,
    given,
    mark,
    read_marks,
    refused,
    said_by_hand,
    standing,
    taken_away,
    tokens_of,
    with_results,
)
from searcher.scale.milvus.rows import PHOTO_FIELDS, by_id, photo_of, with_marks
from searcher.tagger.by_hand import TagEdit

AT_ONCE = 500  # photos that are written by one call, each with its embedding
Results = Mapping[str, tuple[str, float]]
"""label → source and probability."""


class TagMethods(MilvusCore):
    """Labels and tags."""

    def edit_tags(
        self, image_ids: Iterable[int], add: Sequence[str], remove: Sequence[str], *, dry_run: bool = False
    ) -> TagEdit:
        """Give the labels `add` to images and their copies, and take the labels `remove` away from them.

        Ids that are no photos are left out. Raises NotFound if a label to remove does not exist, InvalidInput for a
        label that is both added and removed. An interrupted edit can be made again.
        """
        if both := set(add) & set(remove):
            raise InvalidInput(f"the label {min(both)!r} is both added and removed: choose one")
        tree = LabelTree(self._registry)
        _check_labels(tree, remove)
        ids = sorted({int(id) for id in image_ids})
        contents = {row["content"] for row in self._connection.query_in(self._images, "id", ids, ["content"])}
        fields = [*PHOTO_FIELDS, "marks"]
        rows = by_id(self._connection.query_in(self._images, "content", sorted(contents), fields))
        marks = {row["content"]: read_marks(row["marks"]) for row in rows}
        having = {content: {tag.label for tag in standing(each)} for content, each in marks.items()}
        every = set[str]().union(*having.values()) - set(remove)
        edit = TagEdit(
            photos=len(marks),
            added={name: sum(each.get(mark(USER, name)) != 1 for each in marks.values()) for name in add},
            removed={name: sum(name in each for each in having.values()) for name in remove},
            narrower=_narrower(tree.parents, remove, every),
            images=tuple(photo_of(row)._replace(tags=tuple(PhotoTag(name, USER, 1.0) for name in add)) for row in rows),
        )
        if dry_run:
            return edit

        def change(content: int, old: Marks) -> Marks:
            for name in add:
                old = given(old, name)
            for name in remove:
                old = taken_away(old, name)
            return old

        self.add_labels(dict.fromkeys(add))
        self._rewrite(marks, change)
        return edit

    def add_labels(self, parents: Mapping[str, str | None]) -> None:
        """Add labels (name → the name of its parent) that do not exist yet.

        A label without a parent here keeps the one that it has.
        """
        tree = LabelTree(self._registry)
        tree.add(parents)
        tree.store()
        self._registry.touch()

    def by_hand(self, contents: Sequence[int]) -> tuple[list[Photo], dict[int, dict[str, bool]]]:
        """The images with these contents, and what a person said about them: image id → label → whether it was given
        (True) or refused (False).
        """
        rows = by_id(self._connection.query_in(self._images, "content", contents, [*PHOTO_FIELDS, "marks"]))
        return [photo_of(row) for row in rows], {row["id"]: said_by_hand(read_marks(row["marks"])) for row in rows}

    def check_labels(self, names: Iterable[str]) -> None:
        """Raise NotFound if one of the names is not a label."""
        _check_labels(LabelTree(self._registry), names)

    def put_results(self, contents: Iterable[int], labels: Collection[str], results: Mapping[int, Results]) -> None:
        """What a run says about these photos: `results` (content id → label → source and probability) replace
        everything that runs said about `labels`. Photos that are gone by now are left out, and labels that a person
        refused. The labels must have been added.
        """
        wanted = set(labels)

        def change(content: int, old: Marks) -> Marks:
            return with_results(old, wanted, results.get(content, {}))

        self._rewrite(contents, change)

    def untag(self, names: Sequence[str] | None, progress: Progress = SILENT, *, dry_run: bool = False) -> int:
        """Remove what runs gave for the labels `names`, or for all labels if `names` is None.

        Tags that a person added stay. Returns how many tags were removed, or would be with `dry_run`. Raises NotFound
        if a name is not a label.
        """
        tree = LabelTree(self._registry)
        _check_labels(tree, names or ())
        wanted = set(tree.parents if names is None else names)
        # an expression with each of many labels is slow, and each source of a photo has a token
        tokens = tokens_of([""] if names is None else sorted(wanted), RUNS)
        expression = f"first == true and ARRAY_CONTAINS_ANY(tags, [{', '.join(map(literal, tokens))}])"
        total = self._connection.count(self._images, expression, strong=True)
        removed = done = 0
        rows = self._connection.rows(self._images, expression, ["id", "marks"], strong=True)
        while chunk := list(islice(rows, BATCH)):
            for row in chunk:
                keys = (key.partition(":") for key in read_marks(row["marks"]))
                removed += sum(source in RUNS and label in wanted for source, _, label in keys)
            if not dry_run:
                self._rewrite([row["id"] for row in chunk], lambda _, old: with_results(old, wanted, {}), touch=False)
            done += len(chunk)
            progress.advance(done, total)
        if removed and not dry_run:
            self._registry.touch()
        return removed

    def tagged(self, names: Sequence[str]) -> Iterator[Photo]:
        """All images in the order of their ids. Each has those of the labels `names` that a person or a run gave to it.

        Labels that a person gave come first. Their source is USER, even if a run gave them too.
        """
        wanted = set(names)
        for row in self._connection.rows(self._images, "", [*PHOTO_FIELDS, "marks"]):
            marks = read_marks(row["marks"])
            tags = [tag for tag in standing(marks) if tag.label in wanted and tag.source in (USER, *RUNS)]
            by_hand = [tag for tag in tags if tag.source == USER]
            decided = {tag.label for tag in by_hand} | refused(marks)
            others = [tag for tag in tags if tag.source != USER and tag.label not in decided]
            yield photo_of(row)._replace(tags=(*by_hand, *others))

    def photos_after(self, after: int = 0) -> int:
        """How many photos have an id greater than `after`. Copies count once."""
        return self._connection.count(self._images, f"first == true and id > {int(after)}", strong=True)

    def embeddings(self, after: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The photos with ids greater than `after`, ascending, in blocks: ids (n,) int64, vectors (n, dim) float32.

        A photo that is loaded later has a greater id. Ids are also those of contents.
        """
        rows = self._connection.rows(
            self._images, f"first == true and id > {int(after)}", ["id", "embedding"], strong=True
        )
        while chunk := list(islice(rows, BATCH)):
            yield (
                np.array([row["id"] for row in chunk], np.int64),
                np.array([row["embedding"] for row in chunk], np.float32),
            )

    def _rewrite(self, contents: Iterable[int], change: Callable[[int, Marks], Marks], touch: bool = True) -> None:
        """Change the marks of photos, in the rows of all of their copies."""
        ids = sorted(set(contents))
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            changed = []
            for row in self._connection.query_in(self._images, "content", some, ["*"], strong=True):
                old = read_marks(row["marks"])
                new = change(row["content"], old)
                if new != old:
                    changed.append(with_marks(row, new))
            for first in range(0, len(changed), BATCH):
                self._connection.upsert(self._images, changed[first : first + BATCH])
        if touch:
            self._registry.touch()


def _check_labels(tree: LabelTree, names: Iterable[str]) -> None:
    if missing := [name for name in names if name not in tree]:
        raise NotFound(f"no such label: {missing[0]!r}; `searcher tags` lists the labels")


def _narrower(
    parents: Mapping[str, str | None], names: Sequence[str], candidates: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Each of `names` that is above some of the candidates, with these. Labels without any are left out."""
    above = {name: set(lineage(name, parents)) for name in sorted(candidates)}
    found = {name: tuple(label for label, wider in above.items() if name in wider) for name in names}
    return {name: below for name, below in found.items() if below}
