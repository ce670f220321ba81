"""What is served: the libraries."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

router = APIRouter(tags=["library"])


class NamedLibrary(BaseModel):
    """A library under the name that requests give."""

    name: str
    folder: str


@router.get("/libraries")
def libraries(request: Request) -> list[NamedLibrary]:
    """The libraries that are served. The first one answers requests that name none."""
    served = request.app.state.libraries.by_name
    return [NamedLibrary(name=name, folder=str(library.folder)) for name, library in served.items()]
