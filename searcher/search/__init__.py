"""From a query to hits.

`query` says what is looked for. `asked` embeds it. `collection` is the read side of a library. `find` searches the
collection and looks up the photos behind the best embeddings.
"""

from searcher.search.query import Hit, Hits, Query, Term

__all__ = ["Hit", "Hits", "Query", "Term"]
