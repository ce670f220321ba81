"""What `searcher embed` writes with the local engine, and what a second run does."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from searcher.commands import main
from searcher.commands.scale_extra import needs_scale
from searcher.errors import Busy, InvalidInput, NotFound, SearcherError
from searcher.library import Library
from searcher.models import Model
from searcher.progress import Progress
from searcher.scale.embed import EmbedReport, embed
from searcher.scale.embedding import LOST, Settings, write_shard
from searcher.scale.pieces import FileAt, Files
from searcher.scale.plan import PLAN, Job
from searcher.scale.reading import SourceError
from searcher.scale.shards import Facts
from tests.pictures import draw
from tests.soak.tiny_model import DIM, make_tiny_model

Embed = Callable[..., EmbedReport]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny", "tiny", 1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five photos. The last one says where, when and with what it was taken, and what it shows."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for number in range(4):
        draw(folder / "trip" / f"{number}.jpg", number)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 5D"
    exif.get_ifd(0x8769).update({0x9003: "2023:06:01 10:20:30", 0x9011: "+02:00", 0xA434: "EF 50mm"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0), 3: "W", 4: (2.0, 15.0, 0.0)})
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/" '
        'xmp:Rating="4"><lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Paris</rdf:li></rdf:Bag>'
        "</lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    picture = Image.open(folder / "trip" / "0.jpg").resize((640, 480))
    picture.save(folder / "a.jpg", exif=exif, xmp=xmp.encode())
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(model: Path, out: Path) -> Embed:
    """Embed sources into `out`, two photos a shard."""

    def embedded(*sources: Path | str, **options: Any) -> EmbedReport:
        chosen: dict[str, Any] = {"model": str(model), "photos_a_shard": 2}
        return embed([*map(str, sources)], str(out), **chosen | options)

    return embedded


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """The rows of all shards by the name of their file, or by what is after "#"."""
    found: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(out).to_pylist():
        name = row["path"].rpartition("#")[2].rpartition("/")[2]
        assert name not in found
        found[name] = row
    return found


def names(out: Path) -> list[str]:
    return sorted(shard.name for shard in out.glob("*.parquet"))


def same_embeddings(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> bool:
    return {name: row["embedding"] for name, row in one.items()} == {
        name: row["embedding"] for name, row in other.items()
    }


def test_a_shard_says_what_an_index_run_stores(
    run: Embed, photos: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    report = run(photos)
    assert (report.photos, report.embedded, report.failed, report.shards, report.skipped) == (5, 5, 0, 3, 0)
    found = rows(out)
    with Library.open(tmp_path / "library", model=str(model), create=True) as library:
        library.index(photos)
        for hit in library.search(like=photos / "a.jpg", top=9):
            details, digest = library.photo(hit.id), library.digest(hit.id)
            row = found[Path(hit.path).name]
            assert row["path"] == hit.path and row["path_bytes"] is None
            stored = details.content._asdict() | {"digest": digest.hex()}
            assert {name: row[name] for name in stored} == stored
            assert row["size"] == Path(hit.path).stat().st_size and row["mtime_ns"] == Path(hit.path).stat().st_mtime_ns
    assert found["a.jpg"]["keywords"] == ["Places|Paris"] and found["0.jpg"]["keywords"] == []
    assert (found["a.jpg"]["camera"], found["a.jpg"]["taken_offset"], found["a.jpg"]["rating"]) == (
        "Canon EOS 5D",
        120,
        4,
    )
    expected = Model.open(model).encode_images([photos / "trip" / f"{number}.jpg" for number in range(4)])
    np.testing.assert_allclose([found[f"{number}.jpg"]["embedding"] for number in range(4)], expected, atol=1e-6)
    facts = json.loads(pq.read_schema(out / "part-00000.parquet").metadata[b"searcher"])
    assert Facts(**facts).digest == Model.open(model).digest


def test_pandas_and_duckdb_read_the_shards_and_thumbnails_are_webp(run: Embed, photos: Path, out: Path) -> None:
    run(photos, thumbnails=True)
    table = pandas.read_parquet(out)
    assert np.stack(list(table["embedding"])).shape == (5, DIM)
    (large,) = table[table["path"].str.endswith("a.jpg")]["thumbnail"]
    with Image.open(io.BytesIO(large)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (256, 192))
    small = table[table["path"].str.endswith("1.jpg")]["thumbnail"].iloc[0]
    assert Image.open(io.BytesIO(small)).size == (96, 72)
    found = duckdb.execute(
        f"SELECT count(*), max(camera), min(list_inner_product(embedding, embedding)) FROM '{out}/*.parquet'"
    ).fetchone()
    assert found is not None and found[:2] == (5, "Canon EOS 5D") and found[2] == pytest.approx(1, abs=1e-5)


def test_a_bad_photo_is_a_row_with_an_error(run: Embed, photos: Path, out: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no image")
    (photos / "empty.png").touch()
    (photos / "gone.jpg").symlink_to(photos / "nowhere.jpg")
    (photos / "film.mp4").touch()
    draw(bytes(photos) + b"/\xff.jpg", 9)
    report = run(photos)
    assert (report.embedded, report.failed) == (6, 3)
    assert any("1 video" in notice for notice in report.notices)
    found = rows(out)
    bad = {name: row["error"] for name, row in found.items() if row["embedding"] is None}
    assert bad.keys() == {"bad.jpg", "empty.png", "gone.jpg"} and all(bad.values())
    assert found["bad.jpg"]["digest"] is not None and found["bad.jpg"]["width"] is None
    (odd,) = (row for row in found.values() if row["path_bytes"] is not None)
    assert odd["path_bytes"] == bytes(photos) + b"/\xff.jpg" and odd["error"] is None
    assert run(photos).photos == 0


def make_tar(path: Path, files: list[Path], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for file in files:
            tar.add(file, f"set/{file.name}")
            caption = tarfile.TarInfo(f"set/{file.stem}.txt")
            tar.addfile(caption, io.BytesIO())
    return path


def make_parquet(path: Path, files: list[Path], groups: int = 2) -> Path:
    """As Hugging Face's datasets write it."""
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    pq.write_table(pa.table({"image": images, "label": [1] * len(images)}), path, row_group_size=groups)
    return path


def test_tar_and_parquet_files_give_the_same_embeddings_as_files(
    run: Embed, photos: Path, out: Path, tmp_path: Path
) -> None:
    run(photos)
    expected = rows(out)
    files = sorted(photos.rglob("*.jpg"))
    shards = tmp_path / "shards"
    shards.mkdir()
    for source, first in [
        (make_tar(shards / "one.tar", files), "set/0.jpg"),
        (make_tar(shards / "one.tar.gz", files, "w:gz"), "set/0.jpg"),
        (make_parquet(shards / "one.parquet", files), "0.jpg"),
    ]:
        shutil.rmtree(out)
        report = run(source)
        found = rows(out)
        assert same_embeddings(found, expected)
        assert found["0.jpg"]["path"] == f"{source}#{first}"
        assert report.shards == (3 if source.suffix == ".parquet" else 1)
        assert run(source).photos == 0
    shutil.rmtree(out)
    assert run(shards).photos == 15  # a folder without photos


def test_damaged_archives_do_not_stop_a_run(run: Embed, photos: Path, out: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.jpg"))
    cut = make_tar(tmp_path / "cut.tar", files)
    cut.write_bytes(cut.read_bytes()[:6000])
    table = pa.table({"jpg": [files[0].read_bytes(), None, b"no"], "url": ["http://a/b.jpg", None, ""]})
    pq.write_table(table, tmp_path / "rows.parquet")
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "no images.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing")
    report = run(*(tmp_path / name for name in ("cut.tar", "rows.parquet", "no images.parquet", "broken.parquet")))
    assert {line.partition(" ")[0] for line in report.notices} == {f"{tmp_path}/no", f"{tmp_path}/broken.parquet"}
    found = rows(out)
    assert found["b.jpg"]["path"] == "http://a/b.jpg" and found["b.jpg"]["error"] is None
    assert {name for name, row in found.items() if row["error"]} == {"cut.tar", "1", "2"}
    assert "damaged" in found["cut.tar"]["error"]


def test_a_second_run_embeds_only_what_no_shard_has(run: Embed, photos: Path, out: Path, tmp_path: Path) -> None:
    tar = make_tar(tmp_path / "one.tar", [photos / "a.jpg"])
    table = make_parquet(tmp_path / "one.parquet", sorted(photos.rglob("*.jpg")))
    sources = (photos, tar, table)
    assert run(*sources).shards == 7
    before = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    (out / "part-00001.parquet").unlink()
    (out / "part-00005.parquet").unlink()
    (out / ".part-00001.parquet.0000.partial").touch()
    draw(photos / "new.jpg", 20)
    draw(photos / "a.jpg", 21)  # changed
    report = run(*sources, photos_a_shard=3)
    assert (report.skipped, report.photos) == (5, 5)  # two files, the new one, two rows
    assert [line for line in report.notices if f"{photos}/a.jpg has changed" in line]
    assert names(out) == [f"part-{number:05d}.parquet" for number in range(7)]
    assert not list(out.glob(".*partial"))
    after = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    assert {name for name in before if after.get(name) != before[name]} == {"part-00001.parquet", "part-00005.parquet"}
    assert pq.read_table(out).num_rows == 5 + 1 + 5 + 1


class Stop(Progress):
    """Interrupts the run when so many photos are done."""

    def __init__(self, photos: int) -> None:
        self.photos = photos

    def advance(self, done: int, total: int | None) -> None:
        if total is not None and done >= self.photos:
            raise KeyboardInterrupt


def test_an_interrupted_run_keeps_finished_shards(run: Embed, photos: Path, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(photos, progress=Stop(3))
    assert names(out) == ["part-00000.parquet"] and not list(out.glob(".*partial"))
    report = run(photos)
    assert (report.skipped, report.photos) == (1, 3) and len(rows(out)) == 5


def test_a_uri_of_fsspec_is_a_source_and_a_destination(photos: Path, model: Path) -> None:
    memory = fsspec.filesystem("memory")
    for file in photos.rglob("*.jpg"):
        memory.pipe(f"/in/some photos/{file.name}", file.read_bytes())
    memory.pipe("/in/.hidden/x.jpg", b"")
    memory.pipe("/in/notes.txt", b"")
    tar = make_tar(photos.parent / "one.tar", sorted(photos.rglob("*.jpg")))
    memory.pipe("/shards/one.tar", tar.read_bytes())
    memory.pipe("/shards/one.parquet", make_parquet(photos.parent / "one.parquet", [photos / "a.jpg"]).read_bytes())
    try:
        for source, count in (("memory://in", 5), ("memory://shards", 6), (f"file://{photos}", 5)):
            report = embed([source], "memory://out", model=str(model), photos_a_shard=3)
            assert (report.embedded, report.failed) == (count, 0)
            assert embed([source], "memory://out", model=str(model)).photos == 0
        tables = [pq.read_table(io.BytesIO(memory.cat(shard))) for shard in memory.glob("/out/*.parquet")]
        paths = pa.concat_tables(tables)["path"].to_pylist()
        assert "memory:///in/some photos/0.jpg" in paths and "memory:///shards/one.tar#set/0.jpg" in paths
        assert f"{photos}/a.jpg" in paths
        with pytest.raises(NotFound, match="memory://nowhere"):
            embed(["memory://nowhere"], "memory://out", model=str(model))
    finally:
        memory.rm("/", recursive=True)


def test_another_model_and_other_options_are_refused(
    run: Embed, photos: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(photos)
    other = make_tiny_model(tmp_path / "other", "other", 2)
    with pytest.raises(InvalidInput, match=rf"{PLAN} says .* of the model tiny, not of other: omit --model"):
        run(photos, model=str(other))
    with pytest.raises(InvalidInput, match="without thumbnails: omit --thumbnails"):
        run(photos, thumbnails=True)
    draw(photos / "new.jpg", 30)
    assert run(photos, model=None).photos == 1  # the model of the shards
    (out / PLAN).unlink()
    with pytest.raises(InvalidInput, match=r"part-00000\.parquet is a shard of the model tiny"):
        run(photos, model=str(other))
    (out / "strange.parquet").write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"strange\.parquet is not a shard"):
        run(photos)


def test_two_runs_do_not_write_to_one_folder(run: Embed, photos: Path) -> None:
    class Second(Progress):
        def advance(self, done: int, total: int | None) -> None:
            if total is not None and done:
                with pytest.raises(Busy, match="another program"):
                    run(photos)

    run(photos, progress=Second())


def test_photos_of_a_lost_disk_do_not_become_rows(model: Path, out: Path) -> None:
    files = tuple(FileAt(f"/nowhere/{number}.jpg".encode(), 1, 1) for number in range(LOST))
    opened = Model.open(model)
    facts = Facts("tiny", opened.digest, "1", "tiny", str(model), opened.dim, "float32")
    with pytest.raises(SourceError, match="19 more photos cannot be read"):
        write_shard(opened, Job("part-00000.parquet", Files("/nowhere", files)), Settings(str(out), facts, False))
    assert not out.exists()


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `searcher embed …`. Returns the exit code, stdout and stderr."""

    def embed_command(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(args=["embed", *map(str, arguments)])
        code = ended.value.code
        printed = capsys.readouterr()
        return (code if isinstance(code, int) else 0), printed.out, printed.err

    return embed_command


def test_the_command_reports_one_line_or_json(
    program: Callable[..., tuple[int, str, str]], photos: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    options = ("--out", out, "--model", model)
    code, printed, _ = program(photos, *options, "--json")
    counts = json.loads(printed)
    assert code == 0 and counts.pop("seconds") > 0
    assert counts == {"photos": 5, "embedded": 5, "failed": 0, "shards": 1, "skipped": 0}
    assert program(photos, *options)[:2] == (0, "Nothing to embed: 1 shard skipped.\n")
    (tmp_path / "empty").mkdir()
    assert program(tmp_path / "empty", "--out", tmp_path / "new", "--model", model)[:2] == (0, "No photos found.\n")
    assert not (tmp_path / "new").exists()


def mistakes(tmp_path: Path) -> Iterator[tuple[list[object], int, str]]:
    photos = tmp_path / "photos"
    (tmp_path / "file").touch()
    yield [tmp_path / "nowhere", "--out", tmp_path / "new"], 1, "there is no file or folder"
    yield [photos, "--out", tmp_path / "file"], 1, "file cannot be written"
    yield [photos, "--out", tmp_path / "file" / "x"], 1, "cannot be"
    yield [photos, "--out", tmp_path / "new", "--model", "nosuch"], 1, "nosuch"
    yield [photos, "--out", "nosuch://x"], 1, "nosuch://x cannot be opened"
    yield ["nosuch://x", "--out", tmp_path / "new"], 1, "nosuch://x cannot be opened"
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    yield [tmp_path / "bad.parquet", "--out", tmp_path / "new"], 1, "bad.parquet is left out"
    yield [photos, "--out", tmp_path / "new", "--workers", "2"], 2, "--engine ray"
    yield [photos], 2, "--out"


def test_a_mistake_is_one_line(
    program: Callable[..., tuple[int, str, str]], photos: Path, model: Path, tmp_path: Path
) -> None:
    for arguments, code, says in mistakes(tmp_path):
        given = [] if "--model" in arguments else ["--model", model]
        ended, printed, problem = program(*arguments, *given)
        assert (ended, printed) == (code, ""), (arguments, problem)
        assert says in problem and len(problem.splitlines()) == 1, problem
    assert not (tmp_path / "new").exists() or not names(tmp_path / "new")
    with pytest.raises(InvalidInput, match="is not UTF-8"):
        embed([str(photos)], os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"), model=str(model))


def test_a_missing_extra_is_named() -> None:
    says = r"searcher embed needs pyarrow: run pip install 'searcher\[scale\]'"
    with pytest.raises(SearcherError, match=says), needs_scale("searcher embed"):
        raise ModuleNotFoundError("No module named 'pyarrow.parquet'", name="pyarrow.parquet")
    with pytest.raises(ModuleNotFoundError), needs_scale("searcher embed"):
        raise ModuleNotFoundError("No module named 'searcher.nosuch'", name="searcher.nosuch")
