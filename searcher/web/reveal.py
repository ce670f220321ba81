"""Open the file manager of this machine at a file."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from searcher.errors import NotFound

PATIENCE_S = 5.0


def reveal(path: str) -> None:
    """Show a file in the file manager. Raises NotFound if the file or a file manager is not there."""
    if not os.path.lexists(path):
        raise NotFound("the file is not there now: is its disk connected?")
    for arguments in _commands(path):
        if _run(arguments):
            return
    raise NotFound("no file manager was found on this machine: copy the path instead")


def _commands(path: str) -> list[Sequence[str]]:
    """What shows the file, the best way first. No shell is involved, so a name is only a name."""
    if sys.platform == "darwin":
        return [("open", "-R", path)]
    if sys.platform == "win32":
        return [("explorer", f"/select,{path}")]
    name, place = "org.freedesktop.FileManager1", "/org/freedesktop/FileManager1"
    uri = Path(path).as_uri().replace("'", "%27").replace(",", "%2C")  # it is an element of a list in both commands
    method = f"{name}.ShowItems"
    gdbus = ("gdbus", "call", "--session", "--dest", name, "--object-path", place, "--method", method)
    dbus_send = ("dbus-send", "--session", "--print-reply", f"--dest={name}", place, method)
    return [
        (*gdbus, f"['{uri}']", ""),
        (*dbus_send, f"array:string:{uri}", "string:"),
        ("xdg-open", os.path.dirname(path)),  # noqa: PTH120
    ]


def _run(arguments: Sequence[str]) -> bool:
    """Whether a program is there and ended well, or is still at work after a while: then it shows something."""
    if shutil.which(arguments[0]) is None:
        return False
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=sys.platform != "win32",  # Ctrl-C for the server is not for the file manager
        )
    except OSError:
        return False
    try:
        return process.wait(PATIENCE_S) == 0 or sys.platform == "win32"  # explorer ends with 1 in any case
    except subprocess.TimeoutExpired:
        return True
