"""The application: routes, errors, static files."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from searcher import __version__
from searcher.errors import Busy, InvalidInput, NotFound, SearcherError
from searcher.library import Library
from searcher.web.api import ROUTERS
from searcher.web.jobs import Jobs
from searcher.web.libraries import Libraries

_CODES: dict[type[SearcherError], int] = {NotFound: 404, InvalidInput: 400, Busy: 409}


def create_app(libraries: Mapping[str, Library]) -> FastAPI:
    """An ASGI application that serves these libraries under their names."""
    app = FastAPI(title="searcher", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.libraries = Libraries(libraries)
    app.state.jobs = Jobs()
    for router in ROUTERS:
        app.include_router(router, prefix="/api")
    app.add_exception_handler(SearcherError, _explain)
    return app


def _explain(request: Request, error: Exception) -> JSONResponse:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": str(error)}, code)
