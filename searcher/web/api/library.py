"""What is served: the libraries."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

router = APIRouter(tags=["library"])


class NamedLibrary(BaseModel):
    """A library under the name that requests give."""

    name: str
    folder: str = Field(description="Where it is: a folder, or the address of a Milvus collection.")


@router.get("/libraries")
def libraries(request: Request) -> list[NamedLibrary]:
    """The libraries that are served. The first one answers requests that name none."""
    served = request.app.state.libraries.by_name
    return [NamedLibrary(name=name, folder=library.location) for name, library in served.items()]
