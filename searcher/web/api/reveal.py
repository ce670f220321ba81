"""A photo in the file manager of this machine."""

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from searcher.web.api.images import ImageId
from searcher.web.libraries import ChosenLibrary
from searcher.web.reveal import reveal
from searcher.web.security import Access
from searcher.web.texts import shown

router = APIRouter(tags=["photos"])


class Revealed(BaseModel):
    """The file that is shown."""

    path: str


@router.post("/images/{id}/reveal")
def reveal_image(library: ChosenLibrary, request: Request, id: ImageId) -> Revealed:
    """Open the file manager at the file of a photo. Only for the page on the machine where searcher runs."""
    access: Access = request.app.state.access
    if not access.is_local(request.headers):
        raise HTTPException(
            403, "searcher runs on another machine, so its file manager cannot be opened: copy the path"
        )
    path = library.photo(id).photo.path
    reveal(path)
    return Revealed(path=shown(path))
