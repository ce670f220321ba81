"""Shards behind URLs: broken connections go on where they broke, and what cannot be read is one line."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import fsspec
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from searcher.commands import main
from searcher.errors import NotFound, SearcherError
from searcher.trainer import loop, objects, shards
from searcher.trainer.distributed import Processes
from searcher.trainer.loop import train
from searcher.trainer.objects import open_object
from searcher.trainer.shards import read_shards
from tests.trainer.conftest import settings_for
from tests.trainer.test_shards import streams, write_shards


@dataclass
class Site:
    """A web server with the files of a folder. It can do wrong what a server can do wrong."""

    folder: Path
    url: str = ""
    ranges: bool = True
    breaks_after: int | None = None  # bytes of each answer
    status: int = 0  # of each answer, in place of the file
    down_after: int = 1_000_000  # answers
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            file = made.folder / self.path[1:].partition("?")[0]
            if made.status or len(made.asked) > made.down_after or not file.is_file():
                self.send_error(made.status or (503 if file.is_file() else 404))
                return
            data = file.read_bytes()
            start = re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) if made.ranges else None
            place = int(start[1]) if start else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {place}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - place))
            self.end_headers()
            self.wfile.write(data[place:][: made.breaks_after])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between attempts. No test waits for so long."""
    waited: list[float] = []
    monkeypatch.setattr(objects, "sleep", waited.append)
    return waited


@pytest.mark.parametrize("ranges", [True, False])
def test_an_object_is_read_across_broken_connections(site: Site, ranges: bool, waits: list[float]) -> None:
    data = bytes(range(256)) * 200
    (site.folder / "x.tar").write_bytes(data)
    site.ranges, site.breaks_after = ranges, 30_000 if ranges else None
    with open_object(f"{site.url}/x.tar") as stream:
        assert stream.read(10_000) == data[:10_000]
        if not ranges:
            stream.raw._forget()  # type: ignore[attr-defined]  # as if it broke
        assert stream.read() == data[10_000:]
    assert len(site.asked) == (2 if ranges else 1)
    assert waits == ([1] if ranges else [])


def test_a_server_without_ranges_sends_the_object_again_from_its_beginning(site: Site) -> None:
    data = bytes(range(256)) * 200
    (site.folder / "x.tar").write_bytes(data)
    site.ranges = False
    opened = objects._connect(f"{site.url}/x.tar", 12_345)
    assert (opened.stream.read(), opened.size) == (data[12_345:], len(data))


def test_what_cannot_be_read_is_one_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar")
    monkeypatch.setitem(sys.modules, "adlfs", None)
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)

    def line(url: str) -> str:
        with pytest.raises(SearcherError) as caught:
            read_shards(url)
        assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
        return str(caught.value)

    assert line(f"{site.url}/none.tar?key=secret") == f"there is no {site.url}/none.tar: check the URL"
    assert line("memory://none.tar") == "there is no memory://none.tar: check the URL"
    assert line(f"file://{tmp_path}/none.tar").startswith("there is no file://")
    assert line("az://container/x.tar").endswith("pip install adlfs")
    assert line("s3://bucket/x.tar").endswith("pip install 'searcher[scale]'")
    assert "no://where/x.tar cannot be read (Protocol not known: no" in line("no://where/x.tar")
    assert "no record with an image" in line(f"{site.url}/x.tar")
    with pytest.raises(SearcherError, match=r"^s3://b/x.csv is not a .tar file: of URLs, only WebDataset"):
        arguments = ["train", "s3://b/x.csv?key=secret", "--out", str(tmp_path / "out")]
        CliRunner().invoke(main, arguments, standalone_mode=False, catch_exceptions=False)
    site.status = 403
    assert (
        line(f"{site.url}/x.tar")
        == f"access to {site.url}/x.tar is denied (HTTP Error 403: Forbidden): check the credentials"
    )
    assert not waits
    site.status = 500
    assert "/x.tar cannot be read (HTTP Error 500: " in line(f"{site.url}/x.tar?key=secret")
    assert waits == list(objects.WAITS)


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_of_a_url_give_the_records_of_the_files(site: Site, folder: Path, tmp_path: Path, workers: int) -> None:
    write_shards(folder, tmp_path, 3)
    memory = fsspec.filesystem("memory")
    for file in tmp_path.glob("*.tar"):
        memory.pipe(f"/{tmp_path.name}/{file.name}", file.read_bytes())

    def captions(where: Path | str) -> list[Any]:
        data = streams([read_shards(where)], workers=workers)
        return [part["texts"].tolist() for part in data.parts(0, 14)]

    expected = captions(tmp_path / "discs-{0..2}.tar")
    assert captions(f"memory://{tmp_path.name}/discs-{{0..2}}.tar") == expected
    assert captions(f"{site.url}/discs-{{0..2}}.tar?key=secret") == expected


@pytest.mark.usefixtures("unpublished")
def test_a_run_that_loses_its_server_goes_on_later_and_ends_like_another(
    site: Site, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(folder, tmp_path, 3)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)
    source = f"{site.url}/discs-{{0..2}}.tar"
    values: dict[str, Any] = {"sources": (source,), "model": str(folder / "vit.json"), "epochs": 3, "workers": 1}
    whole = train(settings_for(folder, tmp_path / "whole", **values))
    site.asked.clear()
    site.down_after = 3 + 3 + 2  # counting, the first epoch and most of the second, with what is read ahead
    with pytest.raises(
        SearcherError, match=r"discs-\d.tar cannot be read .HTTP Error 503.*then use --resume$"
    ) as caught:
        train(settings_for(folder, tmp_path / "run", **values))
    assert "\n" not in str(caught.value)
    site.down_after = 1_000_000
    train(settings_for(folder, tmp_path / "run", resume=True, **values))
    one, two = (load_file(run / "training.safetensors") for run in (whole, tmp_path / "run"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=0)


@dataclass(frozen=True)
class Together(Processes):
    """One of two processes, as a thread."""

    barrier: Barrier = field(default_factory=lambda: Barrier(2))
    values: list[Any] = field(default_factory=lambda: [None, None])

    def collect(self, value: Any) -> list[Any]:
        self.values[self.rank] = value
        self.barrier.wait(10)
        return list(self.values)


def test_processes_share_the_counting_and_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(folder, tmp_path, 3)
    source = tmp_path / "discs-{0..2}.tar"
    alone = read_shards(source)
    count, read = shards._count, list[str]()

    def counted(file: Path) -> shards.Count:
        read.append(file.name)
        return count(file)

    monkeypatch.setattr(shards, "_count", counted)

    def both() -> list[Any]:
        first = Together(0, 2)
        ranks = (first, Together(1, 2, barrier=first.barrier, values=first.values))
        with ThreadPoolExecutor(2) as pool:
            return [pool.submit(read_shards, source, rank) for rank in ranks]

    assert [future.result() for future in both()] == [alone, alone]
    assert sorted(read) == ["discs-0.tar", "discs-1.tar", "discs-2.tar"]
    (tmp_path / "discs-1.tar").unlink()
    assert all(isinstance(future.exception(), NotFound) for future in both())
