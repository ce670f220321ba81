"""From a query to hits.

`query` says what is looked for. `collection` is the read side of a library. `find` embeds the query, searches the
collection and looks up the photos behind the best embeddings.
"""

from searcher.search.query import Hit, Hits, Query

__all__ = ["Hit", "Hits", "Query"]
