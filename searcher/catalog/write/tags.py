"""Changes of labels, tags, runs and taught labels.

A run stores millions of rows. SQL text with lists of parameters keeps that as fast as the driver.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from searcher.catalog.read.queries import IN_LIST, in_list
from searcher.catalog.rows import USER, Example, Place, TagRun

if TYPE_CHECKING:
    import numpy as np

CACHE_KB = 65_536
_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ')"


class TagChanges:
    """Labels and tags."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _execute(self, sql: str, *parameters: object) -> Any:
        return self._connection.exec_driver_sql(sql, parameters)

    def _many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        if listed := list(rows):
            self._connection.exec_driver_sql(sql, listed)

    # labels

    def add_labels(self, parents: Mapping[str, str | None]) -> dict[str, int]:
        """Add labels (name → the name of its parent) that do not exist yet. Returns the id of each.

        A label without a parent here keeps the one that it has.
        """
        names = [*parents, *(parent for parent in parents.values() if parent is not None)]
        self._many("INSERT INTO labels (name) VALUES (?) ON CONFLICT DO NOTHING", ((name,) for name in names))
        sql = f"SELECT name, id FROM labels WHERE name IN {IN_LIST}"
        ids: dict[str, int] = {row[0]: row[1] for row in self._execute(sql, json.dumps(names))}
        pairs = [(ids[parent], ids[name]) for name, parent in parents.items() if parent is not None]
        self._many("UPDATE labels SET parent_id = ? WHERE id = ?", pairs)
        return {name: ids[name] for name in parents}

    # tags that a person gave or refused

    def add_user_tag(self, image_ids: Iterable[int], label_id: int) -> int:
        """Give images a label by hand. Returns how many did not have it by hand."""
        return self._by_hand(image_ids, label_id, None)

    def refuse_tag(self, image_ids: Iterable[int], label_id: int) -> int:
        """Images do not have a label, whatever runs and files say, until `add_user_tag`. Returns how many are new.

        What runs gave to their contents is removed. `put_results` does not give it again.
        """
        images = in_list(image_ids)
        contents = f"SELECT content_id FROM images WHERE id IN {IN_LIST}"
        self._execute(f"DELETE FROM content_tags WHERE label_id = ? AND content_id IN ({contents})", label_id, images)
        return self._by_hand(image_ids, label_id, 0)

    def _by_hand(self, image_ids: Iterable[int], label_id: int, probability: int | None) -> int:
        sql = (
            "INSERT INTO tags (image_id, label_id, source, probability, tagged_at) "
            f"SELECT id, ?, '{USER}', ?, {_NOW} FROM images WHERE id IN {IN_LIST} "
            "ON CONFLICT (image_id, label_id, source) DO UPDATE SET probability = excluded.probability, "
            "tagged_at = excluded.tagged_at WHERE probability IS NOT excluded.probability"
        )
        return int(self._execute(sql, label_id, probability, in_list(image_ids)).rowcount)

    def share_with_copy(self, place: Place) -> None:
        """Give the new image at `place` what a person gave to other images with its content, or refused them."""
        sql = (
            "INSERT INTO tags (image_id, label_id, source, probability, tagged_at) "
            "SELECT n.id, t.label_id, t.source, t.probability, t.tagged_at FROM images n "
            "JOIN images o ON o.content_id = n.content_id AND o.id <> n.id "
            f"JOIN tags t ON t.image_id = o.id AND t.source = '{USER}' "
            "WHERE n.root_id = ? AND n.relpath = ? ORDER BY o.id ON CONFLICT DO NOTHING"
        )
        self._execute(sql, place.root_id, place.relpath)

    # results of runs

    def put_results(
        self,
        content_ids: Sequence[int],
        label_ids: Iterable[int],
        results: Sequence[tuple[int, int, str, float]],
        model_id: int,
    ) -> None:
        """What a run says about these contents: `results` (content id, label id, source, probability) replace
        everything that runs said about `label_ids`. Contents that are gone by now are left out, and labels that a
        person refused.
        """
        # answers go to a thousand places of the index by label: these pages have to stay in memory
        self._execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._choose(label_ids)
        known = self._execute(f"SELECT id FROM contents WHERE id IN {IN_LIST}", in_list(content_ids)).fetchall()
        # + : labels are filtered, not looked up one by one in each content
        sql = "DELETE FROM content_tags WHERE content_id = ? AND +label_id IN (SELECT id FROM chosen)"
        self._many(sql, (tuple(row) for row in known))
        there = {row[0] for row in known}
        refused = self._refused()
        (now,) = self._execute(f"SELECT {_NOW}").fetchone()
        self._many(
            "INSERT INTO content_tags (content_id, label_id, source, probability, model_id, tagged_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            ((*row, model_id, now) for row in results if row[0] in there and row[:2] not in refused),
        )

    def _refused(self) -> set[tuple[int, int]]:
        """(content id, label id) of every refusal of a chosen label."""
        sql = (
            "SELECT i.content_id, t.label_id FROM tags t JOIN images i ON i.id = t.image_id "
            f"WHERE t.label_id IN (SELECT id FROM chosen) AND t.source = '{USER}' AND t.probability = 0"
        )
        return {(row[0], row[1]) for row in self._execute(sql)}

    def clear(self, label_ids: Iterable[int]) -> int:
        """Remove what runs gave for labels. Returns how many tags. What a person gave stays."""
        self._choose(label_ids)
        return int(self._execute("DELETE FROM content_tags WHERE label_id IN (SELECT id FROM chosen)").rowcount)

    def _choose(self, label_ids: Iterable[int]) -> None:
        self._execute("CREATE TEMP TABLE IF NOT EXISTS chosen (id INTEGER PRIMARY KEY)")
        wanted = sorted(set(label_ids))
        if wanted != [row[0] for row in self._execute("SELECT id FROM chosen ORDER BY id")]:
            self._execute("DELETE FROM chosen")
            self._many("INSERT INTO chosen VALUES (?)", ((id,) for id in wanted))

    # runs

    def start_run(self, key: str, definition: str, conditions: str) -> None:
        """Remember a question to the library, with nothing asked yet. It is now the latest."""
        self._execute("DELETE FROM tag_runs WHERE key = ?", key)
        self._execute(
            "INSERT INTO tag_runs (key, definition, conditions, last_id, retracted, updated_at) "
            f"VALUES (?, ?, ?, 0, '[]', {_NOW})",
            key,
            definition,
            conditions,
        )

    def restart_run(self, key: str, conditions: str) -> None:
        """Ask everything again, because the conditions have changed."""
        self._execute("UPDATE tag_runs SET conditions = ?, last_id = 0 WHERE key = ?", conditions, key)

    def advance_run(self, key: str, last_id: int) -> None:
        """All embeddings up to `last_id` were asked."""
        self._execute(f"UPDATE tag_runs SET last_id = max(last_id, ?), updated_at = {_NOW} WHERE key = ?", last_id, key)

    def retract_labels(self, run: TagRun, label_ids: Iterable[int]) -> None:
        """`run` no longer answers for these labels."""
        self._execute(
            "UPDATE tag_runs SET retracted = ? WHERE id = ?", json.dumps(sorted(run.retracted.union(label_ids))), run.id
        )

    def remove_run(self, run: TagRun) -> None:
        """Forget a question. Its results stay."""
        self._execute("DELETE FROM tag_runs WHERE id = ?", run.id)

    def add_prompts(self, vectors: "Mapping[str, np.ndarray]", model_id: int) -> None:
        """Store embeddings (dim,) float32 of prompts under their keys."""
        rows = ((key, model_id, vector.astype("<f4").tobytes()) for key, vector in vectors.items())
        self._many("INSERT INTO prompts VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)

    # taught labels

    def set_examples(self, label_id: int, examples: Iterable[Example]) -> None:
        """A label is taught with these photos, and no others."""
        self._execute("DELETE FROM examples WHERE label_id = ?", label_id)
        self._many("INSERT INTO examples VALUES (?, ?, ?, ?)", ((label_id, *row) for row in examples))
