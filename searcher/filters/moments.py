"""Dates that people write to narrow a search."""

import re
from datetime import datetime

from searcher.errors import InvalidInput

_MOMENT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?)?)?", re.ASCII)


def beginning(text: str) -> str:
    """The first second of a year, a month, a day, a minute or a second, as the catalog writes times (ISO 8601).

    Raises InvalidInput for anything else.
    """
    match = _MOMENT.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second = match.groups()
        numbers = (year, month or 1, day or 1, hour or 0, minute or 0, second or 0)
        return datetime(*map(int, numbers)).isoformat()  # type: ignore[arg-type]
    except ValueError:
        raise InvalidInput(
            f"{text!r} is not a date: write a year, a month, a day or a time, "
            "such as 2023, 2023-06, 2023-06-30 or 2023-06-30T18:00"
        ) from None
