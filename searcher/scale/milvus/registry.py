"""What is about a whole library in Milvus: its model, the shards that were loaded, labels, questions, a revision.

Entries are JSON under a kind and a name. Each is written by one call, so that it is whole.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from searcher.errors import InvalidInput
from searcher.scale.milvus.connection import Connection, Row, literal, nothing_at
from searcher.scale.milvus.schema import EMPTY_VECTOR, LONGEST_LABEL, PIECE, registry_of

SCHEMA = 1  # of what this version writes
LIBRARY, SHARD, FACET, LABEL, RUN, REVISION = "library", "shard", "facet", "label", "run", "revision"

Entry = dict[str, Any]


class Registry:
    """The entries of a library. Reads see what any program has written."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._collection = registry_of(connection.address.collection)

    def get(self, kind: str, name: str = "") -> Entry | None:
        """An entry, None if there is none."""
        filter = f"kind == {literal(kind)} and name == {literal(name)}"
        return self._read(filter).get(name)

    def all(self, kind: str) -> dict[str, Entry]:
        """name → entry, for all entries of a kind."""
        return self._read(f"kind == {literal(kind)}")

    def put(self, kind: str, entries: Mapping[str, Entry]) -> None:
        """Write entries, by name. Raises InvalidInput for a name that is too long."""
        rows: list[Row] = []
        for name, entry in entries.items():
            if len(name.encode()) > LONGEST_LABEL:
                raise InvalidInput(f"the name {name[:50]!r}… is too long for Milvus: at most {LONGEST_LABEL} bytes")
            text = json.dumps(entry, separators=(",", ":"))
            parts = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
            rows += [
                {"key": _key(kind, name, part), "kind": kind, "name": name, "part": part, "value": value}
                | {"vector": EMPTY_VECTOR}
                for part, value in enumerate([f"{len(parts)} {parts[0]}", *parts[1:]])
            ]
        self._connection.upsert(self._collection, rows)

    def remove(self, kind: str, names: Iterable[str]) -> None:
        """Remove entries. Names that there are not are left out."""
        for name in names:
            self._connection.delete(self._collection, f"kind == {literal(kind)} and name == {literal(name)}")

    def touch(self) -> None:
        """The library has changed: see `revision`."""
        self.put(REVISION, {"": {"text": uuid.uuid4().hex}})

    def revision(self) -> str:
        """A text that is another one after each change of the library by searcher."""
        entry = self.get(REVISION)
        return "" if entry is None else str(entry["text"])

    def library(self) -> Entry:
        """What `loading` wrote about the library. Raises NotFound if nothing was loaded, InvalidInput if another
        version of searcher did.
        """
        address, entry = self._connection.address, None
        if self._connection.call("has_collection", self._collection):
            self._connection.call("load_collection", self._collection)  # else nothing can be read after a restart
            entry = self.get(LIBRARY)
        if entry is None:
            raise nothing_at(address)
        if entry.get("schema") != SCHEMA:
            raise InvalidInput(
                f"{address} was made by another version of searcher ({entry.get('searcher', 'unknown')}): "
                "use that version, or load the shards into another collection"
            )
        return entry

    def _read(self, filter: str) -> dict[str, Entry]:
        parts: dict[str, dict[int, str]] = {}
        for row in self._connection.rows(self._collection, filter, ["name", "part", "value"], strong=True):
            parts.setdefault(row["name"], {})[row["part"]] = row["value"]
        return {name: _joined(pieces) for name, pieces in parts.items()}


def _joined(pieces: dict[int, str]) -> Entry:
    """An entry of its parts. There can be more of them, from an earlier and longer entry."""
    count, _, first = pieces[0].partition(" ")
    entry: Entry = json.loads("".join([first, *(pieces[part] for part in range(1, int(count)))]))
    return entry


def _key(kind: str, name: str, part: int) -> str:
    return f"{kind}/{blake2b(name.encode(), digest_size=16).hexdigest()}/{part}"
