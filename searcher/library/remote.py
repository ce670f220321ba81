"""A library in Milvus: it is searched, tagged and shown as one on this machine. Other programs fill it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters.uris import is_uri
from searcher.library.folders import FolderMethods
from searcher.library.labels import LabelMethods
from searcher.library.overview import OverviewMethods
from searcher.library.pictures import PictureMethods
from searcher.library.revision import Revision
from searcher.library.searching import SearchMethods
from searcher.library.tagging import TeachMethods
from searcher.library.thumbnails import resized

if TYPE_CHECKING:
    from searcher.catalog.rows import ModelRow, Photo
    from searcher.models.encoder import DualEncoder
    from searcher.scale.milvus.collection import MilvusCollection
    from searcher.tagger.by_hand import TagEdit
    from searcher.tagger.question import Question
    from searcher.tagger.run import TagReport
    from searcher.tagger.taught import Taught

THUMBNAIL_SIZE = 256  # pixels of the longer side of those that are stored with the photos

_NEED_FOLDER = (FolderMethods, TeachMethods)
_COMMANDS = {
    "folders": "roots",
    "move_folder": "roots --moved",
    "failures": "status --failed",
    "taught_with": "teach",
    "forget_label": "teach --forget",
    "tag_new": "index",
    "write_sidecars": "tag --xmp",
    "write_labels": "tag --xmp",
}
"""Method → the command that calls it, if it has another name."""


class RemoteLibrary(SearchMethods, PictureMethods, LabelMethods, OverviewMethods):
    """A library in Milvus. Use it as a context manager, or call `close`. Threads may share it.

    Every method of `Library` that needs a folder on this machine raises InvalidInput.
    """

    has_folder = False

    def __init__(self, address: str, model: "str | Path | DualEncoder | None" = None) -> None:
        """Raises NotFound if nothing was loaded there, InvalidInput for a wrong address, Busy if no server answers."""
        from searcher.scale.milvus.collection import MilvusCollection

        self._milvus: MilvusCollection = MilvusCollection.open(address)
        super().__init__(self._milvus.address)
        self._revision = Revision(lambda: self._milvus.revision)
        self._asked = model
        self._open: DualEncoder | None = None
        self._opening = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and any(hasattr(methods, name) for methods in _NEED_FOLDER):
            command = _COMMANDS.get(name, name)
            raise InvalidInput(f"{self.location} is a Milvus collection: `searcher {command}` needs a library folder")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def close(self) -> None:
        self._milvus.close()

    @property
    def exists(self) -> bool:
        return True

    @property
    def revision(self) -> str:
        return self._revision.text()
