"""Single photos over HTTP."""

import io
import os

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.library.conftest import Album


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_everything_known_about_a_photo_is_told(own_client: TestClient, album: Album) -> None:
    album.copy("red.png", "copy of red.png")
    album.index()
    ids = {album.library.photo(id).photo.relpath: id for id in range(1, 6)}
    album.library.add_tag("Rex", [ids[b"red.png"]])
    told = own_client.get(f"/api/images/{ids[b'red.png']}").json()
    assert told == {
        "id": ids[b"red.png"],
        "name": "red.png",
        "path": str(album.folder / "red.png"),
        "folder": str(album.folder),
        "width": 22,
        "height": 20,
        "bytes": (album.folder / "red.png").stat().st_size,
        "format": "PNG",
        **dict.fromkeys(("taken_at", "camera", "lens", "latitude", "longitude", "rating", "description")),
        "tags": [{"label": "Rex", "source": "user", "probability": 1.0}],
        "copies": [{"id": ids[b"copy of red.png"], "path": str(album.folder / "copy of red.png")}],
        "missing": False,
    }
    (album.folder / "red.png").unlink()
    (album.folder / "copy of red.png").unlink()
    told = own_client.get(f"/api/images/{ids[b'red.png']}").json()
    assert (told["missing"], told["bytes"]) == (True, None)


def test_a_thumbnail_is_sent_once_and_then_only_confirmed(client: TestClient) -> None:
    for _ in range(2):  # from the disk, then from memory
        answer = client.get("/api/images/1/thumbnail?size=128")
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"].startswith("private, max-age=")
        assert opened(answer.content).format == "WEBP"
        again = client.get("/api/images/1/thumbnail?size=128", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_another_content_under_the_same_id_gets_another_thumbnail(own_client: TestClient, album: Album) -> None:
    before = own_client.get("/api/images/1/thumbnail")
    name = album.library.photo(1).photo.relpath.decode()
    album.add(name, "black", 40)
    album.index()
    after = own_client.get("/api/images/1/thumbnail", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content


@pytest.mark.parametrize("size", ["0", "64", "257", "4096", "x", ""])
def test_a_thumbnail_of_another_size_is_refused(client: TestClient, size: str) -> None:
    assert client.get(f"/api/images/1/thumbnail?size={size}").status_code == 400


def test_a_preview_is_a_jpeg_for_every_format_and_turned_upright(own_client: TestClient, album: Album) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = album.folder / "turned.tif"
    Image.new("RGB", (3000, 1000), "orange").save(path, exif=exif)
    album.touch(path)
    album.index()
    (id,) = (hit["id"] for hit in own_client.get("/api/search?format=tiff").json()["hits"])
    preview = own_client.get(f"/api/images/{id}/preview")
    assert preview.headers["content-type"] == "image/jpeg"
    assert opened(preview.content).size == (683, 2048)
    again = own_client.get(f"/api/images/{id}/preview", headers={"If-None-Match": preview.headers["etag"]})
    assert again.status_code == 304
    original = own_client.get(f"/api/images/{id}/original")
    assert original.headers["content-type"] == "application/octet-stream"  # no browser shows it
    assert original.headers["content-disposition"].startswith("attachment")
    assert original.content == path.read_bytes()


def test_an_original_is_the_file_itself_shown_or_stored(client: TestClient, kept_album: Album) -> None:
    data = kept_album.library.photo(1).photo.path_bytes
    shown, stored = client.get("/api/images/1/original"), client.get("/api/images/1/original?download=1")
    with open(data, "rb") as file:  # noqa: PTH123
        assert shown.content == stored.content == file.read()
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["content-disposition"].startswith("inline")
    assert stored.headers["content-type"] == "application/octet-stream"
    assert stored.headers["content-disposition"].startswith("attachment")
    part = client.get("/api/images/1/original", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"\x89PNG")


def test_a_file_that_is_gone_or_damaged_is_explained_in_one_line(own_client: TestClient, album: Album) -> None:
    path = album.library.photo(1).photo.path
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"no picture")
    for kind in ("thumbnail?size=512", "preview"):
        answer = own_client.get(f"/api/images/1/{kind}")
        assert (answer.status_code, set(answer.json())) == (404, {"error"})
    os.unlink(path)  # noqa: PTH108
    os.mkfifo(path)
    for kind in ("thumbnail?size=512", "preview", "original"):
        assert own_client.get(f"/api/images/1/{kind}").status_code == 404


@pytest.mark.parametrize("kind", ["", "/thumbnail", "/preview", "/original"])
def test_an_unknown_photo_is_explained_in_one_line(client: TestClient, kind: str) -> None:
    answer = client.get(f"/api/images/999{kind}")
    assert (answer.status_code, answer.json()) == (404, {"error": "no photo has the id 999"})


def test_names_that_are_no_text_are_shown_and_downloaded(own_client: TestClient, album: Album) -> None:
    strange = os.path.join(os.fsencode(album.folder), b'\xff\n".png')  # noqa: PTH118
    os.rename(album.folder / "red.png", strange)  # noqa: PTH104
    album.index()
    (id,) = (hit["id"] for hit in own_client.get("/api/search?q=red&limit=1").json()["hits"])
    assert own_client.get(f"/api/images/{id}").json()["name"] == '\ufffd\n".png'
    answer = own_client.get(f"/api/images/{id}/original?download=1")
    assert answer.status_code == 200
    assert "\n" not in answer.headers["content-disposition"]
