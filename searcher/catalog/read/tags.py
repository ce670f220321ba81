"""Labels, the tags that runs gave, how far each run came, prompts and taught labels."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from searcher.catalog.filtering import STANDS, from_sources
from searcher.catalog.read.queries import IN_LIST, Queries, in_list
from searcher.catalog.rows import TAUGHT, USER, ZERO_SHOT, Example, LabelCount, LabelRow, ModelRow, TagRun
from searcher.filters import EVERYTHING, Filter

if TYPE_CHECKING:
    import numpy as np

# How many photos have each label from runs, from the indexes alone: the table itself takes thirty times as long
_COUNTED = (
    f"SELECT label_id, '{TAUGHT}' AS source, count(*) AS photos FROM content_tags INDEXED BY content_tags_taught "
    f"WHERE source = '{TAUGHT}' GROUP BY label_id UNION ALL "
    f"SELECT c.label_id, '{ZERO_SHOT}', count(*) - (SELECT count(*) FROM content_tags t INDEXED BY content_tags_taught "
    f"WHERE t.source = '{TAUGHT}' AND t.label_id = c.label_id) "
    "FROM content_tags c INDEXED BY content_tags_label GROUP BY c.label_id"
)
_RUN = "SELECT id, key, definition, conditions, last_id, retracted FROM tag_runs"


class Tags(Queries):
    """Labels and tags."""

    def labels(self) -> dict[int, LabelRow]:
        """All labels, by id."""
        rows = self._rows("SELECT id, name, parent_id FROM labels")
        return {row[0]: LabelRow(*row) for row in rows}

    def label_ids(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of those of `names` that are labels."""
        return dict(self._rows(f"SELECT name, id FROM labels WHERE name IN {IN_LIST}", json.dumps(list(names))))

    def counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        """Every label that a photo has, most photos first. With `filter`, only the photos that meet it count, and
        only tags from its sources.
        """
        by_runs, given = from_sources(filter.sources)
        # without labels asked for, sources say which tags count, and that a photo has one follows
        narrowed = filter if filter.tags or filter.not_tags else replace(filter, sources=())
        if narrowed:
            matching, parameters = self._compiled(narrowed)
            within = f"AND content_id IN (SELECT content_id FROM ({matching}))"
            counted = (
                f"SELECT label_id, source, count(*) AS photos FROM content_tags WHERE {by_runs} {within} "
                "GROUP BY label_id, source"
            )
        else:
            parameters, within = [], ""
            counted = f"SELECT label_id, source, photos FROM ({_COUNTED}) WHERE photos AND {by_runs}"
        sql = (
            f"SELECT l.name, t.source, t.photos FROM ({counted} UNION ALL "
            "SELECT label_id, source, count(DISTINCT content_id) FROM tags t JOIN images i ON i.id = t.image_id "
            f"WHERE {given} AND {STANDS} AND content_id IS NOT NULL {within} GROUP BY label_id, source) t "
            "JOIN labels l ON l.id = t.label_id ORDER BY t.photos DESC, l.name, t.source"
        )
        return [LabelCount(*row) for row in self._rows(sql, *parameters, *parameters)]

    def photos_with(self, label_ids: Iterable[int]) -> dict[int, int]:
        """label id → how many photos a run gave it to. Labels that no photo has are left out."""
        sql = f"SELECT label_id, count(*) FROM content_tags WHERE label_id IN {IN_LIST} GROUP BY label_id"
        return dict(self._rows(sql, in_list(label_ids)))

    def results(self, content_ids: Iterable[int]) -> list[tuple[int, int, str, float]]:
        """(content id, label id, source, probability) of what runs gave to these contents, most probable first."""
        sql = (
            "SELECT content_id, label_id, source, probability FROM content_tags "
            f"WHERE content_id IN {IN_LIST} ORDER BY content_id, probability DESC, label_id"
        )
        return self._rows(sql, in_list(content_ids))

    def by_hand(self, image_ids: Iterable[int]) -> dict[int, dict[str, bool]]:
        """image id → label → whether a person gave it (True) or refused it (False). Other images are left out."""
        sql = (
            "SELECT t.image_id, l.name, t.probability IS NOT 0 FROM tags t JOIN labels l ON l.id = t.label_id "
            f"WHERE t.source = '{USER}' AND t.image_id IN {IN_LIST} ORDER BY l.name"
        )
        found: dict[int, dict[str, bool]] = {}
        for image_id, label, given in self._rows(sql, in_list(image_ids)):
            found.setdefault(image_id, {})[label] = bool(given)
        return found

    # runs

    def runs(self) -> list[TagRun]:
        """All questions that were put to the library, the latest last."""
        return [_run(row) for row in self._rows(f"{_RUN} ORDER BY id")]

    def run(self, key: str) -> TagRun | None:
        """The question with this key, None if it was not put."""
        row = self._row(f"{_RUN} WHERE key = ?", key)
        return None if row is None else _run(row)

    def prompts(self, keys: Iterable[str], model: ModelRow) -> "dict[str, np.ndarray]":
        """Embeddings of prompts that are stored: key → (dim,) float32."""
        import numpy as np

        sql = f"SELECT key, vector FROM prompts WHERE model_id = ? AND key IN {IN_LIST}"
        rows = self._rows(sql, model.id, json.dumps(list(keys)))
        return {key: np.frombuffer(vector, np.float32) for key, vector in rows}

    # taught labels

    def taught(self) -> dict[str, str]:
        """Every taught label, with a text that changes when its examples do."""
        sql = (
            "SELECT l.name, group_concat(hex(e.digest) || e.positive, ' ') FROM "
            "(SELECT * FROM examples ORDER BY digest) e JOIN labels l ON l.id = e.label_id GROUP BY l.id"
        )
        return dict(self._rows(sql))

    def examples(self, name: str) -> list[Example]:
        """The photos that a label was taught with, in a fixed order."""
        sql = (
            "SELECT e.digest, e.positive, e.picture FROM examples e JOIN labels l ON l.id = e.label_id "
            "WHERE l.name = ? ORDER BY e.digest"
        )
        return [Example(digest, bool(positive), picture) for digest, positive, picture in self._rows(sql, name)]


def _run(row: "tuple[int, str, str, str, int, str]") -> TagRun:
    return TagRun(*row[:5], retracted=frozenset(json.loads(row[5])))
