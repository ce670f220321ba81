"""The catalog's tables, and the upgrade of older catalogs to the current version."""

import sqlite3

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from searcher.catalog.connect import APPLICATION_ID, SCHEMA_VERSION
from searcher.catalog.migrations import MIGRATIONS

metadata = MetaData()

# One row with the model that searches use. A switch is a single update, so all readers switch at the same moment.
library = Table(
    "library",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("model_id", ForeignKey("models.id")),
    Column("created_at", String, nullable=False),
)

roots = Table(
    "roots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", LargeBinary, nullable=False, unique=True),
    # false if only single files of this folder were indexed
    Column("whole", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

contents = Table(
    "contents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String, nullable=False),
    Column("taken_at", String),
    Column("camera", String),
    Column("latitude", Float),
    Column("longitude", Float),
    Index("contents_taken_at", "taken_at"),
    sqlite_autoincrement=True,
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", ForeignKey("roots.id"), nullable=False),
    Column("relpath", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    # an image has either a content or an error
    Column("content_id", ForeignKey("contents.id")),
    Column("error", String),
    UniqueConstraint("root_id", "relpath"),
    CheckConstraint("(content_id IS NULL) <> (error IS NULL)"),
    Index("images_content", "content_id"),
    Index("images_failed", "root_id", sqlite_where=text("error IS NOT NULL")),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("slug", String, nullable=False),
    Column("version", String, nullable=False),
    Column("folder", LargeBinary, nullable=False),
    Column("dim", Integer, nullable=False),
    # embeddings of a few meaningless queries (float16, dim each), and the score of such a query in this library
    Column("noise_vectors", LargeBinary),
    Column("noise_floor", Float),
    # the largest embedding id when the FAISS file and the noise floor were last updated
    Column("derived_to", Integer),
    # replaced by another model: its embeddings are being removed
    Column("retired", Boolean, nullable=False, server_default=text("0")),
    sqlite_autoincrement=True,
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("content_id", ForeignKey("contents.id", ondelete="CASCADE"), nullable=False),
    Column("precision", String, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index("embeddings_content", "content_id", "model_id", unique=True),
    # SQLite appends the id to the index, so it also finds a model's embeddings after a given id
    Index("embeddings_model", "model_id"),
    sqlite_autoincrement=True,
)

# The FAISS files that were written. A reader uses a file only if it is listed here. It may be an older one.
vector_files = Table(
    "vector_files",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("last_id", Integer, nullable=False),
    Column("vectors", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("parent_id", ForeignKey("labels.id")),
)

tags = Table(
    "tags",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("label_id", ForeignKey("labels.id"), primary_key=True),
    Column("source", String, primary_key=True),
    Column("probability", Float),
    Column("model_id", ForeignKey("models.id")),
    Column("tagged_at", String, nullable=False),
    Index("tags_label", "label_id", "image_id"),
    sqlite_with_rowid=False,
)

# The model's results depend only on the bytes of a photo. They apply to all copies, and to an image only while it has
# these bytes. For this reason they belong to the content, while `tags` belong to the image. Each content has one
# result per label: the latest one.
content_tags = Table(
    "content_tags",
    metadata,
    Column("content_id", ForeignKey("contents.id", ondelete="CASCADE"), primary_key=True),
    Column("label_id", ForeignKey("labels.id"), primary_key=True),
    Column("source", String, nullable=False),
    Column("probability", Float, nullable=False),
    Column("model_id", ForeignKey("models.id", ondelete="SET NULL")),
    Column("tagged_at", String, nullable=False),
    Index("content_tags_label", "label_id", "content_id"),
    sqlite_with_rowid=False,
)

# A tag run over the whole library, and how far it has come.
tag_runs = Table(
    "tag_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),  # digest of the definition
    Column("definition", String, nullable=False),  # JSON: labels, templates, mode
    Column("basis", String, nullable=False),  # what else affects a result: model, thresholds, examples
    Column("last_id", Integer, nullable=False),  # the last embedding that was tagged
    Column("replaced", String, nullable=False),  # JSON: ids of labels that were later cleared or used by another run
    Column("updated_at", String, nullable=False),
    sqlite_autoincrement=True,
)

# The embedding of a label's prompts; the key is a digest of the prompts. It is stored as float32, so that a stored
# embedding gives the same results as a new one.
prompts = Table(
    "prompts",
    metadata,
    Column("key", String, primary_key=True),
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# The photos that a label was taught with. Each is stored as a small JPEG, so that it is still there when the file is
# deleted or the library switches to another model.
examples = Table(
    "examples",
    metadata,
    Column("label_id", ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("positive", Boolean, nullable=False),
    Column("picture", LargeBinary, nullable=False),
)

# What we wrote into an XMP sidecar, so that we can tell it from what the user wrote. Three columns are JSON: `tags`,
# the label paths that we want in the file; `refused`, the label paths that the user removed from it; and `entries`,
# the entries in the file that are ours. `written` is 0 from before the file is changed until after. During that time
# an entry may be missing from the file.
sidecars = Table(
    "sidecars",
    metadata,
    Column("path", LargeBinary, primary_key=True),
    Column("image_id", ForeignKey("images.id", ondelete="SET NULL")),
    Column("tags", String, nullable=False),
    Column("refused", String, nullable=False),
    Column("entries", String, nullable=False),
    Column("written", Boolean, nullable=False),
    Index("sidecars_image", "image_id"),
    sqlite_with_rowid=False,
)


def create_statements() -> list[str]:
    """Return the SQL that creates an empty catalog of the current version."""
    dialect = sqlite.dialect()
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    statements.append("INSERT INTO library (id, created_at) VALUES (1, datetime('now'))")
    return statements


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Upgrade the catalog from `version` (0: empty) to the current version, in one transaction.

    The caller must hold the writer's lock.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            for statement in create_statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        else:
            for step in range(version, SCHEMA_VERSION):
                for statement in MIGRATIONS[step]:
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
