"""The tags of a photo as a row of Milvus has them.

Marks are all that was said about a photo: "SOURCE:LABEL" → probability. It is 1 for what a person or a file says, and
0 for what a person refused. All copies of a photo have the same marks.
"""

import json
from collections.abc import Collection, Iterable, Mapping

from searcher.catalog.rows import PhotoTag
from searcher.filters import RUNS, SOURCES, USER, Filter

Marks = dict[str, float]


def read_marks(text: str) -> Marks:
    """The marks in a row."""
    found: Marks = json.loads(text)
    return found


def marks_text(marks: Marks) -> str:
    """The marks for a row."""
    return json.dumps(marks, ensure_ascii=False, separators=(",", ":"))


def mark(source: str, label: str) -> str:
    """A source and a label as one text."""
    return f"{source}:{label}"


def refused(marks: Marks) -> set[str]:
    """The labels that a person refused."""
    return {key.partition(":")[2] for key, value in marks.items() if value == 0 and key.startswith(f"{USER}:")}


def said_by_hand(marks: Marks) -> dict[str, bool]:
    """label → whether a person gave it (True) or refused it (False)."""
    found = ((*key.partition(":")[::2], value) for key, value in marks.items())
    return {label: bool(value) for source, label, value in sorted(found) if source == USER}


def standing(marks: Marks) -> list[PhotoTag]:
    """The tags that count, most probable first: no refusals, and nothing that was refused."""
    never = refused(marks)
    tags = []
    for key, probability in marks.items():
        source, _, label = key.partition(":")
        if label not in never:
            tags.append(PhotoTag(label, source, probability))
    return sorted(tags, key=lambda tag: (-tag.probability, tag.label, tag.source))


def tokens(marks: Marks) -> list[str]:
    """What filters look for: each tag that counts, and each source that has one."""
    tags = standing(marks)
    return sorted({mark(tag.source, tag.label) for tag in tags} | {mark(tag.source, "") for tag in tags})


def tokens_of(labels: Iterable[str], sources: Collection[str]) -> list[str]:
    """The tokens of photos with one of these labels, from one of these sources. No sources: from any."""
    chosen = [source for source in SOURCES if not sources or source in sources]
    return [mark(source, label) for label in labels for source in chosen]


def probability(marks: Marks, filter: Filter, below: Mapping[str, Collection[str]]) -> float:
    """The least probability of the labels asked for; with sources alone the largest of their tags; 1 without either.

    below: label → it and the labels below it.
    """
    tags = [tag for tag in standing(marks) if not filter.sources or tag.source in filter.sources]
    if not filter.tags:
        return max((tag.probability for tag in tags), default=1.0) if filter.sources else 1.0
    return min(
        max((tag.probability for tag in tags if tag.label in below.get(label, (label,))), default=0.0)
        for label in filter.tags
    )


def with_results(marks: Marks, labels: Collection[str], results: Mapping[str, tuple[str, float]]) -> Marks:
    """Marks after a run. `results` (label → source and probability) replace what runs said about `labels`, except for
    what a person refused.
    """
    never = refused(marks)
    kept = {
        key: value
        for key, value in marks.items()
        if not (key.partition(":")[0] in RUNS and key.partition(":")[2] in labels)
    }
    return kept | {mark(source, label): chance for label, (source, chance) in results.items() if label not in never}


def given(marks: Marks, label: str) -> Marks:
    """Marks after a person has given a label."""
    return marks | {mark(USER, label): 1.0}


def taken_away(marks: Marks, label: str) -> Marks:
    """Marks after a person has taken a label away: it is refused, and what runs said is removed."""
    return with_results(marks, [label], {}) | {mark(USER, label): 0.0}
