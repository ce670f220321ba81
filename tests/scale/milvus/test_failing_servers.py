"""A server that is down, slow, old, strict, or lost in the middle: one line that says what to do. Nothing is lost."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from pymilvus.exceptions import MilvusException

from searcher.commands import main
from searcher.errors import Busy, InvalidInput, NotFound, SearcherError
from searcher.scale.milvus import connection as connections
from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.collection import MilvusCollection
from searcher.scale.milvus.connection import Connection
from tests.scale.milvus.filling import empty
from tests.scale.milvus.servers import Cable, closed_port, failing_server
from tests.scale.milvus.test_loading import Shards, image


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(connections, "CONNECT_S", 2.0)
    monkeypatch.setattr(connections, "TIMEOUT_S", 2.0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    connection = Connection(read_address(f"milvus:{tmp_path_factory.mktemp('milvus')}/a.db/photos"))
    yield connection
    connection.close()


@pytest.fixture
def shards(tmp_path: Path, file: Connection) -> Shards:
    empty(file)
    found = Shards(tmp_path, file)
    for first in (1, 21, 41):
        found.add(*(image(number) for number in range(first, first + 20)))
    return found


def test_a_command_ends_with_one_line_when_no_server_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "cat", "--library", f"milvus://127.0.0.1:{closed_port()}/photos"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "") and len(said.err.splitlines()) == 1
    assert "does not answer: check the address" in said.err


def refused(port: int, kind: type[SearcherError], words: str) -> None:
    """Opening a library at a port is refused with one line that has these words, and no secret."""
    started = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        MilvusCollection.open(f"milvus://ann:secret@127.0.0.1:{port}/photos?token=hidden")
    message = str(caught.value)
    assert f"127.0.0.1:{port}" in message
    assert "\n" not in message and "secret" not in message and "hidden" not in message
    assert time.monotonic() - started < 20


def test_a_server_that_is_down_is_one_line() -> None:
    refused(closed_port(), Busy, "does not answer: check the address and that the server runs")


@pytest.mark.parametrize(
    ("code", "details", "kind", "words"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "auth check failure", InvalidInput, "put the right one into SEARCHER_MILVUS"),
        (grpc.StatusCode.PERMISSION_DENIED, "permission deny", InvalidInput, "does not let this user"),
        (grpc.StatusCode.UNIMPLEMENTED, "", InvalidInput, "it must be Milvus 2.5 or later"),
        (grpc.StatusCode.UNAVAILABLE, "", Busy, "does not answer"),
    ],
)
def test_a_server_that_refuses_is_one_line(
    code: grpc.StatusCode, details: str, kind: type[SearcherError], words: str
) -> None:
    with failing_server(code, details) as port:
        refused(port, kind, words)


def test_a_slow_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_S", 0.3)
    monkeypatch.setattr(connections, "ATTEMPTS", 2)
    with failing_server(grpc.StatusCode.UNAVAILABLE, delay_s=1.0) as port:
        refused(port, Busy, "does not answer")


def test_an_old_server_and_an_empty_one_are_one_line(
    shards: Shards, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="fill it with `searcher load DIR --to milvus:"):
        MilvusCollection.open(read_address(f"milvus:{shards.connection.address.uri}/nothing"))
    with pytest.raises(NotFound, match="holds no photos"):
        MilvusCollection.open(f"milvus:{tmp_path}/new.db/photos")
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(NotFound, match="is no folder"):
        MilvusCollection.open(f"milvus:{tmp_path}/no/a.db/photos")
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(Busy, match="another program uses it, or it is no file of Milvus Lite"):
        MilvusCollection.open(f"milvus:{tmp_path}/text.db/photos")
    monkeypatch.setattr("pymilvus.MilvusClient.get_server_version", lambda *_, **__: "v2.4.9")
    refused(port_of(shards.connection), InvalidInput, r"is Milvus v2.4.9: searcher needs 2.5 or later")


@pytest.mark.parametrize("calls", range(1, 11, 3))
def test_a_run_that_is_lost_in_the_middle_is_continued_by_the_next_one(
    shards: Shards, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    shards.load()
    expected = shards.rows()
    empty(shards.connection)
    left = calls
    real = Connection.call

    def call(self: Connection, method: str, *args: object, **options: object) -> object:
        nonlocal left
        left -= method in ("upsert", "delete")
        if left < 0:
            raise self._error(MilvusException(grpc.StatusCode.UNAVAILABLE, "lost"))
        return real(self, method, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "call", call)
        with pytest.raises(Busy, match="run the command again"):
            shards.load()
    report = shards.load()
    assert report.shards + report.skipped == 3
    found = shards.rows()
    assert {path: row["id"] for path, row in found.items()} == {path: row["id"] for path, row in expected.items()}
    assert [row["first"] for row in found.values()] == [True] * 60
    assert shards.load().skipped == 3


def test_a_connection_that_is_cut_in_the_middle_is_one_line_and_the_next_run_continues(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards.paths, later = shards.paths[:1], shards.paths[1:]
    shards.load()
    monkeypatch.setattr(connections, "CONNECT_S", 0.5)
    cable = Cable(port_of(shards.connection), most=15_000)
    cut = Connection(read_address(f"milvus://127.0.0.1:{cable.port}/photos"))
    over_cable = Shards(shards.folder, cut)
    over_cable.paths = later
    with pytest.raises(Busy, match=f"127.0.0.1:{cable.port} does not answer"):
        over_cable.load()
    cut.close()
    mended = Cable(port_of(shards.connection), most=10**9)
    over_cable.connection = Connection(read_address(f"milvus://127.0.0.1:{mended.port}/photos"))
    report = over_cable.load()
    assert report.shards + report.skipped == 2
    rows = over_cable.rows()
    assert len(rows) == len({row["id"] for row in rows.values()}) == 60
    over_cable.connection.close()
    mended.cut()


def test_a_call_is_made_again_after_a_moment(shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.load()
    client = shards.connection._open()
    query, failures = client.query, iter([True, True, False])

    def sometimes(*args: object, **options: object) -> object:
        if next(failures, False):
            raise MilvusException(8, "rate limit exceeded")
        return query(*args, **options)

    monkeypatch.setattr(client, "query", sometimes)
    assert shards.connection.count("photos") == 60


def port_of(connection: Connection) -> int:
    """Where Milvus Lite answers in this process."""
    from milvus_lite.server_manager import server_manager_instance

    return int(str(server_manager_instance.start_and_get_uri(connection.address.uri)).rpartition(":")[2])
