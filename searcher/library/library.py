"""Library: everything that a user can do with one library. Safe to share by threads."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from searcher.errors import InvalidInput
from searcher.library.folders import FolderMethods
from searcher.library.labels import LabelMethods
from searcher.library.location import default_library, is_address
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
        """The library in the folder `path`, or at the address of a Milvus collection: "milvus://host:19530/photos".

        Without `path` it is the one of `default_library`. model: a name or a folder; by default the model that the
        library remembers, and the built-in model for a new library. With `create`, a library that does not exist yet is
        made by its first `index`. Without it, NotFound. Raises InvalidInput if `path` is a file.

        A library in Milvus is a RemoteLibrary: it searches, tags and shows photos. Methods that need a folder raise
        InvalidInput.
        """
        place = default_library() if path is None else path
        if is_address(place):
            from searcher.library.remote import RemoteLibrary

            # not a subclass, but it answers all methods, those that it does not have with an error
            return cast(Self, RemoteLibrary(str(place), model))
        folder = Path(os.path.expanduser(place))
        if folder.is_file():
            raise InvalidInput(f"{folder} is a file: name a folder for the library")
        library = cls(folder.absolute(), model)
        if not create:
            with library._catalog.read():
                pass
        return library
