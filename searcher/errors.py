"""Errors for users: one line, no traceback."""


class SearcherError(Exception):
    """An error that the user can act on. `str(error)` is one line. The commands print it and exit with code 1."""
