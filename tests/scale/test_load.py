"""Parquet shards → a library, as if the photos had been indexed there."""

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from searcher import Library
from searcher.catalog.connect import CATALOG_NAME
from searcher.commands import main
from searcher.errors import InvalidInput, NotFound
from searcher.progress import Progress
from searcher.scale import embed
from searcher.scale.homes import Parents, Spot, spot_of
from searcher.scale.shards import Facts, schema
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album, model
from tests.library.conftest import album as album
from tests.web.conftest import client_of

__all__ = ["album", "model"]

FACTS = Facts("histogram", "0123456789abcdef", "1", "histogram", str(HistogramModel.folder), 64, "float32")
Rows = list[dict[str, Any]]


def rows_of(library: Library) -> Rows:
    """What `searcher embed` would write about the photos of a library."""
    sql = (
        "SELECT r.path, i.relpath, i.size, i.mtime_ns, i.error, c.*, e.vector FROM images i "
        "JOIN roots r ON r.id = i.root_id LEFT JOIN contents c ON c.id = i.content_id "
        "LEFT JOIN embeddings e ON e.content_id = c.id ORDER BY i.relpath"
    )
    with closing(sqlite3.connect(library.folder / CATALOG_NAME)) as catalog:
        catalog.row_factory = sqlite3.Row
        return [row_of(dict(found)) for found in catalog.execute(sql)]


def row_of(found: dict[str, Any]) -> dict[str, Any]:
    path = os.path.join(found["path"], found["relpath"])  # noqa: PTH118
    row = {name: found[name] for name in schema(FACTS).names if name in found}
    row |= {"id": path.hex()[:32], "path": path.decode(errors="replace"), "embedding": None}
    row["path_bytes"] = None if row["path"].encode() == path else path
    if found["error"] is None:
        said = json.loads(found["embedded"])
        row["embedding"] = np.frombuffer(found["vector"], np.float16).astype(np.float32)
        row["digest"] = found["digest"].hex()
        row["keywords"] = ["|".join(names) for names in said.get("keywords", ())]
    return row


def write(folder: Path, rows: Rows, name: str = "0.parquet", facts: Facts = FACTS) -> Path:
    folder.mkdir(exist_ok=True)
    thumbnails = any("thumbnail" in row for row in rows)
    table = pa.Table.from_pylist(rows, schema(facts, thumbnails))
    pq.write_table(table, folder / name, row_group_size=3)
    return folder


def state(library: Library) -> dict[str, list[Any]]:
    """All that a catalog holds, without ids and the times of runs."""
    queries = {
        "roots": "SELECT path, whole, options FROM roots",
        "mounts": "SELECT count(*) FROM mounts",
        "images": "SELECT r.path, relpath, size, mtime_ns, c.digest, error FROM images i "
        "JOIN roots r ON r.id = i.root_id LEFT JOIN contents c ON c.id = i.content_id",
        "contents": "SELECT digest, width, height, format, taken_at, camera, latitude, longitude, taken_offset, lens, "
        "rating, description, phash, sharpness, embedded FROM contents",
        "models": "SELECT digest, name, slug, version, folder, dim, retired, refreshed_to IS NOT NULL, "
        "m.id = l.model_id FROM models m, library l",
        "embeddings": "SELECT c.digest, precision, vector FROM embeddings e JOIN contents c ON c.id = e.content_id",
        "labels": "SELECT l.name, p.name FROM labels l LEFT JOIN labels p ON p.id = l.parent_id",
        "tags": "SELECT i.relpath, l.name, source, probability FROM tags t JOIN labels l ON l.id = t.label_id "
        "JOIN images i ON i.id = t.image_id",
        "rest": "SELECT (SELECT count(*) FROM read_sidecars), (SELECT count(*) FROM content_tags), "
        "(SELECT count(*) FROM waiting_tags)",
    }
    with closing(sqlite3.connect(library.folder / CATALOG_NAME)) as catalog:
        return {name: sorted(catalog.execute(sql), key=repr) for name, sql in queries.items()}


@pytest.fixture
def other(tmp_path: Path, model: HistogramModel) -> Callable[..., Library]:
    """A function that opens another library than that of the album."""
    return lambda name="other": Library.open(tmp_path / name, model=model, create=True)


def add_photos(album: Album) -> None:
    """Photos of all kinds: in folders, with metadata, keywords, copies, odd names, and one that is broken."""
    album.fill()
    exif = Image.Exif()
    exif.update({0x010F: "Maker", 0x0110: "Model 1", 0x9C9E: "sea;beach".encode("utf-16-le"), 0x010E: "At the sea"})
    exif.get_ifd(0x8769)[0x9003] = "2021:06:05 12:13:14"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0), 3: "E", 4: (2.0, 15.0, 0.0)})
    Image.new("RGB", (40, 30), "yellow").save(album.folder / "said.jpg", exif=exif)
    album.copy("said.jpg", "copies/said again.jpg")
    album.add("odd/\udcff.png", "black", 9)
    (album.folder / "odd" / "broken.jpg").write_text("no picture")
    album.index()


def test_a_loaded_library_equals_an_indexed_one(
    album: Album, other: Callable[..., Library], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(album)
    rows = rows_of(album.library)
    monkeypatch.setattr(embed, "_open", lambda *_, **__: album.model)
    monkeypatch.setattr(HistogramModel, "on_cpu", True, raising=False)
    embed.embed([str(album.folder)], str(tmp_path / "shards"), photos_a_shard=3, thumbnails=True)
    with other() as loaded:
        report = loaded.load(str(tmp_path / "shards"))
        assert (report.shards, report.added, report.failed, report.damaged) == (3, len(rows) - 1, 1, ())
        assert report.thumbnails == len(rows) - 1
        assert state(loaded) == state(album.library)
        assert {tag for _, tag, *_ in state(loaded)["tags"]} == {"sea", "beach"}
        assert loaded.status().pending == 0
        assert loaded.check(photos=True).ok
        # the files are as the shards say, so nothing is read again
        assert loaded.index().as_dict()["unchanged"] == len(rows) - 1
        assert state(loaded) == state(album.library)


def test_a_second_run_changes_nothing_and_an_interrupted_one_is_continued(
    album: Album, other: Callable[..., Library], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(album)
    rows = rows_of(album.library)
    shards = str(write(tmp_path / "shards", rows))
    monkeypatch.setattr("searcher.scale.loading.AT_ONCE", 2)
    with other() as loaded:
        with pytest.raises(KeyboardInterrupt):
            loaded.load(shards, Told(interrupt_after=4))
        assert len(state(loaded)["images"]) == 4
        report = loaded.load(shards)
        assert (report.added, report.unchanged, report.failed) == (len(rows) - 4, 3, 1)
        before = state(loaded)
        assert before == state(album.library)
        report = loaded.load(shards)
        assert (report.added, report.changed, report.unchanged, report.failed) == (0, 0, len(rows) - 1, 1)
        assert state(loaded) == before


class Told(Progress):
    """A progress that keeps notices, and is interrupted when so many rows are done."""

    def __init__(self, interrupt_after: int = 99) -> None:
        self.interrupt_after, self.notices = interrupt_after, list[str]()

    def advance(self, done: int, total: int | None) -> None:
        if done >= self.interrupt_after:
            raise KeyboardInterrupt

    def notice(self, message: str) -> None:
        self.notices.append(message)


def test_the_library_keeps_what_a_person_typed_and_what_is_newer(album: Album, tmp_path: Path) -> None:
    album.fill()
    rows = {Path(row["path"]).name: row for row in rows_of(album.library)}
    library = album.library
    library.add_tag("mine", [album.folder / "red.png", album.folder / "green.png"])
    # the photo of the shard is a newer red.png, and blue.png was changed after the shard was written
    changed = {**rows["white.png"], "path": rows["red.png"]["path"], "mtime_ns": rows["red.png"]["mtime_ns"] + 1}
    album.add("blue.png", "yellow", 7)
    album.index()
    failed = {**dict.fromkeys(schema(FACTS).names), "id": "0", "path": rows["green.png"]["path"], "error": "lost"}
    report = library.load(str(write(tmp_path / "shards", [changed, rows["blue.png"], failed, rows["white.png"]])))
    assert (report.added, report.changed, report.unchanged, report.failed) == (0, 1, 3, 0)
    assert album.found("white") == ["red.png=white.png"]
    assert album.found("yellow") == ["blue.png"]
    assert [name for name, label, *_ in state(library)["tags"] if label == "mine"] == [b"green.png", b"red.png"]
    # the content of the old red.png comes back under another name
    again = {**rows["red.png"], "path": str(album.folder / "again.png")}
    library.load(str(write(tmp_path / "shards", [again])))
    assert [name for name, label, *_ in state(library)["tags"] if label == "mine"] == [
        *(b"again.png", b"green.png", b"red.png")
    ]


def test_copies_share_tags_and_are_one_hit(album: Album, tmp_path: Path) -> None:
    album.fill()
    rows = rows_of(album.library)
    album.library.add_tag("mine", [row["path"] for row in rows])
    copies = [{**row, "path": row["path"].replace("/photos/", "/elsewhere/")} for row in rows]
    report = album.library.load(str(write(tmp_path / "shards", copies)))
    assert (report.added, report.unchanged) == (4, 0)
    assert album.found("red") == ["../elsewhere/red.png=red.png"]
    assert len(state(album.library)["tags"]) == 8
    folders = {folder.path: (folder.images, folder.missing) for folder in album.library.folders()}
    assert folders == {str(album.folder): (4, False), str(tmp_path / "elsewhere"): (4, True)}
    album.library.index()  # a folder that is not there is no deletion
    assert album.library.status().images == 8


# of a kind that no program reads, so that nothing is asked of a network
URIS = ("vault://bucket/trip/a.jpg", "vault://bucket/home/b.jpg", "https://x.org/c//d.jpg", "/no/such/0.tar#in/e.jpg")


@pytest.fixture
def remote(album: Album, other: Callable[..., Library], tmp_path: Path) -> Library:
    """A library of photos that are elsewhere. The first has a thumbnail."""
    album.fill()
    rows = [{**row, "path": uri} for row, uri in zip(rows_of(album.library), URIS, strict=True)]
    file = BytesIO()
    Image.new("RGB", (256, 192)).save(file, "WEBP")
    rows[0]["thumbnail"], rows[1]["thumbnail"] = file.getvalue(), b"<svg>"
    library = other()
    report = library.load(str(write(tmp_path / "shards", rows)))
    assert (report.added, report.thumbnails) == (4, 1)
    return library


def test_photos_elsewhere_are_found_and_kept(
    remote: Library, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {hit.path for hit in remote.search("red green blue white", top=9)}
    assert paths == {*URIS[:3], "file:///no/such/0.tar#in/e.jpg"}
    roots = {folder.path: folder.images for folder in remote.folders()}
    assert roots == {"vault://bucket": 2, "https://": 1, "file:///no/such": 1}
    assert [hit.path for hit in remote.search(filter=remote_filter("vault://bucket/trip"))] == [URIS[0]]
    assert [hit.path for hit in remote.search(filter=remote_filter(Path("https://x.org/c")))] == [URIS[2]]
    remote.add_tag("mine", [URIS[0]])
    assert [hit.path for hit in remote.search(filter=remote_filter(tags=("mine",)))] == [URIS[0]]
    assert {"https://", "https://x.org", "vault://bucket/trip"} < {name for name, _ in remote.facets().folders}
    assert len(remote.search(filter=remote_filter("https://"))) == 1
    remote.export(tmp_path / "backup.json")
    with Library.open(tmp_path / "restored", create=True) as restored:
        assert restored.restore(tmp_path / "backup.json").roots == 3
        assert restored.load(str(tmp_path / "shards")).added == 4
        assert [name for name, label, *_ in state(restored)["tags"] if label == "mine"] == [b"trip/a.jpg"]
    # neither a run without a folder nor one around the working folder takes them for deleted or for its own
    (tmp_path / "more").mkdir()
    monkeypatch.chdir(tmp_path / "more")
    album.folder.rename(tmp_path / "more" / "photos")
    assert remote.index(".").as_dict()["added"] == 4
    assert remote.index().as_dict()["removed"] == 0
    assert len(remote.search(filter=remote_filter("."))) == 4
    assert remote.check(photos=True).ok
    with pytest.raises(InvalidInput, match="vault://bucket is not on this machine"):
        remote.index("vault://bucket")
    assert remote.forget(Path("vault://bucket/trip")) == 1
    assert {folder.path: folder.images for folder in remote.folders()}["vault://bucket"] == 1


def remote_filter(folder: str | Path | None = None, **more: Any) -> Any:
    from searcher import Filter

    return Filter(folders=() if folder is None else (os.fspath(folder),), **more)


def test_the_page_shows_thumbnails_and_says_why_a_photo_is_not_shown(remote: Library, album: Album) -> None:
    ids = {hit.path: hit.id for hit in remote.search("red green blue white", top=9)}
    album.library = remote
    with client_of(album) as client:
        shown = client.get(f"/api/images/{ids[URIS[0]]}/thumbnail?size=256")
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert client.get(f"/api/images/{ids[URIS[0]]}/thumbnail?size=1024").content == shown.content
        tiny = client.get(f"/api/images/{ids[URIS[0]]}/thumbnail?size=128").content
        assert max(Image.open(BytesIO(tiny)).size) <= 128
        gone = client.get(f"/api/images/{ids[URIS[1]]}/thumbnail?size=256")
        assert gone.status_code == 404
        assert f"the photo cannot be read ({URIS[1]}: " in gone.text
        details = client.get(f"/api/images/{ids[URIS[0]]}").json()
        assert (details["path"], details["name"], details["missing"]) == (URIS[0], "a.jpg", False)
        assert client.get(f"/api/images/{ids[URIS[0]]}/original").status_code == 404


def test_thumbnails_stay_within_the_limit_of_the_cache(
    album: Album, other: Callable[..., Library], tmp_path: Path
) -> None:
    from searcher.library.thumbnails import Thumbnails

    album.fill()
    file = BytesIO()
    Image.new("RGB", (64, 48)).save(file, "WEBP")
    rows = [{**row, "thumbnail": file.getvalue()} for row in rows_of(album.library)]
    with other() as loaded:
        loaded._thumbnails = Thumbnails(loaded.folder, max_bytes=3 * len(file.getvalue()))
        told = Told()
        assert loaded.load(str(write(tmp_path / "shards", rows)), told).thumbnails == 2
        assert told.notices[0] == f"new folder in the library: {album.folder}"
        assert "2 thumbnails were not stored" in told.notices[1]


def test_another_model_is_refused_before_anything_is_made(
    album: Album, other: Callable[..., Library], tmp_path: Path
) -> None:
    album.fill()
    rows = rows_of(album.library)
    write(tmp_path / "shards", rows)
    write(tmp_path / "shards", rows, "1.parquet", replace(FACTS, digest="f" * 16))
    with other() as loaded, pytest.raises(InvalidInput, match=r"several models, .*0\.parquet with histogram 1"):
        loaded.load(str(tmp_path / "shards"))
    assert not (tmp_path / "other").exists()
    write(tmp_path / "foreign", rows, facts=replace(FACTS, digest="f" * 16, model="another"))
    with pytest.raises(InvalidInput, match="was made with the model histogram 1, and the shards with another 1"):
        album.library.load(str(tmp_path / "foreign"))
    write(tmp_path / "int8", rows, facts=replace(FACTS, precision="int8"))
    with pytest.raises(InvalidInput, match="float32 and int8, and they may differ too much"):
        album.library.load(str(tmp_path / "int8"))


def test_a_model_that_is_not_here_is_taken_from_the_shards(album: Album, tmp_path: Path) -> None:
    album.fill()
    facts = replace(FACTS, folder=str(tmp_path / "gone"), slug="../../out", digest="e" * 16)
    shards = write(tmp_path / "shards", rows_of(album.library), facts=facts)
    with Library.open(tmp_path / "other", create=True) as loaded:
        assert loaded.load(str(shards)).added == 4
        assert (tmp_path / "other" / "histogram-eeeeeeee.faiss").exists()
        with pytest.raises(NotFound, match="the model histogram 1, which is no longer in"):
            loaded.search("red")


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty", "column", "middle"])
def test_a_damaged_file_is_named_and_the_others_are_loaded(
    damage: str,
    album: Album,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("searcher.scale.shards.ROWS", 3)
    add_photos(album)
    rows = rows_of(album.library)
    shards = write(tmp_path / "shards", rows[:3])
    Path(os.fsdecode(os.fsencode(shards) + b"/caf\xe9.jpg")).touch()  # which pyarrow cannot list
    bad = write(shards, rows[3:], "bad.parquet") / "bad.parquet"
    data = bad.read_bytes()
    if damage == "truncated":
        bad.write_bytes(data[: len(data) // 2])
    elif damage == "foreign":
        pq.write_table(pa.table({"x": [1]}), bad)
    elif damage == "empty":
        bad.write_bytes(b"")
    elif damage == "column":
        pq.write_table(pq.read_table(bad).drop_columns(["digest"]), bad)
    else:  # in the pages of the last rows
        at = pq.read_metadata(bad).row_group(1).column(2).data_page_offset
        bad.write_bytes(data[:at] + bytes(64) + data[at + 64 :])
    arguments = ["load", str(shards), "--library", str(tmp_path / "other"), "--json"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert ended.value.code == 1
    assert (report["added"], [Path(each["path"]).name for each in report["damaged"]]) == (
        5 if damage == "middle" else 3,
        ["bad.parquet"],
    )
    assert "bad.parquet" in printed.err
    assert "Traceback" not in printed.err


def test_rows_that_are_no_photos_do_no_harm(album: Album, other: Callable[..., Library], tmp_path: Path) -> None:
    album.fill()
    good, *rest = rows_of(album.library)
    where = str(album.folder)
    long = np.full(64, 0.5, np.float32)
    bad: Rows = [
        {**good, "path": f"{where}/nan.jpg", "embedding": np.full(64, np.nan, np.float32)},
        {**good, "path": f"{where}/long.jpg", "embedding": long},
        {**good, "path": f"{where}/none.jpg", "embedding": None},
        {**good, "path": f"{where}/digest.jpg", "digest": "zz" * 16},
        {**good, "path": f"{where}/size.jpg", "width": -1},
    ]
    left_out: Rows = [{**good, "path": path} for path in ("a.jpg", "", f"{where}/a\0b.jpg")]
    odd = {
        **rest[0],
        "taken_at": "yesterday",
        "latitude": 1e9,
        "longitude": 0.0,
        "rating": 77,
        "keywords": ["", "a||b"],
    }
    told = Told()
    with other() as loaded:
        report = loaded.load(str(write(tmp_path / "shards", [good, *bad, *left_out, odd])), told)
        assert (report.added, report.failed) == (2, 5)
        assert {failure.error for failure in loaded.failures()} == {
            "its row in the Parquet file is incomplete or damaged"
        }
        assert told.notices[1:] == ["3 rows were left out, because a library cannot hold such a path: a.jpg"]
        assert [content[4:12] for content in state(loaded)["contents"]] == [(None,) * 8] * 2
        assert loaded.check().ok


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [
        (b"/a/../b//c.jpg", b"/b", b"c.jpg"),
        (b"/x.jpg", b"/", b"x.jpg"),
        (b"file:///d/y.jpg", b"/d", b"y.jpg"),
        (b"/d/C#/x#1.jpg", b"/d/C#", b"x#1.jpg"),
        (b"/d/s.tar.gz#a/b.jpg", b"file:///d", b"s.tar.gz#a/b.jpg"),
        (b"s3://b/x/0.parquet#17", b"s3://b/x", b"0.parquet#17"),
        (b"s3://b//x.jpg", b"s3://", b"b//x.jpg"),
        (b"https://h.org/a.jpg?q=http://z/x", b"https://", b"h.org/a.jpg?q=http://z/x"),
    ],
)
def test_a_path_has_a_folder_and_a_name(path: bytes, folder: bytes, name: bytes) -> None:
    assert spot_of(path) == Spot(folder, name)


def test_one_folder_becomes_the_root_of_each_disk_and_bucket() -> None:
    def parents(*folders: bytes) -> Sequence[bytes]:
        found = Parents()
        for folder in folders:
            found.add(folder)
        return found.folders()

    assert parents(b"/a/b/c", b"/a/b/d", b"/z/q", b"/") == [b"/", b"/a/b", b"/z/q"]
    assert parents(b"s3://b/p/q", b"s3://b/p", b"s3://c", b"https://") == [b"https://", b"s3://b/p", b"s3://c"]
    assert parents(b"file:///d/e", b"file:///d/f", b"file:///g") == [b"file:///d", b"file:///g"]
