"""Errors that are for people: one line, no traceback."""


class SearcherError(Exception):
    """Something the user can act on. `str(error)` is one line; the commands print it and exit with 1."""
