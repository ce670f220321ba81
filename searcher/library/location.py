"""Where a library is, unless the user says so."""

import os
from pathlib import Path

from searcher.catalog.connect import CATALOG_NAME

README_TITLE = "# index_data"  # the first line of the file that marks the library folder of a checkout


def default_library_dir() -> Path:
    """The folder of the library that is used unless the user names one.

    It is $SEARCHER_LIBRARY, else ./index_data if that holds a library or belongs to a checkout, else the data folder of
    the user.
    """
    if given := os.environ.get("SEARCHER_LIBRARY"):
        return Path(os.path.expanduser(given))
    local = Path("index_data")
    if (local / CATALOG_NAME).exists() or _is_checkout(local / "README.md"):
        return local
    import platformdirs

    return Path(platformdirs.user_data_dir("searcher", appauthor=False))


def _is_checkout(readme: Path) -> bool:
    try:
        with readme.open(encoding="utf-8") as lines:
            return lines.readline().startswith(README_TITLE)
    except (OSError, ValueError):  # no such file, or not UTF-8
        return False
