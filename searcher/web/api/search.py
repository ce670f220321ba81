"""Searches: by text, by picture, by filter, or all photos by time."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ValidationError

from searcher.errors import InvalidInput
from searcher.library import Library
from searcher.web.asking import SearchParameters
from searcher.web.lanes import Lanes
from searcher.web.libraries import ChosenLibrary
from searcher.web.reasons import wrong_value
from searcher.web.texts import shown
from searcher.web.uploads import read_form

if TYPE_CHECKING:
    from searcher.library import Hit

router = APIRouter(tags=["search"])


class Found(BaseModel):
    """One photo that was found. width, height: as it is seen."""

    rank: int
    id: int
    name: str
    path: str
    width: int
    height: int
    score: float
    relevance: float | None
    taken_at: str | None
    tags: list[str]
    copies: list[str]


class Page(BaseModel):
    """A part of the hits.

    total: how many hits can be had. likely: how many of them are likely to show what was described; these come first.
    None without a description. likely_exact: False if there may be more.
    """

    hits: list[Found]
    total: int
    likely: int | None
    likely_exact: bool
    offset: int
    notices: list[str]
    nothing_fits: bool
    seconds: float


class UploadPage(Page):
    """A part of the hits, and what stands for the picture in further searches: like=upload:KEY."""

    upload: str


@router.get("/search", response_model=Page)
async def search(request: Request, library: ChosenLibrary, asked: Annotated[SearchParameters, Query()]) -> Response:
    """The photos that fit best, best first; with filters alone, or without anything, all of them by time."""
    lanes: Lanes = request.app.state.lanes
    return json_answer(await lanes.search.run(lambda: json.dumps(_answer(request, library, asked))))


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"picture": {"type": "string", "format": "binary"}},
                    "required": ["picture"],
                }
            }
        },
    }
}


@router.post("/search", response_model=UploadPage, openapi_extra=_FORM, responses={408: {}, 413: {}})
async def search_with_picture(request: Request, library: ChosenLibrary) -> Response:
    """Photos that look like a picture (the field `picture`). The other fields are the parameters of GET."""
    picture, fields = await read_form(request)
    if picture is None:
        raise InvalidInput("the field `picture` is missing: choose a picture")
    asked = _parameters(fields)
    state = request.app.state
    embedded = await state.lanes.uploads.run(lambda: library.embed(picture))
    key = state.uploads.keep(embedded)
    page = await state.lanes.search.run(lambda: _answer(request, library, asked, key))
    return json_answer(json.dumps(page | {"upload": key}))


def json_answer(text: str) -> Response:
    """An answer that was made in a thread: FastAPI would check it again, which takes longer than most searches."""
    return Response(text, media_type="application/json")


def _parameters(fields: dict[str, list[str]]) -> SearchParameters:
    repeated = {field.alias or name for name, field in SearchParameters.model_fields.items() if field.default == []}
    try:
        return SearchParameters.model_validate(
            {name: values if name in repeated else values[-1] for name, values in fields.items()}
        )
    except ValidationError as error:
        raise InvalidInput(wrong_value(error.errors()[0])) from None


def _answer(request: Request, library: Library, asked: SearchParameters, picture: str | None = None) -> dict[str, Any]:
    """A Page. It is no model: checking what is right takes longer than looking it up."""
    started = time.perf_counter()
    state = request.app.state
    ranking = state.rankings.get(library, asked, state.uploads, picture)
    hits = library.page(ranking, asked.offset, asked.limit)
    return {
        "hits": [_shown(hit) for hit in hits],
        "total": len(ranking),
        "likely": ranking.likely,
        "likely_exact": ranking.likely_exact,
        "offset": asked.offset,
        "notices": list(hits.notices),
        "nothing_fits": hits.nothing_fits,
        "seconds": round(time.perf_counter() - started, 4),
    }


def _shown(hit: "Hit") -> dict[str, Any]:
    path = shown(hit.path)
    found = hit.as_dict() | {"name": path.rpartition("/")[2], "width": hit.width, "height": hit.height}
    return found | {"path": path, "copies": [shown(copy) for copy in hit.copies]}
