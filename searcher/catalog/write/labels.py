"""Labels for the keywords of files: paths of names, put into the tree of labels where they fit."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection

from searcher.catalog.read.queries import IN_LIST
from searcher.photos.metadata import Keyword


class Labels:
    """The tree of labels, in which each has one parent at most."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _execute(self, sql: str, *parameters: object) -> Any:
        return self._connection.exec_driver_sql(sql, parameters)

    def of_keywords(self, keywords: Iterable[Keyword]) -> set[int]:
        """The ids of the labels that a photo with these keywords gets.

        A path becomes labels, each below the one before it, and the photo gets the last one. If that would give a label
        a second parent, or make a circle, the tree stays as it is, and the photo gets all labels of the path.
        """
        paths = [*keywords]
        names = {name for path in paths for name in path}
        new = [(name,) for name in sorted(names)]
        if new:
            self._connection.exec_driver_sql("INSERT INTO labels (name) VALUES (?) ON CONFLICT DO NOTHING", new)
        sql = f"SELECT name, id FROM labels WHERE name IN {IN_LIST}"
        ids = {row[0]: int(row[1]) for row in self._execute(sql, json.dumps([*names]))}
        found: set[int] = set()
        for path in paths:
            labels = [ids[name] for name in path]
            found.update(labels[-1:] if self._put(labels) else labels)
        return found

    def _put(self, labels: list[int]) -> bool:
        """Put each label below the one before it. False, and no change, if that is not possible."""
        above = self._ancestors(labels[0])
        if len({*labels, *above}) < len(labels) + len(above):
            return False
        missing = []
        for parent, child in pairwise(labels):
            known = self._parent(child)
            if known not in (None, parent):
                return False
            if known is None:
                missing.append((parent, child))
        for parent, child in missing:
            self._execute("UPDATE labels SET parent_id = ? WHERE id = ?", parent, child)
        return True

    def _parent(self, label: int) -> int | None:
        row = self._execute("SELECT parent_id FROM labels WHERE id = ?", label).fetchone()
        return None if row is None else row[0]

    def _ancestors(self, label: int) -> list[int]:
        found: list[int] = []
        above = self._parent(label)
        while above is not None and above not in found and above != label:
            found.append(above)
            above = self._parent(above)
        return found
