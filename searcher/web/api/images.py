"""One photo: what is known about it, and its pictures in several sizes."""

import os
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from searcher.errors import NotFound
from searcher.filters.uri import is_uri
from searcher.library import Library
from searcher.web.lanes import Lanes
from searcher.web.libraries import ChosenLibrary
from searcher.web.texts import shown
from searcher.web.thumbnails import CACHE_CONTROL, SentThumbnail

if TYPE_CHECKING:
    from searcher.library import Photo, PhotoDetails

router = APIRouter(tags=["photos"])

ImageId = Annotated[int, Path(ge=1, lt=2**63)]

# The formats that browsers show, and that have no code in them. All others are only downloaded.
_SHOWN = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
_FILE = {"content": {kind: {} for kind in ("application/octet-stream", *_SHOWN.values())}, "description": "The file."}
_PICTURE = {"content": {"image/webp": {}}, "description": "The picture."}


class Size(IntEnum):
    """Pixels of the longer side of a thumbnail."""

    TINY = 128
    SMALL = 256
    MEDIUM = 512
    LARGE = 1024


class Tag(BaseModel):
    """A label of a photo, and where it comes from."""

    label: str
    source: str
    probability: float


class Copy(BaseModel):
    """Another file with the same content."""

    id: int
    path: str


class Details(BaseModel):
    """What is known about a photo. missing: whether no file with its content is there now."""

    id: int
    name: str
    path: str
    folder: str
    width: int
    height: int
    bytes: int | None
    format: str
    taken_at: str | None
    camera: str | None
    lens: str | None
    latitude: float | None
    longitude: float | None
    rating: int | None
    description: str | None
    tags: list[Tag]
    copies: list[Copy]
    missing: bool


@router.get("/images/{id}")
async def image(request: Request, library: ChosenLibrary, id: ImageId) -> Details:
    """Everything that is known about a photo."""
    lanes: Lanes = request.app.state.lanes
    return await lanes.read.run(lambda: _details(library, id))


@router.get("/images/{id}/thumbnail", response_class=Response, responses={200: _PICTURE, 304: {}})
async def thumbnail(request: Request, library: ChosenLibrary, id: ImageId, size: Size = Size.SMALL) -> Response:
    """A small picture: WebP, its longer side `size` pixels at most."""
    state = request.app.state
    key = state.thumbnails.key(library, id, size)
    sent = state.thumbnails.get(key)
    if sent is None:
        digest, data = await state.lanes.read.run(lambda: _stored(library, id, size))
        if data is None:
            data = await state.lanes.decode.run(lambda: library.thumbnail(id, size))
        sent = SentThumbnail(f'"{digest.hex()}-{size:d}"', data)
        state.thumbnails.keep(key, sent)
    headers = {"ETag": sent.etag, "Cache-Control": CACHE_CONTROL}
    if request.headers.get("if-none-match") == sent.etag:
        return Response(status_code=304, headers=headers)
    return Response(sent.data, headers=headers, media_type="image/webp")


@router.get("/images/{id}/preview", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}, 304: {}})
async def preview(request: Request, library: ChosenLibrary, id: ImageId) -> Response:
    """A picture that every browser shows, whatever the format of the file: its longer side 2048 pixels at most."""
    lanes: Lanes = request.app.state.lanes
    digest = await lanes.read.run(lambda: library.digest(id))
    headers = {"ETag": f'"{digest.hex()}-preview"', "Cache-Control": CACHE_CONTROL}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    data = await lanes.decode.run(lambda: library.preview(id))
    return Response(data, headers=headers, media_type="image/jpeg")


@router.get(
    "/images/{id}/original",
    response_class=Response,
    responses={200: _FILE, 206: _FILE, 304: {}, 416: {}},
)
async def original(
    request: Request, library: ChosenLibrary, id: ImageId, download: Annotated[bool, Query()] = False
) -> Response:
    """The file itself. With `download`, or if browsers cannot show its format, it is to be stored."""
    lanes: Lanes = request.app.state.lanes
    details, path = await lanes.read.run(lambda: _file(library, id))
    kind = None if download else _SHOWN.get(details.content.format)
    disposition, headers = "inline" if kind else "attachment", {"Cache-Control": "private, no-cache"}
    media_type = kind or "application/octet-stream"
    name = shown(os.path.basename(path))  # noqa: PTH119
    if is_uri(path):
        data = await lanes.decode.run(lambda: library.content(id))
        headers["Content-Disposition"] = f"{disposition}; filename*=utf-8''{quote(name, safe='')}"
        return Response(data, media_type=media_type, headers=headers)
    return FileResponse(
        path, media_type=media_type, filename=name, content_disposition_type=disposition, headers=headers
    )


def _stored(library: Library, id: int, size: int) -> tuple[bytes, bytes | None]:
    digest = library.digest(id)
    return digest, library.stored_thumbnail(digest, size)


def _file(library: Library, id: int) -> "tuple[PhotoDetails, str]":
    """A photo, and the path of the first of its files that is there, or that may be there if it is a URI."""
    details = library.photo(id)
    for photo in (details.photo, *details.copies):
        if is_uri(photo.path) or os.path.isfile(photo.path_bytes):  # noqa: PTH113
            return details, photo.path
    raise NotFound(f"the file is not there now: {shown(details.photo.path)}")


def _details(library: Library, id: int) -> Details:
    details = library.photo(id)
    photo, content = details.photo, details.content
    files = (photo, *details.copies)
    size = next((size for size in map(_size, files) if size is not None), None)
    elsewhere = size is None and any(is_uri(each.path) for each in files)
    if elsewhere:
        size = next((file.bytes for file in library.image_files([id]).values()), None)
    folder, name = os.path.split(photo.path)
    return Details(
        id=photo.id,
        name=shown(name),
        path=shown(photo.path),
        folder=shown(folder),
        width=content.width,
        height=content.height,
        bytes=size,
        format=content.format,
        taken_at=content.taken_at,
        camera=content.camera,
        lens=content.lens,
        latitude=content.latitude,
        longitude=content.longitude,
        rating=content.rating,
        description=content.description,
        tags=[Tag(label=tag.label, source=tag.source, probability=tag.probability) for tag in photo.tags],
        copies=[Copy(id=copy.id, path=shown(copy.path)) for copy in details.copies],
        missing=size is None and not elsewhere,
    )


def _size(photo: "Photo") -> int | None:
    try:
        return os.stat(photo.path_bytes).st_size  # noqa: PTH116
    except OSError:
        return None
