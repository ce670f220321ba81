"""Reads the records of pairs from CSV, TSV and JSON-lines files, whichever program wrote them."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searcher.datasets.text import clean, clean_all, parse_json, read_lines
from searcher.errors import InvalidInput

IMAGE_COLUMNS = ("image", "filepath")  # our name, and that of open_clip
CAPTION_COLUMNS = ("caption", "captions", "title")
DELIMITERS = (",", "\t", ";")
MAX_LINES = 100  # of a record in quotes; a quote that is open for longer was never closed
TOO_LONG = "longer than 16 MB"
SENTINEL = "end of the record"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read. image: a path as the file has it. remark: what was changed, so that it could be used."""

    image: str
    captions: list[str]
    label: str | None = None
    remark: str | None = None


def locate(folder: Path, image: str) -> Path | None:
    """The file of an image that a record in `folder` names, or None. A path may have been written on Windows."""
    for name in dict.fromkeys((image, image.replace("\\", "/"))):
        try:
            if (folder / name).is_file():
                return folder / name
        except (OSError, ValueError):  # the name is too long, or has a NUL
            continue
    return None


def read_json_lines(path: Path) -> Iterator[Record | str]:
    """The records of a JSON-lines file. A text is the reason why a record cannot be used."""
    for line, guessed in read_lines(path):
        if line is None:
            yield TOO_LONG
        elif line.strip("\0 \t\r\n"):
            yield _record_of_json(line, guessed)


def _record_of_json(line: str, guessed: bool) -> Record | str:
    try:
        row = parse_json(line)
    except ValueError:
        return "not JSON"
    if not isinstance(row, dict):
        return "not a JSON object"
    image, captions = first_value(row, IMAGE_COLUMNS), first_value(row, CAPTION_COLUMNS)
    if not isinstance(image, str) or not isinstance(captions, str | list):
        return "no image or no caption"
    label, remark = _label(row.get("label"))
    return Record(image, clean_all(captions), label, remark or _remark_on(guessed))


def first_value(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first column in `names` that the row has. None if it has none of them."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def _label(value: Any) -> tuple[str | None, str | None]:
    """A label as text, and a remark if it cannot be one."""
    if value is None:
        return None, None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return clean(str(value)) or None, None
    return None, "its label is not text, so it is used without a label"


def _remark_on(guessed: bool) -> str | None:
    return "it is not UTF-8, so it was read as Windows-1252" if guessed else None


def read_table(path: Path) -> Iterator[Record | str]:
    """The records of a CSV or TSV file. A text is the reason why a record cannot be used.

    The fields are separated by commas, tabs or semicolons, whichever gives the columns. Raises InvalidInput if no
    separator gives a column of images and one of captions.
    """
    csv.field_size_limit((1 << 31) - 1)  # `read_lines` limits what is read
    lines = _Lines(path)
    columns, delimiter = _header(path, lines)
    image, caption = _column(path, columns, IMAGE_COLUMNS), _column(path, columns, CAPTION_COLUMNS)
    label = columns.index("label") if "label" in columns else None
    for row, remark in _rows(lines, delimiter, path.parent, (image, len(columns))):
        if isinstance(row, str):
            yield row
            continue
        row += [""] * (len(columns) - len(row))
        yield Record(row[image], clean_all(row[caption]), None if label is None else clean(row[label]) or None, remark)


class _Lines:
    """The lines of a table. `back` returns lines that were read too far."""

    def __init__(self, path: Path) -> None:
        self._lines = read_lines(path)
        self._waiting = deque[tuple[str | None, bool]]()

    def next(self) -> tuple[str | None, bool] | None:
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def back(self, lines: list[tuple[str | None, bool]]) -> None:
        self._waiting.extendleft(reversed(lines))


def _header(path: Path, lines: _Lines) -> tuple[list[str], str]:
    """The columns, in lower case, and the separator."""
    first = lines.next()
    while first is not None and first[0] is not None and not first[0].strip():
        first = lines.next()
    text = (first and first[0]) or ""
    preferred = "\t" if path.suffix.lower() == ".tsv" else ","
    found = []
    for delimiter in (preferred, *(other for other in DELIMITERS if other != preferred)):
        columns = [clean(name).lower() for name in _fields(text, delimiter) or []]
        known = sum(any(name in columns for name in names) for names in (IMAGE_COLUMNS, CAPTION_COLUMNS))
        found.append((known, columns, delimiter))
    _, columns, delimiter = max(found, key=lambda one: one[0])  # the preferred one if no other is better
    return columns, delimiter


def _column(path: Path, columns: list[str], wanted: tuple[str, ...]) -> int:
    for name in wanted:
        if name in columns:
            return columns.index(name)
    have = ", ".join(columns)[:200] or "none"
    raise InvalidInput(f"{path} has no column {' or '.join(wanted)}; its columns are: {have}")


def _rows(
    lines: _Lines, delimiter: str, folder: Path, shape: tuple[int, int]
) -> Iterator[tuple[list[str] | str, str | None]]:
    """The fields of each record, or the reason why it cannot be used, and a remark.

    shape: the number of the image column, and of all columns.
    """
    while (line := lines.next()) is not None:
        text, guessed = line
        if text is None:
            yield TOO_LONG, None
            continue
        row = _fields(text, delimiter)
        if row is None:
            row = _quoted(text, lines, delimiter, folder, shape)
        if row is None:
            row = [name.strip().strip('"') for name in text.rstrip("\r\n").split(delimiter)]
            one_each = len(row) == shape[1]
            yield row if one_each else "a quote is not closed", "a quote is not closed, so it was left out"
        elif row:
            yield row, _remark_on(guessed)


def _quoted(text: str, lines: _Lines, delimiter: str, folder: Path, shape: tuple[int, int]) -> list[str] | None:
    """The fields of a record that goes on in the next lines. None, with no line taken, if its quote is not closed.

    A quote that is not closed would take the records that follow into one field, up to the next quote.
    """
    taken: list[tuple[str | None, bool]] = []
    row = None
    while row is None and len(taken) < MAX_LINES and (more := lines.next()) is not None:
        taken.append(more)
        if more[0] is None or _is_record(more[0], delimiter, folder, shape):
            break
        text += more[0]
        row = _fields(text, delimiter)
    if row is None or len(row) != shape[1] or not _is_strict(text, delimiter):
        lines.back(taken)
        return None
    return row


def _is_record(text: str, delimiter: str, folder: Path, shape: tuple[int, int]) -> bool:
    """Whether a line is a record by itself, with an image that exists."""
    image, columns = shape
    row = _fields(text, delimiter)
    return row is not None and len(row) == columns and bool(row[image]) and locate(folder, row[image]) is not None


def _fields(text: str, delimiter: str) -> list[str] | None:
    """The fields of a record. None if a quote is open at its end."""
    text = text if text.endswith(("\n", "\r")) else text + "\n"
    rows = list(csv.reader([text, SENTINEL], delimiter=delimiter))
    return rows[0] if rows[-1] == [SENTINEL] and len(rows) == 2 else None


def _is_strict(text: str, delimiter: str) -> bool:
    """Whether each quoted field ends at a separator."""
    try:
        return len(list(csv.reader([text], delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False
