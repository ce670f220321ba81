"""The libraries that are served, and the one that a request means."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Query, Request

from searcher.errors import NotFound
from searcher.library import Library


class Libraries:
    """Open libraries by the name that requests give. The first one answers requests that give none."""

    def __init__(self, libraries: Mapping[str, Library]) -> None:
        self.by_name = dict(libraries)

    def named(self, name: str | None) -> Library:
        """Raises NotFound for an unknown name."""
        if name is None:
            return next(iter(self.by_name.values()))
        if name not in self.by_name:
            raise NotFound(f"no library {name!r} is served: there are {', '.join(self.by_name)}")
        return self.by_name[name]


async def _chosen(
    request: Request, library: Annotated[str | None, Query(description="A name from /api/libraries.")] = None
) -> Library:
    libraries: Libraries = request.app.state.libraries
    return libraries.named(library)


ChosenLibrary = Annotated[Library, Depends(_chosen)]
"""The parameter of an endpoint that answers for one library."""
