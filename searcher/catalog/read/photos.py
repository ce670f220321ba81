"""What is shown of photos: hits, one photo, a page of the library, its timeline."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from searcher.catalog.filtering import STANDS, compile_place
from searcher.catalog.read.queries import IN_LIST, PHOTO, Queries, in_list
from searcher.catalog.rows import Content, ModelRow, Photo, PhotoTag
from searcher.filters import EVERYTHING, Filter

Order = Literal["newest", "oldest", "probability"]

_ORDERS = {
    # photos without a date come last in both orders
    "newest": "c.taken_at IS NULL, c.taken_at DESC, e.id DESC",
    "oldest": "c.taken_at IS NULL, c.taken_at, e.id",
    "probability": "f.probability DESC, e.id",
}
_PHOTO_TABLES = "images i JOIN contents c ON c.id = i.content_id JOIN roots r ON r.id = i.root_id"


class Month(NamedTuple):
    """How many photos were taken in a month ("2023-06"), or have no date (None)."""

    month: str | None
    photos: int


class Photos(Queries):
    """Photos by the ids of their embeddings, images or contents."""

    def of_embeddings(self, ids: Iterable[int], filter: Filter = EVERYTHING) -> dict[int, list[Photo]]:
        """embedding id → the images with its content (copies of one photo), oldest first. Unknown ids are left out.

        `meant` says which copies are in the folders of `filter`, and have its name.
        """
        condition, parameters = compile_place(filter, self._parts(filter))
        sql = (
            f"SELECT e.id, {condition}, {PHOTO} FROM embeddings e JOIN {_PHOTO_TABLES} "
            f"WHERE i.content_id = e.content_id AND e.id IN {IN_LIST} ORDER BY i.id"
        )
        found: dict[int, list[Photo]] = {}
        for id, meant, *row in self._rows(sql, *parameters, in_list(ids)):
            found.setdefault(id, []).append(Photo(*row)._replace(meant=bool(meant)))
        return found

    def of_contents(self, ids: Iterable[int]) -> list[Photo]:
        """The images with these contents, ascending by id."""
        sql = f"SELECT {PHOTO} FROM {_PHOTO_TABLES} WHERE i.content_id IN {IN_LIST} ORDER BY i.id"
        return [Photo(*row) for row in self._rows(sql, in_list(ids))]

    def with_copies(self, image_ids: Iterable[int]) -> list[Photo]:
        """These images and all others with the same contents, ascending by id. Unknown ids are left out."""
        chosen = f"SELECT content_id FROM images WHERE id IN {IN_LIST}"
        sql = f"SELECT {PHOTO} FROM {_PHOTO_TABLES} WHERE i.content_id IN ({chosen}) ORDER BY i.id"
        return [Photo(*row) for row in self._rows(sql, in_list(image_ids))]

    def after(self, image_id: int, limit: int) -> list[Photo]:
        """Up to `limit` images that can be found, with ids greater than `image_id`, ascending."""
        sql = f"SELECT {PHOTO} FROM {_PHOTO_TABLES} WHERE i.id > ? ORDER BY i.id LIMIT ?"
        return [Photo(*row) for row in self._rows(sql, image_id, limit)]

    def one(self, image_id: int) -> Photo | None:
        """The image with this id, None if there is none that can be found."""
        row = self._row(f"SELECT {PHOTO} FROM {_PHOTO_TABLES} WHERE i.id = ?", image_id)
        return None if row is None else Photo(*row)

    def digest(self, image_id: int) -> bytes | None:
        """The digest of the content of an image, None if there is no such image that can be found."""
        sql = "SELECT c.digest FROM images i JOIN contents c ON c.id = i.content_id WHERE i.id = ?"
        row = self._row(sql, image_id)
        return None if row is None else row[0]

    def content(self, content_id: int) -> Content:
        """What the file says, by the id of its content."""
        columns = ", ".join(Content._fields)
        return Content(*self._row(f"SELECT {columns} FROM contents WHERE id = ?", content_id))

    def tags(self, image_ids: Iterable[int]) -> dict[int, list[PhotoTag]]:
        """image id → its tags, most probable first. An image without tags is left out."""
        sql = (
            "SELECT t.image_id, l.name, t.source, t.p FROM ("
            "SELECT image_id, label_id, source, coalesce(probability, 1) AS p FROM tags t "
            f"WHERE image_id IN {IN_LIST} AND {STANDS} UNION ALL "
            "SELECT i.id, c.label_id, c.source, c.probability FROM images i "
            f"JOIN content_tags c ON c.content_id = i.content_id WHERE i.id IN {IN_LIST}) t "
            "JOIN labels l ON l.id = t.label_id ORDER BY t.p DESC, l.name, t.source"
        )
        wanted = in_list(image_ids)
        found: dict[int, list[PhotoTag]] = {}
        for image_id, label, source, probability in self._rows(sql, wanted, wanted):
            found.setdefault(image_id, []).append(PhotoTag(label, source, probability))
        return found

    def browse(
        self, model: ModelRow, filter: Filter = EVERYTHING, order: Order = "newest", offset: int = 0, limit: int = 100
    ) -> list[tuple[int, float]]:
        """One page of the photos that meet `filter`: embedding ids and the least probability of the tags asked for."""
        matching, parameters = self._compiled(filter)
        # CROSS: the few contents that meet a filter first, and not all embeddings
        sql = (
            f"SELECT e.id, f.probability FROM ({matching}) f CROSS JOIN contents c ON c.id = f.content_id "
            "CROSS JOIN embeddings e ON e.content_id = f.content_id AND e.model_id = ? "
            f"ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?"
        )
        return self._rows(sql, *parameters, model.id, limit, offset)

    def timeline(self, filter: Filter = EVERYTHING) -> list[Month]:
        """How many photos that meet `filter` were taken in each month, newest first; those without a date last."""
        matching, parameters = self._compiled(filter)
        sql = (
            f"SELECT substr(c.taken_at, 1, 7) AS month, count(*) FROM ({matching}) f "
            "JOIN contents c ON c.id = f.content_id GROUP BY month ORDER BY month IS NULL, month DESC"
        )
        return [Month(*row) for row in self._rows(sql, *parameters)]
