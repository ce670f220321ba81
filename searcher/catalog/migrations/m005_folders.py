"""Options of roots; tags that wait for their photos.

A root of an older catalog follows links out of it, as it did then: otherwise its photos behind links would be removed.
"""

STATEMENTS = [
    "ALTER TABLE roots ADD COLUMN options VARCHAR DEFAULT '{}' NOT NULL",
    """UPDATE roots SET options = '{"follow_links": true}'""",
    """
CREATE TABLE waiting_tags (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL,
    path BLOB NOT NULL,
    label_id INTEGER NOT NULL,
    probability FLOAT,
    tagged_at VARCHAR NOT NULL,
    UNIQUE (path, label_id),
    FOREIGN KEY(label_id) REFERENCES labels (id)
)
""",
]
