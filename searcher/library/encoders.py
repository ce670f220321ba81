"""Which model belongs to a library: the one that the user asked for, or the one that made the embeddings."""

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog import Catalog
from searcher.catalog.rows import ModelRow
from searcher.errors import InvalidInput, NotFound, SearcherError

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder

log = logging.getLogger(__name__)


class Encoders:
    """The models of one library, opened when they are first used. Safe to share by threads.

    asked: the model that the user asked for: a name, a folder, an open model, or None.
    """

    def __init__(self, catalog: Catalog, asked: "str | Path | DualEncoder | None") -> None:
        self._catalog, self._asked = catalog, asked
        self._lock = threading.Lock()
        self._asked_open: DualEncoder | None = None  # what `asked` names, as it was opened
        self._open: DualEncoder | None = None  # the model of the library, in the precision that it needs

    def of(self, row: ModelRow | None) -> "DualEncoder":
        """The model of the library whose current model is `row`, None for a library without one.

        Raises NotFound if it is gone, InvalidInput if the user asked for another one.
        """
        with self._lock:
            if self._open is None or (row is not None and row.digest != self._open.digest):
                model = remembered(row) if row is not None and self._asked is None else self._open_asked()
                if row is not None and row.digest != model.digest:
                    raise InvalidInput(
                        f"the library {self._catalog.folder} was made with the model {row.label}, not with "
                        f"{model.name}: omit --model, use another --library, or switch this one to that model "
                        "(searcher index --model)"
                    )
                self._open = model if row is None else self._fitting(model, row)
                log.debug("opened the model %s (%s) in %s", model.name, self._open.precision, model.folder)
            return self._open

    def on_this_machine(self, row: ModelRow) -> "DualEncoder | None":
        """The model that `row` describes, None if it is not here. Raises InvalidInput if the user asked for another."""
        if self._asked is None:
            try:
                return remembered(row)
            except NotFound:
                return None
        with self._lock:
            model = self._open_asked()
        if model.digest != row.digest:
            raise InvalidInput(f"the embeddings were made with the model {row.label}, not with {model.name}")
        return model

    def new(self) -> "DualEncoder | None":
        """The model that was asked for, if it is not the library's. None if it is, or if none was asked for."""
        if self._asked is None or not self._catalog.exists:
            return None
        with self._catalog.read() as view:
            row = view.models.current()
        if row is None:
            return None
        with self._lock:
            model = self._open_asked()
        if model.digest == row.digest:
            return None
        with self._catalog.read() as view:
            begun = view.models.by_digest(model.digest)
        return model if begun is None else self._fitting(model, begun)

    def _open_asked(self) -> "DualEncoder":
        """The model that was asked for, or the default one. It is opened once. Call this under the lock."""
        if self._asked is not None and not isinstance(self._asked, str | os.PathLike):
            return self._asked
        if self._asked_open is None:
            from searcher.models import Model
            from searcher.models.store import default_name

            self._asked_open = Model.open(default_name() if self._asked is None else self._asked)
        return self._asked_open

    def _fitting(self, model: "DualEncoder", row: ModelRow) -> "DualEncoder":
        """`model`, in the precision of the embeddings that are here if its own strays from them."""
        with self._catalog.read() as view:
            made = view.models.precision(row.id)
        from searcher.models.remembered import in_precision_of

        try:
            return in_precision_of(model, made)
        except SearcherError as error:
            raise InvalidInput(
                f"the photos in {self._catalog.folder} were embedded with {row.label} in {made}, and its "
                f"{model.precision} embeddings differ too much from that: import the model again with "
                f"--precision {made}"
            ) from error


def remembered(row: ModelRow) -> "DualEncoder":
    """The model that a library remembers, in its old place or anywhere in the store. Raises NotFound if it is gone."""
    from searcher.models.remembered import open_remembered

    folder = Path(os.fsdecode(row.folder))
    model = open_remembered(folder, row.digest)
    if model is None:
        raise NotFound(
            f"this library was made with the model {row.label}, which is no longer in {folder}: "
            "pull or import it again, or give the library another model (searcher index --model)"
        )
    return model
