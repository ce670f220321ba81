"""What a shell offers while somebody types. Nothing here fails, waits or writes."""

import os
from pathlib import Path

from searcher.catalog.peek import peek_labels, peek_roots
from searcher.library.location import default_library_dir


def known_labels(library: Path | None) -> list[str]:
    """The labels of a library (None: the default one), by name. Empty if it cannot be read."""
    return peek_labels(_folder(library))


def known_folders(library: Path | None) -> list[str]:
    """The indexed folders of a library (None: the default one), by path. Empty if it cannot be read."""
    return peek_roots(_folder(library))


def _folder(library: Path | None) -> Path:
    return default_library_dir() if library is None else Path(os.path.expanduser(library))
