"""The catalog: what is known about every photo, in one SQLite file. The vector index is derived from it.

`catalog`     Catalog, the one object of a library that hands out read views and write transactions
`connect`     how a connection is opened: journal, read-only media, plain errors
`peek`        labels and folders for a shell that completes a word
`rows`        the rows that other packages see
`read/`       the parts of a view: SQL text on Python's own driver, without SQLAlchemy
`write/`      the parts of a transaction: SQLAlchemy
`schema`      the tables, for SQLAlchemy
`migrations/` how the tables came to be, one file per version
`filtering`   a Filter as SQL
`tagged`      photos with the labels that runs and a person gave them
"""

from searcher.catalog.catalog import Catalog

__all__ = ["Catalog"]
