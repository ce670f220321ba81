"""Where a library is, unless the user says so."""

import os
from pathlib import Path

from searcher.catalog.connect import CATALOG_NAME

README_TITLE = "# index_data"  # the first line of the file that marks the library folder of a checkout
VARIABLE = "SEARCHER_LIBRARY"


def is_address(path: str | Path) -> bool:
    """Whether this names a library in Milvus, and not a folder."""
    if not isinstance(path, str) or not path.startswith("milvus"):
        return False
    from searcher.scale.milvus import address

    return address.is_address(path)


def default_library() -> Path | str:
    """The library that is used unless the user names one: the address in $SEARCHER_LIBRARY, or a folder."""
    given = os.environ.get(VARIABLE, "")
    return given if is_address(given) else default_library_dir()


def default_library_dir() -> Path:
    """The folder of the library that is used unless the user names one.

    It is $SEARCHER_LIBRARY, else ./index_data if that holds a library or belongs to a checkout, else the data folder of
    the user.
    """
    given = os.environ.get(VARIABLE)
    if given and not is_address(given):
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
