"""Changes of roots, images and contents."""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from searcher.catalog.rows import UNREAD, Content, ImageAt, Place, Root, after_prefix
from searcher.catalog.schema import contents, embeddings, images, mounts, read_sidecars, roots, sidecars
from searcher.photos.rules import FolderOptions


class FileChanges:
    """Roots, images and contents."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # roots

    def add_root(self, path: bytes, whole: bool) -> Root:
        """Add a folder. One that is known stays as it is, except that `whole` can become true."""
        row = insert(roots).values(path=path, whole=whole)
        row = row.on_conflict_do_update(index_elements=["path"], set_={"whole": roots.c.whole | row.excluded.whole})
        found = self._connection.execute(row.returning(roots.c.id, roots.c.whole, roots.c.options)).one()
        return Root(found.id, path, bool(found.whole), FolderOptions.from_dict(json.loads(found.options)))

    def set_options(self, root_id: int, options: FolderOptions) -> None:
        """What the folder holds. The next index run adds and removes photos accordingly."""
        row = update(roots).where(roots.c.id == root_id)
        self._connection.execute(row.values(options=json.dumps(options.as_dict())))

    def move_root(self, root_id: int, path: bytes) -> None:
        """The same folder is now found at `path`. So are its photos, and the sidecars beside them."""
        here = select(roots.c.path).where(roots.c.id == root_id)
        start = self._connection.execute(here).scalar_one().rstrip(b"/") + b"/"
        inside = (sidecars.c.path >= start) & (sidecars.c.path < after_prefix(start))
        old = self._connection.execute(select(sidecars.c.path).where(inside)).scalars().all()
        new = path.rstrip(b"/") + b"/"
        if rows := [{"old": sidecar, "path": new + sidecar[len(start) :]} for sidecar in old]:
            self._connection.execute(_MOVE_SIDECAR, rows)
        self._connection.execute(update(roots).where(roots.c.id == root_id).values(path=path))

    def absorb_root(self, child: Root, parent: Root, prefix: bytes) -> None:
        """The images of `child`, which is at `prefix` inside `parent`, become the parent's."""
        # joined here: SQLite's || makes text of blobs, which names that are not UTF-8 do not survive
        inner = select(images.c.id, images.c.relpath).where(images.c.root_id == child.id)
        rows = [
            {"image": row.id, "root_id": parent.id, "relpath": prefix + row.relpath}
            for row in self._connection.execute(inner).all()
        ]
        if rows:
            # a place that the parent knows already keeps its image, which is the older one
            self._connection.execute(_MOVE_IMAGE.prefix_with("OR IGNORE"), rows)
        self._connection.execute(delete(images).where(images.c.root_id == child.id))
        disks = self._connection.execute(select(mounts.c.relpath).where(mounts.c.root_id == child.id)).scalars()
        self.add_mounts(parent.id, [prefix + relpath for relpath in disks.all()])
        self._connection.execute(delete(roots).where(roots.c.id == child.id))

    def add_mounts(self, root_id: int, relpaths: Iterable[bytes]) -> None:
        """Remember folders below a root where another disk is mounted."""
        if rows := [{"root_id": root_id, "relpath": relpath} for relpath in relpaths]:
            self._connection.execute(insert(mounts).on_conflict_do_nothing(), rows)

    def forget(self, root_id: int, prefix: bytes = b"") -> int:
        """Remove the images below `prefix` in a root, and without a prefix the root, too. Returns how many images."""
        chosen = images.c.root_id == root_id
        if prefix:
            inside = (images.c.relpath >= prefix) & (images.c.relpath < after_prefix(prefix))
            chosen &= inside | (images.c.relpath == prefix.rstrip(b"/"))
            inner = (mounts.c.relpath >= prefix) & (mounts.c.relpath < after_prefix(prefix))
            inner |= mounts.c.relpath == prefix.rstrip(b"/")
            self._connection.execute(delete(mounts).where(mounts.c.root_id == root_id, inner))
        count = self._connection.execute(delete(images).where(chosen)).rowcount
        if not prefix:
            self._connection.execute(delete(roots).where(roots.c.id == root_id))
        self.remove_orphans()
        return count

    # images and contents

    def add_content(self, content: Content, embedded: str = "{}") -> int:
        """The id of a content, which is added if it is not known yet. embedded: what its file says, as JSON."""
        self._connection.execute(_ADD_CONTENT, {**content._asdict(), "embedded": embedded})
        found: int = self._connection.execute(_CONTENT_ID, {"wanted": content.digest}).scalar_one()
        return found

    def put_image(self, place: Place, content_id: int | None, error: str | None = None) -> int:
        """The file at `place` has this content, or failed with `error`. Returns the image's id, which it keeps."""
        row = {**place._asdict(), "content_id": content_id, "error": error}
        image_id: int = self._connection.execute(_PUT_IMAGE, row).scalar_one()
        return image_id

    def touch_image(self, place: Place) -> None:
        """The file at `place` has another size or time, and the same content."""
        row = {"root": place.root_id, "path": place.relpath, "size": place.size, "mtime_ns": place.mtime_ns}
        self._connection.execute(_TOUCH_IMAGE, row)

    def move_image(self, image: ImageAt, place: Place) -> None:
        """The file of the image is now at `place`. If another image is there, the two change places.

        What was read from their sidecars is forgotten: they may have other ones there.
        """
        there = self._connection.execute(
            select(images.c.id).where(_HERE), {"root": place.root_id, "path": place.relpath}
        ).scalar_one_or_none()
        if there is not None:
            # a name that no file can have, so that the two never collide
            self._connection.execute(_MOVE_IMAGE, {"image": there, "relpath": b"\0"})
        self._connection.execute(_MOVE_IMAGE, {"image": image.id, **place._asdict()})
        if there is not None:
            old = {"root_id": image.root_id, "relpath": image.relpath}
            self._connection.execute(_MOVE_IMAGE, {"image": there, **old})
        self._connection.execute(_DROP_SIDECARS, {"one": image.id, "other": there})

    def remove_image(self, root_id: int, relpath: bytes) -> bool:
        """Remove the image at a place. Returns whether searches could find it."""
        gone = self._connection.execute(_REMOVE_IMAGE, {"root": root_id, "path": relpath}).one_or_none()
        return gone is not None and gone.content_id is not None

    def read_again(self, model_id: int) -> None:
        """Let the next index run read every image that has no embedding of a model."""
        found = exists().where(embeddings.c.content_id == images.c.content_id, embeddings.c.model_id == model_id)
        row = update(images).where(images.c.content_id.is_not(None), ~found)
        self._connection.execute(row.values(size=UNREAD, mtime_ns=UNREAD))

    def remove_orphans(self) -> int:
        """Remove the contents that no image has, with their embeddings. Returns how many."""
        return self._connection.execute(_REMOVE_ORPHANS).rowcount


# The statements that run once per photo, built once: building one takes longer than running it.
_HERE = (images.c.root_id == bindparam("root")) & (images.c.relpath == bindparam("path"))
_CONTENT_ID = select(contents.c.id).where(contents.c.digest == bindparam("wanted"))
_ADD_CONTENT = insert(contents).on_conflict_do_nothing()
_INSERT_IMAGE = insert(images)
_PUT_IMAGE = _INSERT_IMAGE.on_conflict_do_update(
    index_elements=["root_id", "relpath"],
    set_={key: _INSERT_IMAGE.excluded[key] for key in ("size", "mtime_ns", "content_id", "error")},
).returning(images.c.id)
_TOUCH_IMAGE = update(images).where(_HERE)
_MOVE_IMAGE = update(images).where(images.c.id == bindparam("image"))
_DROP_SIDECARS = delete(read_sidecars).where(read_sidecars.c.image_id.in_([bindparam("one"), bindparam("other")]))
_REMOVE_IMAGE = delete(images).where(_HERE).returning(images.c.content_id)
_MOVE_SIDECAR = update(sidecars).where(sidecars.c.path == bindparam("old")).prefix_with("OR REPLACE")
_REMOVE_ORPHANS = delete(contents).where(~exists().where(images.c.content_id == contents.c.id))
