"""Semantic image search: train models, index photos and find them by text.

    from searcher import Library
    library = Library.open("index_data")
    library.index("~/Pictures")
    for hit in library.search("a dog on the beach", top=10):
        print(hit.score, hit.path)

Importing this package loads nothing else. Each name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from searcher.errors import SearcherError
    from searcher.filters import Filter, Near
    from searcher.library import Library
    from searcher.models import Model
    from searcher.photos.rules import OptionChange
    from searcher.progress import Progress
    from searcher.search import Hit, Query, Term

__all__ = [
    "Filter",
    "Hit",
    "Library",
    "Model",
    "Near",
    "OptionChange",
    "Progress",
    "Query",
    "SearcherError",
    "Term",
    "__version__",
]

__version__ = "0.1.0"

_HOME = {
    "Filter": "searcher.filters",
    "Hit": "searcher.search",
    "Library": "searcher.library",
    "Model": "searcher.models",
    "Near": "searcher.filters",
    "OptionChange": "searcher.photos.rules",
    "Progress": "searcher.progress",
    "Query": "searcher.search",
    "SearcherError": "searcher.errors",
    "Term": "searcher.search",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'searcher' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
