from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from searcher import Library
from searcher.web import create_app
from searcher.web.security import Access
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album

TOKEN = "a-token-of-the-tests"


@pytest.fixture
def album(tmp_path: Path) -> Iterator[Album]:
    """Four indexed photos in four colours: red, green, blue, white."""
    folder, model = tmp_path / "photos", HistogramModel()
    folder.mkdir()
    with Library.open(tmp_path / "library", model=model, create=True) as library:
        album = Album(folder, library, model)
        album.fill()
        yield album


@pytest.fixture
def client_for(album: Album) -> Iterator[Callable[..., TestClient]]:
    """A function that makes a client of a server for the album, with the token and an Access that it can change."""
    opened: list[TestClient] = []

    def make(host: str = "127.0.0.1:7532", *, token: bool = True, **access: object) -> TestClient:
        app = create_app({"album": album.library}, Access(token=TOKEN, **access))  # type: ignore[arg-type]
        client = TestClient(app, base_url=f"http://{host}", headers={"X-Searcher-Token": TOKEN} if token else {})
        opened.append(client)
        return client.__enter__()

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_for: Callable[..., TestClient]) -> TestClient:
    """A client on this machine, with the token."""
    return client_for()
