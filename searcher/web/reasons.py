"""Why a value of a request is wrong, on one line."""

from collections.abc import Mapping
from typing import Any


def wrong_value(found: Mapping[str, Any]) -> str:
    """What an error of pydantic says."""
    place = ".".join(str(part) for part in found["loc"] if part not in ("query", "path", "body", "header"))
    message = str(found["msg"]).removeprefix("Value error, ")
    return " ".join(f"{place}: {message}".split()) if place else " ".join(message.split())
