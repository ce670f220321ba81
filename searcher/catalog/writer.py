"""All changes to the catalog. They are made in transactions, by one writer at a time."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout
from sqlalchemy import bindparam, create_engine, delete, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from searcher.catalog.connect import SCHEMA_VERSION, ReadOnlyError, check_version, connect
from searcher.catalog.records import UNREAD, Content, ImageAt, Place, Root, VectorFileRow, after_prefix
from searcher.catalog.schema import (
    contents,
    embeddings,
    images,
    library,
    models,
    roots,
    upgrade,
    vector_files,
)
from searcher.errors import SearcherError

if TYPE_CHECKING:
    from searcher.models import Model

LOCK_NAME = "writer.lock"
PATIENCE_S = 0.5  # a wait for another writer is reported only if it takes longer
LOCK_TIMEOUT_S = 600.0
KEPT_VECTOR_FILES = 32  # how many FAISS files are remembered per model


class Writer:
    """Changes a library's catalog. All changes must be made inside `with writer.transaction():`."""

    def __init__(self, folder: Path, notice: Callable[[str], None] | None = None) -> None:
        """Open or create the catalog in `folder`.

        `notice` is called with one line if this writer has to wait for another one. Raises ReadOnlyError if the folder
        cannot be written to, and SearcherError if the catalog is damaged or was written by a newer version.
        """
        self.folder = folder
        self._notice = notice or (lambda line: None)
        self._raw = connect(folder, write=True)
        try:
            self._lock = FileLock(folder / LOCK_NAME)
            if check_version(self._raw, folder) < SCHEMA_VERSION:
                with self.lock():
                    version = check_version(self._raw, folder)  # another process may have upgraded it first
                    if version < SCHEMA_VERSION:
                        upgrade(self._raw, version)
            engine = create_engine("sqlite://", creator=lambda: self._raw, poolclass=StaticPool)
            self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        """Close the catalog. If no other process has it open, SQLite merges and removes the journal."""
        self._connection.close()
        self._raw.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the writer's lock. Only one process at a time may commit or write the vector index.

        Raises SearcherError if another process holds the lock for too long, and ReadOnlyError if the folder cannot
        be written to.
        """
        try:
            try:
                self._lock.acquire(timeout=PATIENCE_S)
            except Timeout:
                self._notice(f"waiting for another searcher process that is writing to {self.folder}")
                self._lock.acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout:
            raise SearcherError(
                f"another searcher process has been writing to {self.folder} for too long: try again later"
            ) from None
        except OSError as error:
            raise ReadOnlyError(f"cannot write to the library {self.folder}: {error.strerror}") from error
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all changes made inside. After an error or Ctrl-C, none of them is committed.

        Raises SearcherError if the changes cannot be written, for example because the disk is full.
        """
        with self.lock():
            try:
                self._raw.execute("BEGIN IMMEDIATE")
                yield
                self._raw.execute("COMMIT")
            except BaseException as error:
                # If Ctrl-C interrupts a call of SQLAlchemy, SQLAlchemy closes the connection. That rolls back, too.
                with suppress(sqlite3.ProgrammingError):
                    if self._raw.in_transaction:
                        self._raw.execute("ROLLBACK")
                cause = error.orig if isinstance(error, DBAPIError) else error
                # These two types mean a full disk or a damaged file. Other subclasses of DatabaseError mean a bug.
                if type(cause) in (sqlite3.OperationalError, sqlite3.DatabaseError):
                    raise SearcherError(f"cannot write to the library {self.folder}: {cause}") from error
                raise

    # roots

    def roots(self) -> list[Root]:
        """Return all roots, including those added in this transaction."""
        rows = self._connection.execute(select(roots.c.id, roots.c.path, roots.c.whole).order_by(roots.c.path))
        return [Root(*row) for row in rows]

    def add_root(self, path: bytes, whole: bool) -> Root:
        """Add a root. If it is already known, only `whole` can change, from False to True."""
        row = insert(roots).values(path=path, whole=whole)
        row = row.on_conflict_do_update(index_elements=["path"], set_={"whole": roots.c.whole | row.excluded.whole})
        found = self._connection.execute(row.returning(roots.c.id, roots.c.whole)).one()
        return Root(found.id, path, bool(found.whole))

    def move_root(self, root_id: int, path: bytes) -> None:
        """Change the path of a root to `path`."""
        self._connection.execute(update(roots).where(roots.c.id == root_id).values(path=path))

    def absorb_root(self, child: Root, parent: Root, prefix: bytes) -> None:
        """Move the images of the root `child` to the root `parent`, and remove `child`.

        `prefix`: the path of `child` inside `parent`.
        """
        # Join the paths in Python. SQLite's || turns blobs into text, which damages names that are not UTF-8.
        inner = select(images.c.id, images.c.relpath).where(images.c.root_id == child.id)
        rows = [
            {"image": row.id, "root_id": parent.id, "relpath": prefix + row.relpath}
            for row in self._connection.execute(inner).all()
        ]
        if rows:
            # if the parent already has an image at this path, that one is kept because it is older
            self._connection.execute(_MOVE_IMAGE.prefix_with("OR IGNORE"), rows)
        self._connection.execute(delete(images).where(images.c.root_id == child.id))
        self._connection.execute(delete(roots).where(roots.c.id == child.id))

    def forget(self, root_id: int, prefix: bytes = b"") -> int:
        """Remove the images below `prefix` in a root and return their number.

        Without `prefix`, the root is removed, too.
        """
        chosen = images.c.root_id == root_id
        if prefix:
            inside = (images.c.relpath >= prefix) & (images.c.relpath < after_prefix(prefix))
            chosen &= inside | (images.c.relpath == prefix.rstrip(b"/"))
        count = self._connection.execute(delete(images).where(chosen)).rowcount
        if not prefix:
            self._connection.execute(delete(roots).where(roots.c.id == root_id))
        self.remove_orphans()
        return count

    # models

    def add_model(self, model: "Model", folder: Path) -> int:
        """Add a model that is stored in `folder`, and return its id."""
        found = {"name": model.name, "version": model.version or "", "folder": os.fsencode(folder.absolute())}
        row = insert(models).values(digest=model.digest, slug=model.slug, dim=model.dim, **found)
        row = row.on_conflict_do_update(index_elements=["digest"], set_={**found, "retired": False})
        model_id: int = self._connection.execute(row.returning(models.c.id)).scalar_one()
        return model_id

    def model_id(self) -> int | None:
        """Return the id of the model that searches use, or None if there is none."""
        found: int | None = self._connection.execute(select(library.c.model_id)).scalar_one()
        return found

    def use_model(self, model_id: int) -> None:
        """Make searches use a model. All other models become retired: see `remove_retired`."""
        self._connection.execute(update(library).values(model_id=model_id))
        others = update(models).where(models.c.id != model_id)
        self._connection.execute(others.values(retired=True, noise_vectors=None, noise_floor=None, derived_to=None))
        self._connection.execute(update(models).where(models.c.id == model_id).values(retired=False))
        self._connection.execute(delete(vector_files).where(vector_files.c.model_id != model_id))

    def remove_retired(self, at_once: int) -> bool:
        """Remove up to `at_once` embeddings of retired models. Returns whether there may be more of them."""
        retired = select(models.c.id).where(models.c.retired)
        some = select(embeddings.c.id).where(embeddings.c.model_id.in_(retired)).limit(at_once)
        return self._connection.execute(delete(embeddings).where(embeddings.c.id.in_(some))).rowcount == at_once

    def set_derived(self, model_id: int, vectors: np.ndarray, floor: float | None) -> None:
        """Store that all derived data is up to date.

        `vectors`: the embeddings (n, dim) of meaningless queries. `floor`: the score of such a query.
        """
        row = update(models).where(models.c.id == model_id)
        blob = np.ascontiguousarray(vectors, np.float16).tobytes()
        newest = select(func.max(embeddings.c.id)).scalar_subquery()
        row = row.values(noise_vectors=blob, noise_floor=floor, derived_to=newest)
        self._connection.execute(row)

    def add_vector_file(self, model_id: int, file: VectorFileRow) -> None:
        """Add a FAISS file that is about to be put in place. The rows of the oldest files are removed."""
        row = insert(vector_files).values(model_id=model_id, **file._asdict()).on_conflict_do_nothing()
        self._connection.execute(row)
        of_model = vector_files.c.model_id == model_id
        newest = (
            select(vector_files.c.digest)
            .where(of_model)
            .order_by(vector_files.c.last_id.desc())
            .limit(KEPT_VECTOR_FILES)
        )
        self._connection.execute(delete(vector_files).where(of_model, vector_files.c.digest.not_in(newest)))

    # images, contents, embeddings

    def image_at(self, root_id: int, relpath: bytes) -> ImageAt | None:
        """Return the image at a path, or None if there is none."""
        row = self._connection.execute(_IMAGE_AT, {"root": root_id, "path": relpath}).one_or_none()
        return None if row is None else ImageAt(*row)

    def images_of(self, content_id: int, limit: int) -> list[ImageAt]:
        """Return up to `limit` images with this content, by ascending id."""
        rows = self._connection.execute(_IMAGES_OF, {"content": content_id, "most": limit})
        return [ImageAt(*row) for row in rows]

    def content_id(self, digest: bytes) -> int | None:
        """Return the id of a content, or None if it is not known."""
        found: int | None = self._connection.execute(_CONTENT_ID, {"wanted": digest}).scalar_one_or_none()
        return found

    def add_content(self, content: Content) -> int:
        """Add a content if it is not known yet, and return its id."""
        self._connection.execute(_ADD_CONTENT, content._asdict())
        found = self.content_id(content.digest)
        assert found is not None
        return found

    def add_embedding(self, content_id: int, model_id: int, precision: str, vector: np.ndarray) -> None:
        """Store a unit vector (dim,) as float16, unless this content already has an embedding by this model."""
        blob = np.ascontiguousarray(vector, np.float16).tobytes()
        row = {"content_id": content_id, "model_id": model_id, "precision": precision, "vector": blob}
        self._connection.execute(_ADD_EMBEDDING, row)

    def remove_embeddings(self, ids: Sequence[int]) -> None:
        """Remove the embeddings with these ids."""
        if ids:
            row = delete(embeddings).where(embeddings.c.id == bindparam("embedding"))
            self._connection.execute(row, [{"embedding": id} for id in ids])

    def read_again(self, model_id: int) -> None:
        """Make the next index run read every image that has no embedding by a model."""
        found = exists().where(embeddings.c.content_id == images.c.content_id, embeddings.c.model_id == model_id)
        row = update(images).where(images.c.content_id.is_not(None), ~found)
        self._connection.execute(row.values(size=UNREAD, mtime_ns=UNREAD))

    def put_image(self, place: Place, content_id: int | None, error: str | None = None) -> None:
        """Store that the file at `place` has this content or failed with `error`. A known image keeps its id."""
        row = {**place._asdict(), "content_id": content_id, "error": error}
        self._connection.execute(_PUT_IMAGE, row)

    def touch_image(self, place: Place) -> None:
        """Store a new size and time for a file whose content has not changed."""
        row = {"root": place.root_id, "path": place.relpath, "size": place.size, "mtime_ns": place.mtime_ns}
        self._connection.execute(_TOUCH_IMAGE, row)

    def move_image(self, image: ImageAt, place: Place) -> None:
        """Store that an image's file is now at `place`. If another image is there, the two are swapped."""
        there = self.image_at(place.root_id, place.relpath)
        if there is not None:
            # a temporary name that no file can have, so that the two images never collide
            self._connection.execute(_MOVE_IMAGE, {"image": there.id, "relpath": b"\0"})
        self._connection.execute(_MOVE_IMAGE, {"image": image.id, **place._asdict()})
        if there is not None:
            spot = {"root_id": image.root_id, "relpath": image.relpath}
            self._connection.execute(_MOVE_IMAGE, {"image": there.id, **spot})

    def remove_image(self, root_id: int, relpath: bytes) -> bool:
        """Remove the image at a path. Returns whether searches could find it."""
        gone = self._connection.execute(_REMOVE_IMAGE, {"root": root_id, "path": relpath}).one_or_none()
        return gone is not None and gone.content_id is not None

    def remove_orphans(self) -> int:
        """Remove contents without images, with their embeddings, and return how many contents were removed."""
        return self._connection.execute(_REMOVE_ORPHANS).rowcount


# These statements run once per photo. They are built only once, because building takes longer than running.
_HERE = (images.c.root_id == bindparam("root")) & (images.c.relpath == bindparam("path"))
_IMAGE = select(images.c.id, images.c.root_id, images.c.relpath, images.c.content_id)
_IMAGE_AT = _IMAGE.where(_HERE)
_IMAGES_OF = _IMAGE.where(images.c.content_id == bindparam("content")).order_by(images.c.id).limit(bindparam("most"))
_CONTENT_ID = select(contents.c.id).where(contents.c.digest == bindparam("wanted"))
_ADD_CONTENT = insert(contents).on_conflict_do_nothing()
_ADD_EMBEDDING = insert(embeddings).on_conflict_do_nothing()
_PUT_IMAGE = insert(images)
_PUT_IMAGE = _PUT_IMAGE.on_conflict_do_update(
    index_elements=["root_id", "relpath"],
    set_={key: _PUT_IMAGE.excluded[key] for key in ("size", "mtime_ns", "content_id", "error")},
)
_TOUCH_IMAGE = update(images).where(_HERE)
_MOVE_IMAGE = update(images).where(images.c.id == bindparam("image"))
_REMOVE_IMAGE = delete(images).where(_HERE).returning(images.c.content_id)
_REMOVE_ORPHANS = delete(contents).where(~exists().where(images.c.content_id == contents.c.id))
