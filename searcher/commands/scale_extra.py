"""The extra `scale`: what a command says when it is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from searcher.errors import SearcherError

PACKAGES = frozenset(["fsspec", "grpc", "pandas", "pyarrow", "pymilvus", "ray"])


@contextmanager
def needs_scale(what: str) -> Iterator[None]:
    """Raise SearcherError if a package of the extra `scale` is missing that is imported in the block.

    what: the subject of the message, such as "searcher embed".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in PACKAGES:
            raise
        raise SearcherError(f"{what} needs {missing}: run pip install 'searcher[scale]'") from error
