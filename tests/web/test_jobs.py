"""Long work over HTTP: indexing, tagging, teaching, duplicates, sidecars; its progress, and how it is stopped."""

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from searcher import Library
from searcher.errors import Busy
from searcher.progress import Progress
from searcher.web import create_app
from searcher.web.jobs import Jobs, Outcome
from searcher.web.security import Access
from searcher.web.server import Server, listen
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album
from tests.web.conftest import TOKEN

PATIENCE_S = 60.0


def finished(client: TestClient) -> dict[str, Any]:
    """The latest job, once it has ended."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        job: dict[str, Any] = client.get("/api/status").json()["job"]
        if job["state"] != "running":
            return job
        time.sleep(0.01)
    raise AssertionError("the job does not end")


class Brake(Progress):
    """Work that goes on until it is told to end."""

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> Outcome:
        for done in range(100_000):
            progress.advance(done, None)
            self.begun.set()
            if self.end.wait(0.01):
                break
        return Outcome({"done": done})


@contextmanager
def held(client: TestClient, album: Album) -> Iterator[Brake]:
    """The library has a job that is running."""
    assert isinstance(client.app, FastAPI)
    work, jobs = Brake(), client.app.state.jobs
    jobs.start(album.library, "index", "Braking", work)
    assert work.begun.wait(PATIENCE_S)
    try:
        yield work
    finally:
        work.end.set()
        jobs.join(PATIENCE_S)


def test_the_first_index_makes_the_library(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    with Library.open(tmp_path / "library", model=HistogramModel(), create=True) as library:
        album = Album(photos, library, HistogramModel())
        album.add("a/red.png")
        (photos / "bad.jpg").write_bytes(b"this is no photo")
        app = create_app({"new": library}, Access(token=TOKEN))
        with TestClient(app, base_url="http://127.0.0.1", headers={"X-Searcher-Token": TOKEN}) as client:
            status = client.get("/api/status").json()
            assert (status["exists"], status["images"], status["roots"], status["job"]) == (False, 0, [], None)
            for name in ("timeline", "places", "labels", "failures"):
                assert client.get(f"/api/{name}").json() == []
            assert client.post("/api/index", json={}).status_code == 400

            begun = client.post("/api/index", json={"folders": [str(photos)]})
            assert begun.status_code == 202 and begun.json()["kind"] == "index"
            job = finished(client)
            assert (job["state"], job["result"]["added"], job["result"]["failed"]) == ("done", 1, 1)
            status = client.get("/api/status").json()
            assert (status["exists"], status["images"], status["failed"]) == (True, 1, 1)
            assert status["roots"] == [{"path": str(photos), "images": 1, "failed": 1, "missing": False}]
            (failure,) = client.get("/api/failures").json()
            assert failure["path"] == str(photos / "bad.jpg") and "image" in failure["error"]


@pytest.mark.parametrize("folder", ["/", "/proc", "/dev/../dev", "photos", "/there/is/nothing", "~nobody", "\0", ""])
def test_a_folder_that_cannot_be_indexed_is_refused_with_one_line(own_client: TestClient, folder: str) -> None:
    answer = own_client.post("/api/index", json={"folders": [folder]})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_a_file_is_no_folder(own_client: TestClient, album: Album) -> None:
    answer = own_client.post("/api/index", json={"folders": [str(album.folder / "red.png")]})
    assert (answer.status_code, answer.json()["error"]) == (400, f"{album.folder / 'red.png'} is no folder")


def test_all_known_folders_are_indexed_again_and_new_photos_get_the_labels_asked_before(
    own_client: TestClient, album: Album
) -> None:
    own_client.post("/api/tag", json={"labels": ["red"]})
    assert finished(own_client)["result"] == {"asked": 4, "photos": 4, "tagged": {"red": 1}}
    before = own_client.get("/api/status").json()["revision"]
    assert own_client.get("/api/status").json()["revision"] == before
    album.add("new.png", "red", 9)
    own_client.post("/api/index", json={"tag": True})
    assert finished(own_client)["result"]["added"] == 1
    assert own_client.get("/api/status").json()["revision"] != before
    (label,) = own_client.get("/api/labels").json()
    assert (label["label"], label["photos"], label["sources"]) == ("red", 2, {"zero-shot": 2})


def test_a_library_has_one_job_at_a_time(own_client: TestClient, album: Album) -> None:
    with held(own_client, album):
        for path, body in (("index", {}), ("tag", {"labels": ["red"]}), ("duplicates", None), ("xmp", {"ids": [1]})):
            answer = own_client.post(f"/api/{path}", json=body)
            assert answer.status_code == 409 and "Braking" in answer.json()["error"]
    assert own_client.post("/api/duplicates").status_code == 202
    assert finished(own_client)["state"] == "done"


def test_a_phase_of_a_job_has_a_count_of_its_own(own_client: TestClient, album: Album) -> None:
    shown: list[tuple[object, ...]] = []

    def show() -> None:
        job = own_client.get("/api/status").json()["job"]
        shown.append((job["phase"], job["done"], job["total"]))

    def work(progress: Progress) -> Outcome:
        progress.advance(3, 8)
        show()
        with progress.phase("Arranging vectors") as phase:
            phase.advance(20, 500)
            show()
        show()
        return Outcome({})

    assert isinstance(own_client.app, FastAPI)
    jobs = own_client.app.state.jobs
    jobs.start(album.library, "index", "Indexing", work)
    jobs.join(PATIENCE_S)
    assert shown == [(None, 3, 8), ("Arranging vectors", 20, 500), (None, 3, 8)]


def test_a_job_that_is_stopped_says_so(own_client: TestClient, album: Album) -> None:
    assert own_client.delete("/api/index").json() is None
    with held(own_client, album):
        assert own_client.delete("/api/index").json()["state"] == "running"
        job = finished(own_client)
    assert job["state"] == "stopped" and "kept" in job["error"] and job["result"] is None


def test_indexing_that_is_stopped_keeps_what_was_committed_and_goes_on_later(
    own_client: TestClient, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        album.add(f"more/{number:03}.png", "blue", 10 + number)
    preprocess = HistogramModel.preprocess

    def slow(model: HistogramModel, image: Any) -> Any:
        if len(album.library.failures()) == 0 and own_client.get("/api/status").json()["images"] > 4:
            own_client.delete("/api/index")
        return preprocess(model, image)

    monkeypatch.setattr(HistogramModel, "preprocess", slow)
    own_client.post("/api/index", json={})
    assert finished(own_client)["state"] == "stopped"
    images = own_client.get("/api/status").json()["images"]
    assert 4 < images < 204
    monkeypatch.undo()
    own_client.post("/api/index", json={})
    assert finished(own_client)["result"]["added"] == 204 - images
    assert album.library.check().ok


def test_a_job_that_fails_says_why(own_client: TestClient, album: Album) -> None:
    assert own_client.post("/api/teach", json={"label": "Rex", "ids": [99]}).status_code == 202
    job = finished(own_client)
    assert (job["state"], job["error"]) == ("failed", "no photo has the id 99")

    def break_down(progress: Progress) -> Outcome:
        raise ZeroDivisionError("a mistake")

    assert isinstance(own_client.app, FastAPI)
    own_client.app.state.jobs.start(album.library, "tag", "Breaking", break_down)
    job = finished(own_client)
    assert (job["state"], job["error"]) == ("failed", "internal error (ZeroDivisionError: a mistake)")


def test_no_job_begins_after_the_end(album: Album) -> None:
    jobs, work = Jobs(), Brake()
    jobs.start(album.library, "index", "Braking", work)
    assert work.begun.wait(PATIENCE_S)
    jobs.close()
    jobs.join(PATIENCE_S)
    job = jobs.latest(album.library)
    assert job is not None and job.state == "stopped"
    with pytest.raises(Busy):
        jobs.start(album.library, "index", "Braking", work)


@contextmanager
def running(app: FastAPI) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server that runs in a thread: its address, and what ends it as Ctrl-C does."""
    server, listener, loop = Server(app), listen("127.0.0.1", 0), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve([listener]),))
    thread.start()

    def end() -> None:
        loop.call_soon_threadsafe(server.handle_exit, signal.SIGINT, None)

    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", end
    finally:
        end()
        thread.join(PATIENCE_S)
        listener.close()
    assert not thread.is_alive()
    if left := asyncio.all_tasks(loop):  # uvicorn leaves its lifespan behind when it was told twice to end
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left))
    loop.close()


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The jobs that a stream tells of."""
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_stream_tells_of_each_change_of_a_job_and_holds_no_thread(album: Album) -> None:
    app = create_app({"album": album.library}, Access(token=TOKEN))
    with running(app) as (address, _), httpx.Client(base_url=address, headers={"X-Searcher-Token": TOKEN}) as client:
        assert client.get("/api/libraries").status_code == 200
        threads = threading.active_count()
        with client.stream("GET", "/api/index", timeout=PATIENCE_S) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines).startswith(":")  # there is no job yet
            many = [socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) for _ in range(20)]
            for other in many:
                other.sendall(b"GET /api/index HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for other in many:
                assert other.recv(100).startswith(b"HTTP/1.1 200")
            assert threading.active_count() <= threads + 1
            for other in many:
                other.close()
            client.post("/api/duplicates").raise_for_status()
            told = events(lines)
            seen = [next(told)]
            while seen[-1]["state"] == "running":
                seen.append(next(told))
            assert seen[-1]["state"] == "done" and seen[-1]["result"] == {"groups": 0, "others": 0}


def test_streams_end_when_the_server_ends(album: Album) -> None:
    app = create_app({"album": album.library}, Access(token=TOKEN))
    with running(app) as (address, end), httpx.stream("GET", f"{address}/api/index", timeout=PATIENCE_S) as stream:
        lines = stream.iter_lines()
        next(lines)
        end()
        assert [line for line in lines if line] == []  # and no error: the stream is complete
