"""Change labels and tags. Use it only inside `with writer.transaction():`.

This uses the sqlite3 module, not SQLAlchemy. A run can store millions of rows, and building a statement for each of
them would take longer than everything else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from searcher.catalog.tags import ExampleRow, RunRow, SidecarRow
from searcher.catalog.writer import Writer

if TYPE_CHECKING:
    import numpy as np

CACHE_KB = 65_536
_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ')"


class TagWriter:
    """Writes labels and tags to the catalog of a `Writer`."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._raw = writer._raw
        # Results are inserted at a thousand places of the index by label. Those pages must stay in memory.
        self._raw.execute(f"PRAGMA cache_size = -{CACHE_KB}")

    # labels

    def add_labels(self, parents: Mapping[str, str | None]) -> dict[str, int]:
        """Create the labels that do not exist yet, and return name → id for all of them.

        `parents`: name → the name of its parent. If the parent is None, an existing label keeps its parent.
        """
        names = [*parents, *(parent for parent in parents.values() if parent is not None)]
        self._raw.executemany(
            "INSERT INTO labels (name) VALUES (?) ON CONFLICT DO NOTHING", ((name,) for name in names)
        )
        sql = "SELECT name, id FROM labels WHERE name IN (SELECT value FROM json_each(?))"
        ids: dict[str, int] = dict(self._raw.execute(sql, (json.dumps(names),)).fetchall())
        pairs = [(ids[parent], ids[name]) for name, parent in parents.items() if parent is not None]
        self._raw.executemany("UPDATE labels SET parent_id = ? WHERE id = ?", pairs)
        return {name: ids[name] for name in parents}

    # results

    def put_results(
        self,
        content_ids: Sequence[int],
        label_ids: Iterable[int],
        results: Sequence[tuple[int, int, str, float]],
        model_id: int,
    ) -> None:
        """Replace the results of earlier runs for these contents and labels with `results`.

        `results`: (content id, label id, source, probability). Contents that no longer exist are skipped.
        """
        self._choose(label_ids)
        known = self._raw.execute(
            "SELECT id FROM contents WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([int(id) for id in content_ids]),),
        ).fetchall()
        # "+" makes SQLite filter the labels instead of looking up each one per content
        sql = "DELETE FROM content_tags WHERE content_id = ? AND +label_id IN (SELECT id FROM chosen)"
        self._raw.executemany(sql, known)
        there = {row[0] for row in known}
        (now,) = self._raw.execute(f"SELECT {_NOW}").fetchone()
        self._raw.executemany(
            "INSERT INTO content_tags (content_id, label_id, source, probability, model_id, tagged_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            ((*row, model_id, now) for row in results if row[0] in there),
        )

    def clear(self, label_ids: Iterable[int]) -> int:
        """Remove the results of runs for these labels and return their number. Tags from the user are kept."""
        self._choose(label_ids)
        return self._raw.execute("DELETE FROM content_tags WHERE label_id IN (SELECT id FROM chosen)").rowcount

    def _choose(self, label_ids: Iterable[int]) -> None:
        self._raw.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (id INTEGER PRIMARY KEY)")
        wanted = sorted(set(label_ids))
        if wanted != [row[0] for row in self._raw.execute("SELECT id FROM chosen ORDER BY id")]:
            self._raw.execute("DELETE FROM chosen")
            self._raw.executemany("INSERT INTO chosen VALUES (?)", ((id,) for id in wanted))

    # runs

    def start_run(self, key: str, definition: str, basis: str) -> None:
        """Store a tag run that has not tagged anything yet. It becomes the latest run."""
        self._raw.execute("DELETE FROM tag_runs WHERE key = ?", (key,))
        self._raw.execute(
            "INSERT INTO tag_runs (key, definition, basis, last_id, replaced, updated_at) "
            f"VALUES (?, ?, ?, 0, '[]', {_NOW})",
            (key, definition, basis),
        )

    def restart_run(self, key: str, basis: str) -> None:
        """Make a run start from the beginning, because its `basis` has changed."""
        self._raw.execute("UPDATE tag_runs SET basis = ?, last_id = 0 WHERE key = ?", (basis, key))

    def advance_run(self, key: str, last_id: int) -> None:
        """Store that all embeddings up to `last_id` have been tagged."""
        self._raw.execute(
            f"UPDATE tag_runs SET last_id = max(last_id, ?), updated_at = {_NOW} WHERE key = ?", (last_id, key)
        )

    def replace_labels(self, run: RunRow, replaced: Iterable[int]) -> None:
        """Store that `run` no longer provides the results for the labels `replaced`."""
        self._raw.execute(
            "UPDATE tag_runs SET replaced = ? WHERE id = ?", (json.dumps(sorted(run.replaced.union(replaced))), run.id)
        )

    def remove_run(self, run: RunRow) -> None:
        """Remove a run. Its results are kept."""
        self._raw.execute("DELETE FROM tag_runs WHERE id = ?", (run.id,))

    def add_prompts(self, vectors: "Mapping[str, np.ndarray]", model_id: int) -> None:
        """Store the embeddings (dim,) float32 of prompts by their keys."""
        rows = ((key, model_id, vector.astype("<f4").tobytes()) for key, vector in vectors.items())
        self._raw.executemany("INSERT INTO prompts VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)

    # taught labels

    def set_examples(self, label_id: int, examples: Iterable[ExampleRow]) -> None:
        """Replace the examples of a label."""
        self._raw.execute("DELETE FROM examples WHERE label_id = ?", (label_id,))
        self._raw.executemany("INSERT INTO examples VALUES (?, ?, ?, ?)", ((label_id, *row) for row in examples))

    # sidecars

    def put_sidecars(self, rows: Iterable[SidecarRow]) -> None:
        """Store what will be, or has been, written into sidecars."""

        def as_stored(row: SidecarRow) -> tuple[object, ...]:
            lists = (json.dumps(each, ensure_ascii=False) for each in (row.tags, row.refused, row.entries))
            return (row.path, row.image_id, *lists, row.written)

        sql = "INSERT OR REPLACE INTO sidecars (path, image_id, tags, refused, entries, written)"
        self._raw.executemany(f"{sql} VALUES (?, ?, ?, ?, ?, ?)", map(as_stored, rows))

    def remove_sidecars(self, paths: Iterable[bytes]) -> None:
        """Remove the rows of sidecars that no longer contain anything of ours."""
        self._raw.executemany("DELETE FROM sidecars WHERE path = ?", ((path,) for path in paths))
