"""Timeline, facets and places over HTTP."""

from fastapi.testclient import TestClient
from PIL import Image

from tests.library.conftest import Album

PARIS, TOKYO = (48.86, 2.35), (35.68, 139.69)


def add(album: Album, name: str, taken: str, place: tuple[float, float] | None = None, camera: str = "Canon") -> None:
    """Write a JPEG with EXIF."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = camera, f"{camera} One"
    exif.get_ifd(0x8769)[0x9003] = taken
    if place is not None:
        latitude, longitude = place
        exif.get_ifd(0x8825).update({1: "N", 2: (latitude, 0, 0), 3: "E", 4: (longitude, 0, 0)})
    path = album.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    number = len(list(album.folder.rglob("*")))
    Image.new("RGB", (30 + number, 20), (number, 90, 90)).save(path, exif=exif)
    album.touch(path)


def test_a_library_is_shown_at_a_glance(own_client: TestClient, album: Album) -> None:
    add(album, "2022/paris/one.jpg", "2022:05:01 10:00:00", PARIS)
    add(album, "2022/paris/two.jpg", "2022:05:02 10:00:00", (48.9, 2.36))
    add(album, "2023/deep/er/three.jpg", "2023:01:02 10:00:00", TOKYO, "Nikon")
    album.copy("2023/deep/er/three.jpg", "copy.jpg")
    album.index()

    months = own_client.get("/api/timeline").json()
    assert months == [
        {"month": "2023-01", "photos": 1},
        {"month": "2022-05", "photos": 2},
        {"month": None, "photos": 4},
    ]
    assert sum(month["photos"] for month in months) == own_client.get("/api/search").json()["total"]
    assert own_client.get("/api/timeline", params={"before": "2023", "camera": "canon"}).json() == months[1:2]
    assert own_client.get("/api/timeline", params={"before": "never"}).status_code == 400
    assert own_client.get("/api/timeline", params={"folder": "/nowhere"}).status_code == 404

    facets = own_client.get("/api/facets").json()
    assert facets["cameras"] == [{"name": "Canon One", "photos": 2}, {"name": "Nikon One", "photos": 1}]
    assert facets["formats"] == [{"name": "PNG", "photos": 4}, {"name": "JPEG", "photos": 3}]
    assert {shape["name"] for shape in facets["orientations"]} == {"landscape", "square"}
    assert facets["sources"] == []
    inside = {row["path"].removeprefix(str(album.folder)): row["photos"] for row in facets["folders"]}
    assert inside == {"": 8, "/2022": 2, "/2022/paris": 2, "/2023": 1, "/2023/deep": 1}
    for row in facets["folders"]:  # each can be a filter
        total = own_client.get("/api/search", params={"folder": row["path"]}).json()["total"]
        assert total == row["photos"] - (row["path"] == str(album.folder))  # the copy

    first, second = own_client.get("/api/places").json()
    assert (first["photos"], second["photos"]) == (2, 1)
    assert abs(first["latitude"] - 48.5) < 1 and abs(second["longitude"] - 139) < 1
    assert own_client.get(f"/api/images/{second['id']}").json()["camera"] == "Nikon One"
    assert len(own_client.get("/api/places", params={"camera": "nikon"}).json()) == 1
    assert own_client.get("/api/places", params={"precision": 0}).status_code == 400


def test_counts_follow_each_change(own_client: TestClient, album: Album) -> None:
    revision = own_client.get("/api/status").json()["revision"]
    assert own_client.get("/api/timeline").json() == [{"month": None, "photos": 4}]
    add(album, "new.jpg", "2022:05:01 10:00:00")
    album.index()
    assert own_client.get("/api/timeline").json()[0] == {"month": "2022-05", "photos": 1}
    now = own_client.get("/api/status").json()["revision"]
    assert now != revision
    own_client.post("/api/tags", json={"ids": [1], "add": ["Rex"]})
    assert own_client.get("/api/status").json()["revision"] not in (now, revision)


def test_a_folder_that_is_not_there_is_shown_as_missing(own_client: TestClient, album: Album) -> None:
    album.folder.rename(album.folder.with_name("elsewhere"))
    (root,) = own_client.get("/api/status").json()["roots"]
    assert root == {"path": str(album.folder), "images": 4, "failed": 0, "missing": True}
