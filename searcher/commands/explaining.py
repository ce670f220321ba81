"""What a person is told about an error: one line, and the exit code that goes with it."""

import os

import click

from searcher.commands.common import printable
from searcher.errors import SearcherError


def explained(error: BaseException) -> tuple[str, int]:
    """The line for an error, and the exit code."""
    message, code = _explained(error)
    return one_line(message), code


def one_line(message: str) -> str:
    """A message on one line, with control characters escaped."""
    return printable(" ".join(message.split()))


def _explained(error: BaseException) -> tuple[str, int]:
    if isinstance(error, click.UsageError):
        message = error.format_message()
        if error.ctx:
            message += f"{'' if message.endswith(('.', '?', '!')) else '.'} See: {error.ctx.command_path} --help"
        return message, 2
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, SearcherError):
        return str(error), 1
    if isinstance(error, OSError):  # for example a full disk, or a folder without write permission
        where = f": {os.fsdecode(error.filename)}" if error.filename else ""
        return f"{error.strerror or error}{where}", 1
    return f"internal error: {type(error).__name__}: {error}. Please report it with the output of --debug", 1


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused this error. During the import of a native module, Ctrl-C can become an ImportError."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:  # pymilvus raises errors from themselves
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False
