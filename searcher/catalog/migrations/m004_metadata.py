"""Version 4: what photos and their sidecars say, and what photos look like."""

STATEMENTS = [
    "ALTER TABLE contents ADD COLUMN taken_offset INTEGER",
    "ALTER TABLE contents ADD COLUMN lens VARCHAR",
    "ALTER TABLE contents ADD COLUMN rating INTEGER",
    "ALTER TABLE contents ADD COLUMN description VARCHAR",
    "ALTER TABLE contents ADD COLUMN phash INTEGER",
    "ALTER TABLE contents ADD COLUMN sharpness FLOAT",
    "ALTER TABLE contents ADD COLUMN embedded VARCHAR",
    "ALTER TABLE contents ADD COLUMN sidecar_image INTEGER",
    "CREATE INDEX contents_unread ON contents (id) WHERE embedded IS NULL",
    "CREATE INDEX contents_sidecar ON contents (sidecar_image) WHERE sidecar_image IS NOT NULL",
    """
CREATE TABLE read_sidecars (
    image_id INTEGER NOT NULL,
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    metadata VARCHAR NOT NULL,
    PRIMARY KEY (image_id),
    FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
)
""",
]
