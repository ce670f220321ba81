"""What a library and its photos hold, in a form in which two libraries can be compared."""

import sqlite3
from collections import Counter
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from searcher.catalog.connect import CATALOG_NAME
from searcher.library import Library

# No ids, which depend on the order of commits, and no times of writing.
_IMAGE = "SELECT i.id, r.path || '/' || i.relpath AS path FROM images i JOIN roots r ON r.id = i.root_id"
_QUERIES = {
    "folders": "SELECT path, whole, options FROM roots",
    "photos": f"WITH p AS ({_IMAGE}) SELECT p.path, i.size, i.mtime_ns, i.error, c.digest, c.width, c.height, "
    "c.format, c.taken_at, c.taken_offset, c.camera, c.lens, c.latitude, c.longitude, c.rating, c.description, "
    "c.phash, c.sharpness, c.embedded FROM images i JOIN p ON p.id = i.id LEFT JOIN contents c ON c.id = i.content_id",
    "contents": f"WITH p AS ({_IMAGE}) SELECT c.digest, p.path FROM contents c LEFT JOIN p ON p.id = c.sidecar_image",
    "models": "SELECT m.digest, m.retired, l.model_id IS NOT NULL FROM models m "
    "LEFT JOIN library l ON l.model_id = m.id",
    "embeddings": "SELECT c.digest, m.digest, e.precision, e.vector FROM embeddings e "
    "JOIN contents c ON c.id = e.content_id JOIN models m ON m.id = e.model_id",
    "tags": f"WITH p AS ({_IMAGE}) SELECT p.path, l.name, t.source, t.probability FROM tags t "
    "JOIN p ON p.id = t.image_id JOIN labels l ON l.id = t.label_id",
    "labels": "SELECT l.name, p.name FROM labels l LEFT JOIN labels p ON p.id = l.parent_id",
    "tags of models": "SELECT c.digest, l.name, t.source, t.probability FROM content_tags t "
    "JOIN contents c ON c.id = t.content_id JOIN labels l ON l.id = t.label_id",
    "runs of tag": "SELECT key, conditions, last_id = (SELECT max(id) FROM embeddings), retracted FROM tag_runs",
    "waiting tags": "SELECT w.path, w.digest, l.name, w.probability FROM waiting_tags w "
    "JOIN labels l ON l.id = w.label_id",
    "examples": "SELECT l.name, e.digest, e.positive, e.picture FROM examples e JOIN labels l ON l.id = e.label_id",
    "sidecars read": f"WITH p AS ({_IMAGE}) SELECT p.path, s.name, s.size, s.metadata FROM read_sidecars s "
    "JOIN p ON p.id = s.image_id",
    "sidecars written": f"WITH p AS ({_IMAGE}) SELECT s.path, p.path, s.tags, s.refused, s.entries, s.written "
    "FROM sidecars s LEFT JOIN p ON p.id = s.image_id",
}


FILES = "files of the library"
Contents = dict[str, list[str]]  # by subject: what it holds, one line each, in order


def contents(library: Path, photos: Path) -> Contents:
    """Everything that an interrupted run may not lose."""
    with closing(sqlite3.connect(library / CATALOG_NAME)) as catalog:
        found = {subject: sorted(map(repr, catalog.execute(sql))) for subject, sql in _QUERIES.items()}
    found[FILES] = sorted(path.name for path in library.iterdir())
    found["files beside the photos"] = [
        f"{path.relative_to(photos)} {blake2b(path.read_bytes()).hexdigest()}"
        for path in sorted(photos.rglob("*"))
        if path.is_file()
    ]
    return found


def differences(found: Contents, expected: Contents) -> list[str]:
    """The subjects in which two libraries differ, each with its first differences."""
    lines = []
    for subject, rows in expected.items():
        more, missing = Counter(found[subject]) - Counter(rows), Counter(rows) - Counter(found[subject])
        if more or missing:
            examples = [*more][:1] + [*missing][:1]
            lines.append(f"{subject}: {more.total()} more, {missing.total()} missing: {str(examples)[:400]}")
    return lines


def problems(library: Path) -> list[str]:
    """What is wrong with a library, after any interruption: `check`, and whether searches find all photos."""
    if not (library / CATALOG_NAME).exists():
        return []  # it was interrupted before it made anything
    with Library.open(library) as opened:
        found = list(opened.check().problems)
        if not found and opened.has_model:
            hits = opened.search("red", top=100_000)
            shown = sum(1 + len(hit.copies) for hit in hits)
            found += [] if shown == opened.status().images else [f"a search finds {shown} photos"]
    return found
