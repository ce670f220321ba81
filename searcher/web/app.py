"""The application: routes, errors, the description of the API."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from searcher import __version__
from searcher.errors import Busy, InvalidInput, NotFound, SearcherError
from searcher.library import Library, usable_cores
from searcher.web import pages
from searcher.web.api import ROUTERS
from searcher.web.asking import Rankings
from searcher.web.downloads import Downloads
from searcher.web.jobs import Jobs
from searcher.web.lanes import Lanes, TooMany
from searcher.web.libraries import Libraries
from searcher.web.reasons import wrong_value
from searcher.web.security import Access, Gate
from searcher.web.thumbnails import FromMemory, SentThumbnails
from searcher.web.uploads import Uploads

log = logging.getLogger(__name__)

_CODES: dict[type[SearcherError], int] = {NotFound: 404, InvalidInput: 400, Busy: 409, TooMany: 503}
JOB_SECONDS = 5.0
"""The most time that a job gets to commit what it has done when the server ends."""


class Error(BaseModel):
    """Why a request was not answered: one line."""

    error: str


def create_app(libraries: Mapping[str, Library], access: Access | None = None) -> FastAPI:
    """An ASGI application that serves these libraries under their names. access: by default, who is on this machine."""
    access = access or Access()
    app = FastAPI(
        title="searcher",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
        lifespan=_running,
        responses={code: {"model": Error} for code in (400, 401, 403, 404, 405, 409, 503)},
    )
    app.state.access = access
    app.state.libraries = Libraries(libraries)
    app.state.closing = asyncio.Event()  # set when the server is to end: streams end then
    app.state.uploads, app.state.rankings, app.state.thumbnails = Uploads(), Rankings(), SentThumbnails()
    app.state.lanes = Lanes(usable_cores())
    app.state.jobs, app.state.downloads = Jobs(), Downloads()
    for router in ROUTERS:
        app.include_router(router, prefix="/api")
    app.include_router(pages.router)
    app.add_exception_handler(SearcherError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_validation)
    app.add_exception_handler(HTTPException, _explain_http)
    app.add_middleware(FromMemory, kept=app.state.thumbnails, libraries=app.state.libraries)
    app.add_middleware(Gate, access=access)  # the last one is the first to see a request
    _describe(app)
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    finally:
        app.state.lanes.close()
        app.state.jobs.close()
        app.state.jobs.join(JOB_SECONDS)
        app.state.lanes, app.state.jobs = Lanes(usable_cores()), Jobs()  # for an application that is started again


def _explain(request: Request, error: Exception) -> JSONResponse:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), 500)
    if code == 500:
        log.error("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"error": " ".join(str(error).split())}, code)


def _explain_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": wrong_value(error.errors()[0])}, 400)


def _explain_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _describe(app: FastAPI) -> None:
    """Describe errors as they are: a wrong value is answered with 400, and never with 422 as FastAPI would."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = plain()
            for path in described["paths"].values():
                for operation in path.values():
                    operation.get("responses", {}).pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                described.get("components", {}).get("schemas", {}).pop(name, None)
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]
