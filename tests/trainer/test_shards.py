"""WebDataset shards: each record is read once, splits do not overlap, and streams are replayed to a position."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searcher.datasets import read_source
from searcher.errors import SearcherError
from searcher.trainer import shards
from searcher.trainer.augment import Augment
from searcher.trainer.data import Layout, SampleMaker
from searcher.trainer.distributed import Processes
from searcher.trainer.shards import Shards, Streams, read_shards


def write_shards(folder: Path, out: Path, shards: int, name: str = "discs") -> None:
    """Write the discs of `folder/pairs.csv` as `name-0.tar` …. Captions are .txt files, but every third is .json."""
    pairs = read_source(folder / "pairs.csv").pairs
    for number in range(shards):
        with tarfile.open(out / f"{name}-{number}.tar", "w") as tar:
            for i, pair in list(enumerate(pairs))[number::shards]:
                text = json.dumps({"caption": pair.captions[0]}) if i % 3 == 0 else pair.captions[0]
                add(tar, f"{i:04}.png", Path(pair.image).read_bytes())
                add(tar, f"{i:04}.{'json' if i % 3 == 0 else 'txt'}", text.encode())


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def letters(texts: list[str]) -> torch.Tensor:
    return torch.tensor([[sum(map(ord, text))] for text in texts])


def streams(sources: list[Any], batch_size: int = 8, weights: list[float] | None = None, **layout: Any) -> Streams:
    values: dict[str, Any] = {"parts": 1, "workers": 0, "seed": 3, "processes": Processes()} | layout
    make = SampleMaker(Augment(8, (0.5,) * 3, (0.5,) * 3), letters)
    return Streams(sources, weights or [1.0] * len(sources), make, Layout(batch_size, **values))


def names(data: Streams, step: int, total: int) -> list[list[int]]:
    """The records of each part, as the ids of their images."""
    return [part["ids"][:, 1].tolist() for part in data.parts(step, total)]


@pytest.mark.parametrize("shards", [1, 5])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_takes_each_record_once_for_any_split(folder: Path, tmp_path: Path, shards: int, workers: int) -> None:
    write_shards(folder, tmp_path, shards)
    source = read_shards(tmp_path / f"discs-{{0..{shards - 1}}}.tar")
    assert (source.records, len(source.files), source.bad) == (48, shards, [])
    seen: Counter[str] = Counter()
    for rank in (0, 1):
        data = streams([source], processes=Processes(rank, 2), workers=workers)
        records = data.dataset._records  # the streams of one process before they are merged
        for slot in range(rank * max(1, workers), (rank + 1) * max(1, workers)):
            first = [record for record in islice(records(slot, 2 * max(1, workers)), 60) if record.epoch == 0]
            assert all(record.captions[0].endswith(" disc") for record in first)
            seen.update(record.key for record in first)
    assert len(seen) == 48
    assert set(seen.values()) == {1}


def test_parts_from_a_later_step_equal_those_of_an_uninterrupted_run(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, 4)
    source = read_shards(tmp_path / "discs-{0..3}.tar")
    for workers in (0, 1, 2):
        whole = names(streams([source], workers=workers), 0, 14)
        assert len(whole) == 14
        for step in (0, 5, 6):
            assert names(streams([source], workers=workers), step, 14) == whole[step:]
        assert names(streams([source], workers=workers, seed=4), 0, 14) != whole


def test_a_later_start_leaves_out_whole_epochs_and_reads_none_of_their_shards(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(folder, tmp_path, 2)
    with tarfile.open(tmp_path / "discs-2.tar", "w") as tar:
        for name in ("a.txt", "b.png", "__c__/d.png", "e/f.png", "e/f.txt"):  # of which one is a record
            add(tar, name, b"x")
    source = read_shards(tmp_path / "discs-{0..2}.tar")
    assert (source.records, sum(source.groups)) == (49, 51)
    opened: list[Path | str] = []
    open_files = shards._opened

    def noted(files: list[Path | str]) -> Iterator[dict[str, Any]]:
        opened.extend(files)
        return open_files(files)

    monkeypatch.setattr(shards, "_opened", noted)
    monkeypatch.setattr(shards, "DRAWS", 100)
    for sources, slots in (([source], 1), ([source], 4), ([source, read_source(folder / "pairs.csv")], 1)):
        data = streams(sources, weights=[1.0, 3.0][: len(sources)])
        whole = list(islice(data.dataset._records(0, slots), 320))
        for used in (5, 51, 300):
            opened.clear()
            assert list(islice(data.dataset._records(0, slots, used), 5)) == whole[used : used + 5]
            assert len(opened) <= 2 * 3, "only the epochs that are needed"


def test_sources_are_drawn_in_proportion_to_weight_and_size(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, 2)
    pairs = read_source(folder / "pairs.csv")
    data = streams([read_shards(tmp_path / "discs-{0..1}.tar"), pairs], weights=[1.0, 3.0])
    assert data.steps_per_epoch == 4 * 48 // 8
    files = {pair.image for pair in pairs.pairs}
    taken = Counter(record.key in files for record in islice(data.dataset._records(0, 1), 2000))
    assert taken[True] / 2000 == pytest.approx(0.75, abs=0.04)


def test_broken_shards_and_records_are_counted_and_do_not_stop_the_run(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, 3)
    (tmp_path / "discs-1.tar").write_bytes(b"no tar")
    whole = (tmp_path / "discs-2.tar").read_bytes()
    (tmp_path / "discs-2.tar").write_bytes(whole[: len(whole) // 2 + 100])  # in the middle of a file
    with tarfile.open(tmp_path / "discs-3.tar", "w") as tar:
        add(tar, "a.png", b"no picture")
        add(tar, "a.txt", b"a caption")
        add(tar, "b.txt", b"no image")
        add(tar, "c.png", b"no caption")
        add(tar, "d.png", b"json of something else")
        add(tar, "d.json", b"[1]")
    source = read_shards(tmp_path / "discs-{0..3}.tar")
    assert 16 + 2 < source.records < 16 + 16 + 2
    assert sum("discs-1.tar" in line for line in source.bad) == 1
    parts = list(streams([source]).parts(0, 12))
    assert all(len(part["images"]) == 8 for part in parts)
    assert sum(part["bad"].sum().item() for part in parts) >= 2


def test_unreadable_shards_give_a_one_line_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar")
    for path, said in (("x.tar", "no record with an image"), ("y-{0..2}.tar", "no such file"), ("x-{0.tar", "braces")):
        with pytest.raises(SearcherError, match=said) as caught:
            read_shards(tmp_path / path)
        assert "\n" not in str(caught.value)
    few = Shards(tmp_path, (tmp_path / "x.tar",), 3, [])
    with pytest.raises(SearcherError, match="fewer records than"):
        streams([few], workers=4)


def test_a_record_is_augmented_differently_in_each_epoch(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path, 1)
    data = streams([read_shards(tmp_path / "discs-0.tar")], batch_size=48)
    one, two = data.parts(0, 2)
    first, second = (dict(zip(part["ids"][:, 1].tolist(), part["images"], strict=True)) for part in (one, two))
    common = first.keys() & second.keys()
    assert len(common) > 40
    assert not any(np.array_equal(first[key], second[key]) for key in common)


@pytest.mark.parametrize("name", ["pipe:touch PWNED; cat discs-0.tar", "photos:1.tar", "file:discs-0.tar"])
def test_a_file_name_is_not_a_command_or_a_url(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_shards(folder, tmp_path, 1)
    Path("discs-0.tar").rename(name)
    data = streams([read_shards(Path(name))])
    assert len({key for part in names(data, 0, 6) for key in part}) == 48
    assert [path.name for path in tmp_path.iterdir()] == [name]
