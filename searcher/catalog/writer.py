"""Every change of the catalog, in transactions, one writer at a time."""

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
PATIENCE_S = 0.5  # a wait for another writer that is not worth a message
LOCK_TIMEOUT_S = 600.0
KEPT_VECTOR_FILES = 32  # how many earlier FAISS files are still recognised


class Writer:
    """The one way to change a library's catalog. Changes happen inside `with writer.transaction():`."""

    def __init__(self, folder: Path, notice: Callable[[str], None] | None = None) -> None:
        """Open or create the catalog in `folder`. `notice` is told in one line when another writer is waited
        for.

        Raises ReadOnlyError where the folder cannot be written to, SearcherError for a newer or damaged
        catalog.
        """
        self.folder = folder
        self._notice = notice or (lambda line: None)
        self._raw = connect(folder, write=True)
        try:
            self._lock = FileLock(folder / LOCK_NAME)
            if check_version(self._raw, folder) < SCHEMA_VERSION:
                with self.lock():
                    version = check_version(self._raw, folder)  # another process may have been first
                    if version < SCHEMA_VERSION:
                        upgrade(self._raw, version)
            engine = create_engine("sqlite://", creator=lambda: self._raw, poolclass=StaticPool)
            self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        """Close; where no other process has the catalog open, its journal is merged and removed."""
        self._connection.close()
        self._raw.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the writer's lock: at most one process commits, or writes the vector index, at a time."""
        try:
            try:
                self._lock.acquire(timeout=PATIENCE_S)
            except Timeout:
                self._notice(f"another searcher is writing to {self.folder}; waiting for it")
                self._lock.acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout:
            raise SearcherError(f"another searcher has been writing to {self.folder} for too long") from None
        except OSError as error:
            raise ReadOnlyError(f"cannot write to the library {self.folder}: {error.strerror}") from error
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it is committed, or, after an error or Ctrl-C, nothing. Raises SearcherError when the disk
        is full.
        """
        with self.lock():
            try:
                self._raw.execute("BEGIN IMMEDIATE")
                yield
                self._raw.execute("COMMIT")
            except BaseException as error:
                # SQLAlchemy closes a connection that Ctrl-C cut off inside one of its calls: rolled back, too
                with suppress(sqlite3.ProgrammingError):
                    if self._raw.in_transaction:
                        self._raw.execute("ROLLBACK")
                cause = error.orig if isinstance(error, DBAPIError) else error
                # a full disk, a damaged file; subclasses other than this one are our own mistakes
                if type(cause) in (sqlite3.OperationalError, sqlite3.DatabaseError):
                    raise SearcherError(f"cannot write to the library {self.folder}: {cause}") from error
                raise

    # roots

    def roots(self) -> list[Root]:
        """All roots, those of this transaction included."""
        rows = self._connection.execute(select(roots.c.id, roots.c.path, roots.c.whole).order_by(roots.c.path))
        return [Root(*row) for row in rows]

    def add_root(self, path: bytes, whole: bool) -> Root:
        """Remember a folder; one that is known stays as it is, except that `whole` can become true."""
        row = insert(roots).values(path=path, whole=whole)
        row = row.on_conflict_do_update(index_elements=["path"], set_={"whole": roots.c.whole | row.excluded.whole})
        found = self._connection.execute(row.returning(roots.c.id, roots.c.whole)).one()
        return Root(found.id, path, bool(found.whole))

    def move_root(self, root_id: int, path: bytes) -> None:
        """The same folder is now found at `path`."""
        self._connection.execute(update(roots).where(roots.c.id == root_id).values(path=path))

    def absorb_root(self, child: Root, parent: Root, prefix: bytes) -> None:
        """The images of `child`, which lies at `prefix` inside `parent`, become the parent's."""
        # joined here: SQLite's || makes text of blobs, which names that are not UTF-8 do not survive
        inner = select(images.c.id, images.c.relpath).where(images.c.root_id == child.id)
        rows = [
            {"image": row.id, "root_id": parent.id, "relpath": prefix + row.relpath}
            for row in self._connection.execute(inner).all()
        ]
        if rows:
            # a place that the parent knows already keeps its image: it is the older one
            self._connection.execute(_MOVE_IMAGE.prefix_with("OR IGNORE"), rows)
        self._connection.execute(delete(images).where(images.c.root_id == child.id))
        self._connection.execute(delete(roots).where(roots.c.id == child.id))

    def forget(self, root_id: int, prefix: bytes = b"") -> int:
        """Remove the images below `prefix` in a root, and the root itself without one; returns how many."""
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
        """Remember a model, to be found in `folder`; returns its id."""
        found = {"name": model.name, "version": model.version or "", "folder": os.fsencode(folder.absolute())}
        row = insert(models).values(digest=model.digest, slug=model.slug, dim=model.dim, **found)
        row = row.on_conflict_do_update(index_elements=["digest"], set_={**found, "retired": False})
        model_id: int = self._connection.execute(row.returning(models.c.id)).scalar_one()
        return model_id

    def model_id(self) -> int | None:
        """The model that searches use."""
        found: int | None = self._connection.execute(select(library.c.model_id)).scalar_one()
        return found

    def use_model(self, model_id: int) -> None:
        """Let searches use a model; all others are retired: see `remove_retired`."""
        self._connection.execute(update(library).values(model_id=model_id))
        others = update(models).where(models.c.id != model_id)
        self._connection.execute(others.values(retired=True, noise_vectors=None, noise_floor=None, derived_to=None))
        self._connection.execute(update(models).where(models.c.id == model_id).values(retired=False))
        self._connection.execute(delete(vector_files).where(vector_files.c.model_id != model_id))

    def remove_retired(self, at_once: int) -> bool:
        """Remove up to `at_once` embeddings of retired models; returns whether there may be more."""
        retired = select(models.c.id).where(models.c.retired)
        some = select(embeddings.c.id).where(embeddings.c.model_id.in_(retired)).limit(at_once)
        return self._connection.execute(delete(embeddings).where(embeddings.c.id.in_(some))).rowcount == at_once

    def set_derived(self, model_id: int, vectors: np.ndarray, floor: float | None) -> None:
        """All that derives is up to date: among it the embeddings (n, dim) of meaningless queries and what
        such a query scores.
        """
        row = update(models).where(models.c.id == model_id)
        blob = np.ascontiguousarray(vectors, np.float16).tobytes()
        newest = select(func.max(embeddings.c.id)).scalar_subquery()
        row = row.values(noise_vectors=blob, noise_floor=floor, derived_to=newest)
        self._connection.execute(row)

    def add_vector_file(self, model_id: int, file: VectorFileRow) -> None:
        """Remember a FAISS file that is about to appear; the oldest ones are forgotten."""
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
        """The image at a place."""
        row = self._connection.execute(_IMAGE_AT, {"root": root_id, "path": relpath}).one_or_none()
        return None if row is None else ImageAt(*row)

    def images_of(self, content_id: int, limit: int) -> list[ImageAt]:
        """Up to `limit` images with this content, oldest first."""
        rows = self._connection.execute(_IMAGES_OF, {"content": content_id, "most": limit})
        return [ImageAt(*row) for row in rows]

    def content_id(self, digest: bytes) -> int | None:
        """The id of a content that is known."""
        found: int | None = self._connection.execute(_CONTENT_ID, {"wanted": digest}).scalar_one_or_none()
        return found

    def add_content(self, content: Content) -> int:
        """The id of a content, made when it is not known yet."""
        self._connection.execute(_ADD_CONTENT, content._asdict())
        found = self.content_id(content.digest)
        assert found is not None
        return found

    def add_embedding(self, content_id: int, model_id: int, precision: str, vector: np.ndarray) -> None:
        """Store a unit vector (dim,) as float16, unless this content has one of this model."""
        blob = np.ascontiguousarray(vector, np.float16).tobytes()
        row = {"content_id": content_id, "model_id": model_id, "precision": precision, "vector": blob}
        self._connection.execute(_ADD_EMBEDDING, row)

    def remove_embeddings(self, ids: Sequence[int]) -> None:
        """Remove embeddings that are damaged."""
        if ids:
            row = delete(embeddings).where(embeddings.c.id == bindparam("embedding"))
            self._connection.execute(row, [{"embedding": id} for id in ids])

    def read_again(self, model_id: int) -> None:
        """Let the next index run read every image that has no embedding of a model."""
        found = exists().where(embeddings.c.content_id == images.c.content_id, embeddings.c.model_id == model_id)
        row = update(images).where(images.c.content_id.is_not(None), ~found)
        self._connection.execute(row.values(size=UNREAD, mtime_ns=UNREAD))

    def put_image(self, place: Place, content_id: int | None, error: str | None = None) -> None:
        """The file at `place` has this content, or failed with `error`. A known image keeps its id."""
        row = {**place._asdict(), "content_id": content_id, "error": error}
        self._connection.execute(_PUT_IMAGE, row)

    def touch_image(self, place: Place) -> None:
        """The file at `place` has another size or time, and the content it had."""
        row = {"root": place.root_id, "path": place.relpath, "size": place.size, "mtime_ns": place.mtime_ns}
        self._connection.execute(_TOUCH_IMAGE, row)

    def move_image(self, image: ImageAt, place: Place) -> None:
        """The image's file is now at `place`. If another image was there, the two change places."""
        there = self.image_at(place.root_id, place.relpath)
        if there is not None:
            # a name that no file can have, so that the two never collide
            self._connection.execute(_MOVE_IMAGE, {"image": there.id, "relpath": b"\0"})
        self._connection.execute(_MOVE_IMAGE, {"image": image.id, **place._asdict()})
        if there is not None:
            spot = {"root_id": image.root_id, "relpath": image.relpath}
            self._connection.execute(_MOVE_IMAGE, {"image": there.id, **spot})

    def remove_image(self, root_id: int, relpath: bytes) -> bool:
        """Remove the image at a place; returns whether it could be found by searches."""
        gone = self._connection.execute(_REMOVE_IMAGE, {"root": root_id, "path": relpath}).one_or_none()
        return gone is not None and gone.content_id is not None

    def remove_orphans(self) -> int:
        """Remove contents, with their embeddings, that no image has any more; returns how many."""
        return self._connection.execute(_REMOVE_ORPHANS).rowcount


# The statements that run once a photo, built once: building takes longer than running.
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
