"""Loading shards into Milvus: whatever happens in between, the library holds each photo once, with its tags."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searcher.commands import main
from searcher.errors import InvalidInput
from searcher.filters import Filter
from searcher.progress import Progress
from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.collection import MilvusCollection
from searcher.scale.milvus.connection import Connection
from searcher.scale.milvus.loading import LoadReport, load
from searcher.scale.milvus.marks import mark
from searcher.scale.shards import Facts
from tests.scale.milvus.filling import FILES, empty, key_of, write_shard
from tests.vectors.filling import DIM, unit_vectors

FACTS = Facts("histogram", "0123456789abcdef", "1", "histogram", "/models/histogram", DIM, "float32")
VECTORS = unit_vectors(64, seed=7)


def image(number: int, path: str = "", **columns: Any) -> dict[str, Any]:
    """A row of a shard: the content with this number, at /photos/NUMBER.jpg."""
    path = path or f"/photos/{number}.jpg"
    found = {"id": key_of(path.encode()), "path": path, "embedding": VECTORS[number], "width": 40, "height": 30}
    return found | {"format": "JPEG", "digest": f"{number:032x}", "size": 100} | columns


def broken(path: str) -> dict[str, Any]:
    return {"id": key_of(path.encode()), "path": path, "error": "not an image"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    connection = Connection(read_address(f"milvus:{tmp_path_factory.mktemp('milvus')}/a.db/photos"))
    yield connection
    connection.close()


@pytest.fixture
def library(file: Connection) -> Connection:
    """An empty library."""
    empty(file)
    return file


class Shards:
    """Shards in a folder, and the library that they are loaded into."""

    def __init__(self, folder: Path, connection: Connection) -> None:
        self.folder, self.connection, self.paths = folder, connection, list[str]()

    def add(self, *rows: dict[str, Any], facts: Facts = FACTS) -> None:
        path = self.folder / f"{len(self.paths):05}.parquet"
        self.paths.append(write_shard(path, facts, list(rows), thumbnails=any("thumbnail" in row for row in rows)))

    def load(self, progress: Progress | None = None) -> LoadReport:
        return load(FILES, self.paths, self.connection, progress or Progress())

    def rows(self) -> dict[str, dict[str, Any]]:
        """path → row."""
        rows = [*self.connection.rows("photos", "", ["*"], strong=True)]
        assert len({row["path"] for row in rows}) == len(rows)
        return {row["path"]: row for row in rows}

    def collection(self) -> MilvusCollection:
        return MilvusCollection.open(self.connection.address)


@pytest.fixture
def shards(tmp_path: Path, library: Connection) -> Shards:
    return Shards(tmp_path, library)


def test_what_a_shard_says_is_in_the_library_and_a_second_run_reads_nothing(shards: Shards) -> None:
    taken: dict[str, Any] = {
        "taken_at": "2023-06-01T12:00:00",
        "camera": "Canon EOS 5D",
        "latitude": 48.85,
        "longitude": 2.35,
    }
    shards.add(
        image(1, rating=4, keywords=["Places|Paris", "sea"], thumbnail=b"a small picture", lens="50 mm", **taken),
        broken("/photos/trips/broken.jpg"),
        image(2, "s3://bucket/2020/a.jpg"),
        image(3, "/data/00.tar#trips/b.jpg"),
    )
    shards.add(image(1, "/photos/trips/copy.jpg"), image(4, "/photos/caf\\xe9.jpg", path_bytes=b"/photos/caf\xe9.jpg"))
    seen: list[tuple[int, int | None]] = []

    class Seen(Progress):
        def advance(self, done: int, total: int | None) -> None:
            seen.append((done, total))

    report = shards.load(Seen())
    assert (report.shards, report.skipped, report.added, report.replaced, report.failed) == (2, 0, 5, 0, 1)
    assert seen[0] == (0, 6) and seen[-1] == (6, 6)
    with shards.collection() as collection:
        assert [(folder.path, folder.images, folder.failed) for folder in collection.folders()] == [
            ("/", 4, 1),
            ("s3://bucket/2020", 1, 0),
        ]
        details = collection.details(1)
        assert details is not None
        assert (details.content.camera, details.content.lens, details.content.rating) == ("Canon EOS 5D", "50 mm", 4)
        assert [copy.path for copy in details.copies] == ["/photos/trips/copy.jpg"]
        assert [(tag.label, tag.source) for tag in details.photo.tags] == [("Paris", "file"), ("sea", "file")]
        assert len(collection.browse(Filter(("Places",)))) == 1
        assert collection.stored_thumbnail(details.content.digest) == b"a small picture"
        for folder, paths in {
            "s3://bucket": {"s3://bucket/2020/a.jpg"},
            "s3:/bucket/2020/": {"s3://bucket/2020/a.jpg"},
            "/data/00.tar": {"/data/00.tar#trips/b.jpg"},
            "/photos/trips": {"/photos/trips/copy.jpg"},
        }.items():
            filter = Filter(folders=(folder,))
            found = collection.photos([id for id, _ in collection.browse(filter)], filter)
            assert {copy.path for copies in found.values() for copy in copies if copy.meant} == paths
        name = Filter(name="caf?.jpg")
        ((copy,),) = collection.photos([id for id, _ in collection.browse(name)]).values()
        assert copy.path_bytes == b"/photos/caf\xe9.jpg"
        assert collection.images_at(["/photos/1.jpg", "s3://bucket/2020/a.jpg"]) == [1, 3]
        revision = collection.revision
        report = shards.load()
        assert (report.shards, report.skipped, report.added) == (0, 2, 0)
        assert collection.revision == revision


def test_a_shard_of_failed_photos_alone_is_counted(shards: Shards) -> None:
    shards.add(broken("/photos/broken.jpg"))
    shards.add(image(1))
    report = shards.load()
    assert (report.shards, report.added, report.failed) == (2, 1, 1)


def test_a_photo_that_is_loaded_again_keeps_its_tags_if_its_content_is_the_same(shards: Shards) -> None:
    shards.add(image(1), image(2), image(2, "/photos/copy.jpg"), image(2, "/photos/other.jpg"))
    shards.load()
    with shards.collection() as collection:
        collection.edit_tags([1, 2], ["mine"], [])
        before = shards.rows()
        # the first copy of the second photo gets another content
        shards.add(image(1, size=101), image(3, "/photos/2.jpg"))
        assert shards.load().replaced == 2
        after = shards.rows()
        assert after["/photos/1.jpg"]["id"] == before["/photos/1.jpg"]["id"]
        assert '"size":101' in after["/photos/1.jpg"]["facts"]
        assert after["/photos/2.jpg"]["id"] > max(row["id"] for row in before.values())
        copies = after["/photos/copy.jpg"], after["/photos/other.jpg"]
        assert {row["content"] for row in copies} == {copies[0]["id"]}
        assert [row["first"] for row in copies] == [True, False]
        tagged = {path for path, row in after.items() if "user:mine" in row["tags"]}
        assert tagged == {"/photos/1.jpg", "/photos/copy.jpg", "/photos/other.jpg"}
        assert len(collection.nearest(VECTORS[2:3], 10)[0]) == 3
        # a copy that comes later has the tags, too
        shards.add(image(1, "/photos/late.jpg"))
        shards.load()
        assert "user:mine" in shards.rows()["/photos/late.jpg"]["tags"]


def test_shards_of_another_model_and_collections_of_others_are_refused(shards: Shards, tmp_path: Path) -> None:
    shards.add(image(1))
    shards.load()
    other = Facts("other", "fedcba9876543210", "1", "other", "/models/other", DIM, "float32")
    shards.add(image(2), facts=other)
    with pytest.raises(InvalidInput, match="the model other"):
        shards.load()
    shards.paths = shards.paths[1:]
    with pytest.raises(InvalidInput, match="holds embeddings of the model histogram"):
        shards.load()
    assert [*shards.rows()] == ["/photos/1.jpg"]
    registry = shards.collection()._registry
    entry = registry.library()
    registry.put("library", {"": entry | {"schema": 99, "searcher": "9.0"}})
    try:
        with pytest.raises(InvalidInput, match=r"made by another version of searcher \(9.0\)"):
            shards.collection()
        with pytest.raises(InvalidInput, match="another version"):
            shards.load()
    finally:
        registry.put("library", {"": entry})
    foreign = Connection(read_address(f"{shards.connection.address}_registry"))
    shards.connection = foreign
    with pytest.raises(InvalidInput, match="a collection of another program: choose another name"):
        shards.load()
    foreign.close()


def test_a_damaged_shard_is_named_and_the_others_are_loaded(shards: Shards) -> None:
    for number in (1, 2, 3):
        shards.add(image(number))
    Path(shards.paths[0]).write_bytes(b"no Parquet file")
    data = Path(shards.paths[1]).read_bytes()
    Path(shards.paths[1]).write_bytes(data[:4] + b"\xff" * 200 + data[204:])
    report = shards.load()
    assert [failure.path for failure in report.damaged] == shards.paths[:2]
    assert [*shards.rows()] == ["/photos/3.jpg"]
    Path(shards.paths[1]).write_bytes(data)
    assert len(shards.load().damaged) == 1
    assert len(shards.rows()) == 2
    shards.paths = shards.paths[:1]
    with pytest.raises(InvalidInput, match="is not a shard of `searcher embed`"):
        shards.load()


def test_tags_of_many_kinds_and_sizes_are_kept(shards: Shards) -> None:
    shards.add(image(1), image(2))
    shards.load()
    wild = ['"; drop', "back\\slash", "it's", "100%_", "Straße 😀", 'a" or id >= 0 or "', "zero-shot:dog", "x" * 200]
    with shards.collection() as collection:
        collection.edit_tags([1], wild, [])
        for label in wild:
            assert [id for id, _ in collection.browse(Filter((label,)))] == [1]
            assert [id for id, _ in collection.browse(Filter(not_tags=(label,)))] == [2]
        many = {f"label {number:05}": ("zero-shot", number / 5000) for number in range(4500)}
        collection.add_labels(dict.fromkeys(many))
        collection.put_results([2], many, {2: many})
        kept = collection.tags([2])[2]
        assert kept[0].label == "label 04499" and 1500 < len(kept) < 4096  # what Milvus can hold, the most likely ones
        assert {tag.label for tag in collection.tags([1])[1]} == set(wild)


def test_rows_are_found_when_the_index_returns_too_few(shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.add(*(image(number) for number in range(1, 60)))
    shards.load()
    with shards.collection() as collection:
        expected = collection.nearest(VECTORS[:2], 40)
        search = collection._search
        monkeypatch.setattr(collection, "_search", lambda *asked: [hits[:9] for hits in search(*asked)])
        found = collection.nearest(VECTORS[:2], 40)
        assert [[id for id, _ in row] for row in found] == [[id for id, _ in row] for row in expected]
        scores = [[score for _, score in row] for row in expected]
        np.testing.assert_allclose([[score for _, score in row] for row in found], scores, atol=1e-6)
        assert mark("user", "x") == "user:x"


def test_the_command_loads_searches_and_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    rows = [image(1), image(2), broken("/photos/broken.jpg")]
    write_shard(folder / "0.parquet", FACTS, rows)
    address = f"milvus:{tmp_path}/a.db/photos"

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["load", str(folder), *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    code, out, _ = run("--to", address)
    assert code == 0 and out.startswith("2 added, 1 failed from 1 Parquet file (")
    code, out, _ = run("--to", address)
    assert code == 0 and out.startswith("No photos from 0 Parquet files, and 1 had been loaded before (")
    (folder / "1.parquet").write_bytes(b"")
    code, out, err = run("--to", address, "--json")
    assert code == 1 and json.loads(out)["skipped"] == 1
    assert "1.parquet is not a shard" in err
    code, out, err = run("--to", "milvus://ann:secret@host/no-name")
    assert code == 1 and not out and "no name of a collection" in err and "secret" not in err
    code, _, err = run("--to", address, "--library", str(tmp_path))
    assert code == 2 and "exclude each other" in err
    code, _, err = run("--library", address)
    assert code == 2 and "with --to" in err
