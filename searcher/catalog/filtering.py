"""A Filter as SQL."""

import os
from collections.abc import Iterator, Sequence

from searcher.catalog.folders import Part
from searcher.catalog.rows import after_prefix
from searcher.filters import RAW_FORMATS, RUNS, SOURCES, USER, Filter
from searcher.filters.moments import beginning

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
_COMPARED = {"landscape": ">", "portrait": "<", "square": "="}
_CONTENTS = "SELECT c.id AS content_id, 1.0 AS probability FROM contents c NOT INDEXED"  # in the order of ids
_HAS_IMAGE = "EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.id)"


Compiled = tuple[str, list[object]]
"""SQL, and its parameters."""


def compile_filter(filter: Filter, parts: Sequence[Part] = ()) -> Compiled:
    """A SELECT of the contents that meet `filter`.

    parts: what is in its folders. Columns: content_id, probability (the least of the tags asked for; with sources alone
    the largest of their tags; 1 without either).
    """
    with_label = f"{_BELOW}{_tagged('label_id IN below', filter.sources)}"
    parameters: list[object] = list(filter.tags)
    if filter.tags:
        sql = _all_of([with_label] * len(filter.tags))
    else:
        sql = _tagged("1", filter.sources) if filter.sources else ""
    tables = f"SELECT f.content_id, f.probability FROM ({sql}) f JOIN contents c ON c.id = f.content_id"
    conditions = [*_about_contents(filter), *_about_images(filter, parts)]
    if not sql:
        tables, conditions = _CONTENTS, [*conditions, (_HAS_IMAGE, [])]
    if conditions:
        sql = f"{tables} WHERE {' AND '.join(f'({condition})' for condition, _ in conditions)}"
        parameters += [value for _, values in conditions for value in values]
    for tag in filter.not_tags:
        sql = f"SELECT * FROM ({sql}) WHERE content_id NOT IN (SELECT content_id FROM ({with_label}))"
        parameters.append(tag)
    return sql, parameters


def compile_place(filter: Filter, parts: Sequence[Part]) -> Compiled:
    """A condition on an image `i`: it is in `parts`, what is in the folders of `filter`, and has its name."""
    conditions, parameters = ["1"], list[object]()
    if filter.folders:
        inside, values = compile_parts(parts)
        conditions.append(inside)
        parameters += values
    if filter.name is not None:
        conditions.append("name_matches(i.relpath, ?)")
        parameters.append(os.fsencode(filter.name))
    return " AND ".join(f"({condition})" for condition in conditions), parameters


def compile_parts(parts: Sequence[Part]) -> Compiled:
    """A condition on an image `i`: it is in one of `parts`."""
    inside, parameters = [], list[object]()
    for root_id, prefix in parts:
        if prefix:
            inside.append("i.root_id = ? AND i.relpath >= ? AND i.relpath < ?")
            parameters += [root_id, prefix, after_prefix(prefix)]
        else:
            inside.append("i.root_id = ?")
            parameters.append(root_id)
    return " OR ".join(inside) or "0", parameters


def _about_images(filter: Filter, parts: Sequence[Part]) -> Iterator[Compiled]:
    if filter.folders or filter.name is not None:
        condition, parameters = compile_place(filter, parts)
        yield f"c.id IN (SELECT i.content_id FROM images i WHERE {condition})", parameters


def _about_contents(filter: Filter) -> Iterator[Compiled]:
    """Conditions on a row `c` of `contents`."""
    bounds = [(">=", filter.after), ("<", filter.before)]
    if dates := [(f"taken_at {sign} ?", beginning(text)) for sign, text in bounds if text is not None]:
        # by the index of dates, and then in the order of ids, which is that of the rows on disk
        within = " AND ".join(condition for condition, _ in dates)
        yield f"c.id IN (SELECT id FROM contents WHERE {within})", [moment for _, moment in dates]
    if filter.camera is not None:
        # few names for many photos. The limit keeps SQLite from comparing the camera of each photo
        names = "SELECT DISTINCT camera FROM contents WHERE camera IS NOT NULL LIMIT -1"
        yield f"c.camera IN (SELECT camera FROM ({names}) WHERE has_part(camera, ?))", [filter.camera]
    if filter.near is not None:
        near = filter.near
        box = "(c.latitude BETWEEN ? AND ? AND c.longitude BETWEEN ? AND ?)"
        boxes = near.boxes()
        exact = "km_between(?, ?, c.latitude, c.longitude) <= ?"
        values = [value for box in boxes for value in box]
        yield f"({' OR '.join([box] * len(boxes))}) AND {exact}", [*values, near.latitude, near.longitude, near.km]
    if filter.rating is not None:
        yield "c.rating >= ?", [filter.rating]
    if filter.min_pixels is not None:
        yield "c.width * c.height >= ?", [filter.min_pixels]
    if filter.orientation is not None:
        yield f"c.width {_COMPARED[filter.orientation]} c.height", []
    if filter.formats:
        wanted = [*filter.formats, *(RAW_FORMATS if "RAW" in filter.formats else ())]
        yield f"c.format IN ({', '.join('?' * len(wanted))})", wanted


def from_sources(sources: Sequence[str]) -> tuple[str, str]:
    """Conditions on the column `source` of `content_tags` and of `tags`: one of `sources`, or any if there are none."""
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
