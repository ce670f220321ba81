"""The catalog's tables, as SQLAlchemy writes to them. `migrations` makes them; a test keeps the two equal."""

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

metadata = MetaData()

# One row: the model that searches use. Switching it is one update, so readers change over at once.
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
    # False: only single files of this folder were asked for
    Column("whole", Boolean, nullable=False),
    # JSON: what of the folder is left out, and which links are followed
    Column("options", String, nullable=False, server_default=text("'{}'")),
    sqlite_autoincrement=True,
)

# Folders below a root where another disk was mounted, so that an unmounted disk is not taken for deleted photos.
mounts = Table(
    "mounts",
    metadata,
    Column("root_id", ForeignKey("roots.id", ondelete="CASCADE"), primary_key=True),
    Column("relpath", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
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
    Column("taken_offset", Integer),
    Column("lens", String),
    Column("rating", Integer),
    Column("description", String),
    Column("phash", Integer),
    Column("sharpness", Float),
    # JSON: what the file itself says, keywords included. NULL: it was indexed before this was read. The columns above
    # are the same, except that what the sidecar of `sidecar_image` says comes first
    Column("embedded", String),
    Column("sidecar_image", Integer),
    Index("contents_taken_at", "taken_at"),
    Index("contents_unread", "id", sqlite_where=text("embedded IS NULL")),
    Index("contents_sidecar", "sidecar_image", sqlite_where=text("sidecar_image IS NOT NULL")),
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
    # an image has a content, or an error that says why not
    Column("content_id", ForeignKey("contents.id")),
    Column("error", String),
    UniqueConstraint("root_id", "relpath"),
    CheckConstraint("(content_id IS NULL) <> (error IS NULL)"),
    Index("images_content", "content_id"),
    Index("images_failed", "root_id", sqlite_where=text("error IS NOT NULL")),
    sqlite_autoincrement=True,
)

# The sidecar of an image: its name beside the photo, its size and time when it was read, and what people wrote into it
# (JSON). What we wrote is in `sidecars`.
read_sidecars = Table(
    "read_sidecars",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("name", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("metadata", String, nullable=False),
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
    # the largest embedding id when the FAISS file was last brought up to date
    Column("refreshed_to", Integer),
    # replaced by another model: its embeddings are on their way out
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
    # with the id that SQLite adds: what one model embedded after a certain id
    Index("embeddings_model", "model_id"),
    sqlite_autoincrement=True,
)

# The FAISS files that were written, so that a reader knows a file it finds, be it an older one.
vector_files = Table(
    "vector_files",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("last_id", Integer, nullable=False),
    Column("vectors", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("after_id", Integer, nullable=False, server_default=text("0")),
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

# Tags that a person gave, whose photos are not indexed yet, or were removed.
waiting_tags = Table(
    "waiting_tags",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("label_id", ForeignKey("labels.id"), nullable=False),
    Column("probability", Float),
    Column("tagged_at", String, nullable=False),
    UniqueConstraint("path", "label_id"),
    sqlite_autoincrement=True,
)

# What the model says is true of the bytes, so of all copies, and of an image only while it holds them: these belong
# to the content, where `tags` belong to the image. One result a label: the last one.
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
    Index("content_tags_taught", "label_id", sqlite_where=text("source = 'taught'")),
    sqlite_with_rowid=False,
)

# A question that was put to the whole library, and how far.
tag_runs = Table(
    "tag_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),  # digest of the definition
    Column("definition", String, nullable=False),  # JSON: labels, templates, mode
    Column("conditions", String, nullable=False),  # what else decides an answer: model, thresholds, examples
    Column("last_id", Integer, nullable=False),  # the last embedding that was asked
    Column("retracted", String, nullable=False),  # JSON: ids of labels that were since cleared, or asked by another run
    Column("updated_at", String, nullable=False),
    sqlite_autoincrement=True,
)

# The embedding of a label's prompts, under a digest of them: float32, so that a stored one decides as a fresh one.
prompts = Table(
    "prompts",
    metadata,
    Column("key", String, primary_key=True),
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# The photos that a label was taught with, each as a small picture: they outlive their files, and a change of model.
examples = Table(
    "examples",
    metadata,
    Column("label_id", ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("positive", Boolean, nullable=False),
    Column("picture", LargeBinary, nullable=False),
)

# What we wrote into an XMP sidecar, so that it is never taken for what the user wrote. JSON: `tags`, the paths of names
# that it shall have from us; `refused`, those that the user took out again; `entries`, what of the file is ours.
# `written` is 0 from before the file is changed until after: then an entry may not be there.
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
