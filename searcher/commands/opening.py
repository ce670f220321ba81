"""Opens a file with the system's viewer. The name of the file is one argument of a program: no shell reads it."""

import os
import sys

from searcher.errors import SearcherError

_PATIENCE = 3  # seconds: a viewer that still runs then has opened the file


def viewer() -> str:
    """The program that opens files on this system. Raises SearcherError if there is none: call it before long work."""
    if sys.platform == "win32":
        return ""
    import shutil

    name = "open" if sys.platform == "darwin" else "xdg-open"
    found = shutil.which(name)
    if found is None:
        raise SearcherError(f"--open needs the program {name}: install xdg-utils, or leave out --open")
    return found


def open_file(path: str) -> None:
    """Open a file, given by its absolute path, and do not wait for the viewer to end. Raises SearcherError."""
    import subprocess

    try:
        if sys.platform == "win32":
            os.startfile(path)
            return
        null = subprocess.DEVNULL
        started = subprocess.Popen(
            [os.fsencode(viewer()), os.fsencode(path)], stdin=null, stdout=null, stderr=null, start_new_session=True
        )
        code = started.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        return
    except OSError as error:
        raise SearcherError(f"cannot open {path}: {error.strerror}") from error
    if code:
        raise SearcherError(f"cannot open {path}: the system has no viewer for it ({viewer()} ended with {code})")
