"""Read labels, the photos that have them, and the progress of tag runs."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from searcher.catalog.reader import Reader
from searcher.catalog.records import ModelRow
from searcher.errors import SearcherError

if TYPE_CHECKING:
    import numpy as np

_MOST_PARAMETERS = 500  # per statement


class RunRow(NamedTuple):
    """A tag run over the whole library.

    definition: the labels, templates and mode, as JSON. key: the digest of the definition. basis: what else affects a
    result. last_id: the last embedding that was tagged. replaced: the ids of labels that were later cleared or used
    by another run.
    """

    id: int
    key: str
    definition: str
    basis: str
    last_id: int
    replaced: frozenset[int]


class LabelRow(NamedTuple):
    """A label. `parent`: the id of the broader label above it, or None."""

    id: int
    name: str
    parent: int | None


class LabelCount(NamedTuple):
    """How many photos have a label from one source. Copies of a photo count once."""

    label: str
    source: str
    photos: int


class ExampleRow(NamedTuple):
    """A photo that a label was taught with.

    digest: of the photo's content. picture: a small JPEG. positive: False for an example of what the label does not
    apply to.
    """

    digest: bytes
    positive: bool
    picture: bytes


class PhotoAt(NamedTuple):
    """An image with its path."""

    id: int
    content_id: int
    root: bytes
    relpath: bytes


class SidecarRow(NamedTuple):
    """What we wrote into a sidecar.

    tags: the label paths that we want in the file. refused: the label paths that the user removed from the file.
    entries: the entries in the file that are ours, as `sidecars` names them. written: False from before the
    file is changed until after.
    """

    path: bytes
    image_id: int | None
    tags: tuple[tuple[str, ...], ...]
    refused: tuple[tuple[str, ...], ...]
    entries: tuple[str, ...]
    written: bool


class TagReader:
    """Reads labels and tags from the catalog of a `Reader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    # labels

    def labels(self) -> dict[int, LabelRow]:
        """Return all labels by id."""
        rows = self._reader._rows("SELECT id, name, parent_id FROM labels")
        return {row[0]: LabelRow(*row) for row in rows}

    def label_ids(self, names: Iterable[str]) -> dict[str, int]:
        """Return name → id for those `names` that are labels."""
        sql = "SELECT name, id FROM labels WHERE name IN (SELECT value FROM json_each(?))"
        return dict(self._reader._rows(sql, json.dumps(list(names))))

    def counts(self) -> list[LabelCount]:
        """Return how many photos have each label, by descending number. Labels without photos are left out."""
        sql = (
            "SELECT l.name, t.source, t.photos FROM ("
            "SELECT label_id, source, count(*) AS photos FROM content_tags GROUP BY label_id, source UNION ALL "
            "SELECT t.label_id, t.source, count(DISTINCT i.content_id) FROM tags t JOIN images i ON i.id = t.image_id "
            "GROUP BY t.label_id, t.source) t JOIN labels l ON l.id = t.label_id ORDER BY t.photos DESC, l.name"
        )
        return [LabelCount(*row) for row in self._reader._rows(sql)]

    def photos_with(self, label_ids: Iterable[int]) -> dict[int, int]:
        """Return label id → how many photos got it from a run. Labels without photos are left out."""
        sql = (
            "SELECT label_id, count(*) FROM content_tags WHERE label_id IN (SELECT value FROM json_each(?)) "
            "GROUP BY label_id"
        )
        return dict(self._reader._rows(sql, json.dumps(list(label_ids))))

    def embeddings_with(self, label: str, model_id: int) -> "tuple[np.ndarray, np.ndarray]":
        """Return the embeddings of the photos that have a label or one of its descendants.

        Returns ids (n,) int64 in ascending order and probabilities (n,) float64. The probability of a tag from the
        user is 1.
        """
        import numpy as np

        sql = (
            "WITH RECURSIVE below(id) AS (SELECT id FROM labels WHERE name = ? UNION "
            "SELECT l.id FROM labels l JOIN below b ON l.parent_id = b.id), found(content_id, chance) AS ("
            "SELECT content_id, probability FROM content_tags WHERE label_id IN below UNION ALL "
            "SELECT i.content_id, coalesce(t.probability, 1) FROM tags t JOIN images i ON i.id = t.image_id "
            "WHERE t.label_id IN below) "
            "SELECT e.id, max(f.chance) FROM found f "
            "JOIN embeddings e ON e.content_id = f.content_id AND e.model_id = ? GROUP BY e.id ORDER BY e.id"
        )
        rows = self._reader._rows(sql, label, model_id)
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return ids, np.fromiter((row[1] for row in rows), np.float64, len(rows))

    # photos

    def images(self, after: int, limit: int) -> list[PhotoAt]:
        """Return up to `limit` images that can be found, with ids greater than `after`, in ascending order."""
        sql = (
            "SELECT i.id, i.content_id, r.path, i.relpath FROM images i JOIN roots r ON r.id = i.root_id "
            "WHERE i.id > ? AND i.content_id IS NOT NULL ORDER BY i.id LIMIT ?"
        )
        return [PhotoAt(*row) for row in self._reader._rows(sql, after, limit)]

    def images_of(self, content_ids: Sequence[int]) -> list[PhotoAt]:
        """Return the images with these contents, by ascending id."""
        sql = (
            "SELECT i.id, i.content_id, r.path, i.relpath FROM images i JOIN roots r ON r.id = i.root_id "
            "WHERE i.content_id IN (SELECT value FROM json_each(?)) ORDER BY i.id"
        )
        return [PhotoAt(*row) for row in self._reader._rows(sql, json.dumps([int(id) for id in content_ids]))]

    def results(self, content_ids: Sequence[int]) -> list[tuple[int, int, float]]:
        """Return (content id, label id, probability) of the results of runs, sorted by content, most probable first."""
        sql = (
            "SELECT content_id, label_id, probability FROM content_tags "
            "WHERE content_id IN (SELECT value FROM json_each(?)) ORDER BY content_id, probability DESC, label_id"
        )
        return self._reader._rows(sql, json.dumps([int(id) for id in content_ids]))

    # embeddings

    def block(self, model: ModelRow, after: int, limit: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """Return up to `limit` embeddings with ids greater than `after`, by ascending id.

        Returns ids (n,) int64, content ids (n,) int64 and vectors (n, dim) float16. Each block is a separate query,
        because an open cursor would block writers if the journal mode is not WAL. Raises SearcherError if the catalog
        is damaged.
        """
        import numpy as np

        sql = "SELECT id, content_id, vector FROM embeddings WHERE id > ? AND +model_id = ? ORDER BY id LIMIT ?"
        rows = self._reader._rows(sql, after, model.id, limit)
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        contents = np.fromiter((row[1] for row in rows), np.int64, len(rows))
        blob = b"".join(row[2] for row in rows)
        if len(blob) != len(rows) * model.dim * 2:
            raise SearcherError(f"the catalog in {self._reader.folder} is damaged: run `searcher check`")
        return ids, contents, np.frombuffer(blob, np.float16).reshape(len(rows), model.dim)

    def has_embedding_after(self, model_id: int, last_id: int) -> bool:
        """Return whether a model has an embedding with an id greater than `last_id`."""
        sql = "SELECT 1 FROM embeddings WHERE id > ? AND +model_id = ? LIMIT 1"
        return self._reader._row(sql, last_id, model_id) is not None

    def embeddings_of(self, digests: Iterable[bytes], model: ModelRow) -> "dict[bytes, np.ndarray]":
        """Return content digest → embedding (dim,) float32. Contents without an embedding are left out."""
        import numpy as np

        sql = "SELECT e.vector FROM contents c JOIN embeddings e ON e.content_id = c.id AND e.model_id = ? "
        sql += "WHERE c.digest = ?"
        found = {digest: self._reader._row(sql, model.id, digest) for digest in digests}
        return {
            digest: np.frombuffer(row[0], np.float16).astype(np.float32)
            for digest, row in found.items()
            if row is not None
        }

    def sample(self, model: ModelRow, count: int) -> "np.ndarray":
        """Return up to `count` embeddings, spread over the whole library: (n, dim) float32.

        The same library always gives the same sample.
        """
        import numpy as np

        # ids have gaps only where rows were deleted, so every k-th id gives an even sample
        sql = "SELECT min(id), max(id) FROM embeddings"
        first, last = self._reader._row(sql)
        if first is None:
            return np.zeros((0, model.dim), np.float32)
        step = max(1, (last - first + 1) // count)
        wanted = list(range(first, last + 1, step))[:count]
        sql = "SELECT vector FROM embeddings WHERE id IN (SELECT value FROM json_each(?)) AND +model_id = ? ORDER BY id"
        rows = self._reader._rows(sql, json.dumps(wanted), model.id)
        return np.frombuffer(b"".join(row[0] for row in rows), np.float16).reshape(-1, model.dim).astype(np.float32)

    # runs

    def runs(self) -> list[RunRow]:
        """Return all tag runs, the latest one last."""
        rows = self._reader._rows("SELECT id, key, definition, basis, last_id, replaced FROM tag_runs ORDER BY id")
        return [_run(row) for row in rows]

    def run(self, key: str) -> RunRow | None:
        """Return the tag run with this key, or None if there is none."""
        row = self._reader._row("SELECT id, key, definition, basis, last_id, replaced FROM tag_runs WHERE key = ?", key)
        return None if row is None else _run(row)

    def prompts(self, keys: Iterable[str], model: ModelRow) -> "dict[str, np.ndarray]":
        """Return key → embedding (dim,) float32 for those prompts that are stored."""
        import numpy as np

        sql = "SELECT key, vector FROM prompts WHERE model_id = ? AND key IN (SELECT value FROM json_each(?))"
        rows = self._reader._rows(sql, model.id, json.dumps(list(keys)))
        return {key: np.frombuffer(vector, np.float32) for key, vector in rows}

    # taught labels

    def taught(self) -> dict[str, str]:
        """Return every taught label with a text that identifies its examples. The text changes if they change."""
        sql = (
            "SELECT l.name, group_concat(hex(e.digest) || e.positive, ' ') FROM "
            "(SELECT * FROM examples ORDER BY digest) e JOIN labels l ON l.id = e.label_id GROUP BY l.id"
        )
        return dict(self._reader._rows(sql))

    def examples(self, name: str) -> list[ExampleRow]:
        """Return the examples of a label, sorted by digest."""
        sql = (
            "SELECT e.digest, e.positive, e.picture FROM examples e JOIN labels l ON l.id = e.label_id "
            "WHERE l.name = ? ORDER BY e.digest"
        )
        return [
            ExampleRow(digest, bool(positive), picture) for digest, positive, picture in self._reader._rows(sql, name)
        ]

    # sidecars

    def sidecars(self, image_ids: Sequence[int], paths: Sequence[bytes]) -> list[SidecarRow]:
        """Return the rows of these sidecars, and of all other sidecars of these images."""
        sql = "SELECT path, image_id, tags, refused, entries, written FROM sidecars WHERE "
        of_images = "image_id IN (SELECT value FROM json_each(?))"
        rows = self._reader._rows(sql + of_images, json.dumps([int(id) for id in image_ids]))
        for start in range(0, len(paths), _MOST_PARAMETERS):
            some = paths[start : start + _MOST_PARAMETERS]
            rows += self._reader._rows(f"{sql} path IN ({','.join('?' * len(some))})", *some)
        return [_sidecar(row) for row in dict.fromkeys(rows)]


def _sidecar(row: "tuple[bytes, int | None, str, str, str, int]") -> SidecarRow:
    tags, refused = (tuple(tuple(path) for path in json.loads(text)) for text in row[2:4])
    return SidecarRow(row[0], row[1], tags, refused, tuple(json.loads(row[4])), bool(row[5]))


def _run(row: "tuple[int, str, str, str, int, str]") -> RunRow:
    return RunRow(*row[:5], replaced=frozenset(json.loads(row[5])))
