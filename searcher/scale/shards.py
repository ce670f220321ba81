"""The Parquet files that `searcher embed` writes, called shards: one row a photo, with its embedding.

pandas, DuckDB, LanceDB and clip-retrieval read them as they are. The metadata of each file says which model made it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher.errors import InvalidInput, NotFound

FACTS = b"searcher"  # a key of the metadata of a file
SUFFIX = ".parquet"
ROWS = 1024  # that are read at a time


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

    id: 32 hexadecimal digits, a digest of the path. path: an absolute path or a URI, with the name in an archive after
    "#". path_bytes: the path of a file whose name is not UTF-8. embedding: float32 of unit length, null with an error.
    width, height: pixels, as the photo is seen. taken_at: ISO 8601, local time of the camera. taken_offset: minutes
    that it is ahead of UTC. latitude, longitude: degrees. rating: 0 to 5 stars, or -1 (rejected). keywords: those in
    the file. digest: 32 hexadecimal digits, of the content; copies have the same. size: bytes. mtime_ns: modification
    time. phash, sharpness: see `photos.likeness`. error: why the photo has no embedding. thumbnail: a WebP file.
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


def location(where: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a folder or a file, and its path there: a local path, or a URI such as s3://bucket/folder.

    Raises InvalidInput for a URI that no file system has.
    """
    try:
        if "://" in where:
            files, path = pafs.FileSystem.from_uri(where)
            return files, path
        return pafs.LocalFileSystem(), str(Path(where).expanduser().absolute())
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{where} cannot be opened: {str(error).splitlines()[0]}") from error


def list_shards(where: str) -> tuple[pafs.FileSystem, list[str]]:
    """The shards in a folder, by name. Raises NotFound if there is none."""
    files, folder = location(where)
    found = files.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    paths = sorted(info.path for info in found if info.is_file and info.base_name.endswith(SUFFIX))
    if not paths:
        raise NotFound(f"no Parquet files are in {where}: write some with `searcher embed SOURCE --out {where}`")
    return files, paths


def read_facts(files: pafs.FileSystem, path: str) -> Facts:
    """Which model made a shard. Raises InvalidInput for a file that `embed` did not write."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path, filesystem=files).metadata or {}
        fields: dict[str, Any] = json.loads(metadata[FACTS])
        return Facts(**fields)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InvalidInput(f"{path} is not a shard of `searcher embed`, or is damaged") from error


def read_rows(files: pafs.FileSystem, path: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a shard, some at a time. Raises InvalidInput if it is damaged."""
    try:
        with files.open_input_file(path) as file:
            yield from pq.ParquetFile(file).iter_batches(ROWS, columns=columns)
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
