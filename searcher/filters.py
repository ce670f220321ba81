"""What a search is narrowed to. Plain data: each back end compiles it into its own query language."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filter:
    """Photos that meet all of these conditions. An empty filter matches every photo.

    tags: labels that a photo must all have. A label includes the labels below it: "animal" includes "dog".
    """

    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return bool(self.tags)


EVERYTHING = Filter()
