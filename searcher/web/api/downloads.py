"""Photos as one zip file."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from searcher.web.downloads import Downloads, zip_photos
from searcher.web.ids import SomeIds
from searcher.web.libraries import ChosenLibrary

router = APIRouter(tags=["photos"])


class Photos(BaseModel):
    """Photos of the library."""

    ids: SomeIds


class Link(BaseModel):
    """Where something is, relative to the address of the page."""

    url: str


@router.post("/downloads")
def ask(library: ChosenLibrary, request: Request, photos: Photos) -> Link:
    """Make a link to a zip file of these photos. It can be opened for ten minutes, and needs no header."""
    downloads: Downloads = request.app.state.downloads
    return Link(url=f"api/downloads/{downloads.add(library, photos.ids)}")


@router.get(
    "/downloads/{key}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "A zip file, without compression."}},
)
def download(request: Request, key: Annotated[str, Path(max_length=100)]) -> StreamingResponse:
    """A zip file of the photos that were asked for. Those whose files are missing are listed in a text file in it."""
    downloads: Downloads = request.app.state.downloads
    wanted = downloads.get(key)
    name = f"photos {date.today().isoformat()}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(zip_photos(wanted.library, wanted.ids), media_type="application/zip", headers=headers)
