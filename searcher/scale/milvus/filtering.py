"""A Filter as a filter expression of Milvus, and as a check of rows for what the expression cannot say exactly."""

import math
import os
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from searcher.catalog.functions import has_part, name_matches
from searcher.filters import RAW_FORMATS, Filter
from searcher.filters.moments import beginning
from searcher.filters.near import km_between
from searcher.filters.uri import as_uri
from searcher.photos.spelling import as_on_disk
from searcher.scale.milvus.connection import Row, literal
from searcher.scale.milvus.marks import tokens_of

NOTHING = "id < 0"  # no row has such an id
# What `like` compares as it is. Milvus Lite takes no escapes.
_CERTAIN = re.compile(r"[a-z0-9.,:;()/+ -]+")
# The same in names of files, for which `name_matches` decides: to it some letters are equal to others beyond ASCII,
# such as k to the Kelvin sign.
_PLAIN = re.compile(r"[a-hjl-rt-z0-9. -]")
_ARCHIVE = re.compile(r"\.(?:tar|tgz|tar\.gz|zip|parquet)#")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter expression for rows, each an image, and what is left to check.

    expression: rows that meet the filter meet it, and others only if `exact` is False. by_copy: several copies of a
    photo can meet it; else only the first one does. fields: what `meets` and `is_meant` need to know of a row.
    """

    filter: Filter
    expression: str
    folders: tuple[str, ...]
    exact: bool
    by_copy: bool
    fields: tuple[str, ...]

    def meets(self, row: Row) -> bool:
        """Whether a row that meets the expression meets the filter."""
        return self.exact or (self.is_meant(row) and self._about_content(row))

    def is_meant(self, row: Row) -> bool:
        """Whether a copy is in the folders of the filter, and has its name."""
        filter = self.filter
        if filter.folders and not set(row["folders"]) & set(self.folders):
            return False
        return filter.name is None or name_matches(name_bytes(path_bytes(row)), os.fsencode(filter.name))

    def _about_content(self, row: Row) -> bool:
        camera, near = self.filter.camera, self.filter.near
        if camera is not None and not has_part(row["camera"], camera):
            return False
        if near is None:
            return True
        return km_between(near.latitude, near.longitude, row["latitude"], row["longitude"]) <= near.km


def compile_filter(filter: Filter, below: Mapping[str, Collection[str]]) -> Compiled:
    """below: label → it and the labels below it, for the labels that there are."""
    folders = tuple(spelling for folder in filter.folders for spelling in path_spellings(folder))
    conditions, fields, exact = [], list[str](), True
    for label in filter.tags:
        conditions.append(_tagged(tokens_of(below.get(label, ()), filter.sources)))
    if filter.sources and not filter.tags:
        conditions.append(_tagged(tokens_of([""], filter.sources)))
    for label in filter.not_tags:
        if label in below:
            conditions.append(f"not ({_tagged(tokens_of(below[label], filter.sources))})")
    bounds = [(">=", filter.after), ("<", filter.before)]
    conditions += [f"taken {sign} {seconds(beginning(text))}" for sign, text in bounds if text is not None]
    if filter.camera is not None:
        part = " ".join(filter.camera.split()).casefold()
        exact = _CERTAIN.fullmatch(part) is not None
        fields.append("camera")
        conditions.append(f"camera like {literal(_like(part, _CERTAIN, around='%'))}")
    if filter.near is not None:
        boxes = [
            f"(latitude >= {south!r} and latitude <= {north!r} and longitude >= {west!r} and longitude <= {east!r})"
            for south, north, west, east in filter.near.boxes()
        ]
        conditions.append(f"({' or '.join(boxes)})")
        exact = False
        fields += ["latitude", "longitude"]
    if filter.rating is not None:
        conditions.append(f"rating >= {filter.rating}")
    if filter.min_pixels is not None:
        conditions.append(f"pixels >= {filter.min_pixels}")
    if filter.orientation is not None:
        conditions.append(f"orientation == {literal(filter.orientation)}")
    if filter.formats:
        wanted = [*filter.formats, *(RAW_FORMATS if "RAW" in filter.formats else ())]
        conditions.append(f"format in [{', '.join(map(literal, wanted))}]")
    if filter.folders:
        conditions.append(_any_of("folders", folders))
        fields.append("folders")
    if filter.name is not None:
        exact = False
        fields += ["path", "path_bytes"]
        conditions.append(f"name like {literal(_like(filter.name.lower(), _PLAIN))}")
    by_copy = bool(filter.folders) or filter.name is not None
    if not by_copy:
        conditions.append("first == true")
    return Compiled(filter, " and ".join(conditions), folders, exact, by_copy, tuple(fields))


def _tagged(wanted: list[str]) -> str:
    return _any_of("tags", wanted) if wanted else NOTHING


def _any_of(field: str, values: Collection[str]) -> str:
    return f"ARRAY_CONTAINS_ANY({field}, [{', '.join(map(literal, values))}])"


def _like(text: str, plain: re.Pattern[str], around: str = "") -> str:
    """A pattern of Milvus for a text in lower case. All that is not plain becomes "%", which is any characters."""
    pattern = "".join(letter if plain.fullmatch(letter) else "%" for letter in text)
    return re.sub(r"%+", "%", f"{around}{pattern}{around}")


def seconds(taken_at: str) -> int:
    """Seconds since 1970 of a local time (ISO 8601), as if it were UTC."""
    return math.floor(datetime.fromisoformat(taken_at).replace(tzinfo=UTC).timestamp())


def text_of(name: bytes) -> str:
    """A path as a text that Milvus takes: bytes that are not UTF-8 become \\xNN."""
    return name.decode(errors="backslashreplace")


def path_bytes(row: Row) -> bytes:
    """The path of a row with the fields `path` and `path_bytes`."""
    return bytes.fromhex(row["path_bytes"]) if row["path_bytes"] else row["path"].encode()


def path_bytes_of(image: Mapping[str, Any]) -> bytes:
    """The path of a row of a shard."""
    path: bytes = image["path_bytes"] or os.fsencode(image["path"])
    return path


def name_bytes(path: bytes) -> bytes:
    """The name of a file, without its folder or its archive."""
    text = path.decode("latin-1")
    if (archive := _ARCHIVE.search(text)) is not None:
        text = text[archive.end() :]
    return text.rpartition("/")[2].encode("latin-1")


def name_text(path: bytes) -> str:
    """The name of a file for `like`: without case, and in one spelling."""
    return unicodedata.normalize("NFC", text_of(name_bytes(path))).casefold()


def ancestors(path: bytes) -> list[str]:
    """All folders that a path or a URI is in, from the innermost, and the archive that it is in."""
    text, start = text_of(path), 0
    if "://" in text:
        start = text.index("://") + 3
    ends = [place for place in range(start, len(text)) if text[place] == "/"]
    ends += [archive.end() - 1 for archive in _ARCHIVE.finditer(text)]
    found = {text[:end] or "/" for end in ends}
    return sorted(found, key=len, reverse=True)


def folder_of(path: bytes) -> str:
    """The innermost folder that a path is in."""
    return next(iter(ancestors(path)), "/")


def path_spellings(named: str) -> list[str]:
    """How rows may spell a folder or a file that a person names: a URI, or a path with links or without."""
    if (uri := as_uri(os.fsencode(named))) is not None:
        return [text_of(uri)]
    path = as_on_disk(os.path.abspath(os.path.expanduser(os.fsencode(named))))  # noqa: PTH100 (bytes)
    return list(dict.fromkeys(text_of(each) for each in (path, os.path.realpath(path))))
