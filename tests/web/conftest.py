from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from searcher import Library
from searcher.web import create_app
from searcher.web.security import Access
from tests.histogram_model import HistogramModel
from tests.library.conftest import Album

TOKEN = "a-token-of-the-tests"

Clients = Callable[..., TestClient]


@contextmanager
def filled(folder: Path) -> Iterator[Album]:
    """Four indexed photos in four colours: blue, green, red, white, with the ids 1 to 4."""
    photos, model = folder / "photos", HistogramModel()
    photos.mkdir()
    with Library.open(folder / "library", model=model, create=True) as library:
        album = Album(photos, library, model)
        for number, colour in enumerate(("blue", "green", "red", "white")):
            album.add(f"{colour}.png", colour, number)
            album.index()  # one by one: photos of one run get their ids in any order
        yield album


@pytest.fixture
def album(tmp_path: Path) -> Iterator[Album]:
    """An album that the test may change."""
    with filled(tmp_path) as album:
        yield album


@pytest.fixture(scope="session")
def kept_album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Album]:
    """An album that no test changes."""
    with filled(tmp_path_factory.mktemp("kept")) as album:
        yield album


def client_of(album: Album, host: str = "127.0.0.1:7532", *, token: bool = True, **access: object) -> TestClient:
    """A client of a server for an album. token: whether it has the token. access: see Access."""
    app = create_app({"album": album.library}, Access(token=TOKEN, **access))  # type: ignore[arg-type]
    return TestClient(app, base_url=f"http://{host}", headers={"X-Searcher-Token": TOKEN} if token else {})


@pytest.fixture
def client_for(kept_album: Album) -> Iterator[Clients]:
    """A function that makes a client of a server for an album that no test changes: see `client_of`."""
    with ExitStack() as opened:
        yield lambda *args, **kwargs: opened.enter_context(client_of(kept_album, *args, **kwargs))


@pytest.fixture
def client(client_for: Clients) -> TestClient:
    """A client on this machine, with the token, of a server for an album that no test changes."""
    return client_for()


@pytest.fixture
def own_client(album: Album) -> Iterator[TestClient]:
    """The same for an album that the test may change."""
    with client_of(album) as client:
        yield client
