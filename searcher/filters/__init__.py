"""What a search is narrowed to. Plain data: each back end compiles it into its own query language.

`filter` is the Filter. `moments` reads dates, `near` places on the earth, `cities` their names.
"""

from searcher.filters.filter import (
    EVERYTHING,
    FILE,
    FORMATS,
    ORIENTATIONS,
    RAW_FORMATS,
    RUNS,
    SORTS,
    SOURCES,
    TAUGHT,
    USER,
    ZERO_SHOT,
    Filter,
    Sort,
)
from searcher.filters.near import Near

__all__ = [
    "EVERYTHING",
    "FILE",
    "FORMATS",
    "ORIENTATIONS",
    "RAW_FORMATS",
    "RUNS",
    "SORTS",
    "SOURCES",
    "TAUGHT",
    "USER",
    "ZERO_SHOT",
    "Filter",
    "Near",
    "Sort",
]
