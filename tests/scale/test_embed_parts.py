"""How sources are cut into pieces, which columns are read, and how many photos go into a pass."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.models.layout import ModelError
from searcher.scale import pace
from searcher.scale.columns import image_column, name_column
from searcher.scale.files import shown
from searcher.scale.pieces import FileAt, RowGroups
from searcher.scale.plan import Done, jobs
from searcher.scale.reading import photos_of
from searcher.scale.sources import Found, is_read

HUGGING_FACE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    embedded=st.sets(st.integers(0, 7)),
    photos_a_shard=st.integers(1, 9),
)
def test_each_row_is_read_once_unless_it_is_embedded(sizes: list[int], embedded: set[int], photos_a_shard: int) -> None:
    starts = [sum(sizes[:group]) for group in range(len(sizes) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        with pq.ParquetWriter(path, pa.schema({"jpg": pa.binary()})) as writer:
            for start, end in pairwise(starts):
                writer.write_table(pa.table({"jpg": [str(row).encode() for row in range(start, end)]}))
        file = FileAt(str(path).encode(), 1, 2)
        done = Done(archives={str(path): dict.fromkeys(embedded, file.stamp)}, numbers={0, 2})
        found = jobs(Found(archives={folder: [file]}), done, photos_a_shard)
        read = []
        for job in found:
            assert isinstance(job.piece, RowGroups) and job.piece.photos
            photos = list(photos_of(job.piece))
            assert len(photos) == job.piece.photos
            read += [int(photo.read()) for photo in photos]
            assert [photo.path for photo in photos] == [file.path + b"#" + photo.read() for photo in photos]
        left = [group for group in range(len(sizes)) if group not in embedded]
        assert read == [row for group in left for row in range(starts[group], starts[group + 1])]
        # a piece ends at the group that completes it
        assert all((job.piece.photos or 0) < photos_a_shard + max(sizes) for job in found)
        assert [job.name for job in found] == [f"part-{n:05d}.parquet" for n in (1, 3, 4, 5, 6, 7, 8, 9)][: len(found)]


@pytest.mark.parametrize(
    ("columns", "image", "name"),
    [
        ({"image": HUGGING_FACE, "path": pa.string()}, "image.bytes", "image.path"),
        ({"url": pa.string(), "key": pa.int64(), "jpg": pa.large_binary()}, "jpg", "url"),
        ({"a": pa.binary(), "bytes": pa.binary(), "file_name": pa.string()}, "bytes", "file_name"),
        ({"scan": pa.binary(), "caption": pa.string()}, "scan", None),
        ({"a": pa.binary(), "b": pa.binary()}, None, None),
        ({"image": pa.string()}, None, None),
    ],
)  # fmt: skip
def test_columns_of_other_programs_are_found(
    columns: dict[str, pa.DataType], image: str | None, name: str | None
) -> None:
    schema = pa.schema(columns)
    found = image_column(schema)
    assert (None if found is None else ".".join(found)) == image
    if found is not None:
        named = name_column(schema, found)
        assert (None if named is None else ".".join(named)) == name


@pytest.mark.parametrize(
    ("name", "read"),
    [(b"x/0001.jpg", True), (b"./0001.JPEG", True), (b"0001.txt", False), (b"x/._0001.jpg", False), (b"a.mp4", False)],
)
def test_an_archive_holds_the_photos_that_a_folder_would(name: bytes, read: bool) -> None:
    assert is_read(name) == read


def test_no_password_of_a_uri_is_shown() -> None:
    assert shown("s3://key:secret@bucket/folder?region=x&secret_key=y") == "s3://bucket/folder"
    assert shown("/a@b?c") == "/a@b?c"


class Encoder:
    """An encoder on a GPU: fast at 128 photos per pass, and out of memory at 256."""

    on_cpu = False

    class preprocessing:
        size = (2, 2)

    def __init__(self, clock: list[float], memory: int) -> None:
        self.clock, self.memory = clock, memory

    def encode_pixels(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) > self.memory:
            raise ModelError("out of memory")
        self.clock[0] += 0.1 + (0.001 if len(batch) <= 128 else 0.01) * len(batch)
        return batch


def test_the_pass_of_a_gpu_is_the_fastest_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("searcher.scale.pace.time.perf_counter", lambda: clock[0])
    assert pace.photos_at_once(Encoder(clock, 999)) == 128
    assert pace.photos_at_once(Encoder(clock, 64)) == 64
    with pytest.raises(ModelError):
        pace.photos_at_once(Encoder(clock, 16))
