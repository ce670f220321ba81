"""The Parquet files that `searcher embed` writes, called shards: one row a photo, with its embedding.

pandas, DuckDB, LanceDB and clip-retrieval read them as they are. The metadata of each file says which model made it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher.errors import InvalidInput, NotFound
from searcher.photos.metadata import Keyword
from searcher.scale.files import first_line, folder_at, shown

FACTS = b"searcher"  # a key of the metadata of a file
PIECE = b"searcher.piece"  # another one: what the file was made from, see `pieces`
SUFFIX = ".parquet"
ROWS = 1024  # that are read at a time
READ_AT_ONCE = 1 << 25  # bytes of a row group
READ_BUFFER = 1 << 20  # bytes of a column of a larger one


@dataclass(frozen=True, slots=True)
class Facts:
    """Which model made the embeddings: see `searcher.models`. folder: where the model was."""

    model: str
    digest: str
    version: str
    slug: str
    folder: str
    dim: int
    precision: str


def schema(facts: Facts, thumbnails: bool = False) -> pa.Schema:
    """The columns of a shard. All but `id` and `path` are null if they are not known.

    id: 32 hexadecimal digits, a digest of the place that the photo was read from. path: an absolute path or a URI, with
    the name in an archive after "#". path_bytes: the path of a file whose name is not UTF-8. embedding: float32 of unit
    length, null with an error. width, height: pixels, as the photo is seen. taken_at: ISO 8601, local time of the
    camera. taken_offset: minutes that it is ahead of UTC. latitude, longitude: degrees. rating: 0 to 5 stars, or -1
    (rejected). keywords: those in the file, with "|" between a wider name and a narrower one. digest: 32 hexadecimal
    digits, of the content; copies have the same. size: bytes. mtime_ns: modification time. phash, sharpness: see
    `photos.likeness`. error: why the photo has no embedding. thumbnail: a WebP file.
    """
    columns: list[tuple[str, pa.DataType]] = [
        ("id", pa.string()),
        ("path", pa.string()),
        ("embedding", pa.list_(pa.float32(), facts.dim)),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("taken_at", pa.string()),
        ("camera", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("error", pa.string()),
        ("format", pa.string()),
        ("taken_offset", pa.int32()),
        ("lens", pa.string()),
        ("rating", pa.int32()),
        ("description", pa.string()),
        ("keywords", pa.list_(pa.string())),
        ("digest", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("phash", pa.int64()),
        ("sharpness", pa.float64()),
        ("path_bytes", pa.binary()),
    ]
    if thumbnails:
        columns.append(("thumbnail", pa.binary()))
    return pa.schema(columns, metadata={FACTS: json.dumps(asdict(facts)).encode()})


def list_shards(where: str) -> tuple[pafs.FileSystem, list[str]]:
    """The shards in a folder, by name. Raises NotFound if there is none."""
    files, folder = folder_at(where)
    paths = shards_in(files, folder)
    if not paths:
        place = shown(where)
        raise NotFound(f"no Parquet files are in {place}: write some with `searcher embed SOURCE --out {place}`")
    return files, paths


def shards_in(files: pafs.FileSystem, folder: str) -> list[str]:
    """The paths of the shards in a folder, by name. Empty if it does not exist. Raises InvalidInput."""
    try:
        found = files.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be read: {first_line(error)}") from error
    return sorted(info.path for info in found if info.is_file and _is_shard(info))


def _is_shard(info: pafs.FileInfo) -> bool:
    try:
        name: str = info.base_name
    except UnicodeDecodeError:  # `embed` gives no such name, and pyarrow cannot open the file
        return False
    return name.endswith(SUFFIX) and not name.startswith(".")


def read_facts(files: pafs.FileSystem, path: str) -> Facts:
    """Which model made a shard. Raises InvalidInput for a file that `embed` did not write."""
    return read_said(files, path)[0]


def read_said(files: pafs.FileSystem, path: str) -> tuple[Facts, dict[str, Any]]:
    """What the metadata of a shard says: which model made it, and from what (see `pieces`).

    Raises InvalidInput for a file that `embed` did not write.
    """
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path, filesystem=files).metadata or {}
        fields: dict[str, Any] = json.loads(metadata[FACTS])
        piece: dict[str, Any] = json.loads(metadata.get(PIECE, b'{"kind": "files"}'))
        return Facts(**fields), piece
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InvalidInput(f"{path} is not a shard of `searcher embed`, or is damaged: move it away") from error


def read_rows(files: pafs.FileSystem, path: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a shard, some at a time. Raises InvalidInput if it is damaged.

    Memory is bounded: a row group is read at once only if it is small. This matters on a server, where each read takes
    a while.
    """
    try:
        with files.open_input_file(path) as file:
            footer = pq.read_metadata(file)
            groups = range(footer.num_row_groups)
            largest = max((footer.row_group(group).total_byte_size for group in groups), default=0)
            at_once = largest <= READ_AT_ONCE
            table = pq.ParquetFile(file, metadata=footer, pre_buffer=at_once, buffer_size=READ_BUFFER)
            for group in groups:
                yield from table.iter_batches(ROWS, row_groups=[group], columns=columns)
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read: {first_line(error)}") from error


def keyword_text(keyword: Keyword) -> str:
    """A keyword as the shards have it: ("Places", "Paris") → "Places|Paris"."""
    return "|".join(name.replace("|", "/") for name in keyword)


def keyword_of(text: str) -> Keyword:
    """The opposite of `keyword_text`."""
    return tuple(text.split("|"))
