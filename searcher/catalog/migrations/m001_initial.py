"""Version 1: roots, contents, images, models, embeddings, vector files, labels and tags."""

STATEMENTS = [
    """
CREATE TABLE contents (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    format VARCHAR NOT NULL,
    taken_at VARCHAR,
    camera VARCHAR,
    latitude FLOAT,
    longitude FLOAT,
    UNIQUE (digest)
)
""",
    "CREATE INDEX contents_taken_at ON contents (taken_at)",
    """
CREATE TABLE labels (
    id INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    parent_id INTEGER,
    PRIMARY KEY (id),
    UNIQUE (name),
    FOREIGN KEY(parent_id) REFERENCES labels (id)
)
""",
    """
CREATE TABLE models (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    digest VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    slug VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    folder BLOB NOT NULL,
    dim INTEGER NOT NULL,
    noise_vectors BLOB,
    noise_floor FLOAT,
    derived_to INTEGER,
    UNIQUE (digest)
)
""",
    """
CREATE TABLE roots (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL,
    whole BOOLEAN NOT NULL,
    UNIQUE (path)
)
""",
    """
CREATE TABLE embeddings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    precision VARCHAR NOT NULL,
    vector BLOB NOT NULL,
    FOREIGN KEY(model_id) REFERENCES models (id),
    FOREIGN KEY(content_id) REFERENCES contents (id) ON DELETE CASCADE
)
""",
    "CREATE UNIQUE INDEX embeddings_content ON embeddings (content_id, model_id)",
    """
CREATE TABLE images (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    root_id INTEGER NOT NULL,
    relpath BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    content_id INTEGER,
    error VARCHAR,
    UNIQUE (root_id, relpath),
    CHECK ((content_id IS NULL) <> (error IS NULL)),
    FOREIGN KEY(root_id) REFERENCES roots (id),
    FOREIGN KEY(content_id) REFERENCES contents (id)
)
""",
    "CREATE INDEX images_content ON images (content_id)",
    "CREATE INDEX images_failed ON images (root_id) WHERE error IS NOT NULL",
    """
CREATE TABLE library (
    id INTEGER NOT NULL CHECK (id = 1),
    model_id INTEGER,
    created_at VARCHAR NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(model_id) REFERENCES models (id)
)
""",
    """
CREATE TABLE vector_files (
    digest BLOB NOT NULL,
    model_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    vectors INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (digest),
    FOREIGN KEY(model_id) REFERENCES models (id)
)
""",
    """
CREATE TABLE tags (
    image_id INTEGER NOT NULL,
    label_id INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    probability FLOAT,
    model_id INTEGER,
    tagged_at VARCHAR NOT NULL,
    PRIMARY KEY (image_id, label_id, source),
    FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE,
    FOREIGN KEY(label_id) REFERENCES labels (id),
    FOREIGN KEY(model_id) REFERENCES models (id)
)
 WITHOUT ROWID
""",
    "CREATE INDEX tags_label ON tags (label_id, image_id)",
    "INSERT INTO library (id, created_at) VALUES (1, datetime('now'))",
]
