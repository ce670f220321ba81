"""The endpoints of the HTTP API. They are plain functions on Library, which run in threads."""

from fastapi import APIRouter

from searcher.web.api import images, library, search

ROUTERS: tuple[APIRouter, ...] = (library.router, search.router, images.router)
