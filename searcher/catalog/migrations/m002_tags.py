"""Version 2: one library can change its model; tags of contents, runs, prompts, taught labels and sidecars."""

STATEMENTS = [
    "ALTER TABLE models ADD COLUMN retired BOOLEAN DEFAULT 0 NOT NULL",
    "CREATE INDEX embeddings_model ON embeddings (model_id)",
    """
CREATE TABLE content_tags (
    content_id INTEGER NOT NULL,
    label_id INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    probability FLOAT NOT NULL,
    model_id INTEGER,
    tagged_at VARCHAR NOT NULL,
    PRIMARY KEY (content_id, label_id),
    FOREIGN KEY(content_id) REFERENCES contents (id) ON DELETE CASCADE,
    FOREIGN KEY(label_id) REFERENCES labels (id),
    FOREIGN KEY(model_id) REFERENCES models (id) ON DELETE SET NULL
) WITHOUT ROWID
""",
    "CREATE INDEX content_tags_label ON content_tags (label_id, content_id)",
    """
CREATE TABLE tag_runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "key" VARCHAR NOT NULL,
    definition VARCHAR NOT NULL,
    basis VARCHAR NOT NULL,
    last_id INTEGER NOT NULL,
    replaced VARCHAR NOT NULL,
    updated_at VARCHAR NOT NULL,
    UNIQUE ("key")
)
""",
    """
CREATE TABLE prompts (
    "key" VARCHAR NOT NULL,
    model_id INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY ("key", model_id),
    FOREIGN KEY(model_id) REFERENCES models (id) ON DELETE CASCADE
) WITHOUT ROWID
""",
    """
CREATE TABLE examples (
    label_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    positive BOOLEAN NOT NULL,
    picture BLOB NOT NULL,
    PRIMARY KEY (label_id, digest),
    FOREIGN KEY(label_id) REFERENCES labels (id) ON DELETE CASCADE
)
""",
    """
CREATE TABLE sidecars (
    path BLOB NOT NULL,
    image_id INTEGER,
    tags VARCHAR NOT NULL,
    refused VARCHAR NOT NULL,
    entries VARCHAR NOT NULL,
    written BOOLEAN NOT NULL,
    PRIMARY KEY (path),
    FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE SET NULL
) WITHOUT ROWID
""",
    "CREATE INDEX sidecars_image ON sidecars (image_id)",
]
