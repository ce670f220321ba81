"""Zero-shot tags on Parquet: the answers, what stays as it was, resuming, and what can go wrong."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from searcher.catalog import Catalog
from searcher.commands import main
from searcher.errors import InvalidInput
from searcher.progress import Progress
from searcher.scale.engine import Cluster
from searcher.scale.shards import Facts, schema
from searcher.scale.tagging import LABELS, PROBABILITIES, TAGS, tag_shards, tagged_photos
from searcher.tagger.question import ask
from tests.histogram_model import COLOURS, HistogramModel, OtherModel
from tests.library.conftest import Album, album, model
from tests.pictures import draw
from tests.soak.tiny_model import make_tiny_model

__all__ = ["album", "model"]

Run = Callable[..., tuple[int, str, str]]
NAMES = ["red", "green", "blue", "white", "bird"]


def write_shard(path: Path, model: HistogramModel, vectors: dict[str, np.ndarray | None]) -> None:
    """Write a shard with thumbnails: path → embedding, None for a photo that could not be read."""
    facts = Facts(model.name, model.digest, model.version, model.slug, str(model.folder), model.dim, model.precision)
    columns = schema(facts, thumbnails=True)
    given = {
        "id": [f"{number:032x}" for number in range(len(vectors))],
        "path": list(vectors),
        "embedding": [None if vector is None else vector.tolist() for vector in vectors.values()],
        "error": ["it is no image" if vector is None else None for vector in vectors.values()],
        "keywords": [["holiday", "sea"]] * len(vectors),
        "thumbnail": [os.urandom(50) for _ in vectors],
    }
    arrays = [pa.array(given.get(field.name, [None] * len(vectors)), field.type) for field in columns]
    pq.write_table(pa.table(arrays, schema=columns), path, row_group_size=2)


def state(file: Path) -> tuple[int, int]:
    """What a file that is written again has another of: its inode and its time in ns."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns


@pytest.fixture
def shards(album: Album, tmp_path: Path) -> Path:
    """The photos of the album's library in two shards, with an error in each."""
    album.fill()
    for number, colour in enumerate(COLOURS):
        album.add(f"more/{colour}.png", colour, 30 + number)
    album.copy("red.png", "copy.png")
    album.index()
    with closing(Catalog(album.library.folder)) as catalog, catalog.read() as view:
        row = view.models.current()
        assert row is not None
        photos = view.photos.after(0, 100)
        vectors = view.embeddings.of_images([photo.id for photo in photos], row)
    folder = tmp_path / "shards"
    folder.mkdir()
    half = len(photos) // 2
    for number, part in enumerate((photos[:half], photos[half:])):
        rows: dict[str, np.ndarray | None] = {photo.path: vectors[photo.id] for photo in part}
        write_shard(folder / f"{number:05d}.parquet", album.model, {"/broken.jpg": None, **rows})
    return folder


@pytest.mark.parametrize("options", [{}, {"least": 0.05, "top": 2}, {"one": True, "top": 3}])
def test_the_answers_are_those_of_a_library(album: Album, shards: Path, options: dict[str, Any]) -> None:
    question = ask(NAMES, **options)
    expected = album.library.tag(question)
    report = tag_shards(str(shards), question, album.model)
    assert report.failures == []
    assert report.tags.asked == report.tags.photos == 11 and report.tags.calibrated
    found = {photo.path: photo.tags for photo in tagged_photos(str(shards))}
    known = {photo.path: photo.tags for photo in album.library.tagged(NAMES)}
    assert {path: sorted(tags) for path, tags in found.items()} == {path: sorted(tags) for path, tags in known.items()}
    assert all(list(tags) == sorted(tags, key=lambda tag: -tag.probability) for tags in found.values())
    assert any(found.values())
    copies = found[str(album.folder / "copy.png")]  # a copy counts once in a library, and is a row of a shard
    assert report.tags.tagged == expected.tagged | {tag.label: expected.tagged[tag.label] + 1 for tag in copies}


def test_all_else_in_a_shard_stays(album: Album, shards: Path) -> None:
    shard = shards / "00000.parquet"
    before = pq.read_table(shard)
    for labels in (["red"], ["green", "blue"]):  # the second question replaces the first
        tag_shards(str(shards), ask(labels), album.model)
    after = pq.read_table(shard)
    assert after.column_names == [*before.column_names, LABELS, PROBABILITIES]
    assert after.select(before.column_names).equals(before)
    assert {key: value for key, value in (after.schema.metadata or {}).items() if key != TAGS} == before.schema.metadata
    assert pq.ParquetFile(shard).num_row_groups == 3
    assert after[LABELS].to_pylist()[0] is None  # of the photo that could not be read
    assert after[PROBABILITIES].to_pylist()[0] is None
    assert {label for row in after[LABELS].to_pylist()[1:] for label in row} == {"green", "blue"}
    assert sorted(path.name for path in shards.glob("[!.]*")) == ["00000.parquet", "00001.parquet"]


def test_a_run_continues_where_it_stopped(album: Album, shards: Path) -> None:
    class Stops(Progress):
        def advance(self, done: int, total: int | None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_shards(str(shards), ask(NAMES), album.model, progress=Stops())
    first = state(shards / "00000.parquet")
    report = tag_shards(str(shards), ask(NAMES), album.model).tags
    assert (report.asked, report.photos) == (6, 11)
    assert state(shards / "00000.parquet") == first
    again = tag_shards(str(shards), ask(NAMES), album.model).tags
    assert again == report._replace(asked=0)
    album.model.info = {"relevance": {"slope": [20.0, 0.0], "offset": [100.0, 0.0], "measured": False}}
    assert tag_shards(str(shards), ask(NAMES), album.model).tags.tagged == dict.fromkeys(NAMES, 11)


def test_a_damaged_shard_is_named_and_the_others_are_tagged(album: Album, shards: Path) -> None:
    data = (shards / "00001.parquet").read_bytes()
    (shards / "00001.parquet").write_bytes(data[:200] + bytes(300) + data[500:])  # the facts can still be read
    (shards / "00002.parquet").write_bytes(b"no Parquet")
    write_shard(shards / "00003.parquet", OtherModel(), {"/a.jpg": None})
    report = tag_shards(str(shards), ask(NAMES), album.model)
    assert [failure.path for failure in report.failures] == [
        str(shards / f"0000{number}.parquet") for number in (2, 1, 3)
    ]
    assert all("\n" not in failure.error for failure in report.failures)
    assert report.tags.asked == 5
    assert (shards / "00001.parquet").read_bytes()[500:] == data[500:]
    assert len(list(shards.glob("*.parquet*"))) == 4
    damaged = {failure.path for failure in report.failures}
    assert len(list(tagged_photos(str(shards), damaged))) == 5


def test_a_column_of_somebody_else_is_not_overwritten(album: Album, shards: Path) -> None:
    for shard in shards.iterdir():
        table = pq.read_table(shard)
        pq.write_table(table.append_column(LABELS, pa.array([["mine"]] * len(table))), shard)
    report = tag_shards(str(shards), ask(NAMES), album.model)
    assert ["rename" in failure.error for failure in report.failures] == [True, True]


def test_another_model_is_refused(shards: Path) -> None:
    with pytest.raises(InvalidInput, match="made with the model histogram 1, not with other"):
        tag_shards(str(shards), ask(NAMES), OtherModel())


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `searcher …`. Returns the exit code, stdout and stderr."""

    def program(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(args=[*map(str, arguments)])
        return (int(ended.value.code or 0), *capfd.readouterr())

    return program


def test_the_command_labels_what_embed_wrote(tmp_path: Path, run: Run) -> None:
    folder = make_tiny_model(tmp_path / "model", "tiny", 1)
    photos, shards = tmp_path / "photos", tmp_path / "shards"
    photos.mkdir()
    for number in range(5):
        draw(photos / f"{number}.jpg", number)
    (photos / "broken.jpg").write_bytes(b"no image")
    made = run("embed", photos, "--out", shards, "--model", folder, "--shard-size", "2", "-q")
    assert made[0] == 0, made
    asked = ("tag", "--labels", "cat,dog,car", "--one", "--top", "2")
    code, out, err = run(*asked, "--parquet", shards)
    assert (code, err) == (0, "") and out.endswith("5 photos (5 checked now), 10 labels given\n")
    assert run("index", photos, "--library", tmp_path / "library", "--model", folder, "-q")[0] == 0
    code, out, err = run(*asked, "--parquet", shards, "--json")
    known = run(*asked, "--library", tmp_path / "library", "--json")[1]
    assert (code, err) == (0, "") and sorted(out.splitlines()) == sorted(known.splitlines())
    for option in ("--xmp", "--clear", "--list", "--dry-run", "--add=cat", f"--library={tmp_path}"):
        code, out, err = run(*asked, "--parquet", shards, option)
        assert (code, out) == (2, "") and f"--parquet cannot be combined with {option.partition('=')[0]}." in err
    assert run(*asked, "--engine", "local")[0] == 2
    (shards / "part-00001.parquet").write_bytes(b"damaged")
    code, out, err = run(*asked, "--parquet", shards)
    assert code == 1 and "1 shard could not be tagged" in err and err.count("part-00001.parquet") == 1


@pytest.mark.slow
def test_ray_gives_the_answers_of_the_local_engine(album: Album, shards: Path, tmp_path: Path) -> None:
    shutil.copytree(shards, tmp_path / "on ray")
    (shards / "00002.parquet").write_bytes(b"no Parquet")
    (tmp_path / "on ray" / "00002.parquet").write_bytes(b"no Parquet")
    local = tag_shards(str(shards), ask(NAMES), album.model)
    on_ray = tag_shards(str(tmp_path / "on ray"), ask(NAMES), album.model, Cluster())
    assert on_ray.tags == local.tags and len(on_ray.failures) == 1
    for shard in ("00000.parquet", "00001.parquet"):
        assert pq.read_table(tmp_path / "on ray" / shard).equals(pq.read_table(shards / shard), check_metadata=True)
