"""Pictures that people search with: read from a request, and kept as embeddings, never as files."""

import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from searcher.errors import InvalidInput, NotFound
from searcher.web.security import MAX_UPLOAD_BYTES

if TYPE_CHECKING:
    from searcher.library import Embedded

MOST_KEPT = 200
MOST_FIELDS = 300
MAX_FIELD_BYTES = 4096


class Uploads:
    """The embeddings of the last MOST_KEPT pictures, under keys that nobody can guess."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Embedded] = OrderedDict()

    def keep(self, picture: "Embedded") -> str:
        """Keep a picture. Returns its key."""
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[key] = picture
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return key

    def get(self, key: str) -> "Embedded":
        """The picture under a key. Raises NotFound if it is no longer kept."""
        with self._lock:
            if key not in self._kept:
                raise NotFound("the picture is gone: choose it again")
            self._kept.move_to_end(key)
            return self._kept[key]


class _InMemory(MultiPartParser):
    spool_max_size = MAX_UPLOAD_BYTES + 1  # larger ones would be written to the disk, and there are none


async def read_form(request: Request) -> tuple[bytes | None, dict[str, list[str]]]:
    """The picture of a multipart request, None if there is none, and its other fields. Raises InvalidInput."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidInput("send the picture as multipart/form-data, in the field `picture`")
    parser = _InMemory(
        request.headers, request.stream(), max_files=1, max_fields=MOST_FIELDS, max_part_size=MAX_FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidInput(f"the form cannot be read: {error.message}") from None
    picture: bytes | None = None
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name == "picture":
                picture = await value.read()
            await value.close()
        else:
            fields.setdefault(name, []).append(value)
    return picture, fields
