"""Library: everything that a user can do with one library. Safe to share by threads."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from searcher.errors import InvalidInput
from searcher.library.folders import FolderMethods
from searcher.library.labels import LabelMethods
from searcher.library.location import default_library_dir
from searcher.library.overview import OverviewMethods
from searcher.library.pictures import PictureMethods
from searcher.library.searching import SearchMethods
from searcher.library.tagging import TeachMethods

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder


class Library(FolderMethods, TeachMethods, SearchMethods, PictureMethods, LabelMethods, OverviewMethods):
    """One library on disk. Use it as a context manager, or call `close`. Threads may share it.

    Methods raise SearcherError (see `searcher.errors`) with one line for the user.
    """

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        model: "str | Path | DualEncoder | None" = None,
        create: bool = False,
    ) -> Self:
        """The library in the folder `path`, by default the one of `default_library_dir`.

        model: a name or a folder; by default the model that the library remembers, and the built-in model for a new
        library. With `create`, a library that does not exist yet is made by its first `index`. Without it, NotFound.
        Raises InvalidInput if `path` is a file.
        """
        folder = default_library_dir() if path is None else Path(os.path.expanduser(path))
        if folder.is_file():
            raise InvalidInput(f"{folder} is a file: name a folder for the library")
        library = cls(folder.absolute(), model)
        if not create:
            with library._catalog.read():
                pass
        return library
