"""The catalog: what is known of every photo, in one SQLite file. The truth that the vector index derives
from.

`connect`  how a connection is opened: journal, read-only media, errors for people
`schema`   the tables (SQLAlchemy), their version and migration
`reader`   the fixed questions that a search asks, on the driver itself: no SQLAlchemy to import
`writer`   every change, in transactions under the writer's lock
`records`  the rows that travel between the rooms
"""
