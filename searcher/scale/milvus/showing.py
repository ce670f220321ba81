"""Photos of a library in Milvus, as hits and one at a time."""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from searcher.catalog.read.overview import ImageFile
from searcher.catalog.rows import Photo, PhotoTag
from searcher.errors import NotFound
from searcher.filters import EVERYTHING, Filter
from searcher.scale.milvus.connection import Row, literal
from searcher.scale.milvus.core import MilvusCore
from searcher.scale.milvus.filtering import folder_of, path_spellings
from searcher.scale.milvus.marks import read_marks, standing
from searcher.scale.milvus.rows import CONTENT_FIELDS, PHOTO_FIELDS, by_id, content_of, facts_of, photo_of
from searcher.scale.milvus.schema import thumbnails_of
from searcher.search.overview import PhotoDetails


class ShowMethods(MilvusCore):
    """Photos by their ids."""

    def photos(self, ids: Sequence[int], filter: Filter = EVERYTHING) -> dict[int, list[Photo]]:
        """id → the images with that content (copies of one photo), oldest first, without tags.

        `meant` says which copies are in the folders of `filter`, and have its name.
        """
        compiled = self._compile(filter)
        found: dict[int, list[Photo]] = {}
        for row in self._copies(ids, (*PHOTO_FIELDS, "folders")):
            found.setdefault(row["content"], []).append(photo_of(row, compiled.is_meant(row)))
        return found

    def tags(self, image_ids: Iterable[int]) -> dict[int, list[PhotoTag]]:
        """image id → its tags, most probable first. An image without tags is left out."""
        found = {row["id"]: standing(read_marks(row["marks"])) for row in self._of_images(image_ids, ("marks",))}
        return {id: tags for id, tags in found.items() if tags}

    def image_files(self, image_ids: Iterable[int]) -> dict[int, ImageFile]:
        """image id → what and where it is. Unknown ids are left out."""
        found = {}
        for row in self._of_images(image_ids, PHOTO_FIELDS):
            facts = facts_of(row)
            size = facts.get("size", 0)
            found[row["id"]] = ImageFile(photo_of(row), facts.get("width", 0), facts.get("height", 0), size)
        return found

    def with_copies(self, image_ids: Iterable[int]) -> list[Photo]:
        """These images and all others with the same contents, ascending by id. Unknown ids are left out."""
        contents = {row["content"] for row in self._of_images(image_ids, ("content",))}
        return [photo_of(row) for row in self._copies(sorted(contents), PHOTO_FIELDS)]

    def details(self, image_id: int) -> PhotoDetails | None:
        """Everything that is known about an image, None for an unknown id."""
        own = self._of_images([image_id], ("content",))
        if not own:
            return None
        rows = self._copies([own[0]["content"]], (*CONTENT_FIELDS, "marks"))
        photos = [photo_of(row)._replace(tags=tuple(standing(read_marks(row["marks"])))) for row in rows]
        (photo,) = (each for each in photos if each.id == image_id)
        (row,) = (each for each in rows if each["id"] == image_id)
        return PhotoDetails(photo, content_of(row), tuple(each for each in photos if each.id != image_id))

    def digest(self, image_id: int) -> bytes | None:
        """The digest of the content of an image, None for an unknown id."""
        rows = self._of_images([image_id], ("digest",))
        return bytes.fromhex(rows[0]["digest"]) if rows else None

    def stored_thumbnail(self, digest: bytes) -> bytes | None:
        """The WebP file of a content that was loaded with it, None without one."""
        collection = thumbnails_of(self._images)
        rows = self._connection.query(collection, f"digest == {literal(digest.hex())}", ["picture"])
        return base64.b64decode(rows[0]["picture"]) if rows else None

    def images_at(self, paths: Sequence[str | Path]) -> list[int]:
        """The ids of the images at paths or URIs. Raises NotFound if one of them is not a photo of the library."""
        ids = []
        for path in paths:
            found = [row["id"] for spelled in path_spellings(str(path)) for row in self._at(spelled)]
            if not found:
                raise NotFound(f"not a photo of the library: {path}; `searcher load` adds photos")
            ids.append(int(found[0]))
        return ids

    def _at(self, path: str) -> list[Row]:
        """The row of a path, found by what is indexed: its folder."""
        inside = f"ARRAY_CONTAINS(folders, {literal(folder_of(path.encode()))})"
        expression = f"{inside} and path == {literal(path)}"
        return self._connection.query(self._images, expression, ["id"])

    def _of_images(self, image_ids: Iterable[int], fields: Sequence[str]) -> list[Row]:
        ids = sorted({int(id) for id in image_ids})
        return by_id(self._connection.query_in(self._images, "id", ids, ["id", *fields]))

    def _copies(self, contents: Sequence[int], fields: Sequence[str]) -> list[Row]:
        """All rows with these contents, by id."""
        ids = sorted({int(id) for id in contents})
        return by_id(self._connection.query_in(self._images, "content", ids, ["id", *fields]))
