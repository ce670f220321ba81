"""The endpoints of the HTTP API. They are plain functions on Library, which run in threads."""

from fastapi import APIRouter

from searcher.web.api import (
    browse,
    downloads,
    duplicates,
    images,
    indexing,
    labels,
    library,
    reveal,
    search,
    status,
    tags,
)

ROUTERS: tuple[APIRouter, ...] = (
    library.router,
    search.router,
    images.router,
    status.router,
    browse.router,
    labels.router,
    tags.router,
    duplicates.router,
    indexing.router,
    downloads.router,
    reveal.router,
)
