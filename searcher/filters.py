"""What a search is narrowed to. Plain data: each back end compiles it into its own query language."""

from dataclasses import dataclass

# Where a tag comes from: a run, a taught label, a person with searcher, or keywords that were written into a file.
ZERO_SHOT, TAUGHT, USER, FILE = "zero-shot", "taught", "user", "file"
RUNS = (ZERO_SHOT, TAUGHT)
SOURCES = (*RUNS, USER, FILE)


@dataclass(frozen=True, slots=True)
class Filter:
    """Photos that meet all of these conditions. An empty filter matches every photo.

    tags: labels that a photo must all have. A label includes the labels below it: "animal" includes "dog".
    not_tags: labels that a photo must not have, with those below them.
    sources: only tags from these sources (see SOURCES) count, also for `not_tags`. Empty: from all sources. With
    `sources` and without `tags`, a photo must have any tag from these sources.
    """

    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return bool(self.tags or self.not_tags or self.sources)


EVERYTHING = Filter()
