"""The catalog: one SQLite file with all data about the photos. The vector index is derived from it.

`connect`     opens connections: journal mode, read-only media, error messages
`schema`      the tables (SQLAlchemy) and their version
`migrations`  the SQL that upgrades older versions
`reader`      the fixed queries of a search; uses the sqlite3 module, so that SQLAlchemy need not be imported
`lacking`     finds the photos that a model has not embedded yet
`tags`        reads labels and tags
`writer`      makes all changes, in transactions under the writer's lock
`tag_writer`  changes labels and tags
`records`     the rows that the catalog shares with other packages
"""
