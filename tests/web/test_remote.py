"""A library in Milvus over HTTP: the page searches, shows and labels its photos, and what needs a folder is refused."""

import io
import zipfile
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from searcher.web import create_app
from searcher.web.security import Access
from tests.library.twins import Twins, twins_in
from tests.web.conftest import TOKEN


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with twins_in(tmp_path_factory.mktemp("twins")) as twins:
        yield twins


@pytest.fixture
def client(twins: Twins) -> Iterator[TestClient]:
    """A client of a server for three libraries: the first one in Milvus, a folder with the same photos, and `far`."""
    app = create_app({"milvus": twins.milvus, "folder": twins.folder, "far": twins.far}, Access(token=TOKEN))
    with TestClient(app, base_url="http://127.0.0.1:7532", headers={"X-Searcher-Token": TOKEN}) as client:
        yield client


READS = (
    "search?q=red&limit=1",
    "search?tag=Rex",
    "search?camera=canon&after=2023",
    "images/{red}",
    "timeline",
    "places",
    "labels",
)


def test_reading_answers_as_from_a_folder(client: TestClient, twins: Twins) -> None:
    red = twins.ids["red.png"]
    for path in READS:
        answers = [
            client.get(f"/api/{path.format(red=red)}", params={"library": name}) for name in ("milvus", "folder")
        ]
        milvus, folder = (answer.json() for answer in answers)
        for told in (milvus, folder):
            told.pop("seconds", None) if isinstance(told, dict) else None
        assert answers[0].status_code == 200, milvus
        assert milvus == folder, path
    facets = client.get("/api/facets").json()
    assert [facets[name] for name in ("cameras", "sources")] == [
        [{"name": "Canon EOS 5", "photos": 1}],
        ["zero-shot", "user"],
    ]
    assert facets["folders"]


def test_the_status_says_that_there_is_no_folder(client: TestClient, twins: Twins) -> None:
    status = client.get("/api/status").json()
    assert {name: status[name] for name in ("library", "folder", "exists", "has_folder", "images", "bytes")} == {
        "library": "milvus",
        "folder": twins.address,
        "exists": True,
        "has_folder": False,
        "images": 4,
        "bytes": None,
    }
    assert client.get("/api/status?library=folder").json()["has_folder"] is True
    assert client.get("/api/libraries").json()[0] == {"name": "milvus", "folder": twins.address}


def test_labels_are_edited_and_asked(client: TestClient, twins: Twins) -> None:
    red = twins.ids["red.png"]
    before = client.get("/api/status").json()["revision"]
    edited = client.post("/api/tags", json={"ids": [red], "add": ["Anna"]})
    assert edited.json() == {"added": {"Anna": 1}, "removed": {}}
    assert client.get("/api/status").json()["revision"] != before
    assert [hit["id"] for hit in client.get("/api/search?tag=Anna").json()["hits"]] == [red]
    assert client.post("/api/tags", json={"ids": [red], "remove": ["Anna"]}).json()["removed"] == {"Anna": 1}
    assert client.post("/api/tag", json={"labels": ["green"]}).status_code == 202
    while (job := client.get("/api/status").json()["job"])["state"] == "running":
        pass
    assert job["result"] == {"asked": 3, "photos": 3, "tagged": {"green": 1}}
    assert client.request("DELETE", "/api/tag", json={"labels": ["green"]}).json() == {"removed": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "command"),
    [
        ("POST", "index", {"folders": []}, "index"),
        ("POST", "duplicates", None, "duplicates"),
        ("POST", "teach", {"label": "Rex", "ids": [1]}, "teach"),
        ("POST", "xmp", {"ids": [1]}, "tag --xmp"),
        ("GET", "failures", None, "status --failed"),
    ],
)
def test_what_needs_a_folder_is_refused(
    client: TestClient, twins: Twins, method: str, path: str, body: object, command: str
) -> None:
    refused = client.request(method, f"/api/{path}", json=body)
    line = f"{twins.address} is a Milvus collection: `searcher {command}` needs a library folder"
    assert (refused.status_code, refused.json()) == (400, {"error": line})


def test_pictures_and_files_come_from_where_they_are(client: TestClient, twins: Twins) -> None:
    red = (twins.album.folder / "red.png").read_bytes()
    small = client.get("/api/images/2/thumbnail?library=far&size=256")
    assert (small.status_code, small.content) == (200, twins.stored)
    assert Image.open(io.BytesIO(client.get("/api/images/1/preview?library=far").content)).format == "JPEG"
    original = client.get("/api/images/1/original?library=far")
    assert (original.headers["content-type"], original.content) == ("image/png", red)
    assert original.headers["content-disposition"] == "inline; filename*=utf-8''red.png"
    told = [client.get(f"/api/images/{id}?library=far").json() for id in (1, 2)]
    assert [(each["bytes"], each["missing"]) for each in told] == [(99, False), (None, True)]
    for id in (2, 3):
        assert client.get(f"/api/images/{id}/original?library=far").status_code == 404
    link = client.post("/api/downloads?library=far", json={"ids": [1, 3]}).json()["url"]
    with zipfile.ZipFile(io.BytesIO(client.get(f"/{link}").content)) as archive:
        assert archive.read("red.png") == red
        assert "gone://bucket/blue.png" in archive.read("not included.txt").decode()
