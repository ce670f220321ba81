"""Hold out some photos of the training data to measure the model on, if the user gives none."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from searcher.datasets import ClassFolder, Pair, Source
from searcher.trainer.data import caption_id
from searcher.trainer.shards import Shards
from searcher.trainer.sources import Sources

FEWEST = 200  # photos; a share of fewer would measure nothing
MOST = 1000  # photos that are held out
PLACES = 1_000_000


def hold_out(sources: Sources, share: float) -> tuple[Sources, ClassFolder | Source | None]:
    """Divide sources into those to train on, and photos to measure on: about `share` of them, at most MOST.

    The measured photos have captions of their own, or else they are those of classes. Which ones are held out depends
    only on their paths. Nothing is held out of shards, of sentences, and of fewer than FEWEST photos.
    """
    if isinstance(sources.opened, Path) or any(isinstance(source, Shards) for source in sources.opened):
        return sources, None
    opened = [source for source in sources.opened if isinstance(source, Source)]
    captioned = [pair for source in opened for pair in source.pairs if pair.label is None]
    usable = captioned or [pair for source in opened for pair in source.pairs]
    if not share or len(usable) < FEWEST:
        return sources, None
    limit = PLACES * min(share, MOST / len(usable))
    held = [pair for pair in usable if caption_id(pair.image) % PLACES < limit]
    if not held:
        return sources, None
    images = {pair.image for pair in held}  # in all sources, because a photo may be in several
    kept: list[Source | Shards] = [
        replace(source, pairs=[pair for pair in source.pairs if pair.image not in images]) for source in opened
    ]
    measured = Source(opened[0].path, held) if captioned else _classes(opened[0].path, held)
    return replace(sources, opened=kept), measured


def _classes(path: Path, pairs: list[Pair]) -> ClassFolder:
    images = defaultdict(list)
    for pair in pairs:
        images[str(pair.label)].append(Path(pair.image))
    return ClassFolder(path, sorted(images), [images[name] for name in sorted(images)])
