"""A Filter as SQL."""

from collections.abc import Sequence

from searcher.errors import InvalidInput
from searcher.filters import RUNS, SOURCES, USER, Filter

# The label of a row `t` of `tags` counts: it is no refusal, and the person who owns the photo did not refuse it.
STANDS = (
    "NOT EXISTS (SELECT 1 FROM tags r WHERE r.image_id = t.image_id AND r.label_id = t.label_id "
    f"AND r.source = '{USER}' AND r.probability = 0)"
)

# a label and those below it; one parameter: the label
_BELOW = (
    "WITH RECURSIVE below(id) AS (SELECT id FROM labels WHERE name = ? UNION "
    "SELECT l.id FROM labels l JOIN below b ON l.parent_id = b.id) "
)
_EVERY_CONTENT = "SELECT DISTINCT content_id, 1.0 AS probability FROM images WHERE content_id IS NOT NULL"


def compile_filter(filter: Filter) -> tuple[str, list[object]]:
    """A SELECT of the contents that meet `filter`, and its parameters.

    Its columns: content_id, probability (the least of the tags asked for; with sources alone the largest of their
    tags; 1 without either). Raises InvalidInput for an unknown source.
    """
    with_label = f"{_BELOW}{_tagged('label_id IN below', filter.sources)}"
    if filter.tags:
        sql = _all_of([with_label] * len(filter.tags))
    else:
        sql = _tagged("1", filter.sources) if filter.sources else _EVERY_CONTENT
    for _ in filter.not_tags:
        sql = f"SELECT * FROM ({sql}) WHERE content_id NOT IN (SELECT content_id FROM ({with_label}))"
    return sql, [*filter.tags, *filter.not_tags]


def from_sources(sources: Sequence[str]) -> tuple[str, str]:
    """Conditions on the column `source` of `content_tags` and of `tags`: one of `sources`, or any if there are none.

    Raises InvalidInput for an unknown source.
    """
    if unknown := [source for source in sources if source not in SOURCES]:
        raise InvalidInput(f"unknown source of labels: {unknown[0]!r}; the sources are {', '.join(SOURCES)}")
    if not sources:
        return "1", "1"
    # a condition that is always false spares SQLite the scan of all results
    by_runs = f"source IN ({_listed(sources)})" if set(sources) & set(RUNS) else "0"
    return by_runs, f"source IN ({_listed(sources)})"


def _listed(sources: Sequence[str]) -> str:
    return ", ".join(f"'{source}'" for source in SOURCES if source in sources)


def _tagged(labels: str, sources: Sequence[str]) -> str:
    """Contents with a tag that meets the condition `labels`, each with the largest probability."""
    by_runs, given = from_sources(sources)
    return (
        "SELECT content_id, max(probability) AS probability FROM ("
        f"SELECT content_id, probability FROM content_tags c WHERE {labels} AND {by_runs} "
        "AND EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.content_id) UNION ALL "
        "SELECT i.content_id, coalesce(t.probability, 1) FROM tags t JOIN images i ON i.id = t.image_id "
        f"WHERE {labels} AND {given} AND {STANDS} AND i.content_id IS NOT NULL) GROUP BY content_id"
    )


def _all_of(parts: Sequence[str]) -> str:
    """The contents that are in all of `parts`, with the least probability."""
    tables = [f"(SELECT * FROM ({part})) t{number}" for number, part in enumerate(parts)]
    joined = tables[0] + "".join(f" JOIN {table} USING (content_id)" for table in tables[1:])
    least = ", ".join(f"t{number}.probability" for number in range(len(parts)))
    return f"SELECT content_id, {f'min({least})' if len(parts) > 1 else least} AS probability FROM {joined}"
