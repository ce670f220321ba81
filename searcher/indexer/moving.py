# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH112, PTH118
"""Roots that are found at another path: a changed mount point, a renamed folder. No photo is embedded again."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from searcher.catalog import Catalog
from searcher.catalog.folders import prefix_in
from searcher.catalog.rows import Root
from searcher.errors import InvalidInput, NotFound
from searcher.indexer import places
from searcher.progress import SILENT, Progress

COMPARED = 50  # photos of each root that are read
SAME = 0.9  # the share of them that must have the content that was indexed


def move_roots(
    catalog: Catalog, old: str | Path, new: str | Path, progress: Progress = SILENT
) -> list[tuple[bytes, bytes]]:
    """The root at `old`, or all roots below it, are now at `new`. Returns their old and new paths.

    A sample of the photos of each is compared by content. All roots are moved, or none. Raises NotFound if `old` is no
    root or `new` no folder, InvalidInput if the photos there are others, or if `new` is in the library already.
    """
    start, target = places.absolute(old), places.absolute(new)
    if not os.path.isdir(target):
        raise NotFound(f"there is no folder {os.fsdecode(target)}")
    with catalog.read() as view:
        roots = view.files.roots()
    below = [(root, prefix_in(root.path, start)) for root in roots]
    moves = [(root, os.path.join(target, rest).rstrip(b"/")) for root, rest in below if rest is not None]
    if not moves:
        raise NotFound(f"{os.fsdecode(start)} is no indexed folder: `searcher roots` lists them")
    _check_free(roots, moves)
    for root, path in moves:
        if not os.path.isdir(path):
            raise NotFound(f"there is no folder {os.fsdecode(path)}")
        _check_same(catalog, root, path, progress)
    with catalog.write(progress) as change:
        paths = change.view.files.root_paths()
        if any(paths.get(root.id) != root.path for root, _ in moves):
            raise InvalidInput(f"{os.fsdecode(start)} was moved or forgotten by another program: run `searcher roots`")
        for root, path in moves:
            change.files.move_root(root.id, path)
    return [(root.path, path) for root, path in moves]


def _check_free(roots: Sequence[Root], moves: Sequence[tuple[Root, bytes]]) -> None:
    moving = {root.id for root, _ in moves}
    for root, path in moves:
        for other in roots:
            overlaps = prefix_in(path, other.path) is not None or prefix_in(other.path, path) is not None
            if other.id != root.id and (path == other.path or (overlaps and other.id not in moving)):
                raise InvalidInput(
                    f"{os.fsdecode(path)} is in the library already, as {os.fsdecode(other.path)}: remove one of the "
                    "two with `searcher forget` first"
                )


def _check_same(catalog: Catalog, root: Root, path: bytes, progress: Progress) -> None:
    from searcher.vectors.pipeline import hash_files

    with catalog.read() as view:
        sample = view.files.sample_contents(root.id, COMPARED)
    other: list[bytes] = []
    with closing(hash_files(os.path.join(path, relpath) for relpath, _ in sample)) as digests:
        for done, ((relpath, expected), digest) in enumerate(zip(sample, digests, strict=True), 1):
            if digest != expected:
                other.append(relpath)
            progress.advance(done, len(sample))
    if len(sample) - len(other) < SAME * len(sample):
        raise InvalidInput(
            f"{os.fsdecode(path)} does not hold the photos of {os.fsdecode(root.path)}: of {len(sample):,} compared, "
            f"{len(other):,} are missing or others, such as {os.fsdecode(other[0])}; nothing was moved. To add it as "
            "another folder, use `searcher index`"
        )
