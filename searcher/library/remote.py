"""A library in Milvus. It is searched, tagged and shown like one on this machine, and `searcher load` fills it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.errors import InvalidInput, SearcherError
from searcher.library.folders import FolderMethods
from searcher.library.labels import LabelMethods
from searcher.library.overview import OverviewMethods
from searcher.library.pictures import PictureMethods
from searcher.library.revision import Revision
from searcher.library.searching import SearchMethods
from searcher.library.tagging import TeachMethods
from searcher.progress import Progress

if TYPE_CHECKING:
    from searcher.catalog.rows import ModelRow, Photo
    from searcher.models.encoder import DualEncoder
    from searcher.scale.milvus.collection import MilvusCollection
    from searcher.tagger.by_hand import TagEdit
    from searcher.tagger.question import Question
    from searcher.tagger.run import TagReport
    from searcher.tagger.taught import Taught

STORED_SIZE = 256  # pixels of the longer side of the thumbnails that were loaded
LARGEST_FROM_STORED = 512  # larger pictures are drawn from the files: a page of small ones shall not read so many

_NEED_FOLDER = (FolderMethods, TeachMethods)
_COMMANDS = {
    "folders": "roots",
    "move_folder": "roots move",
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

    The methods of `Library` that need a folder on this machine raise InvalidInput.
    """

    has_folder = False

    def __init__(self, address: str, model: "str | Path | DualEncoder | None" = None) -> None:
        """address, model: see `Library.open`.

        Raises NotFound if nothing was loaded there, InvalidInput for a wrong address, Busy if the server does not
        answer, SearcherError if the extra `scale` is not installed.
        """
        self._milvus = _open(address)
        super().__init__(self._milvus.address)
        self._revision = Revision(lambda: self._milvus.revision)
        self._asked = model
        self._model: DualEncoder | None = None
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

    def _current(self) -> "ModelRow":
        return self._milvus.model

    def _encoder(self, row: "ModelRow | None") -> "DualEncoder":
        from searcher.scale.model import open_model

        with self._opening:
            if self._model is None:
                self._model = open_model(self._milvus.facts(), self._asked)
            return self._model

    def _records(self) -> "MilvusCollection":
        return self._milvus

    def _collection(self, row: "ModelRow") -> "MilvusCollection":
        return self._milvus

    def _bytes(self) -> None:
        return None

    # pictures

    def stored_thumbnail(self, digest: bytes, size: int = 256) -> bytes | None:
        small = self._milvus.stored_thumbnail(digest) if size <= LARGEST_FROM_STORED else None
        if small is None or size >= STORED_SIZE:
            return small
        from searcher.library.thumbnails import resized

        return resized(small, size, "WEBP")

    def _keep_thumbnail(self, digest: bytes, size: int, data: bytes) -> None:
        """Only those that are loaded with the photos are stored."""

    # labels

    def _tag(self, question: "Question", progress: Progress) -> "TagReport":
        from searcher.scale.milvus.answering import tag

        report = tag(self._milvus, self.model, question, progress)
        self._revision.look()
        return report

    def _preview_tags(self, question: "Question", progress: Progress) -> "Iterator[Photo]":
        from searcher.scale.milvus.answering import preview

        return preview(self._milvus, self.model, question, progress)

    def _untag(self, names: Sequence[str] | None, progress: Progress, dry_run: bool) -> int:
        from searcher.scale.milvus.answering import clear

        removed = clear(self._milvus, names, progress, dry_run=dry_run)
        self._revision.look()
        return removed

    def _images_at(self, paths: Sequence[str | Path]) -> list[int]:
        return self._milvus.images_at(paths)

    def _edit_tags(
        self, image_ids: Sequence[int], add: Sequence[str], remove: Sequence[str], dry_run: bool, progress: Progress
    ) -> "TagEdit":
        edit = self._milvus.edit_tags(image_ids, add, remove, dry_run=dry_run)
        self._revision.look()
        return edit

    def _taught(self, question: "Question") -> "Mapping[str, Taught]":
        return {}  # labels are taught in a library folder


def _open(address: str) -> "MilvusCollection":
    try:
        from searcher.scale.milvus.collection import MilvusCollection
    except ModuleNotFoundError as error:
        raise SearcherError(f"a library in Milvus needs {error.name}: run pip install 'searcher[scale]'") from error
    return MilvusCollection.open(address)
