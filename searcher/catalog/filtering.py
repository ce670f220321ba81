"""A Filter as SQL."""

from searcher.filters import Filter

# contents with a label or one below it, each with the largest probability; one parameter: the label
_WITH_TAG = (
    "WITH RECURSIVE below(id) AS (SELECT id FROM labels WHERE name = ? UNION "
    "SELECT l.id FROM labels l JOIN below b ON l.parent_id = b.id) "
    "SELECT content_id, max(probability) AS probability FROM ("
    "SELECT content_id, probability FROM content_tags c WHERE label_id IN below "
    "AND EXISTS (SELECT 1 FROM images i WHERE i.content_id = c.content_id) UNION ALL "
    "SELECT i.content_id, coalesce(t.probability, 1) FROM tags t JOIN images i ON i.id = t.image_id "
    "WHERE t.label_id IN below AND i.content_id IS NOT NULL) GROUP BY content_id"
)
_EVERY_CONTENT = "SELECT DISTINCT content_id, 1.0 AS probability FROM images WHERE content_id IS NOT NULL"


def compile_filter(filter: Filter) -> tuple[str, list[object]]:
    """A SELECT of the contents that meet `filter`, and its parameters.

    Its columns: content_id, probability (the least of the tags asked for; 1 without any).
    """
    if not filter:
        return _EVERY_CONTENT, []
    parts = [f"(SELECT * FROM ({_WITH_TAG})) t{number}" for number in range(len(filter.tags))]
    joined = parts[0] + "".join(f" JOIN {part} USING (content_id)" for part in parts[1:])
    least = ", ".join(f"t{number}.probability" for number in range(len(filter.tags)))
    least = f"min({least})" if len(filter.tags) > 1 else least
    return f"SELECT content_id, {least} AS probability FROM {joined}", list(filter.tags)
