"""What a shell offers while somebody types. Nothing here fails, waits or writes, or asks a server."""

import os
from pathlib import Path

from searcher.catalog.peek import peek_labels, peek_roots
from searcher.library.location import default_library


def known_labels(library: Path | str | None) -> list[str]:
    """The labels of a library (None: the default one), by name. Empty if it cannot be read."""
    return peek_labels(_folder(library))


def known_folders(library: Path | str | None) -> list[str]:
    """The indexed folders of a library (None: the default one), by path. Empty if it cannot be read."""
    return peek_roots(_folder(library))


def _folder(library: Path | str | None) -> Path:
    """The folder of a library. There is none at the address of a library in Milvus."""
    return Path(os.path.expanduser(default_library() if library is None else library))
